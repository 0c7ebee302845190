"""What did the run find? One table in the terminal, and the two files of `lab.evidence.tables`. On the controller."""

from __future__ import annotations

from typing import Any

import pytest

from lab.evidence import CellRecord, gather, read, write_tables
from lab.evidence.tables import KNOWN, NOT_REFUTED
from lab.plugin.options import SETTINGS

_CELLS = pytest.StashKey[list[CellRecord]]()
_COLOURS = {"PASS": "green", "FAIL": "red", "INCONCLUSIVE": "purple", "INVALID": "red", "SKIPPED": "yellow"}


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    settings = session.config.stash[SETTINGS]
    if settings.is_worker:
        return
    session.config.stash[_CELLS] = cells = gather(read(settings.results / "journal", settings.run))
    if cells:
        write_tables(cells, settings.results)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    cells = config.stash.get(_CELLS, [])
    if not cells:
        return
    terminalreporter.section("hypotheses")
    rows = [row for cell in cells for row in _rows(cell)]
    widths = [max(len(row[i]) for row in [_HEAD, *rows]) for i in range(len(_HEAD) - 1)]
    for row in [_HEAD, *rows]:
        left = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=False))
        terminalreporter.write(left + "  ")
        colour = _COLOURS.get(row[-1].partition(" ")[0], "")
        if row[-1].endswith(f"({KNOWN})"):
            colour = ""
        elif row[-1].endswith(f"({NOT_REFUTED})"):
            colour = "red"
        terminalreporter.write_line(row[-1], **({colour: True} if colour else {}))
    for cell in cells:
        if cell.verdict in ("INCONCLUSIVE", "INVALID"):
            terminalreporter.write_line(f"{cell.verdict} {cell.cell}: {cell.reason}")
        if cell.shown_verdict.endswith(f"({NOT_REFUTED})"):
            terminalreporter.write_line(f"NOT REFUTED {cell.cell}: {cell.negative}", red=True)
        for control in cell.controls:
            if control["outcome"] == "INCONCLUSIVE":
                terminalreporter.write_line(f"undecided control in {cell.cell}: {control['name']}: {control['reason']}")
    terminalreporter.write_line(f"tables, plots and journal: {config.stash[SETTINGS].results}")


_HEAD = ("id", "subject", "measure", "bar", "verdict")


def _rows(cell: CellRecord) -> list[tuple[str, ...]]:
    """One row a measure; the id, subject and verdict stand in the first."""
    if not cell.measures:
        return [(cell.experiment, cell.asked, "-", "-", cell.shown_verdict)]
    return [
        (
            cell.experiment if i == 0 else "",
            cell.asked if i == 0 else "",
            f"{m.read.name} {m.read.shown} {m.read.interval}",
            m.bar or "-",
            cell.shown_verdict if i == 0 else "",
        )
        for i, m in enumerate(cell.measures)
    ]
