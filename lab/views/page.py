"""lab report page: the runs on one page, as HTML that needs no network and as Markdown, from the journal alone.

Verdicts, a map of subjects and hypotheses, what has changed since the last run and since registration, and every
experiment with its numbers, controls and plots: what did not hold has the same room as what did.
"""

from __future__ import annotations

import argparse
import base64
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.files.whole import file_name, write_whole
from lab.record import CellRecord
from lab.record.fold import KNOWN, called, differing
from lab.record.journal import header
from lab.record.lock import AS_REGISTERED
from lab.views.changes import Change
from lab.views.record import Missing, Record, load
from lab.views.section import sections
from lab.views.shown import NUMBERS, numbers, plots
from lab.views.tables import families, over_seeds
from lab.views.templates import template

FILES = ("page.html", "page.md")
SYMBOLS = {"PASS": "✓", "FAIL": "✗", "INCONCLUSIVE": "?", "INVALID": "!", "SKIPPED": "-"}
"""So that no verdict is told by its colour alone."""
_SECTIONS = (
    ("Claims that held", ("PASS",)),
    ("Claims that were refuted", ("FAIL",)),
    ("Claims that are undecided", ("INCONCLUSIVE",)),
    ("Experiments that say nothing: INVALID or not run", ("INVALID", "SKIPPED")),
)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="lab report page", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="results folder (default: %(default)s)")
    parser.add_argument("--run", help="one run, as the journal's files are named (default: the newest of each cell)")
    parser.add_argument("--output", type=Path, metavar="DIR",
                        help=f"folder for {' and '.join(FILES)} (default: the results folder)")  # fmt: skip
    given = parser.parse_args(arguments)
    try:
        written = write(given.results, given.output, given.run)
    except (Missing, OSError) as error:
        parser.error(str(error))
    for path in written:
        print(path, file=sys.stderr)
    return 0


def write(results: Path, output: Path | None = None, run: str | None = None) -> list[Path]:
    """Writes the page in both forms; returns their paths. Raises Missing where there is no such run."""
    record, folder = load(results, run), output or results
    told = contents(record, folder)
    return [write_whole(folder / name, template(name, **told).encode()) for name in FILES]


def contents(record: Record, folder: Path) -> dict[str, Any]:
    """All that the page says, for its templates; plots of the Markdown are told as paths from `folder`."""
    cells = list(record.cells)
    names, newest = called(cells), max(cell.run for cell in cells)
    tested, controls = ([c for c in cells if bool(c.negative) is wanted] for wanted in (False, True))
    subjects = list(dict.fromkeys(cell.subject or "no model" for cell in cells))
    cards = {cell.cell: _card(cell, names[cell.cell], record.results, folder) for cell in cells}
    return {
        "runs": sorted({cell.run for cell in cells}),
        **_made(header(record.results / "journal", newest)),
        "counts": [(v, SYMBOLS[v], n) for v in SYMBOLS if (n := Counter(c.verdict for c in tested)[v])],
        "refuted_controls": sum(cell.verdict == "FAIL" for cell in controls),
        "controls": [cards[cell.cell] for cell in controls],
        "cards": [cards[cell.cell] for cell in cells],
        "subjects": subjects,
        "heat": [(name, _heat(cells, name, subjects, cards)) for name in dict.fromkeys(c.experiment for c in cells)],
        "changes": _since_last(record),
        "registration": _since_registration(cells),
        "sections": [
            (title, [cards[c.cell] for c in tested if c.verdict in verdicts]) for title, verdicts in _SECTIONS
        ],
        "families": [(f"{f.experiment}: {f.measure} {f.bar}", f.shown) for f in families(cells)],
        "seeds": [(one.cell, one.measure, one.shown, one.shown_verdicts) for one in over_seeds(cells)],
        "numbers": NUMBERS,
        "own": sections(record),
    }


def _made(told: Mapping[str, Any]) -> dict[str, str]:
    """Where and how the newest run was made, from its header."""
    machine = told.get("machine", {})
    where = ", ".join([str(machine.get("name", "a machine that is not known")), *(machine.get("gpus") or ())])
    return {"where": where, "commit": (told.get("commit") or "not known")[:10], "command": told.get("command", "")}


def _card(cell: CellRecord, name: str, results: Path, folder: Path) -> dict[str, Any]:
    """What the page says of a cell: of every cell the same."""
    there, gone = plots(cell, results)
    head = next((m for m in cell.measures if m.claims), None)
    return {
        "cell": cell,
        "anchor": file_name(cell.cell),
        "name": name or "no model",
        "symbol": SYMBOLS[cell.verdict],
        "style": "known" if cell.shown_verdict.endswith(f"({KNOWN})") else cell.verdict.lower(),
        "claimed": [
            (f"{m.estimate.name} {m.estimate.shown} {m.estimate.interval}", m.bar) for m in cell.measures if m.claims
        ],
        "headline": head.estimate.shown if head else "",
        "numbers": numbers(cell),
        "plots": [(n, _inlined(path), os.path.relpath(path, folder)) for n, path in there.items()],
        "gone": gone,
    }


def _inlined(picture: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"


def _heat(
    cells: Sequence[CellRecord], experiment: str, subjects: Sequence[str], cards: dict[str, dict[str, Any]]
) -> list[list[dict[str, Any]]]:
    """The cards of an experiment by subject: several of a sweep or under several seeds, each with its place in it."""
    own = [cell for cell in cells if cell.experiment == experiment]
    here = [[cell for cell in own if (cell.subject or "no model") == subject] for subject in subjects]
    return [
        [
            {**cards[c.cell], "place": ", ".join(f"{knob}={value}" for knob, value in differing(c, several).items())}
            for c in several
        ]
        for several in here
    ]


def _since_last(record: Record) -> list[tuple[str, str, str, list[str]]]:
    """Cells that came to something else than in the run before: cell, verdicts, what was set otherwise, numbers."""
    before = {
        c.cell: c for now in record.cells for c in record.others if c.cell == now.cell and c.started < now.started
    }
    found = []
    for cell in record.cells:
        one = Change(cell.cell, before.get(cell.cell), cell)
        if one.first is None:
            continue
        moved = [m for m in one.moved if m.difference is not None and not m.difference.low <= 0 <= m.difference.high]
        if len(set(one.verdicts)) > 1 or moved:
            told = [f"{m.name} {m.difference.shown} {m.difference.interval}" for m in moved if m.difference is not None]
            settings = ", ".join(one.settings) or "nothing that is known"
            found.append((cell.cell, f"{' → '.join(one.verdicts)} (run {one.first.run})", settings, told))
    return found


def _since_registration(cells: Sequence[CellRecord]) -> dict[str, Any]:
    """How many cells stand to the lock as they were registered, and those that do not."""
    told = [cell for cell in cells if cell.registration]
    moved = [(cell.cell, cell.registration) for cell in told if cell.registration != AS_REGISTERED]
    return {"locked": bool(told), "kept": len(told) - len(moved), "moved": moved}
