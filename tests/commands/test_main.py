"""One command for all: each of its commands has a page of help, and the old ones say where they are now."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lab.__main__ import COMMANDS, main
from lab.commands.report import REPORTS
from lab.files.whole import write_whole
from lab.studies.plan003 import parts as plan
from lab.study import merged
from lab.views import parts
from lab.views.record import Record

ROOT = Path(__file__).parents[2]
PAGES = [*COMMANDS, *merged("commands"), *(f"report {name}" for name in {**REPORTS, **merged("reports")})]


@pytest.mark.parametrize("command", PAGES)
def test_a_command_has_a_page_of_help_that_begins_with_its_name(command, capsys):
    try:
        status = main([*command.split(), "--help"])
    except SystemExit as ended:
        status = ended.code
    told = capsys.readouterr()
    assert (status, told.err) == (0, "")
    assert re.match(rf"usage: lab {command}\b", told.out), told.out
    assert len(told.out.splitlines()) > 4


def test_help_lists_every_command(capsys):
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(re.search(rf"\b{name}\b", told) for name in (*COMMANDS, *merged("commands")))


def test_an_unknown_command_is_one_line(capsys):
    assert main(["astrology"]) == 2
    assert re.fullmatch(r"lab: there is no command 'astrology'; there are check, report, .*\n", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("lab.organisms", "lab organisms"),
        ("lab.data", "lab data"),
        ("lab.subjects describe", "lab describe"),
    ],
)
def test_an_old_command_answers_with_the_new_one(old, new):
    done = subprocess.run([sys.executable, "-m", *old.split()], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr == f"`python -m {old}` is now `{new}`; what followed it is the same\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tables", "lab report tables"),
        ("", "lab report"),
        ("tables --direction A --results r", "lab report direction A tables --results r"),
    ],
)
def test_the_old_command_of_reports_answers_with_the_whole_new_one(old, new):
    done = subprocess.run([sys.executable, "-m", "reports", *old.split()], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stderr == f"`python -m reports` is now `lab report`: {new}\n"


def test_what_a_study_registers_and_is_not_there_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr("lab.__main__.merged", lambda place: {"colours": "lab.study:not_there"})
    assert main(["colours"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_part_that_fails_is_one_line_and_the_others_are_made(monkeypatch, tmp_path, capsys):
    def broken(record, places):
        raise KeyError("colour")

    def made(record, places):
        return [write_whole(places.output / "made.md", b"made")], []

    functions = {"one": broken, "two": made}
    monkeypatch.setattr(parts, "merged", lambda place: {"one": "one", "two": "two"})
    monkeypatch.setattr(parts, "named", functions.__getitem__)
    assert parts.make(Record(tmp_path, (), ()), tmp_path, ["one", "two"]) == 1
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "one was not made: KeyError: 'colour'"
    assert (tmp_path / "made.md").read_text() == "made"


def test_a_project_without_the_plan_hears_nothing_of_it(tmp_path):
    for part in (plan.figures, plan.negative, plan.paper, plan.status):
        assert part(Record(tmp_path, (), ()), parts.Places(tmp_path)) == ([], [])
    assert not list(tmp_path.iterdir())
