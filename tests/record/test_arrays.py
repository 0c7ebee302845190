"""Arrays that a cell keeps are whole or not there, are told from what they became, and outlive later runs."""

import json
import subprocess
import sys

import numpy as np
import pytest

from lab.record import Cell, Fold, Journal, Notebook, gather, read
from lab.record.store import Damaged
from lab.record.store import load_arrays as load


def notebook(results, run="run1"):
    cell = Cell("A[x]", "A", "c", "p", "x", {}, {}, 42)
    return Notebook(cell, Journal(results / "journal", run, "main"), results, Fold(read(results / "journal")))


MEANS = {"a/mean": np.linspace(0, 1, 6).reshape(2, 3), "a/layers": np.array([0, 4])}


def test_arrays_are_kept_as_they_are_and_told_in_the_journal(tmp_path):
    path = notebook(tmp_path).arrays("mean activations", MEANS)
    (event,) = [json.loads(line) for line in next(tmp_path.glob("journal/*")).read_text().splitlines()][1:]
    assert (event["event"], event["file"]) == ("arrays", str(path.relative_to(tmp_path)))
    found = load(tmp_path / event["file"], event["sha256"])
    assert [(name, array.dtype.str) for name, array in found.items()] == [("a/mean", "<f4"), ("a/layers", "<i8")]
    np.testing.assert_array_equal(found["a/mean"], MEANS["a/mean"].astype(np.float32))
    assert not list(path.parent.glob("*.tmp"))


def test_they_are_read_without_torch(tmp_path):
    path = notebook(tmp_path).arrays("m", MEANS)
    code = f"import sys; from lab.record.store import load_arrays; load_arrays({str(path)!r}); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_a_later_run_with_other_arrays_leaves_the_earlier_ones(tmp_path):
    first = notebook(tmp_path).arrays("m", MEANS)
    second = notebook(tmp_path, "run2").arrays("m", {"a/mean": np.ones(3)})
    same = notebook(tmp_path, "run3").arrays("m", MEANS)
    assert first == same != second
    assert load(first).keys() == MEANS.keys()


def test_a_file_that_was_changed_or_cut_is_named(tmp_path):
    mine = notebook(tmp_path)
    path = mine.arrays("m", MEANS)
    checksum = gather(mine.events)[0].arrays["m"]["sha256"]
    data = path.read_bytes()
    assert load(path, checksum).keys() == MEANS.keys()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(Damaged, match="has changed since it was written"):
        load(path, checksum)
    path.write_bytes(data[:20])
    with pytest.raises(Damaged, match="is no whole safetensors file"):
        load(path)


def test_a_replayed_cell_keeps_its_arrays_and_a_lost_file_is_made_anew(tmp_path):
    first = notebook(tmp_path)
    first.begin({"code": "1"})
    path = first.arrays("m", MEANS)
    first.finish("PASS", "r")
    again = notebook(tmp_path, "run2")
    again.begin({"code": "1"})
    assert again.replay()
    assert again.kept == {"m": path}
    assert gather(again.events)[0].arrays == gather(first.events)[0].arrays
    path.unlink()
    lost = notebook(tmp_path, "run3")
    lost.begin({"code": "1"})
    assert not lost.replay()


@pytest.mark.parametrize("arrays", [{}, {"names": np.array(["a"])}, {"a": np.ones(2), "b": np.array([None])}])
def test_what_is_no_array_of_numbers_is_refused(tmp_path, arrays):
    with pytest.raises(TypeError, match="takes arrays of numbers by label"):
        notebook(tmp_path).arrays("m", arrays)
    assert not (tmp_path / "arrays").exists()


def test_a_name_is_used_once(tmp_path):
    mine = notebook(tmp_path)
    mine.arrays("m", MEANS)
    with pytest.raises(ValueError, match="kept already"):
        mine.arrays("m", MEANS)


def test_a_damaged_file_is_no_ground_for_a_replay_and_is_healed_by_the_next_run(tmp_path):
    first = notebook(tmp_path)
    first.begin({"code": "1"})
    path = first.arrays("m", MEANS)
    first.finish("PASS", "r")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    again = notebook(tmp_path, "run2")
    again.begin({"code": "1"})
    assert not again.replay()
    assert again.arrays("m", MEANS) == path
    assert path.read_bytes() == whole
