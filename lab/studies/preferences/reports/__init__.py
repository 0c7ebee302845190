"""Figures and files about preferences, each made from the journal alone: `lab report preferences`.

Each module has its `FIGURES`, drawn with their values as JSON beside them, and its `FILES`, which are JSON alone; both
by name. Utilities are also written as tables of their own. A function that lacks its input raises Missing with the
command that makes it.
"""

from __future__ import annotations

from pathlib import Path

from lab.studies.preferences.reports import places, ranks, refusing, regularising, wordings
from lab.views.parts import Made, Places
from lab.views.phase import write_phase
from lab.views.record import Record

MODULES = (ranks, refusing, wordings, places, regularising)
PHASE = "preferences"


def write_preferences(record: Record, folder: Path) -> tuple[list[Path], list[str]]:
    """All figures, files and tables of preferences into `folder`; returns them, and a line for what is missing."""
    why = "nothing was compared; pytest hypotheses/preferences"
    written, missing = write_phase(record, folder, PHASE, MODULES, why)
    return [*written, *ranks.write_tables(record, folder), *refusing.write_tables(record, folder)], missing


def part(record: Record, places: Places) -> Made:
    """The part `preferences` of `lab report`."""
    return write_preferences(record, places.output / "preferences")
