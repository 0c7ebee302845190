"""Directions of research, ranked by strength, with their venues: the table of plan 003, step 4.1."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from lab.record import CellRecord
from lab.studies.plan003.planning import PHASES, verdicts
from lab.views.record import Missing, Record


@dataclass(frozen=True)
class Direction:
    """A direction of research: what it is called in the plan's table, and where its results go.

    `measure` is the plan's metric of its pre-mortem, `template` the draft's; `extended`, `main` and `baselines` are the
    experiments of its phase, `figure` the figure of its main result.
    """

    letter: str
    premortem: str
    title: str
    metric: str
    measure: str
    venues: str
    template: str
    figure: str
    extended: str
    main: tuple[str, ...]
    baselines: str

    @property
    def name(self) -> str:
        return PHASES[self.premortem][1]

    @property
    def experiments(self) -> tuple[str, ...]:
        return self.premortem, self.extended, *self.main, self.baselines


DIRECTIONS = (
    Direction("A", "PM1", "Cross-Model Transfer", "Correlation", "mean r", "NeurIPS/ICLR", "neurips.tex",
              "cross_model_heatmap", "2A1", ("2A2",), "2A2"),
    Direction("B", "PM2", "Error Prediction", "AUC", "AUROC", "ACL/EMNLP", "acl.tex",
              "error_prediction_roc", "2B1", ("2B2",), "2B3"),
    Direction("C", "PM3", "Activation Patching", "Change Rate", "change rate", "ICLR/ICML", "iclr.tex",
              "patching_effect_by_layer", "2C1", ("2C2", "2C3"), "2C4"),
)  # fmt: skip
"""In the plan's order, which also breaks ties."""


def restricted(record: Record, letter: str) -> Record:
    """What phases 3A, 3B and 3C speak of: the cells of one direction. Raises Missing where none of them ran."""
    direction = next(d for d in DIRECTIONS if d.letter == letter)
    cells, others = (
        tuple(cell for cell in side if cell.experiment in direction.experiments)
        for side in (record.cells, record.others)
    )
    if not cells:
        raise Missing(f"nothing of direction {letter} has run: {', '.join(dict.fromkeys(direction.experiments))}")
    return replace(record, cells=cells, others=others)


def margin(cells: Iterable[CellRecord]) -> float | None:
    """How far a claim stands above its bar, at its weakest: 0 at the bar, 1 at the best possible value.

    (low - bar) / (best - bar) of each claim `> bar`, with the lower end of its interval and the upper bound of its
    measure (1 where none is named): the smallest over all claims and cells. It has no unit, so that correlations,
    AUROCs and shares can be compared. None where no such claim was made.
    """
    found = [
        (measure.estimate.low - bar) / (best - bar)
        for cell in cells
        for measure in cell.measures
        for claim in measure.claims
        for sign, bar, _ in [claim.get("against", ("", 0.0, 0.0))]
        for best in [measure.estimate.bounds[1] if measure.estimate.bounds else 1.0]
        if sign == ">" and best > bar
    ]
    return min(found, default=None)


def margins(record: Record) -> dict[str, float]:
    """The margin of each direction whose pre-mortem came to PASS."""
    found = {d.letter: margin(record.of(d.premortem)) for d in DIRECTIONS if verdicts(record)[d.premortem] == "PASS"}
    return {letter: value for letter, value in found.items() if value is not None}


def strongest(found: dict[str, float]) -> Direction | None:
    """The direction with the largest margin; of equal ones the first in the plan's order. None where none passed."""
    passed = [direction for direction in DIRECTIONS if direction.letter in found]
    return max(passed, key=lambda direction: found[direction.letter], default=None)
