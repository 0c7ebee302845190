"""The commands of docs/gpu.md and docs/clusters.md are ones that we have; those that can run here are run."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from lab.__main__ import COMMANDS, main
from lab.commands import submit
from tests.commands.test_submit import QUICK, suite  # noqa: F401
from tests.test_workflows import TARGETS, makes

ROOT = Path(__file__).parents[1]
PAGES = ("gpu.md", "clusters.md")


def commands():
    """Every line of the pages' console blocks."""
    for page in PAGES:
        for block in re.findall(r"```console\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL):
            yield from (pytest.param(line, id=f"{page}: {line[:60]}") for line in block.splitlines())


@pytest.mark.parametrize("line", list(commands()))
def test_each_command_is_one_that_we_have(line):
    words = shlex.split(re.sub(r"^(\w+=\S+ )+", "", line))
    for targets, _ in makes(line):
        assert set(targets) <= TARGETS
    program, *rest = words
    program = program.removeprefix(".venv/bin/")
    if program == "python":
        assert rest[0] == "-m"
        _, program, *rest = rest
        assert program in ("pytest", "pip")
    if program == "lab":
        assert rest[0] in COMMANDS
        if rest[0] == "submit":
            cut = rest.index("--")
            given, others = submit._parser().parse_known_args(rest[1:cut])
            assert submit.parameters(others, given.local)
            program, rest = "pytest", rest[cut + 1 :]
    if program == "pytest":
        assert all((ROOT / word).exists() for word in rest if word.startswith("hypotheses"))
        text = (ROOT / "lab" / "plugin" / "options.py").read_text()
        assert all(f'"{word.partition("=")[0]}"' in text for word in rest if word.startswith("--lab-"))
    elif program not in ("lab", "nvidia-smi", "git", "export", "make", "pip"):
        pytest.fail(f"{line}: what is {program}?")


def test_the_local_command_of_the_page_runs(suite, capfd):  # noqa: F811
    """As it stands, on a suite of a second: what comes after -- is ours."""
    text = (ROOT / "docs" / "clusters.md").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("lab submit") and "--local" in line]
    words = shlex.split(line)[1:]
    status = main([*words[: words.index("--") + 1], *QUICK, "-k", "ordinary"])
    assert status == 0
    assert "1 test in 1 job" in capfd.readouterr().out
    assert (suite / "ordinary.txt").read_text() == "ran\n"


def test_every_option_of_submit_stands_on_the_page():
    page = (ROOT / "docs" / "clusters.md").read_text()
    known = {flag for action in submit._parser()._actions for flag in action.option_strings if flag.startswith("--")}
    assert {flag for flag in known - {"--help"} if flag not in page} == set()


def test_what_make_gpu_runs_is_what_the_page_says():
    dry = subprocess.run(["make", "-n", "-C", str(ROOT), "gpu", "READY="], capture_output=True, text=True).stdout
    assert "-m lab check" in dry
    assert "--lab-resume" in dry
