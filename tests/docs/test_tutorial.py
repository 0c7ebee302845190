"""The tutorial, done from its first file to its last command, says what it comes to."""

import shlex
import shutil

import pytest

from lab.commands.report import main as reports
from tests.docs.pages import ROOT, blocks, changed, missing

TUTORIAL = blocks(ROOT / "docs" / "tutorial.md")


@pytest.fixture
def clone(pytester, inner, monkeypatch):
    """A folder as a fresh clone is, and what runs a command in it; returns what it printed."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.syspathinsert(ROOT)
    for name in ("conftest.py", "pytest.ini"):
        shutil.copy(ROOT / name, pytester.path)
    shutil.copytree(ROOT / "hypotheses", pytester.path / "hypotheses", ignore=shutil.ignore_patterns("__pycache__"))

    def run(command):
        program, *arguments = shlex.split(command)
        if program == "pytest":
            return inner(*arguments, "-p", "no:cacheprovider").stdout.str()
        assert (program, arguments[0]) == ("lab", "report")
        assert reports(arguments[1:]) == 0
        return ""

    return run


def test_the_tutorial_comes_to_what_it_says(clone, pytester, subtests):
    output, done = "", 0
    for block in TUTORIAL:
        kind, _, name = block.mark.partition(": ")
        if kind == "needs a network":
            continue
        if kind == "file":
            (pytester.path / name).parent.mkdir(exist_ok=True)
            (pytester.path / name).write_text(block.text)
        elif kind == "change":
            file = pytester.path / name
            file.write_text(changed(file.read_text(), block.text))
        elif block.language == "console":
            [command] = block.commands
            output = clone(command)
        elif block.language == "text":
            done += 1
            with subtests.test(msg=command):
                assert missing(block.text, output) is None, output
    assert done == len([block for block in TUTORIAL if block.language == "text"]) > 8
    assert (pytester.path / "results" / "page.html").is_file()


@pytest.mark.parametrize(
    ("said", "output", "lacks"),
    [
        ("a 70 % [66.2 %, 73.5 %] PASS", "x\na  70.4 %  [66.1 %, 73.6 %]   PASS !", None),
        ("a 70 % PASS", "a 80 % PASS", "a 70 % PASS"),
        ("a\n...\nb", "b\na", "b"),
        ("b -0.773 [-0.78, -0.765]", "b -0.775 [-0.79, -0.76]", None),
        ("a PASS", "a FAIL", "a PASS"),
    ],
)
def test_an_output_is_held_against_what_is_said(said, output, lacks):
    assert missing(said, output) == lacks
