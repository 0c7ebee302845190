"""What happened, in order? One append-only JSONL file a process; the journal is the truth, all else a view of it.

Each line is one event: `{"schema": 1, "run": ..., "cell": ..., "event": ..., "time": ..., ...}`. The events of a
cell are `started`, `measured`, `judged`, `control`, `report`, `plot`, `finished`, in that order but for repeats.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SCHEMA = 1


class Journal:
    """The journal of one process. The file is made with its first event, so a run that records nothing leaves none."""

    def __init__(self, folder: Path, run: str, worker: str) -> None:
        self.path = folder / f"{run}-{worker}.jsonl"
        self.run = run

    def write(self, cell: str, event: str, **fields: Any) -> dict[str, Any]:
        """Appends one event, flushes it to the disk and returns it. Fields become plain JSON values."""
        line = {
            "schema": SCHEMA,
            "run": self.run,
            "cell": cell,
            "event": event,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            **plain(fields),
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return line


def read(folder: Path, run: str | None = None) -> Iterator[dict[str, Any]]:
    """All events of a run (by default of every run), file by file in the order of their names.

    A torn last line, which a killed process may leave, is left out and said in a warning.
    """
    for path in sorted(folder.glob(f"{run}-*.jsonl" if run else "*.jsonl")):
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, 1):
            try:
                yield json.loads(line)
            except ValueError:
                warnings.warn(f"{path}:{number} is not whole and was left out", stacklevel=2)


def plain(value: Any) -> Any:
    """`value` in plain JSON types: numpy numbers and arrays, tuples and paths are converted, NaN becomes None.

    Raises TypeError for anything else.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return plain(value.tolist())
    if isinstance(value, float):
        return value if value - value == 0 else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{value!r} ({type(value).__name__}) cannot be recorded; pass numbers, strings, lists or dicts")
