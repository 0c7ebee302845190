"""What a run that was killed and resumed is told to have found is, to the byte, what an undisturbed one is."""

import json
import warnings

import pytest

from lab.commands.report import main
from lab.record import Cell, Fold, Journal, Notebook, read
from lab.record.events import line_of
from tests.views.conftest import RUN

RESUMED = "20260102-000000-bbbb"
TOLD_WITH_DATES = ("progress.md", "registry.json", "reports.jsonl")
ABOUT = ("experiment", "claim", "phase", "subject", "params", "knobs", "seed", "negative")


def resumed(lines, folder):
    """Runs all cells again in a second run: what the first one finished is replayed, the others are done anew."""
    work = {}
    for line in lines:
        event = json.loads(line)
        work.setdefault(event["cell"], []).append(event)
    past, journal = Fold(read(folder / "journal")), Journal(folder / "journal", RESUMED, "main")
    replayed = 0
    for name, (started, keyed, *events) in work.items():
        cell = Cell(name, **{part: started[part] for part in ABOUT})
        notebook = Notebook(cell, journal, folder, past)
        parts = keyed["determined_by"]
        assert notebook.begin({name: parts[name] for name in ("subjects", "data", "code")}) == keyed["key"]
        if notebook.replay():
            replayed += 1
            events = [event for event in events if event["event"] == "finished"]
        for event in events:
            journal.write(name, line_of(event).event, key=event["key"])
    return replayed


def told(folder):
    """All files that hold neither dates nor durations, by name."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    of_one = ("_summary.md", "_results.json", "_output.txt")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files
        if path.parent.name != "journal" and path.name not in TOLD_WITH_DATES and not path.name.endswith(of_one)
    }


@pytest.mark.filterwarnings("ignore:.*is not whole")
def test_figures_negative_results_and_paper_are_those_of_an_undisturbed_run(reported, tmp_path):
    (whole,) = (reported / "journal").glob("*.jsonl")
    lines = whole.read_bytes().splitlines(keepends=True)
    started = [i for i, line in enumerate(lines) if json.loads(line)["event"] == "started"]
    folder = tmp_path / "results"
    cut = folder / "journal" / f"{RUN}-main.jsonl"
    cut.parent.mkdir(parents=True)
    at = started[8] + 2  # within the ninth cell, in the midst of a line
    cut.write_bytes(b"".join(lines[:at]) + lines[at][: len(lines[at]) // 2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert resumed(lines, folder) == 8
    assert main(["--results", str(folder)]) == 0
    here, there = told(folder), told(reported)
    assert {"paper/draft.tex", "figures/cross_model_heatmap.png", "negative_results.md"} <= there.keys()
    assert {name for name in there.keys() | here.keys() if here.get(name) != there.get(name)} == set()
