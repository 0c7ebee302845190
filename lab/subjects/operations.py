"""Long operations under way: who works says so here, and who wants to show it looks here; nothing is printed.

with operations.of("capture", total=len(prompts), unit="prompts") as advance:
    for batch in batches:
        ...
        advance(len(batch))
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(eq=False)
class Operation:
    """A piece of work: `done` of `total` units (None where nobody knows) since `started`, on time.monotonic's clock."""

    label: str
    total: int | None
    unit: str
    started: float
    done: int = 0


_running: list[Operation] = []


@contextmanager
def of(label: str, *, total: int | None = None, unit: str = "") -> Iterator[Callable[[int], None]]:
    """While it lasts, the operation is under way; what it yields is called with how many units are newly done."""
    operation = Operation(label, total, unit, time.monotonic())

    def advance(count: int) -> None:
        operation.done += count

    _running.append(operation)
    try:
        yield advance
    finally:
        _running.remove(operation)


def current() -> Operation | None:
    """What this process does right now, the innermost of it; None where nothing takes long. For any thread."""
    return next(iter(_running[-1:]), None)
