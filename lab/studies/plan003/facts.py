"""Numbers for prose, each with the cell it comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lab.estimate import Estimate
from lab.record import CellRecord
from lab.record.fold import estimates, overall
from lab.views.record import Record

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Number:
    """An estimate as it is printed, and its source: the cell, and the key by which registry.json names its run."""

    text: str
    source: str


HEADLINES = {
    "PM1": "mean r",
    "PM2": "AUROC",
    "PM3": "change rate",
    "2A2": "improvement",
    "2C1": "effect at the strongest layer",
    "2C4": "steering less asking",
}
"""The measure that an experiment is quoted by, where it is not that of its first claim."""

Printed = Callable[[Number], str]
"""How a text prints a number: as it is, or with its source."""


def number(cell: CellRecord, estimate: Estimate) -> Number:
    return Number(f"{estimate.shown} {estimate.interval}", source(cell))


def source(cell: CellRecord) -> str:
    return f"{cell.cell}@{cell.key or 'no key'}"


def headline(record: Record, experiment: str) -> str | None:
    """The measure that an experiment is quoted by; None where it has measured nothing."""
    cells = record.of(experiment)
    claimed = [measure.estimate.name for cell in cells for measure in cell.measures if measure.claims]
    named = HEADLINES.get(experiment)
    return named if named in claimed else next(iter(claimed), None)


def found(record: Record, experiment: str, measure: str) -> list[tuple[CellRecord, Estimate]]:
    """A measure in all cells of an experiment that have it, smallest value first; without negative controls."""
    cells = [(cell, known[measure]) for cell in record.of(experiment) if measure in (known := estimates(cell))]
    return sorted(cells, key=lambda pair: (pair[1].value, pair[0].cell))


def verdict(record: Record, experiment: str) -> str:
    """What an experiment came to, over all its cells."""
    return overall(cell.verdict for cell in record.of(experiment))


def sizes(cells: Iterable[CellRecord]) -> str:
    """How many units stand behind the estimates of some cells, by experiment: "PM2: n = 1200 groups; 2C1: n = 50"."""
    measured: dict[str, list[Estimate]] = {}
    for cell in cells:
        measured.setdefault(cell.experiment, []).extend(measure.estimate for measure in cell.measures)
    return "; ".join(f"{name}: n = {units(known)}" for name, known in measured.items() if known)


def units(known: Sequence[Estimate]) -> str:
    """The smallest and the largest n of some estimates, and what is counted: where an interval is clustered, groups of
    items that belong together.

    >>> units([Estimate(0.6, 0.5, 0.7, n=n, method="DeLong, clustered") for n in (90, 40)])
    '40 to 90 groups'
    """
    if not known:
        return NOT_MEASURED
    told = sorted({(e.n, " groups" if "cluster" in e.method else "") for e in known})
    names = {name for _, name in told}
    if len(names) > 1:
        return " to ".join(f"{n}{name or ' items'}" for n, name in dict.fromkeys((told[0], told[-1])))
    return " to ".join(str(n) for n in dict.fromkeys((told[0][0], told[-1][0]))) + told[0][1]


def came_to(cells: list[CellRecord]) -> str:
    """How many cells came to what: "5 PASS, 1 FAIL"."""
    return ", ".join(f"{n} {name}" for name, n in sorted(Counter(cell.verdict for cell in cells).items()))


def spread(record: Record, experiment: str, printed: Printed, measure: str | None = None, name: str = "") -> str:
    """A measure's smallest and largest value over an experiment's cells, and what they came to; or "not measured".

    By default the measure that it is quoted by.
    """
    measure = measure or headline(record, experiment)
    values = found(record, experiment, measure) if measure else []
    if not values:
        return NOT_MEASURED
    ends = [number(*values[0]), number(*values[-1])]
    told = " to ".join(printed(end) for end in ends[: 1 if ends[0].text == ends[1].text else 2])
    return f"{name or measure} of {told} ({came_to(record.of(experiment))})"
