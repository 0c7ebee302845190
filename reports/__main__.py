"""python -m reports: makes a run's summary_table.md and statistics.json anew from its journal, and prints the table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lab.evidence import gather, read, write_tables
from lab.evidence.tables import summary_table


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m reports", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="results folder (default: %(default)s)")
    parser.add_argument("--run", help="the run, as the journal's files are named (default: the last one)")
    given = parser.parse_args(arguments)
    journal = given.results / "journal"
    runs = sorted({path.stem.rpartition("-")[0] for path in journal.glob("*.jsonl")})
    if not runs:
        parser.error(f"there is no journal in {journal}; run pytest hypotheses/ first, or name the folder by --results")
    if given.run and given.run not in runs:
        parser.error(f"no run {given.run} in {journal}; the last ones are {', '.join(runs[-3:])}")
    cells = gather(read(journal, given.run or runs[-1]))
    for path in write_tables(cells, given.results):
        print(path, file=sys.stderr)
    print(summary_table(cells), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
