"""Phases 3A, 3B and 3C are phase 3 of one direction."""

import json

import pytest

from lab.commands.report import main


@pytest.mark.parametrize(
    ("letter", "experiments"),
    [
        ("A", {"PM1", "2A1", "2A2"}),
        ("B", {"PM2", "2B1", "2B2", "2B3"}),
        ("C", {"PM3", "2C1", "2C2", "2C3", "2C4"}),
    ],
)
def test_a_direction_has_its_own_tables_beside_those_of_all(results, letter, experiments):
    results.premortems().second_phase()
    assert main(["direction", letter, "tables", "--results", str(results.folder)]) == 0
    told = json.loads((results.folder / f"phase_3{letter.lower()}" / "statistics.json").read_text())
    assert {cell["experiment"] for cell in told} == experiments
    assert not (results.folder / "statistics.json").exists()


def test_a_direction_that_did_not_run_is_one_line(results, capsys):
    results._premortem("PM2", ("one",), 0.8, "20260101-000000-aaaa", None)
    with pytest.raises(SystemExit):
        main(["direction", "C", "tables", "--results", str(results.folder)])
    assert "nothing of direction C has run: PM3, 2C1, 2C2, 2C3, 2C4" in capsys.readouterr().err
