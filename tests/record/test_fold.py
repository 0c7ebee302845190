"""One fold gives the record of every start of a cell, whether lines come all at once or as processes write them."""

import json

import pytest

from lab.record import Fold, Journal, gather, read
from lab.record.events import Ended, Failed, Finished, Item, Keyed, Line, Noted, Run, Share, Started

CELL = Started("A", "c", "p", "x", {"model": "m"}, {}, 42, None)


def at(second, event, *, run="r1", cell="A[x]", key=None):
    return Line(run, cell, key, f"2026-01-01T00:00:{second:02}.000+00:00", event)


def finished(verdict="PASS", effort=(), **more):
    return Finished(verdict, "because", 9.0, dict(effort), **more)


RUN = [
    at(1, CELL),
    at(3, Keyed({}), key="k"),
    at(4, Item("items", "1", "one"), key="k"),
    at(8, finished(effort={"load_seconds": 2.0}), key="k"),
]


def test_a_cell_took_what_passed_since_its_fixtures_were_made_without_loading():
    fold = Fold(RUN)
    assert fold.seconds() == {"A[x]": 3.0}
    assert fold.loads() == {"m": 2.0}
    assert fold.seconds(but="r1") == {}


@pytest.mark.parametrize("later", [finished("SKIPPED"), Failed("INVALID", "r", 0.0, {}), finished(replayed="r1")])
def test_what_did_not_run_to_a_verdict_hides_no_earlier_duration(later):
    fold = Fold([*RUN, at(11, CELL, run="r2"), at(12, later, run="r2")])
    assert fold.seconds() == {"A[x]": 3.0}
    assert fold.outcomes()["A[x]"].verdict == later.verdict
    assert fold.outcomes(but="r2")["A[x]"].verdict == "PASS"


def test_a_start_that_was_cut_off_hides_no_outcome_but_is_what_the_tables_show():
    fold = Fold([*RUN, at(11, CELL, run="r2")])
    assert (fold.outcomes()["A[x]"].run, fold.cells()[0].run) == ("r1", "r2")
    assert [cell.verdict for cell in fold.cells("r1")] == ["PASS"]


def test_a_start_that_was_cut_off_stays_with_the_next_one_of_its_run():
    (record,) = gather([at(1, CELL), at(2, Noted("n")), at(3, CELL), at(4, finished())])
    assert [(one.notes, one.finished) for one in record.abandoned] == [(["n"], False)]


def test_what_is_of_no_cell_is_kept_by_run():
    machine = {"command": "pytest", "commit": None, "machine": {}, "versions": {}}
    fold = Fold([at(0, Run(**machine), cell=""), *RUN, at(9, Share("0.1", 1), cell=""), at(9, Ended(1), cell="")])
    assert (fold.headers["r1"].event.command, fold.shares("r1"), fold.ended) == ("pytest", {"0.1": 1}, {"r1"})
    assert fold.cells()[0].command == "pytest"
    assert fold.shares("r2") == {}


def test_a_line_of_a_cell_that_never_began_is_passed_over():
    """Its first line may be the one that a full disk tore."""
    assert gather(RUN[1:]) == []


def test_lines_that_come_in_parts_come_to_the_same():
    whole, parts = Fold(RUN), Fold()
    for line in RUN:
        parts.add([line])
    assert parts.cells() == whole.cells()
    assert parts.items("k", "items") == whole.items("k", "items") == {"1": "one"}


def test_a_journal_knows_what_other_processes_of_its_run_wrote_so_far(tmp_path):
    mine, other = Journal(tmp_path, "run1", "gw0"), Journal(tmp_path, "run1", "gw1")
    stranger = Journal(tmp_path, "run2", "gw0")
    mine.write("A[x]", CELL)
    other.write("A[y]", CELL)
    stranger.write("A[z]", CELL)
    assert {start.cell for start in mine.so_far().starts} == {"A[x]", "A[y]"}
    other.write("A[y]", finished())
    assert {cell: one.verdict for cell, one in mine.so_far().outcomes().items()} == {"A[y]": "PASS"}
    assert len(mine.so_far().starts) == 2  # nothing is read twice


def test_a_line_that_is_half_written_is_read_when_it_is_whole(tmp_path):
    mine, other = Journal(tmp_path, "run1", "gw0"), tmp_path / "run1-gw1.jsonl"
    lines = [json.dumps(line.plain) + "\n" for line in (at(1, CELL, run="run1"), at(2, finished(), run="run1"))]
    other.write_text(lines[0] + lines[1][:40])
    assert mine.so_far().outcomes() == {}
    with other.open("a") as file:
        file.write(lines[1][40:])
    assert list(mine.so_far().outcomes()) == ["A[x]"]
    assert len(list(read(tmp_path))) == 2
