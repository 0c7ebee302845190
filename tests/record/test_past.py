"""What an earlier run found is repeated as it was, and only under its own key."""

import json

import jsonschema
import pytest

from lab.estimate import Estimate
from lab.record import Cell, Fold, Journal, Notebook, gather, read
from lab.record.events import Ended, Share, schema
from lab.record.lock import Registered
from lab.views.tables import write_tables

SEEN = Estimate(0.61, 0.57, 0.65, n=600, method="DeLong", p=0.0004)
SCHEMA = schema()
FITS = jsonschema.validators.validator_for(SCHEMA)(SCHEMA)
PARTS = {"subjects": {"model": "abc"}, "data": {"words": "def"}, "code": "0123456789abcdef"}


def cell(**more):
    given = {"experiment": "A", "claim": "c", "phase": "p", "subject": "x", "params": {}, "knobs": {"n": 3}, "seed": 42}
    return Cell(id="A[x]", **(given | {"questions": ("How far?",)} | more))


def notebook(results, run, past=None, **more):
    header = {"command": "pytest", "commit": None, "machine": {}, "versions": {}, "supersedes": None}
    journal = Journal(results / "journal", run, "main", lambda: header)
    return Notebook(cell(**more), journal, results, past)


def experiment(book, results, *, verdict="FAIL", parts=PARTS):
    """One of everything that can be recorded."""
    book.configured({"seed": 42}, "experiments/2026-01-01/A", "pytest A")
    book.begin(parts)
    if book.replay():
        return book
    work = book.resume([1, 2])
    for item in work:
        work[item] = item * 2
    book.registered(Registered("c", ("x > 1",), (), {"n": 3}, "d", 42))
    book.registration("exploratory")
    book.control("sound", SEEN.within(0, 1))
    book.report(sizes=[1, 2], other=SEEN)
    book.rows("texts", [{"prompt": "p", "score": 1.5}])
    book.arrays("means", {"a": [1.0, 2.0]})
    book.raw("answers", [{"text": "yes"}])
    book.answer(1, "so far:", [{"layer": 0, "cosine": 0.9}])
    book.note("batches of half the size")
    book.plot("line", lambda axes: axes.plot([0, 1]))
    bool(book.measure("AUROC", SEEN) > 0.7)
    book.finish(verdict, book.asked.reason, shown="assert ...")
    return book


@pytest.fixture
def done(tmp_path):
    return experiment(notebook(tmp_path, "20260101-000000-aaaa"), tmp_path)


def test_every_event_fits_the_published_schema(done, tmp_path):
    broken = notebook(tmp_path, "20260101-000000-bbbb")
    broken.finish("INVALID", "it broke")
    broken._journal.write("", Share("0.0", 1))
    broken._journal.write("", Ended(1))
    events = list(read(tmp_path / "journal"))
    kinds = {one["properties"]["event"]["const"] for one in SCHEMA["oneOf"]}
    assert {line.kind for line in events} == kinds
    for line in events:
        FITS.validate(line.plain)
    with pytest.raises(jsonschema.ValidationError):
        FITS.validate(events[0].plain | {"more": 1})


def test_a_repeated_cell_is_as_it_was(done, tmp_path):
    again = experiment(notebook(tmp_path, "20260102-000000-bbbb", Fold(read(tmp_path / "journal"))), tmp_path)
    assert again.replayed == "20260101-000000-aaaa"
    assert [str(v) for v in again.judged] == [str(v) for v in done.judged]
    assert (again.asked.outcome, again.shown) == ("FAIL", "assert ...")
    assert again.measured == done.measured
    assert again.controls == done.controls
    assert again.plots == done.plots
    again.finish("FAIL", again.asked.reason, shown=again.shown)
    tables = []
    for run in ("20260101-000000-aaaa", "20260102-000000-bbbb"):
        cells = gather(line for line in read(tmp_path / "journal", run) if line.kind != "registration")
        write_tables(cells, tmp_path / run)
        tables.append([(tmp_path / run / name).read_bytes() for name in ("summary_table.md", "statistics.json")])
    assert tables[0] == tables[1]
    third = experiment(notebook(tmp_path, "20260103-000000-cccc", Fold(read(tmp_path / "journal"))), tmp_path)
    assert third.replayed == "20260101-000000-aaaa"  # the run that did the work, however often it was repeated


@pytest.mark.parametrize(
    "change",
    [{"parts": PARTS | {"code": "f" * 16}}, {"parts": PARTS | {"data": {"words": "other"}}}, {"knobs": {"n": 4}},
     {"seed": 43}, {"params": {"kind": "y"}}, {"parts": PARTS | {"subjects": {"model": "abd"}}}],
)  # fmt: skip
def test_another_key_is_another_cell(done, tmp_path, change):
    parts = change.pop("parts", PARTS)
    again = notebook(tmp_path, "20260102-000000-bbbb", Fold(read(tmp_path / "journal")), **change)
    assert again.begin(parts) != done.key
    assert not again.replay()
    assert list(again.resume([1, 2])) == [1, 2]


@pytest.mark.parametrize("verdict", ["INVALID", "SKIPPED"])
def test_what_was_not_decided_is_tried_again(tmp_path, verdict):
    experiment(notebook(tmp_path, "20260101-000000-aaaa"), tmp_path, verdict=verdict)
    again = notebook(tmp_path, "20260102-000000-bbbb", Fold(read(tmp_path / "journal")))
    again.begin(PARTS)
    assert not again.replay()
    assert list(again.resume([1, 2, 3])) == [3]


def test_a_cell_whose_plot_is_gone_is_run_again(done, tmp_path):
    done.plots["line"].unlink()
    again = notebook(tmp_path, "20260102-000000-bbbb", Fold(read(tmp_path / "journal")))
    again.begin(PARTS)
    assert not again.replay()


def test_a_journal_of_another_schema_is_not_repeated(done, tmp_path):
    (path,) = (tmp_path / "journal").glob("*.jsonl")
    lines = [{k: v for k, v in json.loads(line).items() if k != "key"} | {"schema": 1} for line in path.open()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.warns(UserWarning, match=r"aaaa-main.jsonl:1 and \d+ more lines: each is of schema 1, not 2"):
        past = Fold(read(tmp_path / "journal"))
    again = notebook(tmp_path, "20260102-000000-bbbb", past)
    again.begin(PARTS)
    assert not again.replay()
    assert [cell.run for cell in gather(read(tmp_path / "journal", quiet=True))] == ["20260102-000000-bbbb"]


def test_two_loops_have_two_names(done, tmp_path):
    book = notebook(tmp_path, "20260102-000000-bbbb", Fold(read(tmp_path / "journal")))
    book.begin(PARTS)
    assert list(book.resume([1, 2], name="others")) == [1, 2]
    with pytest.raises(ValueError, match="'others' names a loop already"):
        book.resume([1, 2], name="others")


def test_a_cell_whose_plot_was_drawn_over_under_other_knobs_is_run_again(done, tmp_path):
    other = notebook(tmp_path, "20260102-000000-bbbb", knobs={"n": 4})
    assert other.plot("line", lambda axes: axes.plot([1, 0])) == done.plots["line"]
    again = notebook(tmp_path, "20260103-000000-cccc", Fold(read(tmp_path / "journal")))
    again.begin(PARTS)
    assert not again.replay()
    again.plot("line", lambda axes: axes.plot([0, 1]))
    third = notebook(tmp_path, "20260104-000000-dddd", Fold(read(tmp_path / "journal")))
    third.begin(PARTS)
    assert third.replay(), "the picture is its own again"
