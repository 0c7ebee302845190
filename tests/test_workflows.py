"""Every step of CI and of the container can be run by hand: they call make targets that exist, and name what is there."""

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.search(r"^\.PHONY:(.*)$", MAKEFILE, re.MULTILINE).group(1).split())
IGNORED = {line.strip().removeprefix("**/").rstrip("/") for line in (ROOT / ".dockerignore").read_text().splitlines()}


def read(path):
    told = yaml.safe_load(path.read_text())
    told["on"] = told.pop(True)  # YAML 1.1 takes the key for a truth
    return told


def jobs(path):
    return read(path)["jobs"].items()


def steps(path):
    return [step for _, job in jobs(path) for step in job["steps"]]


def makes(text):
    """The targets of each make command in a line of shell, with their variables."""
    for part in re.split(r"&&|\|\|?|;", text):
        words = shlex.split(part.strip())
        if words[:1] == ["make"]:
            targets = [word for word in words[1:] if "=" not in word]
            yield targets, dict(word.split("=", 1) for word in words[1:] if "=" in word)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_command_of_ci_is_a_make_target_that_runs_by_hand(path):
    commands = [step["run"] for step in steps(path) if "run" in step]
    assert commands or path.name != "tests.yml"
    for command in commands:
        (made,) = makes(command)
        targets, variables = made
        assert targets
        assert set(targets) <= TARGETS, command
        assert set(variables) <= {"ARGS"}
        dry = ["make", "-n", "-C", str(ROOT), *targets, *(f"{k}={v}" for k, v in variables.items())]
        assert subprocess.run(dry, capture_output=True, text=True).returncode == 0, command


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_jobs_end_may_do_no_more_than_they_need_and_call_actions_by_version(path):
    told = read(path)
    assert told["permissions"] == {"contents": "read"}
    assert {"workflow_dispatch"} <= set(told["on"])
    for _, job in jobs(path):
        assert "timeout-minutes" in job or not any("run" in step for step in job["steps"])
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step)
            if "uses" in step:
                assert re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"])
    needed = {name for _, job in jobs(path) for name in [job.get("needs")] if name}
    assert needed <= {name for name, _ in jobs(path)}


def test_the_cpu_job_does_what_a_change_has_to_pass_and_keeps_the_report():
    path = next(path for path in WORKFLOWS if path.name == "tests.yml")
    ran = [targets[0] for step in steps(path) if "run" in step for targets, _ in makes(step["run"])]
    assert ran == ["setup", "lint", "test", "hypotheses", "report", "setup", "test-plain-simd"]
    (kept,) = [step for step in steps(path) if "upload-artifact" in step.get("uses", "")]
    assert "results/summary_table.md" in kept["with"]["path"].split()
    assert kept["if"] == "${{ !cancelled() }}"  # a refuted claim is what one wants to read about


def test_the_gpu_job_keeps_models_and_results_on_its_runner_and_goes_on_when_tried_again():
    ((_, job), (_, publishing)) = jobs(next(path for path in WORKFLOWS if path.name == "gpu.yml"))
    assert job["runs-on"][0] == "self-hosted"
    environment = job["env"]
    assert environment["HF_HOME"].startswith("${{ vars.LAB_CACHE || '/var/lib/lab' }}/")  # outside of the checkout
    assert environment["RESULTS"].startswith("${{ vars.LAB_CACHE || '/var/lib/lab' }}/")
    assert environment["RESULTS"].endswith("${{ github.run_id }}")  # which a second attempt keeps
    (command,) = [step["run"] for step in job["steps"] if step.get("run", "").startswith("make gpu")]
    assert "--lab-results $RESULTS" in command
    assert "${{" not in command  # what is asked for reaches the shell as a variable, not as its text
    recipe = MAKEFILE[MAKEFILE.index("\ngpu: ") :].partition("\n\n")[0]
    assert "--lab-resume" in recipe
    assert "-n $(GPUS)" in recipe
    assert publishing["permissions"] == {"pages": "write", "id-token": "write"}
    assert "actions/deploy-pages" in publishing["steps"][0]["uses"]


@pytest.mark.parametrize(("gpus", "workers"), [(0, 0), (4, 4)])
def test_make_gpu_gives_each_gpu_a_worker_and_works_without(gpus, workers, tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\n" + "".join(f"echo 'GPU {n}: NVIDIA H200 (UUID: GPU-{n})'\n" for n in range(gpus)))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    dry = subprocess.run(["make", "-n", "-C", str(ROOT), "gpu", "READY="], capture_output=True, text=True)
    assert f"-m pytest hypotheses/ -n {workers} --lab-resume" in dry.stdout


# The container -----------------------------------------------------------------------------------------


def instructions():
    """The Containerfile's instructions with their arguments, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Containerfile").read_text(), flags=re.MULTILINE)
    text = re.sub(r"\\\n\s*", " ", text)
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def test_the_container_is_built_from_a_pinned_base_by_the_makefiles_own_commands():
    told = instructions()
    assert told[0][0] == "FROM"
    assert re.fullmatch(r"docker\.io/library/python:3\.1\d\.\d+-slim-[a-z]+", told[0][1])
    assert {name for name, _ in told} <= {"FROM", "ARG", "ENV", "RUN", "WORKDIR", "COPY", "VOLUME", "CMD"}
    run = [argument for name, argument in told if name in ("RUN", "CMD")]
    called = [targets for text in run for targets, _ in makes(text)]
    called += [eval(text)[1:] for text in run if text.startswith('["make"')]
    assert ["setup"] in called
    assert {target for targets in called for target in targets} <= TARGETS
    header = (ROOT / "Containerfile").read_text().partition("\nFROM ")[0]
    assert {target for line in header.splitlines() for target in re.findall(r" lab make (\w+)", line)} <= TARGETS


def test_the_container_is_for_cpus_unless_asked_and_says_where_torch_comes_from():
    told = dict(argument.split("=", 1) for name, argument in instructions() if name == "ARG")
    assert told == {"TORCH": "https://download.pytorch.org/whl/cpu"}
    (environment,) = [argument for name, argument in instructions() if name == "ENV"]
    assert "PIP_EXTRA_INDEX_URL=${TORCH}" in environment
    assert "torch==" in (ROOT / "constraints.txt").read_text()


def test_what_is_copied_before_setup_is_there_is_enough_and_is_not_ignored():
    """Setup runs before the rest is copied, so that a change of a hypothesis does not install everything anew."""
    before, made = [], []
    for name, argument in instructions():
        if (name, argument) == ("RUN", "make setup"):
            break
        if name == "COPY":
            before += argument.split()[:-1]
        if argument.startswith("mkdir -p "):
            made += argument.split()[2:]
    assert all((ROOT / part).exists() for part in before)
    assert not IGNORED & set(before)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert [folder for folder in needed if folder not in made and folder.partition("/")[0] not in before] == []
    assert {"pyproject.toml", "constraints.txt", "Makefile", "README.md", "LICENSE", "lab"} <= set(before)


def test_nothing_that_git_ignores_gets_into_the_container():
    ignored = {line.strip().rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if line.strip()}
    ignored = {name.removeprefix("**/") for name in ignored if "*" not in name.removeprefix("**/")}
    assert ignored <= IGNORED | {"dist", "build"}
