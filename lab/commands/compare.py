"""lab compare A B: what changed between two runs.

Verdicts, estimates side by side with the interval of their difference, and settings.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.record import CellRecord
    from lab.views.changes import Change, Moved

Pairs = Mapping[str, tuple[Any, Any]]
"""What differs, by name: (first, second)."""


def main(arguments: list[str]) -> int:
    """`lab compare RUN RUN`. Returns 0; 2 where there is no such run."""
    parser = argparse.ArgumentParser(prog="lab compare", description=__doc__)
    parser.add_argument("first", help="a run, as the journal's files are named; or FOLDER/RUN of other results")
    parser.add_argument("second", help="the run that is held against it")
    parser.add_argument("--results", type=Path, default=Path("results"), help="results folder (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON in place of tables")
    given = parser.parse_args(arguments)
    from lab.views.changes import changes, surroundings

    try:
        (first, header), (second, other) = (_run(name, given.results) for name in (given.first, given.second))
    except ValueError as error:
        print(f"lab compare: {error}", file=sys.stderr)
        return 2
    found, around = changes(first, second), surroundings(header, other)
    print(_json(found, around) if given.json else _text(found, around, given.first, given.second))
    return 0


def _run(name: str, results: Path) -> tuple[list[CellRecord], dict[str, Any]]:
    """The cells of a run, and its header. Raises ValueError where there is none."""
    from lab.record import gather, read
    from lab.record.journal import header, runs

    folder, run = (results, name) if "/" not in name else (Path(name).parent, Path(name).name)
    journal = folder / "journal"
    known = runs(journal)
    if run not in known:
        there = f"the last ones are {', '.join(known[-3:])}" if known else "it is empty; name the folder with --results"
        raise ValueError(f"no run {run} in {journal}; {there}")
    return gather(read(journal, run)), header(journal, run)


def _text(found: Sequence[Change], around: Pairs, first: str, second: str) -> str:
    """Markdown."""
    from lab.views.changes import INDEPENDENT
    from lab.views.text import markdown_table

    both = [one for one in found if one.first and one.second]
    turned = [one for one in both if one.verdicts[0] != one.verdicts[1]]
    lines = [f"# {first} and {second}", "", f"{len(both)} cells are in both, {len(turned)} verdicts changed."]
    lines += _list("Only in the first", [f"{one.cell}: {one.verdicts[0]}" for one in found if not one.second])
    lines += _list("Only in the second", [f"{one.cell}: {one.verdicts[1]}" for one in found if not one.first])
    lines += _list("Verdicts that changed", [f"{one.cell}: {' -> '.join(one.verdicts)}" for one in turned])
    rows = [[one.cell, *_row(one, moved)] for one in both for moved in one.moved]
    if rows:
        head = ["cell", "estimate", "first", "second", "second - first", "verdict"]
        lines += ["", "## Estimates", "", *markdown_table(head, rows)]
        apart = any(moved.difference is not None for one in both for moved in one.moved)
        lines += ["", INDEPENDENT] if apart else []
    told = [f"{one.cell}: {_pairs(one.settings)}" for one in both if one.settings]
    lines += _list("Settings that differ", told)
    lines += _list("Surroundings that differ", [_pairs({name: pair}) for name, pair in around.items()])
    return "\n".join(lines)


def _row(one: Change, moved: Moved) -> list[str]:
    shown = [f"{e.shown} {e.interval} (n={e.n})" if e is not None else "" for e in (moved.first, moved.second)]
    verdict = one.verdicts[1] if one.verdicts[0] == one.verdicts[1] else " -> ".join(one.verdicts)
    return [moved.name, *shown, _apart(one, moved), verdict]


def _apart(one: Change, moved: Moved) -> str:
    """The difference as printed; of the same work, whether it came to the same."""
    if moved.difference is not None:
        e = moved.difference
        return f"{e.shown} {e.interval}" + ("" if e.low <= 0 <= e.high else ", not 0")
    if moved.first is None or moved.second is None:
        return ""
    if one.same_work:
        return "identical" if moved.first == moved.second else "NOT EQUAL, though all that determines it is"
    return "not comparable: another unit or level"


def _list(title: str, entries: list[str]) -> list[str]:
    return ["", f"## {title}", "", *(f"- {entry}" for entry in entries)] if entries else []


def _pairs(settings: Pairs) -> str:
    return "; ".join(f"{name} {_shown(one)} -> {_shown(two)}" for name, (one, two) in settings.items())


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _json(found: Sequence[Change], around: Pairs) -> str:
    cells = [
        {
            "cell": one.cell,
            "verdicts": one.verdicts,
            "same_work": one.same_work,
            "estimates": [asdict(moved) for moved in one.moved],
            "settings": one.settings,
        }
        for one in found
    ]
    return json.dumps({"cells": cells, "surroundings": around}, indent=1)
