"""lab report reparse: reads every written rating and choice of a run again, and says what comes out otherwise.

No model is asked. After a change of the rules this shows what they change; a template of a file is read from that file.
Answers that a judge had read are read by the judge that is named, offline by default, or by none.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lab.judging.judges import Offline
from lab.record.store import Damaged
from lab.record.store import load_rows as rows_of
from lab.study import merged, named
from lab.views.record import Missing, Record, load

JUDGES: dict[str, Callable[[], Any]] = {"offline": Offline, "none": lambda: None}


def again(record: Record, judge: Any | None = None) -> Iterator[tuple[str, Any]]:
    """Each file of written answers by the run of questions that it holds. Raises Damaged, ValueError, OSError."""
    readers = merged("readers")
    for cell in record.cells:
        for name, kept in cell.raw.items():
            rows = [row for row in rows_of(record.results / kept["file"], kept["sha256"]) if "raw" in row]
            for column, reader in readers.items():
                if answers := [row for row in rows if column in row]:
                    yield f"{cell.cell} {name}", named(reader)(answers, judge)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="lab report reparse", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="results folder (default: %(default)s)")
    parser.add_argument("--run", help="one run, as the journal's files are named (default: the newest of each cell)")
    parser.add_argument("--judge", choices=JUDGES, default="offline", help="who reads what the rules do not understand")
    parser.add_argument("--json", action="store_true", help="print every answer that comes out otherwise, one a line")
    given = parser.parse_args(arguments)
    read, outcomes, changed = 0, Counter[str](), 0
    try:
        for name, found in again(load(given.results, given.run), JUDGES[given.judge]()):
            read, changed = read + found.n, changed + len(found.changed)
            outcomes.update(found.counts)
            if found.changed and not given.json:
                print(f"{name}: {len(found.changed)} of {found.n} come out otherwise")
            for row in found.changed if given.json else ():
                print(json.dumps(row, ensure_ascii=False))
    except (Missing, Damaged, ValueError, OSError) as error:
        parser.error(str(error))
    if not read:
        parser.error(
            "no written answer was kept; exact ones are read from probabilities, exact=false has answers written"
        )
    told = ", ".join(f"{n} {outcome}" for outcome, n in sorted(outcomes.items()))
    print(f"{read} answers read again: {told}; {changed} come out otherwise", file=sys.stderr)
    return int(changed > 0)
