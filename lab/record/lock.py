"""The lock: a file with each cell's claim, bars, knobs and data, frozen before the data, with a hash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.files.digest import digest
from lab.files.plain import plain
from lab.files.whole import write_whole

LOCK = "preregistration.json"
AS_REGISTERED, EXPLORATORY = "as registered", "exploratory"


@dataclass(frozen=True)
class Registered:
    """What is fixed of a cell before its data are seen.

    `bars` and `controls` are the assertions and controls as written, with the knobs' values in them; `data` is the
    digest of what the cell's data fixtures give.
    """

    claim: str
    bars: tuple[str, ...]
    controls: tuple[str, ...]
    knobs: Mapping[str, Any]
    data: str
    seed: int


class BrokenLock(Exception):
    """The lock file is not what was frozen."""


def freeze(path: Path, cells: Mapping[str, Registered], commit: str | None) -> Path:
    """Writes or extends the lock: these cells are put in, cells that it had and that are not among them stay."""
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"cells": {}, "replaced": []}
    fresh = {name: plain(asdict(cell)) for name, cell in cells.items()}
    kept = before["cells"] | fresh
    replaced = [*before["replaced"], {"hash": before["hash"], "frozen": before["frozen"]}] if before["cells"] else []
    lock = {
        "schema": 1,
        "frozen": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "hash": digest(kept),
        "replaced": replaced,
        "cells": dict(sorted(kept.items())),
    }
    return write_whole(path, (json.dumps(lock, indent=1) + "\n").encode())


def read_lock(path: Path) -> dict[str, Registered] | None:
    """The cells of a lock, None where there is no file. Raises BrokenLock for one that was changed by hand."""
    if not path.exists():
        return None
    try:
        lock = json.loads(path.read_text(encoding="utf-8"))
        cells = {
            name: Registered(**entry | {"bars": tuple(entry["bars"]), "controls": tuple(entry["controls"])})
            for name, entry in lock["cells"].items()
        }
        whole = lock["hash"] == digest(lock["cells"])
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise BrokenLock(f"{path} does not match its own hash; restore it, or freeze anew with --lab-freeze")
    return cells


def compare(lock: Mapping[str, Registered], name: str, now: Registered) -> str:
    """How a cell stands to the lock: "as registered", "changed since: ..." with old and new, or "exploratory"."""
    then = lock.get(name)
    if then is None:
        return EXPLORATORY
    before, after = plain(asdict(then)), plain(asdict(now))
    changes = [
        f"{field} {_shown(old)} -> {_shown(after[field])}"
        for field, old in before.items()
        if digest(old) != digest(after[field])
    ]
    return f"changed since: {'; '.join(changes)}" if changes else AS_REGISTERED


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " and ".join(map(str, value)) or "none"
    return json.dumps(value) if isinstance(value, Mapping) else str(value)
