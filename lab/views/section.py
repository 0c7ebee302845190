"""Sections of a user's own in the report: each module of the folder `reports/` where the command runs may add one.

from lab.views.section import Section

def section(record):
    return Section("How long it took", [{"experiment": c.experiment, "seconds": c.seconds} for c in record.cells])
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from lab.views.record import Record

FOLDER = Path("reports")


@dataclass(frozen=True)
class Section:
    """A section of the report.

    Attributes
    ----------
    title
        Its heading.
    rows
        A table: rows by the names of the columns, which are those of the first.
    text
        What stands above the table.
    """

    title: str
    rows: Sequence[Mapping[str, Any]] = ()
    text: str = ""

    @property
    def table(self) -> list[list[str]]:
        """The columns' names, and below them the rows; empty where there are none."""
        columns = list(self.rows[0]) if self.rows else []
        return [columns, *([str(row.get(name, "")) for name in columns] for row in self.rows)] if columns else []


def sections(record: Record) -> list[Section]:
    """What `section(record)` of each module gives. One that fails is named in a line on the standard error stream."""
    made = []
    for path in sorted(FOLDER.glob("[!_]*.py")):
        try:
            spec = spec_from_file_location(f"{FOLDER}.{path.stem}", path)
            assert spec is not None
            assert spec.loader is not None
            module = sys.modules[spec.name] = module_from_spec(spec)
            spec.loader.exec_module(module)
            if hasattr(module, "section"):
                made.append(_checked(module.section(record)))
        except Exception as error:  # it is anybody's code, and the report does not hang on it
            print(f"{path} adds no section: {type(error).__name__}: {error}".partition("\n")[0], file=sys.stderr)
    return made


def _checked(section: object) -> Section:
    if not isinstance(section, Section):
        raise TypeError(f"section(record) must give a lab.views.section.Section, not {type(section).__name__}")
    assert section.table is not None  # so that rows which are no mappings fail here
    return section


def as_markdown(sections: Sequence[Section]) -> str:
    """The sections as `lab report` prints them below the table of verdicts."""
    from lab.views.templates import template

    return template("sections.md", own=sections)
