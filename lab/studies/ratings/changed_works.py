"""lab report changes: completions whose ratings a system prompt moved, with what is striking in them.

Read from the raw answers that runs have kept; no model is loaded. References to the system prompt, refusals and
sentiment are judged by rules. Writes ratings/changes.json in the results folder, the farthest first.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from lab.files.whole import write_whole
from lab.judging.judges import Offline
from lab.record import CellRecord
from lab.record.store import Damaged
from lab.record.store import load_rows as load_raw
from lab.studies.ratings.changes import Changes, rating_changes
from lab.views.record import Missing, load


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="lab report changes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threshold", type=float, default=1.0, help="points to have moved by (default: %(default)s)")
    parser.add_argument("--experiment", help="of this one alone, as SYSTEM12 (default: of all)")
    parser.add_argument("--results", type=Path, default=Path("results"), help="results folder (default: %(default)s)")
    parser.add_argument("--run", help="one run, as the journal's files are named (default: the newest of each cell)")
    parser.add_argument("--output", type=Path, help="a JSON file (default: ratings/changes.json in the results folder)")
    asked = parser.parse_args(arguments)
    try:
        cells = [
            cell
            for cell in load(asked.results, asked.run).cells
            if cell.raw and asked.experiment in (None, cell.experiment)
        ]
        if not cells:
            of = f"no cell of {asked.experiment}" if asked.experiment else "no cell"
            raise Missing(f"{of} has kept raw answers; pytest hypotheses -k {asked.experiment or 'SYSTEM12'}")
        found = {cell.cell: changes(cell, asked.results, asked.threshold) for cell in cells}
        rows = [{"cell": name} | row for name, each in found.items() for row in each.rows]
        rows.sort(key=lambda row: (-row["abs_delta"], row["cell"], str(row["task"])))
        path = asked.output or asked.results / "ratings" / "changes.json"
        write_whole(path, (json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())
    except (Missing, Damaged, ValueError, OSError) as error:
        parser.error(str(error))
    for name, each in found.items():
        flagged = ", ".join(f"{sum(bool(row[k]) for row in each.rows)} {k}s" for k in ("reference", "refusal"))
        failed = f", the judge failed {sum(each.failures.values())} times" if each.failures else ""
        print(f"{name}: {len(each.rows)} of {each.compared} moved by {asked.threshold:g} or more: {flagged}{failed}")
    print(path, file=sys.stderr)
    return 0


def changes(cell: CellRecord, results: Path, threshold: float) -> Changes:
    """What moved in one cell. Raises Damaged where a file of raw answers is gone or has changed."""
    rows = (row for file in cell.raw.values() for row in load_raw(results / file["file"], file["sha256"]))
    return rating_changes(rows, Offline(), threshold=threshold)
