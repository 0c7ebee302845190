"""Figures and files about ratings, each made from the journal alone: `lab report ratings`.

Each module has its `FIGURES`, drawn with their values as JSON beside them, and its `FILES`, which are JSON alone; both
by name. A function that lacks its input raises Missing with the command that makes it.
"""

from __future__ import annotations

from pathlib import Path

from lab.studies.ratings.reports import authors, consistency, discrimination, steering, systems
from lab.studies.shared import seed_reports as seeds
from lab.views.panels import draw_all
from lab.views.parts import Made, Places
from lab.views.phase import write_phase
from lab.views.record import Record

MODULES = (seeds, discrimination, consistency, systems, authors, steering)
PHASE = "ratings"


def write_ratings(record: Record, folder: Path) -> tuple[list[Path], list[str]]:
    """All figures and files of ratings into `folder`; returns them, and a line for each whose inputs are missing."""
    written, missing = write_phase(record, folder, PHASE, MODULES, "nothing was rated; pytest hypotheses/ratings")
    scores = discrimination.of_templates(record)
    for path in folder.glob("scores_*"):
        if path.stem not in scores:  # of a template that is asked no longer
            path.unlink()
    drawn, lacking = draw_all(scores, record, folder)
    return [*written, *drawn], [*missing, *lacking]


def part(record: Record, places: Places) -> Made:
    """The part `ratings` of `lab report`."""
    return write_ratings(record, places.output / "ratings")
