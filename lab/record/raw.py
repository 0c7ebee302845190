"""Where is every single answer? Rows of one run of questions in a file of their own, read back one by one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lab.files.plain import plain
from lab.files.whole import checksum_of, file_name, write_parts
from lab.record.arrays import Damaged


def keep(folder: Path, name: str, rows: Iterable[Mapping[str, Any]]) -> tuple[Path, str]:
    """Writes rows, one JSON object a line, to a file in `folder`; returns its path and its SHA-256.

    The file's name ends in its checksum, so that no later content replaces it. It appears whole or not at all, and
    one row at a time is in memory.
    """
    made = hashlib.sha256()

    def written() -> Iterator[bytes]:
        for row in rows:
            line = json.dumps(plain(dict(row)), ensure_ascii=False, allow_nan=False).encode() + b"\n"
            made.update(line)
            yield line

    path = write_parts(folder / file_name(name), written(), lambda: f"{file_name(name)}-{made.hexdigest()[:12]}.jsonl")
    return path, made.hexdigest()


def load(path: str | Path, sha256: str | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a file, one at a time. Raises Damaged where its checksum is another, before the first; OSError."""
    path = Path(path)
    if sha256 is not None and checksum_of(path) != sha256:
        raise Damaged(f"{path} is gone or has changed since it was written; run its experiment again")
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
