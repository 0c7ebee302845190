"""python -m reports: everything that is told about the runs, made anew from the journal alone; no model is loaded.

Without a command: tables, figures, negative results, paper and progress. With one, that part only.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from lab.evidence import write_tables
from lab.evidence.files import write_whole
from lab.evidence.tables import statistics, summary_table
from reports import work
from reports.directions import DIRECTIONS, restricted
from reports.figures import write_figures
from reports.negative import negative_results
from reports.paper import clear, write_paper
from reports.pivot import OPTIONS, pivot
from reports.preferences import write_preferences
from reports.progress import progress
from reports.ratings import write_ratings
from reports.record import Missing, Record, load


@dataclass(frozen=True)
class Places:
    """Where things go: `output` is the results folder, or another one."""

    output: Path

    @property
    def figures(self) -> Path:
        return self.output / "figures"

    @property
    def paper(self) -> Path:
        return self.output / "paper"


Done = tuple[list[Path], list[str]]
"""The files that were written, and a line for each thing that is missing."""


def tables(record: Record, places: Places) -> Done:
    return write_tables(list(record.cells), places.output), []


def figures(record: Record, places: Places) -> Done:
    return write_figures(record, places.figures, places.paper / "figures")


def negative(record: Record, places: Places) -> Done:
    return [write_whole(places.output / "negative_results.md", negative_results(record).encode())], []


def paper(record: Record, places: Places) -> Done:
    try:
        return write_paper(record, places.paper)
    except Missing as why:
        clear(places.paper)
        return [], [str(why)]


def rated(record: Record, places: Places) -> Done:
    return write_ratings(record, places.output / "ratings")


def preferred(record: Record, places: Places) -> Done:
    return write_preferences(record, places.output / "preferences")


def status(record: Record, places: Places) -> Done:
    told = progress(record, places.figures, places.paper, work.read(places.output))
    return [write_whole(places.output / "progress.md", told.encode())], []


PARTS: dict[str, Callable[[Record, Places], Done]] = {
    "tables": tables,
    "figures": figures,
    "negative": negative,
    "paper": paper,
    "progress": status,
    "ratings": rated,
    "preferences": preferred,
}
"""In the order in which they are made: the last ones look at the files of the first."""
STATISTICS = "statistics"
"""Another name of the part `tables`, which can also write its JSON to one file."""
APART = ("allure", "card", "changes", "compare", "comparisons", "html", "log", "oracle", "page", "reparse")
"""Commands with options of their own, each a module of this package."""
FILES = (".json", ".md", ".tex", ".txt", ".pdf", ".png", ".csv")


def main(arguments: list[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    if given and given[0] in APART:
        return import_module(f"reports.{given[0]}").main(given[1:])  # type: ignore[no-any-return]
    parser = argparse.ArgumentParser(
        prog="python -m reports",
        description=__doc__,
        epilog="python -m reports compare A B holds two saved runs against each other; "
        "python -m reports comparisons FOLDER fits utilities to comparison files; "
        "python -m reports card makes the cards of a run anew; python -m reports reparse reads written answers again; "
        "python -m reports changes lists completions whose ratings a system prompt moved; "
        "python -m reports html makes one HTML file by Allure, page one without it, allure Allure's results; "
        "python -m reports log TITLE writes an entry of the research log. Each answers --help.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "part", nargs="?", choices=["all", *PARTS, STATISTICS, "pivot"], default="all", help="(default: all)"
    )
    parser.add_argument("option", nargs="?", help=f"of pivot: {', '.join(option.name for option in OPTIONS)}")
    parser.add_argument("--results", "--results_dir", type=Path, default=Path("results"), metavar="DIR",
                        help="results folder (default: %(default)s)")  # fmt: skip
    parser.add_argument("--run", help="one run, as the journal's files are named (default: the newest of each cell)")
    parser.add_argument("--direction", choices=[d.letter for d in DIRECTIONS],
                        help="one direction (phase 3A, 3B or 3C), into phase_3a, phase_3b, phase_3c")  # fmt: skip
    parser.add_argument("--output", "--output_dir", type=Path, metavar="DIR",
                        help="where to write (default: the results folder, or the direction's in it); "
                        "of statistics also one file, NAME.json")  # fmt: skip
    asked = parser.parse_args(given)
    try:
        record, output = load(asked.results, asked.run), asked.output or asked.results
        if asked.direction:
            record = restricted(record, asked.direction)
            output = asked.output or asked.results / f"phase_3{asked.direction.lower()}"
        if asked.part == "pivot":
            return _pivot(record, asked.option, asked.output)
        if asked.option:
            parser.error(f"{asked.part} takes no {asked.option!r}")
        if asked.output and asked.output.suffix in FILES:
            return _to_file(record, asked.part, asked.output)
        names = (
            [part for part in PARTS if part not in ("ratings", "preferences")]
            if asked.part == "all"
            else ["tables" if asked.part == STATISTICS else asked.part]
        )
        for name in names:
            begun = time.monotonic()
            written, missing = PARTS[name](record, Places(output))
            if written and name != "progress":  # which tells of the others
                work.log(output, name, written, time.monotonic() - begun)
            for path in written:
                print(path, file=sys.stderr)
            for line in missing:
                print(f"missing: {line}", file=sys.stderr)
        if record.set_aside:
            told = ", ".join(record.set_aside)
            print(f"other runs have results of other work under these names, for --run: {told}", file=sys.stderr)
    except (Missing, OSError) as error:
        parser.error(str(error))
    if "tables" in names:
        print(summary_table(list(record.cells)), end="")
    return 0


def _to_file(record: Record, part: str, path: Path) -> int:
    if path.suffix != ".json" or part not in ("tables", STATISTICS):
        raise Missing(f"--output names a folder, and {path} looks like a file; only statistics writes one: NAME.json")
    print(write_whole(path, statistics(list(record.cells)).encode()), file=sys.stderr)
    return 0


def _pivot(record: Record, name: str | None, folder: Path | None) -> int:
    if name is None or folder is None:
        options = "\n".join(f"  {option.name:20}{option.about}" for option in OPTIONS)
        raise Missing(f"write pivot OPTION --output NEW_FOLDER; the options are\n{options}")
    path, command = pivot(record, name, folder)
    print(path, file=sys.stderr)
    print(command or "nothing is to be run: this line of research stops here")
    return 0


if __name__ == "__main__":
    sys.exit(main())
