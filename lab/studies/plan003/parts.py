"""The plan's parts of `lab report`, and its reports of one direction and of a pivot."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path

from lab.commands.report import add_places
from lab.files.whole import write_whole
from lab.studies.plan003.directions import DIRECTIONS, restricted
from lab.studies.plan003.figures import write_figures
from lab.studies.plan003.negative import negative_results
from lab.studies.plan003.paper import clear, write_paper
from lab.studies.plan003.pivot import OPTIONS, pivot
from lab.studies.plan003.progress import progress
from lab.views import parts, work
from lab.views.parts import Made, Places
from lab.views.record import Missing, Record, load
from lab.views.tables import summary_table

PHASES_OF_PLAN = ("pre-mortems", "phase-2a", "phase-2b", "phase-2c")
PHASES_3 = "phase_3*"
"""The folders of single directions, in the results folder."""


def _paper(places: Places) -> Path:
    return places.output / "paper"


def _of_plan(part: Callable[[Record, Places], Made]) -> Callable[[Record, Places], Made]:
    """A part that is made only where something of the plan was run: a project without it hears nothing of it."""

    @wraps(part)
    def made(record: Record, places: Places) -> Made:
        return part(record, places) if any(cell.phase in PHASES_OF_PLAN for cell in record.cells) else ([], [])

    return made


@_of_plan
def figures(record: Record, places: Places) -> Made:
    return write_figures(record, places.figures, _paper(places) / "figures")


@_of_plan
def negative(record: Record, places: Places) -> Made:
    return [write_whole(places.output / "negative_results.md", negative_results(record).encode())], []


@_of_plan
def paper(record: Record, places: Places) -> Made:
    try:
        return write_paper(record, _paper(places))
    except Missing as why:
        clear(_paper(places))
        return [], [str(why)]


@_of_plan
def status(record: Record, places: Places) -> Made:
    told = progress(record, places.figures, _paper(places), work.read(places.output, PHASES_3))
    return [write_whole(places.output / "progress.md", told.encode())], []


def direction(arguments: list[str]) -> int:
    """lab report direction: phase 3 of one direction (3A, 3B or 3C), into a folder of its own."""
    parser = argparse.ArgumentParser(prog="lab report direction", description=direction.__doc__)
    parser.add_argument("letter", choices=[d.letter for d in DIRECTIONS], help="of phase 3A, 3B or 3C")
    parser.add_argument("part", nargs="?", choices=["all", *parts.names()], default="all", help="(default: all)")
    add_places(parser)
    asked = parser.parse_args(arguments)
    try:
        record = restricted(load(asked.results, asked.run), asked.letter)
        chosen = parts.by_default() if asked.part == "all" else [asked.part]
        failed = parts.make(record, asked.output or asked.results / f"phase_3{asked.letter.lower()}", chosen)
    except (Missing, OSError) as error:
        parser.error(str(error))
    if parts.TABLES in chosen:
        print(summary_table(list(record.cells)), end="")
    return int(failed > 0)


def pivot_command(arguments: list[str]) -> int:
    """lab report pivot: writes the plan that follows where no pre-mortem passed, into a new folder."""
    parser = argparse.ArgumentParser(prog="lab report pivot", description=pivot_command.__doc__)
    parser.add_argument("option", nargs="?", help=f"one of {', '.join(option.name for option in OPTIONS)}")
    parser.add_argument("--results", type=Path, default=Path("results"), help="results folder (default: %(default)s)")
    parser.add_argument("--run", help="one run, as the journal's files are named (default: the newest of each cell)")
    parser.add_argument("--output", type=Path, metavar="NEW_FOLDER", help="the folder of the new plan")
    asked = parser.parse_args(arguments)
    try:
        record = load(asked.results, asked.run)
        if asked.option is None or asked.output is None:
            options = "\n".join(f"  {option.name:20}{option.about}" for option in OPTIONS)
            raise Missing(f"write pivot OPTION --output NEW_FOLDER; the options are\n{options}")
        path, command = pivot(record, asked.option, asked.output)
    except (Missing, OSError) as error:
        parser.error(str(error))
    print(path, file=sys.stderr)
    print(command or "nothing is to be run: this line of research stops here")
    return 0
