"""lab report card: makes the experiment cards of a run anew from its journal."""

from __future__ import annotations

import argparse
from pathlib import Path

from lab.record import Fold, read
from lab.record.journal import runs
from lab.views.cards import write


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="lab report card", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="results folder (default: %(default)s)")
    parser.add_argument("--run", help="the run, as the journal's files are named (default: every run)")
    given = parser.parse_args(arguments)
    folders = render(given.results, given.run)
    if not folders:
        parser.error(f"no cell of {given.run or 'any run'} in {given.results / 'journal'} has a card; see --results")
    for folder in folders:
        print(folder)
    return 0


def render(results: Path, run: str | None = None) -> list[Path]:
    """Writes the folders of all cells of a run, or of every run; a cell that was killed is told to have failed."""
    journal = results / "journal"
    fold = Fold(read(journal, run))
    cells = [cell for name in runs(journal) for found in fold.cells(name) for cell in (*found.abandoned, found)]
    return [write(results, cell) for cell in cells if cell.folder]
