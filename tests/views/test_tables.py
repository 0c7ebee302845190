"""What a run wrote can be made again from its journal alone."""

import json
import re

import pytest
from scipy.stats import binomtest

from lab.commands.report import main
from lab.estimate import Bar, Estimate
from lab.record import Cell, Journal, Notebook, gather, read
from lab.stats.shares import wilson
from lab.views.tables import summary_table, write_tables
from tests.views.conftest import RUN, Results


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


@pytest.mark.parametrize(("arguments", "said"), [([], "run pytest here first"), (["--run", "x"], "no run x in")])
def test_what_is_not_there_is_one_line(results, tmp_path, capsys, arguments, said):
    where = results if arguments else tmp_path / "nowhere"
    with pytest.raises(SystemExit) as end:
        main(["--results", str(where), *arguments])
    assert end.value.code == 2
    assert said in capsys.readouterr().err


def test_the_plans_three_rows_are_filled_or_marked_not_run(tmp_path):
    results = Results(tmp_path)
    results._premortem("PM2", ("one",), 0.8, RUN, None)
    table = summary_table(gather(read(results.folder / "journal"))).splitlines()[2:]
    rows = [row for row in table if not row.endswith("| reported |")]
    assert [row.split(" | ")[:3] for row in rows] == [
        ["| PM2[one]", "AUROC", "0.8"],
        ["| PM1", "mean r", "not run"],
        ["| PM3", "change rate", "not run"],
    ]
    results.premortems()
    assert "not run" not in summary_table(gather(read(results.folder / "journal")))


def test_what_was_reported_beside_is_in_the_table_and_held_against_nothing(tmp_path):
    results = Results(tmp_path)
    results._premortem("PM2", ("one",), 0.8, RUN, None)
    table = summary_table(gather(read(results.folder / "journal")))
    assert "| PM2[one] | accuracy | 0.7 | [0.68, 0.72] | 0.001 |  | reported |" in table


def test_a_share_has_the_exact_p_of_its_bar(tmp_path):
    results = Results(tmp_path)
    for k, model in ((70, "one"), (50, "two")):
        results.cell("PM3", model, keep=[("change rate", wilson(k, 100), Bar(0.5))])
    results.cell("PM3", "three", finish=False).measure("change rate", wilson(60, 100))
    cells = gather(read(results.folder / "journal"))
    found = {cell.subject: cell.measures[0].p for cell in cells}
    assert found["one"] == pytest.approx(binomtest(70, 100, 0.5, "greater").pvalue)
    assert found["two"] == pytest.approx(binomtest(50, 100, 0.5, "greater").pvalue)
    assert found["three"] is None  # it was held against nothing
    assert re.search(r"\| PM3\[one\] \| change rate \| 70 % \| .* \| < 0\.001 \| > 50 % \|", summary_table(cells))


def test_effects_and_costs_of_both_ways_are_one_table_of_the_summary(tmp_path):
    results = Results(tmp_path).second_phase()
    write_tables(gather(read(results.folder / "journal")), tmp_path)
    for line in (
        "| way | change | passes | seconds |",
        "| steering | 0.5 [0.4, 0.6] | 11 | 0.25 |",
        "| asking | 0.4 [0.3, 0.5] | 11 | 0.25 |",
        "| finding the direction, once |  | 6 | 0.125 |",
    ):
        assert line in (tmp_path / "phase_2c" / "2c4_summary.md").read_text().splitlines()


def test_statistics_go_to_one_file_and_nothing_else_does(tmp_path, capsys):
    results = Results(tmp_path).premortems()
    asked, file = ["--results", str(results.folder), "--output"], tmp_path / "out.json"
    assert main(["statistics", *asked, str(file)]) == 0
    assert main(["statistics", *asked, str(tmp_path / "folder")]) == 0
    assert file.read_bytes() == (tmp_path / "folder" / "statistics.json").read_bytes()
    with pytest.raises(SystemExit) as end:
        main(["negative", *asked, str(tmp_path / "other.json")])
    assert end.value.code == 2
    assert "other.json looks like a file; only statistics writes one" in capsys.readouterr().err
    assert not (tmp_path / "other.json").exists()


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
