"""What a run wrote can be made again from its journal alone."""

import json
import re

import pytest

from lab.estimate import Estimate
from lab.evidence import Cell, Journal, Notebook, gather, read, write_tables
from lab.evidence.tables import summary_table
from reports.__main__ import main
from tests.reports.conftest import RUN, Results


@pytest.fixture
def results(tmp_path):
    for run, value in (("20260101-000000-aaaa", 0.6), ("20260102-000000-bbbb", 0.7)):
        cell = Cell("A", "A", "c", "p", "", {}, {}, 42)
        notebook = Notebook(cell, Journal(tmp_path / "journal", run, "main"), tmp_path)
        bool(notebook.measure("x", Estimate(value, value - 0.01, value + 0.01, n=9, method="made")) > 0.5)
        notebook.finish("PASS", "r")
    return tmp_path


def test_the_last_run_is_made_again_to_the_byte(results, capsys):
    write_tables(gather(read(results / "journal", "20260102-000000-bbbb")), results)
    before = (results / "statistics.json").read_bytes()
    (results / "statistics.json").unlink()
    assert main(["--results", str(results)]) == 0
    assert (results / "statistics.json").read_bytes() == before
    assert "| A | x | 0.7 |" in capsys.readouterr().out


def test_an_earlier_run_can_be_named(results, capsys):
    main(["--results", str(results), "--run", "20260101-000000-aaaa"])
    assert "| A | x | 0.6 |" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "said"), [([], "run pytest hypotheses/ first"), (["--run", "x"], "no run x in")])
def test_what_is_not_there_is_one_line(results, tmp_path, capsys, arguments, said):
    where = results if arguments else tmp_path / "nowhere"
    with pytest.raises(SystemExit) as end:
        main(["--results", str(where), *arguments])
    assert end.value.code == 2
    assert said in capsys.readouterr().err


def test_the_plans_three_rows_are_filled_or_marked_not_run(tmp_path):
    results = Results(tmp_path)
    results._premortem("PM2", ("one",), 0.8, RUN, None)
    rows = summary_table(gather(read(results.folder / "journal"))).splitlines()[2:]
    assert [row.split(" | ")[:3] for row in rows] == [
        ["| PM2[one]", "AUROC", "0.8"],
        ["| PM1", "mean r", "not run"],
        ["| PM3", "change rate", "not run"],
    ]
    results.premortems()
    assert "not run" not in summary_table(gather(read(results.folder / "journal")))


def test_every_measure_has_an_effect_size_p_interval_method_and_n(tmp_path):
    write_tables(gather(read(Results(tmp_path).premortems().folder / "journal")), tmp_path)
    for entry in json.loads((tmp_path / "statistics.json").read_text()):
        (measure,) = entry["measures"]
        assert {"name", "value"} == measure["effect_size"].keys()
        assert {"value", "low", "high", "n", "method", "p"} <= measure["estimate"].keys()


def test_the_summary_of_a_pre_mortem_has_the_four_fields_of_the_plan(tmp_path):
    write_tables(gather(read(Results(tmp_path).premortems(PM1=0.6).folder / "journal")), tmp_path)
    text = (tmp_path / "pre_mortems" / "pm1_summary.md").read_text().partition("\n## ")[0]
    for line in (
        r"- Date: \d{4}-\d\d-\d\d",
        r"- Duration: 0\.0 minutes",
        r"- Average correlation: 0\.600 \(mean of 1\)",
        "- Result: PASS",
    ):
        assert re.search(f"^{line}$", text, re.MULTILINE), line
