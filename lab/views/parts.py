"""The parts of `lab report` by name, and how some of them are made from a record."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.study import merged, named, studies
from lab.views import work
from lab.views.record import Missing, Record
from lab.views.tables import write_tables

TABLES = "tables"
Made = tuple[list[Path], list[str]]
"""The files that were written, and a line for each thing that is missing."""


@dataclass(frozen=True)
class Places:
    """Where things go: `output` is the results folder, or another one."""

    output: Path

    @property
    def figures(self) -> Path:
        return self.output / "figures"


def tables(record: Record, places: Places) -> Made:
    return write_tables(list(record.cells), places.output), []


def names() -> tuple[str, ...]:
    """All parts, in the order in which they are made: later ones look at the files of earlier ones."""
    return (TABLES, *merged("parts"))


def by_default() -> list[str]:
    """The parts that are made where none is named."""
    on_request = {name for study in studies() for name in study.on_request}
    return [name for name in names() if name not in on_request]


def make(record: Record, output: Path, chosen: Sequence[str]) -> int:
    """Makes these parts and names their files, and what is missing, on the standard error stream.

    Returns how many parts failed; each is one line, and the others are made. Raises Missing and OSError.
    """
    made: dict[str, Any] = merged("parts")
    untimed = {name for study in studies() for name in study.untimed}
    failed = 0
    for name in chosen:
        function: Callable[[Record, Places], Made] = tables if name == TABLES else named(made[name])
        begun = time.monotonic()
        try:
            written, missing = function(record, Places(output))
        except (Missing, OSError):
            raise
        except Exception as error:  # a study's own code
            print(f"{name} was not made: {type(error).__name__}: {error}", file=sys.stderr)
            failed += 1
            continue
        if written and name not in untimed:
            work.log(output, name, written, time.monotonic() - begun)
        for path in written:
            print(path, file=sys.stderr)
        for line in missing:
            print(f"missing: {line}", file=sys.stderr)
    if record.set_aside:
        told = ", ".join(record.set_aside)
        print(f"other runs have results of other work under these names, for --run: {told}", file=sys.stderr)
    return failed
