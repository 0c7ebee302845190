"""lab new DIR: writes a project that runs, with one hypothesis of its own or with the pages of a study."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from lab.files.embedded import folder

STARTER = Path(__file__).with_name("starter")
PAGES = "hypotheses"
"""The folder of a project in which its hypotheses are."""


def main(arguments: list[str]) -> int:
    """Prints the files and the command that runs them. Returns 2 where there is no such study, or no room for it."""
    parser = argparse.ArgumentParser(prog="lab new", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="a folder that is empty or not there yet")
    parser.add_argument(
        "--study", metavar="NAME", help=f"copies its pages in place of the first hypothesis: {', '.join(with_pages())}"
    )
    asked = parser.parse_args(arguments)
    try:
        files = write(asked.folder, asked.study)
    except (ValueError, OSError) as error:
        print(f"lab new: {error}", file=sys.stderr)
        return 2
    print(*files, f"run them: pytest {asked.folder}", sep="\n")
    return 0


def with_pages() -> list[str]:
    """Names of the studies whose pages come with the library."""
    return sorted({path.relative_to(folder(PAGES)).parts[0] for path in folder(PAGES).glob("*/**/test_*.py")})


def write(project: Path, study: str | None = None) -> list[Path]:
    """Writes a project; returns its files.

    Raises ValueError for a study without pages, and for a folder in which something is.
    """
    if study is not None and study not in with_pages():
        raise ValueError(f"{study} has no pages to copy; studies with pages are {', '.join(with_pages())}")
    if project.exists() and (not project.is_dir() or any(project.iterdir())):
        raise ValueError(f"{project} is not an empty folder; name another one")
    left_out = shutil.ignore_patterns("__pycache__", *[PAGES] * (study is not None))
    shutil.copytree(STARTER, project, ignore=left_out, dirs_exist_ok=True)
    if study is not None:
        shutil.copytree(folder(PAGES) / study, project / PAGES / study, ignore=left_out)
    return sorted(path for path in project.rglob("*") if path.is_file())
