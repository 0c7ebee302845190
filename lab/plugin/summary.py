"""What the run found: one table in the terminal, and the files of `lab.views.tables`. On the controller."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from lab.plugin.notebook import JOURNAL
from lab.plugin.options import SETTINGS
from lab.record import CellRecord, gather, read
from lab.record.events import Ended
from lab.record.fold import KNOWN, NOT_REFUTED, called
from lab.record.lock import AS_REGISTERED, EXPLORATORY
from lab.record.registry import register
from lab.views.tables import families, over_seeds, write_tables

CELLS = pytest.StashKey[list[CellRecord]]()
_FAULT = pytest.StashKey[str]()
_COLOURS = {"PASS": "green", "FAIL": "red", "INCONCLUSIVE": "purple", "INVALID": "red", "SKIPPED": "yellow"}


def gather_cells(session: pytest.Session) -> None:
    """Gathers what the run's cells came to, and writes the tables."""
    settings = session.config.stash[SETTINGS]
    if settings.is_worker or settings.share is not None:  # who merges the shares tells what was found
        return
    session.config.stash[CELLS] = cells = gather(read(settings.results / "journal", settings.run, quiet=True))
    if cells:
        try:
            write_tables(cells, settings.results)
            session.config.stash[JOURNAL].write("", Ended(int(session.exitstatus)))
            register(settings.results)
        except OSError as error:
            session.config.stash[_FAULT] = f"the tables cannot be written: {error}; free the disk and run again"
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED


def write(reporter: Any, config: pytest.Config) -> None:
    """Prints the table of the run's cells, and what else is to be known of them."""
    cells = config.stash.get(CELLS, [])
    if not cells:
        return
    reporter.ensure_newline()
    reporter.section("hypotheses")
    names = called(cells)
    rows = [row for cell in cells for row in _rows(cell, names[cell.cell])]
    widths = [max(len(row[i]) for row in [_HEAD, *rows]) for i in range(len(_HEAD) - 1)]
    for row in [_HEAD, *rows]:
        left = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=False))
        reporter.ensure_newline()
        reporter.write(left + "  ")
        colour = _COLOURS.get(row[-1].partition(" ")[0], "")
        if row[-1].endswith(f"({KNOWN})"):
            colour = ""
        elif row[-1].endswith(f"({NOT_REFUTED})"):
            colour = "red"
        reporter.write_line(row[-1], **({colour: True} if colour else {}))
    for one in over_seeds(cells):
        shown = f"{one.measure} {one.shown} (n={len(one.values)} seeds)"
        reporter.write_line(f"{one.cell}: {shown}: {one.shown_verdicts}")
    for family in families(cells):
        together = f"{family.experiment}, {len(family.outcomes)} cells together (Holm)"
        reporter.write_line(f"{together}: {family.measure} {family.bar}: {family.shown}")
    for cell in cells:
        if cell.verdict in ("INCONCLUSIVE", "INVALID"):
            reporter.write_line(f"{cell.verdict} {cell.cell}: {cell.reason}")
        if cell.shown_verdict.endswith(f"({NOT_REFUTED})"):
            reporter.write_line(f"NOT REFUTED {cell.cell}: {cell.negative}", red=True)
        if why := config.stash[SETTINGS].refuted.get(cell.cell):
            if cell.verdict == "FAIL":
                reporter.write_line(f"REFUTED AS KNOWN {cell.cell}: {why}")
            elif cell.verdict != "SKIPPED":
                said = f"{cell.cell} is {cell.verdict}, and lab_refuted lists it ({why}); take it from there"
                reporter.write_line(said, yellow=True)
        for control in cell.controls:
            if control["outcome"] == "INCONCLUSIVE":
                reporter.write_line(f"undecided control in {cell.cell}: {control['name']}: {control['reason']}")
        if cell.registration not in (None, AS_REGISTERED, EXPLORATORY):
            reporter.write_line(f"{cell.cell} {cell.registration}", yellow=True)
    skipped = Counter(cell.reason for cell in cells if cell.verdict == "SKIPPED")
    for reason, n in skipped.items():
        reporter.write_line(f"SKIPPED {n} {'cell' if n == 1 else 'cells'}: {reason}")
    for line in (_registration(cells), _replays(cells)):
        if line:
            reporter.write_line(line)
    if _FAULT in config.stash:
        reporter.write_line(f"ERROR: {config.stash[_FAULT]}", red=True)
    reporter.write_line(f"tables, plots and journal: {config.stash[SETTINGS].results}")


def _registration(cells: list[CellRecord]) -> str:
    """How many cells stand how to the lock."""
    kinds = Counter(cell.registration.partition(":")[0] for cell in cells if cell.registration)
    return "registration: " + ", ".join(f"{n} {kind}" for kind, n in kinds.items()) if kinds else ""


def _replays(cells: list[CellRecord]) -> str:
    """How many cells were not run, because nothing that determines them has changed."""
    n = sum(cell.replayed is not None for cell in cells)
    said = f"{n} of {len(cells)} cells are unchanged and were taken from earlier runs; --lab-cache=off runs them"
    return said if n else ""


_HEAD = ("id", "subject", "measure", "bar", "verdict")


def _rows(cell: CellRecord, name: str) -> list[tuple[str, ...]]:
    """One row a measure; the id, subject and verdict stand in the first."""
    if not cell.measures:
        return [(cell.experiment, name, "-", "-", cell.shown_verdict)]
    return [
        (
            cell.experiment if i == 0 else "",
            name if i == 0 else "",
            f"{m.estimate.name} {m.estimate.shown} {m.estimate.interval}",
            m.bar or "-",
            cell.shown_verdict if i == 0 else "",
        )
        for i, m in enumerate(cell.measures)
    ]
