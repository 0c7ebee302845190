"""The journal keeps what happened, whole lines only, and the tables are a view of it."""

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest

from lab.estimate import Bar, Estimate
from lab.files.plain import plain
from lab.record import Cell, Journal, Notebook, gather, read
from lab.record.events import SCHEMA
from lab.views.tables import summary_table, write_tables


def cell(name="A[x]", **more):
    given = {"experiment": "A", "claim": "c", "phase": "p", "subject": "x", "params": {}, "knobs": {"n": 3}, "seed": 42}
    return Cell(id=name, **(given | more))


@pytest.fixture
def notebook(tmp_path):
    return Notebook(cell(), Journal(tmp_path / "journal", "run1", "main"), tmp_path)


SEEN = Estimate(0.61, 0.57, 0.65, n=600, method="DeLong", p=0.0004)


def test_every_event_is_on_disk_as_it_happens(notebook, tmp_path):
    path = tmp_path / "journal" / "run1-main.jsonl"
    notebook.control("sound", SEEN.within(0, 1))
    notebook.report(base=np.float64(0.25), curve=np.ones(2), other=SEEN)
    assert (notebook.measure("AUROC", SEEN) > 0.55).outcome == "PASS"
    notebook.finish("PASS", "because")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["started", "control", "report", "measured", "judged", "finished"]
    assert all(line["schema"] == SCHEMA and line["run"] == "run1" and line["cell"] == "A[x]" for line in lines)
    assert lines == [line.plain for line in notebook.events]
    assert list(read(path.parent)) == notebook.events


def test_a_run_that_records_nothing_leaves_nothing(tmp_path):
    Journal(tmp_path / "journal", "run1", "main")
    assert list(tmp_path.iterdir()) == []


def test_a_torn_last_line_is_left_out_and_said(notebook, tmp_path):
    path = tmp_path / "journal" / "run1-main.jsonl"
    notebook.finish("PASS", "r")
    whole = list(read(tmp_path / "journal"))
    path.write_text(path.read_text() + '{"schema": 1, "ev')
    with pytest.warns(UserWarning, match=r"run1-main.jsonl:3 is not whole"):
        assert list(read(tmp_path / "journal")) == whole


def test_a_run_reads_all_its_processes_and_no_other_run(tmp_path):
    for run, worker in (("run1", "gw0"), ("run1", "gw1"), ("run2", "gw0")):
        Notebook(cell(f"{run}{worker}"), Journal(tmp_path, run, worker), tmp_path)
    assert {line.cell for line in read(tmp_path, "run1")} == {"run1gw0", "run1gw1"}
    assert len(list(read(tmp_path))) == 3


def test_a_cell_that_never_finished_is_invalid(notebook):
    (record,) = gather(notebook.events)
    assert (record.verdict, record.reason) == ("INVALID", "it never finished: its process ended")


def test_a_cell_started_again_is_taken_from_its_last_start(notebook, tmp_path):
    notebook.measure("x", SEEN)
    notebook.finish("PASS", "r")
    again = Notebook(cell(), Journal(tmp_path / "journal", "run1", "main"), tmp_path)
    again.finish("INCONCLUSIVE", "r")
    (record,) = gather(read(tmp_path / "journal"))
    assert (record.verdict, record.measures) == ("INCONCLUSIVE", [])


def test_every_claim_about_a_measure_is_kept(notebook):
    e = notebook.measure("x", SEEN)
    bool(e > 0.5)
    bool(e < 0.9)
    (record,) = gather(notebook.events)
    assert record.measures[0].bar == "> 0.5, < 0.9"


def test_a_later_start_wins_whatever_the_order_of_files(tmp_path):
    for worker, verdict in (("gw9", "FAIL"), ("gw10", "PASS")):  # gw10 sorts before gw9
        Notebook(cell(), Journal(tmp_path, "run1", worker), tmp_path).finish(verdict, "r")
        time.sleep(0.01)
    assert [record.verdict for record in gather(read(tmp_path))] == ["PASS"]


def test_an_experiment_has_its_own_three_files(notebook, tmp_path):
    notebook.rows("texts", [{"prompt": "a", "base": "b", "patched": "c"}])
    notebook.control("sound", True)
    bool(notebook.measure("mean r", SEEN) > Bar(passes=0.3, fails=0.1))
    notebook.finish("PASS", "because")
    write_tables(gather(notebook.events), tmp_path)
    summary = (tmp_path / "p" / "a_summary.md").read_text()
    for line in (
        r"# A: c",
        r"- Date: \d{4}-\d\d-\d\d",
        r"- Duration: 0.0 minutes",
        r"- mean r: 0.61 \[0.57, 0.65\]",
        r"- Result: PASS",
    ):
        assert re.search(f"^{line}$", summary, re.MULTILINE), line
    (found,) = json.loads((tmp_path / "p" / "a_results.json").read_text())
    assert found["rows"]["texts"] == [{"prompt": "a", "base": "b", "patched": "c"}]
    assert found["measures"][0]["claims"][0]["claim"] == "> 0.3 / 0.1"
    assert "control PASS: sound" in (tmp_path / "p" / "a_output.txt").read_text()
    assert "rows" not in json.loads((tmp_path / "statistics.json").read_text())[0]


def test_the_table_has_the_columns_of_the_plan(notebook, tmp_path):
    assert (notebook.measure("AUROC", SEEN) > 0.55).outcome == "PASS"
    notebook.finish("PASS", "r")
    cells = gather(notebook.events)
    assert summary_table(cells).splitlines() == [
        "| Experiment | Metric | Value | 95% CI | p-value | Bar | Verdict |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| A[x] | AUROC | 0.61 | [0.57, 0.65] | < 0.001 | > 0.55 | PASS |",
    ]
    write_tables(cells, tmp_path)
    (entry,) = json.loads((tmp_path / "statistics.json").read_text())
    assert entry["measures"][0]["estimate"]["p"] == 0.0004
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array([[1, 2]]), [[1, 2]]),
        (float("nan"), None),
        (Path("a/b"), "a/b"),
        ({1: (2, np.nan)}, {"1": [2, None]}),
    ],
)
def test_what_is_recorded_becomes_plain(value, expected):
    assert plain(value) == expected
    json.dumps(plain(value), allow_nan=False)


def test_what_is_no_plain_value_is_refused():
    with pytest.raises(TypeError, match="cannot be recorded; pass numbers"):
        plain(object())


def test_a_notebook_refuses_what_it_cannot_judge(notebook):
    with pytest.raises(TypeError, match="takes an Estimate"):
        notebook.measure("x", 0.6)
    notebook.measure("x", SEEN)
    with pytest.raises(ValueError, match="measured already"):
        notebook.measure("x", SEEN)
    with pytest.raises(TypeError, match="takes a verdict or a bool"):
        notebook.control("c", 0.3)
    with pytest.raises(TypeError, match="takes a verdict or a bool"):
        notebook.control("c", SEEN)


def test_a_failing_drawing_leaves_no_file(notebook, tmp_path):
    def broken(ax):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        notebook.plot("p", broken)
    assert not (tmp_path / "plots").exists()


def test_equal_drawings_are_equal_files(notebook):
    one = notebook.plot("one", lambda ax: ax.plot([1, 2]))
    two = notebook.plot("two: a / b", lambda ax: ax.plot([1, 2]))
    assert one.read_bytes() == two.read_bytes()
    assert two.name == "two-a-b.png"
