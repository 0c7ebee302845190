"""A loop that was interrupted goes on with the items that are not done."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.record.resume import Work


class Disk(dict):
    """What was kept, in place of a journal."""

    def keep(self, key, result):
        assert key not in self
        self[key] = result


def run(items, disk, stop_after=None):
    """One attempt at the loop; a kill may come after any result is on disk."""
    work = Work(items, None, dict(disk), disk.keep)
    done = []
    for item in work:
        if stop_after is not None and len(done) == stop_after:
            return done, None
        work[item] = {"square": np.float32(item) ** 2, "pair": (item, float("nan"))}
        done.append(item)
    return done, work.results


@given(st.lists(st.integers(0, 99), unique=True, max_size=12), st.lists(st.integers(0, 4), max_size=6))
def test_resumed_equals_uninterrupted_and_nothing_is_done_twice(items, kills):
    disk, done = Disk(), []
    for kill in kills:
        done += run(items, disk, stop_after=kill)[0]
    last, results = run(items, disk)
    assert done + last == items
    assert results == run(items, Disk())[1]


def test_an_item_may_be_told_by_a_function_or_by_what_it_holds():
    @dataclass
    class Task:
        id: int
        text: str

    tasks = [Task(1, "x"), Task(2, "x")]
    for key in (lambda task: task.id, None):
        disk = Disk()
        work = Work(tasks, key, {}, disk.keep)
        for task in work:
            work[task] = task.text
        assert work.results == ["x", "x"]
        assert work[tasks[0]] == "x"
        assert list(Work(tasks, key, disk, disk.keep)) == []
    with pytest.raises(ValueError, match="two items have the key 'x'; pass key="):
        Work(tasks, lambda task: task.text, {}, Disk().keep)


def test_a_turn_without_a_result_counts_as_done():
    disk = Disk()
    for _ in Work("ab", None, {}, disk.keep):
        pass
    assert disk == {"a": None, "b": None}


def test_a_crash_in_the_body_leaves_its_item_to_do():
    disk = Disk()
    work = Work([1, 0, 2], None, {}, disk.keep)
    with pytest.raises(ZeroDivisionError):  # noqa: PT012
        for item in work:
            work[item] = 1 / item
    assert list(Work([1, 0, 2], None, disk, disk.keep)) == [0, 2]


def test_misuse_is_said():
    work = Work([1, 2], None, {}, Disk().keep)
    with pytest.raises(ValueError, match="2 of 2 items are not done, '1' is the first"):
        work.results  # noqa: B018
    work[1] = 0
    with pytest.raises(ValueError, match="'1' has its result already"):
        work[1] = 0
    with pytest.raises(KeyError, match="'3' is none of the items"):
        work[3] = 0
    with pytest.raises(TypeError, match="cannot be recorded"):
        work[2] = object()
