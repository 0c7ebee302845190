"""lab report: everything that is told about the runs, made anew from the journal alone; no model is loaded.

Without a name: the parts that every study makes by default. With one, that part or that report only.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lab.files.whole import write_whole
from lab.study import merged, named
from lab.views import parts
from lab.views.record import Missing, load
from lab.views.section import as_markdown, sections
from lab.views.tables import statistics, summary_table

REPORTS = {
    "allure": "lab.views.allure_results:main",
    "card": "lab.views.cards:main",
    "html": "lab.views.html:main",
    "log": "lab.views.log:main",
    "page": "lab.views.page:main",
    "reparse": "lab.views.reparse:main",
}
"""Reports with options of their own, beside those that studies register."""
STATISTICS = "statistics"
"""Another name of the part `tables`, which can also write its JSON to one file."""
FILES = (".json", ".md", ".tex", ".txt", ".pdf", ".png", ".csv")


def main(arguments: list[str]) -> int:
    reports = REPORTS | merged("reports")
    if arguments and arguments[0] in reports:
        status: int = named(reports[arguments[0]])(arguments[1:])
        return status
    parser = argparse.ArgumentParser(
        prog="lab report",
        description=__doc__,
        epilog=f"Reports with options of their own, each with --help: {', '.join(sorted(reports))}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", nargs="?", choices=["all", *parts.names(), STATISTICS], default="all",
                        help="(default: all)")  # fmt: skip
    add_places(parser)
    asked = parser.parse_args(arguments)
    try:
        record, output = load(asked.results, asked.run), asked.output or asked.results
        if asked.output and asked.output.suffix in FILES:
            if asked.output.suffix != ".json" or asked.part not in (parts.TABLES, STATISTICS):
                raise Missing(
                    f"--output names a folder, and {asked.output} looks like a file; only statistics writes one: "
                    "NAME.json"
                )
            print(write_whole(asked.output, statistics(list(record.cells)).encode()), file=sys.stderr)
            return 0
        chosen = (
            parts.by_default() if asked.part == "all" else [parts.TABLES if asked.part == STATISTICS else asked.part]
        )
        failed = parts.make(record, output, chosen)
    except (Missing, OSError) as error:
        parser.error(str(error))
    if parts.TABLES in chosen:
        print(summary_table(list(record.cells)) + as_markdown(sections(record)), end="")
    return int(failed > 0)


def add_places(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say which runs are read, and where the report is written."""
    parser.add_argument("--results", "--results_dir", type=Path, default=Path("results"), metavar="DIR",
                        help="results folder (default: %(default)s)")  # fmt: skip
    parser.add_argument("--run", help="one run, as the journal's files are named (default: the newest of each cell)")
    parser.add_argument("--output", "--output_dir", type=Path, metavar="DIR",
                        help="where to write (default: the results folder); of statistics also one file, "
                        "NAME.json")  # fmt: skip
