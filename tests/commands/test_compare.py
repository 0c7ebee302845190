"""Two runs side by side: verdicts that changed, intervals of differences, what was set and where it ran."""

import json

import pytest

from lab.__main__ import main
from tests.views.conftest import Results, estimate

FIRST, SECOND = "20260101-000000-aaaa", "20260102-000000-bbbb"


def header(commit):
    told = {"command": "pytest", "supersedes": None, "machine": {"name": "box", "setup_seconds": len(commit)}}
    return lambda: told | {"commit": commit, "versions": {"torch": "2.13.0"}}


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    for run, value, commit in ((FIRST, 0.6, "aaa"), (SECOND, 0.55, "bbbbb")):
        made = Results(folder, header(commit))
        made.cell("SAME", "one", run=run, keep=[("x", estimate(0.7), 0.5)])
        made.cell("MOVED", "one", run=run, keep=[("x", estimate(value, 0.06), 0.5)], key=run, knobs={"depth": value})
        made.cell("UNIT", "one", run=run, key=run, keep=[("x", estimate(0.7, unit="%" if run == FIRST else ""), 0.5)])
    Results(folder).cell("GONE", "one", run=FIRST, keep=[("x", estimate(0.2), 0.5)])
    Results(folder).cell("NEW", "one", run=SECOND, keep=[("x", estimate(0.7), 0.5)])
    return folder


def test_verdicts_estimates_and_settings_are_told(results, capsys):
    assert main(["compare", FIRST, SECOND, "--results", str(results)]) == 0
    told = capsys.readouterr().out
    for line in (
        "3 cells are in both, 1 verdicts changed.",
        "- GONE[one]: FAIL",
        "- NEW[one]: PASS",
        "- MOVED[one]: PASS -> INCONCLUSIVE",
        "| SAME[one] | x | 0.7 [0.68, 0.72] (n=200) | 0.7 [0.68, 0.72] (n=200) | identical | PASS |",
        "| MOVED[one] | x | 0.6 [0.54, 0.66] (n=200) | 0.55 [0.49, 0.61] (n=200) | -0.05 [-0.135, 0.0349] | PASS -> INCONCLUSIVE |",
        "| UNIT[one] | x | 70 % [68 %, 72 %] (n=200) | 0.7 [0.68, 0.72] (n=200) | not comparable: another unit or level | PASS |",
        "- commit aaa -> bbbbb",
    ):
        assert line in told.splitlines(), line
    assert "- MOVED[one]: knobs.depth 0.6 -> 0.55; fingerprint.data.all" in told
    assert "setup_seconds" not in told
    assert "MOVER, Zou and Donner 2008" in told


def test_a_run_against_itself_has_changed_nowhere(results, capsys):
    assert main(["compare", FIRST, f"{results}/{FIRST}", "--results", str(results)]) == 0
    told = capsys.readouterr().out
    assert "4 cells are in both, 0 verdicts changed." in told
    assert told.count("| identical |") == 4
    assert "differ" not in told
    assert "MOVER" not in told


def test_the_same_work_with_another_result_is_said_loudly(results, capsys):
    again = "20260103-000000-cccc"
    Results(results).cell("SAME", "one", run=again, keep=[("x", estimate(0.9), 0.5)])
    main(["compare", FIRST, again, "--results", str(results)])
    assert "| NOT EQUAL, though all that determines it is | PASS |" in capsys.readouterr().out


def test_json_holds_the_same(results, capsys):
    assert main(["compare", FIRST, SECOND, "--results", str(results), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    moved = next(cell for cell in told["cells"] if cell["cell"] == "MOVED[one]")
    assert moved["verdicts"] == ["PASS", "INCONCLUSIVE"]
    assert moved["estimates"][0]["difference"]["low"] == pytest.approx(-0.05 - 0.06 * 2**0.5)
    assert moved["settings"]["knobs.depth"] == [0.6, 0.55]
    assert told["surroundings"] == {"commit": ["aaa", "bbbbb"]}


def test_a_run_that_is_not_there_is_one_line(results, tmp_path, capsys):
    assert main(["compare", FIRST, "20200101-000000-0000", "--results", str(results)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"the last ones are {FIRST}, {SECOND}" in said
    assert main(["compare", FIRST, SECOND, "--results", str(tmp_path / "none")]) == 2
    assert "it is empty; name the folder with --results" in capsys.readouterr().err
