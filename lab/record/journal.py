"""The journal: one append-only JSONL file a process. It is the truth, all else a view of it."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from lab.record.events import Event, Line, Run, Unreadable, line_of
from lab.record.fold import Fold

_LeftOut = dict[tuple[Path, str], list[int]]
"""By file and reason the numbers of lines that cannot be read."""


class Journal:
    """The journal of one process. The file is made with its first event, so a run that records nothing leaves none.

    `header` gives the fields of the event `run`, which becomes the first line.
    """

    def __init__(self, folder: Path, run: str, worker: str, header: Callable[[], dict[str, Any]] | None = None) -> None:
        self.path = folder / f"{run}-{worker}.jsonl"
        self.run = run
        self._header = header
        self._file: BinaryIO | None = None
        self._torn = False
        self._so_far, self._seen = Fold(), dict[Path, int]()

    def write(self, cell: str, event: Event, *, key: str | None = None) -> Line:
        """Appends one event, flushes it to the disk and returns its line as readers will see it.

        Raises OSError where it cannot be written, as on a full disk; the next event then starts on a line of its own.
        """
        if self._header is not None:
            header, self._header = self._header, None
            self.write("", Run(**header()))
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        text = json.dumps(Line(self.run, cell, key, now, event).plain, allow_nan=False) + "\n"
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab", buffering=0)
        whole = ("\n" if self._torn else "").encode() + text.encode()
        self._torn = True
        while whole:
            whole = whole[self._file.write(whole) :]
        os.fsync(self._file.fileno())
        self._torn = False
        return line_of(json.loads(text))

    def so_far(self) -> Fold:
        """What this run's processes have written until now, other workers' too; each call reads only what is new."""
        for path in _files(self.path.parent, self.run):
            with path.open("rb") as file:
                file.seek(self._seen.get(path, 0))
                data = file.read()
            data = data[: data.rfind(b"\n") + 1]  # a line may be only half there yet
            self._seen[path] = self._seen.get(path, 0) + len(data)
            self._so_far.add(_lines(path, data, {}))
        return self._so_far

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def read(folder: str | Path, runs: str | Collection[str] | None = None, *, quiet: bool = False) -> Iterator[Line]:
    """All lines of one run, of some, or by default of every run, file by file in the order of their names.

    What cannot be read is left out: a line that a killed process or a full disk tore, one of an older schema, and one
    that fits no event. One warning says so, with counts, unless `quiet`.
    """
    left_out: _LeftOut = {}
    for run in [None] if runs is None else [runs] if isinstance(runs, str) else runs:
        for path in _files(Path(folder), run):
            yield from _lines(path, path.read_bytes(), left_out)
    if left_out and not quiet:
        told = [
            f"{path}:{at[0]} {why}" if len(at) == 1 else f"{path}:{at[0]} and {len(at) - 1} more lines: each {why}"
            for (path, why), at in left_out.items()
        ]
        few = told[:5] + [f"and as much in {len(told) - 5} more places"] * (len(told) > 5)
        n = sum(map(len, left_out.values()))
        warnings.warn(f"{'; '.join(few)} and {'was' if n == 1 else f'{n} lines were'} left out", stacklevel=2)


def runs(folder: Path) -> list[str]:
    """The runs of a folder of journals, oldest first."""
    return sorted({path.stem.rpartition("-")[0] for path in folder.glob("*.jsonl")})


def header(folder: Path, run: str) -> dict[str, Any]:
    """The event `run` of a run: command, commit, machine, versions; {} where its journal does not begin with one."""
    for path in _files(folder, run):
        with path.open("rb") as file:
            first = file.readline()
        for line in _lines(path, first, {}):
            if isinstance(line.event, Run):
                return line.plain
    return {}


def _files(folder: Path, run: str | None) -> list[Path]:
    return sorted(folder.glob(f"{run}-*.jsonl" if run else "*.jsonl"))


def _lines(path: Path, data: bytes, left_out: _LeftOut) -> Iterator[Line]:
    """The lines of a file's content; what cannot be read is put into `left_out`."""
    for number, text in enumerate(data.split(b"\n"), 1):
        try:
            if text:
                yield line_of(json.loads(text))
        except Unreadable as error:
            left_out.setdefault((path, str(error)), []).append(number)
        except ValueError:
            left_out.setdefault((path, "is not whole"), []).append(number)
