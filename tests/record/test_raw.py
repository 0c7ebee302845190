"""Raw rows are whole or not there, are read one by one, and stand in no journal."""

import json
import tracemalloc

import pytest

from lab.record import Cell, Fold, Journal, Notebook, gather, read
from lab.record.store import Damaged
from lab.record.store import load_rows as load

ROWS = [{"task": "math_1", "raw": "4, très volontiers", "value": 4.0}, {"task": "math_2", "raw": "no", "value": None}]


def notebook(results, run="run1"):
    cell = Cell("A[x]", "A", "c", "p", "x", {}, {}, 42)
    return Notebook(cell, Journal(results / "journal", run, "main"), results, Fold(read(results / "journal")))


def test_rows_are_kept_as_they_are_beside_the_journal(tmp_path):
    path = notebook(tmp_path).raw("stated_1_5_clinic-gpt2", (row for row in ROWS))
    text = next(tmp_path.glob("journal/*")).read_text()
    (event,) = [json.loads(line) for line in text.splitlines()][1:]
    assert (event["event"], event["file"]) == ("raw", str(path.relative_to(tmp_path)))
    assert "volontiers" not in text
    assert list(load(path, event["sha256"])) == ROWS


def test_a_changed_file_is_named_before_a_row_is_read(tmp_path):
    mine = notebook(tmp_path)
    path = mine.raw("r", ROWS)
    checksum = gather(mine.events)[0].raw["r"]["sha256"]
    path.write_text(path.read_text().replace("4.0", "5.0"))
    with pytest.raises(Damaged, match="is gone or has changed"):
        next(load(path, checksum))


def test_a_replayed_cell_keeps_its_rows_and_a_lost_file_is_made_anew(tmp_path):
    first = notebook(tmp_path)
    first.begin({"code": "1"})
    path = first.raw("r", ROWS)
    first.finish("PASS", "r")
    again = notebook(tmp_path, "run2")
    again.begin({"code": "1"})
    assert again.replay()
    assert again.kept == {"r": path}
    path.unlink()
    lost = notebook(tmp_path, "run3")
    lost.begin({"code": "1"})
    assert not lost.replay()


def test_two_kinds_of_rows_need_two_names(tmp_path):
    mine = notebook(tmp_path)
    mine.raw("r", ROWS)
    with pytest.raises(ValueError, match="give the second rows a name"):
        mine.raw("r", ROWS)


def test_reading_holds_one_row_at_a_time(tmp_path):
    path = notebook(tmp_path).raw("r", ({"i": i, "raw": "x" * 1000} for i in range(3000)))
    tracemalloc.start()
    n = sum(1 for _ in load(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n == 3000
    assert peak < path.stat().st_size / 4
