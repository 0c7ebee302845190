"""lab data: lists the data sets; with names it loads them, and says how many rows there are."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lab.data import DataError, load, names


def main(arguments: Sequence[str]) -> int:
    """Prints one line for each data set; returns the exit status, 1 where one cannot be loaded."""
    parser = argparse.ArgumentParser(prog="lab data", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a data set, or a file as SCHEMA@PATH (default: list)")
    asked = parser.parse_args(arguments).names
    if not asked:
        print("\n".join(names()))
        return 0
    failed = 0
    for name in asked:
        try:
            rows = load(name)
        except DataError as error:
            print(error, file=sys.stderr)
            failed = 1
            continue
        print(f"{name}: {len(rows)} {type(rows).__name__.lower()}, revision {rows.revision}")
    return failed
