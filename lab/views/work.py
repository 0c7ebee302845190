"""How long reports took: a line for each time that a part of them came to something new.

What is made again to the same bytes adds no line, so that reports which are made twice stay equal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from lab.files.whole import write_whole

FILE = "reports.jsonl"


@dataclass(frozen=True)
class Work:
    """A part of the reports that was made: when (ISO, UTC), in how many seconds, and the digest of its files."""

    part: str
    time: str
    seconds: float
    files: str


def log(output: Path, part: str, written: Iterable[Path], seconds: float) -> None:
    """Puts down what a part took, unless the very files were made before."""
    made = hashlib.sha256()
    for path in sorted(written):
        made.update(f"{path.relative_to(output)}|{path.stat().st_size}|".encode() + path.read_bytes())
    known = {work.files for work in read(output) if work.part == part}
    if made.hexdigest() in known:
        return
    done = Work(part, datetime.now(UTC).isoformat(timespec="seconds"), round(seconds, 3), made.hexdigest())
    before = (output / FILE).read_bytes() if (output / FILE).is_file() else b""
    write_whole(output / FILE, before + json.dumps(asdict(done)).encode() + b"\n")


def read(output: Path, within: str = "") -> list[Work]:
    """What was put down, oldest first; also in the folders in `output` that a pattern `within` names, as "phase_*"."""
    files = [output / FILE, *(output.glob(f"{within}/{FILE}") if within else ())]
    lines = [line for path in files if path.is_file() for line in path.read_text(encoding="utf-8").splitlines()]
    return sorted((Work(**json.loads(line)) for line in lines), key=lambda work: work.time)
