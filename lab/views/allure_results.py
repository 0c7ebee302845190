"""lab report allure: writes what Allure shows of the runs, from their journal alone.

`lab report html` makes the report of it. By hand: allure generate --config DIR/allurerc.json DIR
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from lab.views.allure import OLDER, write_allure
from lab.views.record import Missing, load


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="lab report allure", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="results folder (default: %(default)s)")
    parser.add_argument("--run", help="one run, as the journal's files are named (default: the newest of each cell)")
    parser.add_argument("--output", type=Path, default=Path("allure-results"), metavar="DIR",
                        help="folder of Allure results, which is made anew (default: %(default)s)")  # fmt: skip
    given = parser.parse_args(arguments)
    try:
        written = write(given.results, given.output, given.run)
    except (Missing, OSError) as error:
        parser.error(str(error))
    print(f"{given.output}: {written} results", file=sys.stderr)
    return 0


def write(results: Path, folder: Path, run: str | None = None) -> int:
    """Makes a folder of Allure results anew; returns of how many cells.

    Raises Missing where there is no such run, and for a folder that holds anything but Allure's files.
    """
    cells = load(results, run).cells
    if folder.is_dir():
        foreign = [path.name for path in folder.iterdir() if path.suffix not in _ALLURES and path.name != OLDER]
        if foreign:
            raise Missing(f"{folder} holds {sorted(foreign)[0]}, which Allure has not written; name another --output")
        shutil.rmtree(folder)
    write_allure(folder, results, cells)
    return len(cells)


_ALLURES = (".json", ".jsonl", ".properties", ".png", ".csv", ".yaml", ".txt")
