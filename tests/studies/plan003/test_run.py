"""Steps of a plan run by their names with the plan's own flags; what they print is kept, and their exit code is ours."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.__main__ import main
from lab.commands import check
from lab.commands.report import main as reports
from lab.plugin.experiment import knob_text
from lab.studies.plan003.run import tee
from lab.studies.plan003.steps import PlanError, steps

ROOT = Path(__file__).parents[3]
SHIPPED = steps(ROOT / "hypotheses" / "plan003" / "plan.yaml")
PLAN = """
knobs_and_models:
  does: Shows what it was given.
  subjects: models
  tests: test_shown.py
  log: experiments/shown.txt
  knobs: {n_samples: n_samples}
one_of_two:
  does: Picks a test.
  subjects: target and source
  tests: [test_shown.py::test_a, test_shown.py::test_b]
  log: experiments/picked_{behavior}.txt
  choices:
    behavior: {a: "test_shown.py::test_a", b: "test_shown.py::test_b"}
"""
TEST = """
from lab.estimate import Estimate
from lab.plugin import experiment


@experiment(id="SHOWN", claim="half is more than nothing", phase="experiments")
def test_shown(evidence, *, n_samples=10):
    evidence.report(given=n_samples)
    assert evidence.measure("share", Estimate(0.5, 0.5 - 1 / n_samples, 0.6, n_samples, "by hand")) > 0.2
"""


@pytest.fixture
def plan(tmp_path, monkeypatch):
    (tmp_path / "plan.yaml").write_text(PLAN)
    (tmp_path / "test_shown.py").write_text(TEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "plan.yaml"


def asked(plan, name, *flags):
    step = steps(plan)[name]
    return step.arguments(step.parser().parse_args(flags))


def test_a_step_runs_with_the_plans_flags_and_leaves_a_log(plan, tmp_path, capfdbinary):
    command = ["run", "--plan", str(plan), "knobs_and_models", "--n_samples", "50", "--seed", "7", "--", "-q"]
    assert main(command) == 0
    log = (tmp_path / "results" / "experiments" / "shown_seed_7.txt").read_bytes()
    assert b"1 passed" in log
    assert capfdbinary.readouterr().out == log  # the same bytes
    journal = "".join(path.read_text() for path in (tmp_path / "results" / "journal").iterdir())
    assert '"n_samples":50' in journal.replace(" ", "")
    assert '"seed":7' in journal.replace(" ", "")
    assert all((tmp_path / "results" / name).is_dir() for name in ("pre_mortems", "experiments", "figures", "paper"))
    assert main([*command[:4], "--n_samples", "4"]) == 0  # an interval down to 0.25
    assert main([*command[:4], "--n_samples", "1"]) == 0  # inconclusive
    assert main([*command[:4], "--n_samples", "many"]) == 4  # pytest's own: usage error


GIVEN = {
    "models": "clinic-gpt2,clinic-opt",
    "model": "clinic-gpt2",
    "source": "clinic-neox",
    "target": "clinic-llama",
    "n_samples": "123",
    "prompts": "77",
    "task": "clinic/mmlu",
    "dataset": "clinic/truthfulqa",
    "datasets": "clinic/mmlu,clinic/hellaswag",
    "abstention_threshold": "0.25",
    "behavior": "formality",
    "scorer": "lexicon:toxicity",
    "seed": "7",
    "batch_size": "4",
    "device": "cpu",
    "results_dir": "elsewhere",
}
"""A value for every flag of every script of the plan that runs experiments, and none of them a default."""
SCRIPTS = {name: step for name, step in SHIPPED.items() if not step.report}


def flags_of(step):
    return {flag for action in step.parser()._actions for flag in action.option_strings} - {"-h", "--help"}


@pytest.fixture
def configurations(pytester, inner):
    """Runs a step's own command, as far as writing down every cell's configuration; returns these."""
    pytester.syspathinsert(ROOT)
    shutil.copytree(ROOT / "hypotheses", pytester.path / "hypotheses", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "conftest.py", pytester.path)

    def run(step, flags):
        given = step.parser().parse_args([text for flag in flags for text in (f"--{flag}", GIVEN[flag])])
        program, *options = step.arguments(given)
        assert program == "pytest"
        result = inner(*options, "--lab-dry-run", "--lab-force")
        assert result.ret == 0, result.stdout.str()
        results = pytester.path / GIVEN["results_dir"] / "experiments"
        return [json.loads(path.read_text()) for path in results.glob("*/*/config.json")]

    return run


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_flag_of_every_script_stands_in_the_configuration_of_its_cells(name, configurations):
    step = SCRIPTS[name]
    flags = {flag.removeprefix("--") for flag in flags_of(step)}
    assert flags >= {"seed", "batch_size", "device", "results_dir"}
    doubled = {"prompts"} if {"prompts", "n_samples"} <= flags else set()  # both are the number of items
    for several in [flags - doubled, *([{"prompts", "results_dir"}] if doubled else [])]:
        told = configurations(step, sorted(several))
        assert told
        if doubled and several >= {"prompts"}:
            told = [config for config in told if config["seed"] != 7]  # of the second call
        for config in told:
            knobs = config["experiment"]["knobs"]
            for flag in several & step.knobs.keys():
                assert knob_text(knobs[step.knobs[flag]]) == GIVEN[flag], flag
            if "seed" in several:
                assert config["seed"] == 7
                assert {model["backend"]["batch_size"] for model in config["models"]} == {4}
                assert {model["backend"]["device"] for model in config["models"]} == {"cpu"}
            if "behavior" in step.choices:
                assert config["test"].startswith(step.choices["behavior"][GIVEN["behavior"]][0])
        named = {name.removeprefix("untrained:") for config in told for name in config["params"].values()}
        for flag in several & {"models", "model", "source", "target"}:
            assert set(GIVEN[flag].split(",")) <= named


def test_every_flag_of_the_plan_is_one_of_ours():
    known = set().union(*map(flags_of, SHIPPED.values()))
    plan = "models n_samples source target task datasets abstention_threshold prompts behavior results_dir output_dir"
    assert {f"--{flag}" for flag in (*plan.split(), "seed", "batch_size", "device", "output")} <= known


def test_the_plans_own_commands_for_reports_find_the_runs_and_are_echoed(plan, tmp_path, capfdbinary):
    main(["run", "--plan", str(plan), "knobs_and_models"])
    (tmp_path / "plan.yaml").write_text((ROOT / "hypotheses" / "plan003" / "plan.yaml").read_text())
    for name, log, option, where in (
        ("generate_figures", "figures/generate_figures.txt", "--output_dir", "results/figures"),
        ("compute_statistics", "experiments/compute_statistics.txt", "--output", "results/own.json"),
    ):
        asked = ["run", "--plan", str(plan), name, "--results_dir", "results/experiments", option, where]
        assert main(asked) == 0
        told = (tmp_path / "results" / log).read_text()
        assert told.startswith(f"$ lab {' '.join(asked)}\n")
    assert json.loads((tmp_path / "results" / "own.json").read_text())[0]["experiment"] == "SHOWN"
    assert not (tmp_path / "results" / "figures" / "figures").exists()
    assert not (tmp_path / "results" / "experiments" / "experiments").exists()


def test_figures_and_statistics_are_steps_too(plan, tmp_path):
    main(["run", "--plan", str(plan), "knobs_and_models"])
    for name, flags in (("generate_figures", []), ("compute_statistics", ["--output", "elsewhere.json"])):
        given = SHIPPED[name].parser().parse_args(["--results_dir", "results", *flags])
        command = SHIPPED[name].arguments(given)
        assert command[:2] == ["lab", "report"]
        assert reports(command[2:]) == 0
    assert json.loads((tmp_path / "elsewhere.json").read_text())[0]["experiment"] == "SHOWN"


def test_a_log_is_what_was_printed_and_the_exit_code_is_kept(tmp_path, capfdbinary):
    code = "import sys; print('out'); sys.stdout.flush(); print('err', file=sys.stderr); sys.exit(3)"
    assert tee([sys.executable, "-c", code], tmp_path / "deep" / "log.txt") == 3
    kept = (tmp_path / "deep" / "log.txt").read_bytes()
    assert kept == b"out\nerr\n"
    assert capfdbinary.readouterr().out == kept


def test_flags_become_options_of_pytest(plan):
    flags = ("--models", "gpt2,pythia-70m", "--device", "cpu", "--batch_size", "4", "--results_dir", "out")
    assert asked(plan, "knobs_and_models", *flags) == [
        *("pytest", "test_shown.py", "--lab-models", "gpt2,pythia-70m", "--lab-load", "batch_size=4"),
        *("--lab-load", "device=cpu", "--lab-results", "out"),
    ]
    assert asked(plan, "one_of_two", "--source", "a", "--target", "b", "--behavior", "b") == [
        *("pytest", "test_shown.py::test_b", "--lab-models", "b,a")
    ]
    step = steps(plan)["one_of_two"]
    assert step.log_of(step.parser().parse_args([])) == "experiments/picked_all.txt"
    given = step.parser().parse_args(["--behavior", "a", "--seed", "1,2"])
    assert step.log_of(given) == "experiments/picked_a_seed_1_2.txt"
    with pytest.raises(PlanError, match="both --source and --target"):
        asked(plan, "one_of_two", "--source", "a")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n- b\n", "must map names to steps"),
        ("step: {does: x, tests: t.py}", "needs `does`, `tests` and `log`"),
        ("step: {does: x, tests: t.py, log: l, subjects: all}", "write one of models, model, target and source"),
        ("step: [", "is no YAML"),
    ],
)
def test_a_bad_plan_is_one_line(tmp_path, text, said, capsys):
    (tmp_path / "plan.yaml").write_text(text)
    assert main(["run", "--plan", str(tmp_path / "plan.yaml"), "step"]) == 2
    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1


def test_what_does_not_exist_is_named_with_what_does(plan, tmp_path, capsys):
    assert main(["run", "--plan", str(plan), "nothing"]) == 2
    assert "it has knobs_and_models, one_of_two" in capsys.readouterr().err
    assert main(["run", "--plan", str(tmp_path / "none.yaml"), "x"]) == 2
    assert "there is no" in capsys.readouterr().err
    assert main(["fly"]) == 2
    assert "there are check, report" in capsys.readouterr().err


@pytest.mark.parametrize("name", SHIPPED)
def test_every_step_of_the_plan_answers_help_and_names_tests_that_exist(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        SHIPPED[name].parser().parse_args(["--help"])
    assert stopped.value.code == 0
    told = capsys.readouterr().out
    assert "--results_dir" in told
    for test in SHIPPED[name].tests:
        file, _, function = test.partition("::")
        assert (ROOT / file).is_file(), test
        assert f"def {function}" in (ROOT / file).read_text(), test


def test_everything_needed_is_here_and_what_is_missing_is_named(capsys, monkeypatch):
    assert main(["check"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert all(lines[name].startswith("OK ") for name in check.NEEDED)
    assert "clinic-gpt2" in lines["organisms"]
    assert lines["accelerator"].startswith("OK")
    assert lines["pingouin"].startswith("OK ")


@pytest.mark.parametrize(("name", "fix"), check.NEEDED.items())
def test_any_check_that_is_not_ok_names_the_fix_and_blocks(name, fix, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    assert main(["check"]) == 1
    said = capsys.readouterr()
    (line,) = [line for line in said.out.splitlines() if line.startswith(f"{name} ")]
    assert f"MISSING: {fix} (" in line
    assert said.err.startswith("not ready: ")
    assert name in said.err


def test_what_nothing_waits_for_blocks_nothing(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pingouin", None)
    assert main(["check"]) == 0
    assert "pingouin      OK without: a second opinion on statistics comes with pip install" in capsys.readouterr().out


def test_without_organisms_or_with_a_broken_gpu_nothing_begins(capsys, monkeypatch):
    import torch

    from lab.subjects import names

    def broken(*_, **__):
        raise RuntimeError("CUDA error: the driver is too old\nmore of it")

    monkeypatch.setattr(names, "organisms", lambda: ())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", broken)
    assert main(["check"]) == 1
    said = capsys.readouterr()
    assert "FAILED: CUDA error: the driver is too old; install a torch built for this driver" in said.out
    assert "MISSING: there is none in " in said.out
    assert said.err == "not ready: accelerator, organisms\n"


@pytest.mark.parametrize("ready", [True, False])
def test_a_check_that_is_not_ok_ends_the_plan_before_its_first_step(tmp_path, ready):
    """The Makefile's own recipe, with a python that only writes down what it was called with."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n[ "$3" != check ] || exit {0 if ready else 1}\n')
    python.chmod(0o755)
    (tmp_path / "ready").touch()
    make = ["make", "-C", str(ROOT), "plan", f"BIN={python.parent}", f"READY={tmp_path}/ready"]
    done = subprocess.run(make, capture_output=True, text=True)
    calls = [line.split()[1] for line in (tmp_path / "calls").read_text().splitlines()]
    assert calls == (["lab", "pytest", "lab"] if ready else ["lab"])
    assert (done.returncode == 0) == ready
