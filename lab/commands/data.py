"""lab data lists the data sets; with names it loads them, and says how many rows there are."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lab.data import DataError, load, names


def main(arguments: Sequence[str]) -> int:
    """Prints one line for each data set; returns the exit status, 1 where one cannot be loaded."""
    if not arguments:
        print("\n".join(names()))
        return 0
    failed = 0
    for name in arguments:
        try:
            rows = load(name)
        except DataError as error:
            print(error, file=sys.stderr)
            failed = 1
            continue
        print(f"{name}: {len(rows)} {type(rows).__name__.lower()}, revision {rows.revision}")
    return failed
