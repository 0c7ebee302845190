"""A full disk loses what did not fit and nothing else: not the lines before, not those after, not an older file."""

import errno
import json
import os
import resource
from contextlib import contextmanager

import pytest

from lab.files.whole import write_whole
from lab.record import Journal, read
from lab.record.events import Failed, Line, Report, Started

STARTED = Started("A", "c", "p", "x", {}, {}, 42, None)


@contextmanager
def room(size):
    """While it lasts, no file may grow beyond so many bytes: a write stops half-way, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def journal(tmp_path):
    made = Journal(tmp_path, "run", "main")
    made.write("A", STARTED)
    made.write("B", STARTED)
    return made


@pytest.mark.parametrize("more", [0, 1, 40])
def test_a_torn_line_is_an_error_and_the_others_stay(journal, tmp_path, more):
    with room(journal.path.stat().st_size + more), pytest.raises(OSError, match="too large"):
        journal.write("A", Report({"text": "x" * 200}))
    journal.write("B", Report({}))
    if more:
        with pytest.warns(UserWarning, match=r"run-main.jsonl:3 is not whole and was left out"):
            found = list(read(tmp_path))
    else:
        found = list(read(tmp_path))
    assert [(line.cell, line.kind) for line in found] == [("A", "started"), ("B", "started"), ("B", "report")]


def test_lines_may_be_torn_again_and_again(journal, tmp_path):
    for _ in range(3):
        with room(journal.path.stat().st_size + 30), pytest.raises(OSError, match="too large"):
            journal.write("A", Report({"text": "x" * 200}))
    journal.write("A", Failed("INVALID", "no room", 0.0, {}))
    with pytest.warns(UserWarning, match="not whole"):
        assert [line.kind for line in read(tmp_path)] == ["started", "started", "failed"]


def test_a_disk_that_fails_to_flush_is_an_error(journal, tmp_path, monkeypatch):
    def full(_file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left on device"):
            journal.write("A", Report({}))
    journal.write("B", Report({}))
    assert [line.cell for line in read(tmp_path) if line.kind == "report"][-1] == "B"


def test_a_file_that_does_not_fit_leaves_the_old_one_and_no_rest(tmp_path):
    path = write_whole(tmp_path / "plots" / "roc.png", b"old")
    with room(100), pytest.raises(OSError, match="too large"):
        write_whole(path, b"x" * 1000)
    assert path.read_bytes() == b"old"
    assert [p.name for p in path.parent.iterdir()] == ["roc.png"]


def test_a_failed_move_leaves_no_rest_either(tmp_path):
    (tmp_path / "taken" / "by a folder").mkdir(parents=True)
    with pytest.raises(OSError, match="taken"):
        write_whole(tmp_path / "taken", b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_a_journal_with_bytes_that_are_no_text_is_read_around(tmp_path):
    event = json.dumps(Line("run", "A", None, "2026-01-01T00:00:00+00:00", Report({})).plain)
    (tmp_path / "run-main.jsonl").write_bytes(event.encode() + b"\n\xff\xfe{\n" + event.encode() + b"\n")
    with pytest.warns(UserWarning, match="2 is not whole"):
        assert len(list(read(tmp_path))) == 2
