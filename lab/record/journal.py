"""What happened, in order? One append-only JSONL file a process; the journal is the truth, all else a view of it.

Each line is one event: `{"schema": 2, "run": ..., "cell": ..., "key": ..., "event": ..., "time": ..., ...}`.
schema.json beside this file says what each event holds; docs/evidence.md says it in words.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from lab.files.plain import plain

SCHEMA = 2


class Journal:
    """The journal of one process. The file is made with its first event, so a run that records nothing leaves none.

    `header` gives what is known of the run as a whole; it becomes the first line, the event `run`.
    """

    def __init__(self, folder: Path, run: str, worker: str, header: Callable[[], dict[str, Any]] | None = None) -> None:
        self.path = folder / f"{run}-{worker}.jsonl"
        self.run = run
        self._header = header
        self._file: BinaryIO | None = None
        self._torn = False

    def write(self, cell: str, event: str, *, key: str | None = None, **fields: Any) -> dict[str, Any]:
        """Appends one event, flushes it to the disk and returns it. Fields become plain JSON values.

        Raises OSError where it cannot be written, as on a full disk; the next event then starts on a line of its own.
        """
        if self._header is not None:
            header, self._header = self._header, None
            self.write("", "run", **header())
        line = {
            "schema": SCHEMA,
            "run": self.run,
            "cell": cell,
            "key": key,
            "event": event,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            **plain(fields),
        }
        text = json.dumps(line, allow_nan=False) + "\n"
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab", buffering=0)
        whole = ("\n" if self._torn else "").encode() + text.encode()
        self._torn = True
        while whole:
            whole = whole[self._file.write(whole) :]
        os.fsync(self._file.fileno())
        self._torn = False
        return line

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def read(folder: str | Path, run: str | None = None) -> Iterator[dict[str, Any]]:
    """All events of a run (by default of every run), file by file in the order of their names.

    A torn line, which a killed process or a full disk may leave, is left out and said in a warning.
    """
    for path in sorted(Path(folder).glob(f"{run}-*.jsonl" if run else "*.jsonl")):
        for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
            try:
                if line:
                    yield json.loads(line)
            except ValueError:
                warnings.warn(f"{path}:{number} is not whole and was left out", stacklevel=2)
