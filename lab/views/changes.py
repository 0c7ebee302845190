"""Differences between two runs: verdicts, estimates with the interval of their difference, and what was set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lab.estimate import Estimate
from lab.record.fold import CellRecord, estimates

NOT_RUN = "not run"
INDEPENDENT = (
    "The interval of a difference is that of independent runs (MOVER, Zou and Donner 2008). Runs that read the same "
    "items are mostly correlated positively: for them it is too wide, and what it shows holds the more."
)


@dataclass(frozen=True)
class Moved:
    """One estimate of a cell in both runs; None where it is missing, and `difference` (second - first) where it has no
    sense: the quantity has another unit or level, or the two are the very same work."""

    name: str
    first: Estimate | None
    second: Estimate | None
    difference: Estimate | None


@dataclass(frozen=True)
class Change:
    """A cell in two runs, None where it was not in one of them."""

    cell: str
    first: CellRecord | None
    second: CellRecord | None

    @property
    def verdicts(self) -> tuple[str, str]:
        one, two = (NOT_RUN if cell is None else cell.shown_verdict for cell in (self.first, self.second))
        return one, two

    @property
    def same_work(self) -> bool:
        """Whether all that determines the result is the same, by its key: then the second is the first, repeated."""
        keys = {cell.key if cell else None for cell in (self.first, self.second)}
        return len(keys) == 1 and None not in keys

    @property
    def moved(self) -> list[Moved]:
        one, two = (estimates(cell) if cell else {} for cell in (self.first, self.second))
        return [self._moved(name, one.get(name), two.get(name)) for name in dict.fromkeys([*one, *two])]

    def _moved(self, name: str, first: Estimate | None, second: Estimate | None) -> Moved:
        from lab.stats.independent import difference

        comparable = first is not None and second is not None
        comparable = comparable and (first.level, first.unit) == (second.level, second.unit)  # type: ignore[union-attr]
        apart = difference(first, second) if comparable and not self.same_work else None  # type: ignore[arg-type]
        return Moved(name, first, second, apart)

    @property
    def settings(self) -> dict[str, tuple[Any, Any]]:
        """What differs in what was claimed, set and read, by its name: (first, second)."""
        if self.first is None or self.second is None:
            return {}
        one, two = (_settings(cell) for cell in (self.first, self.second))
        names = dict.fromkeys([*one, *two])
        return {name: (one.get(name), two.get(name)) for name in names if one.get(name) != two.get(name)}


def changes(first: Iterable[CellRecord], second: Iterable[CellRecord]) -> list[Change]:
    """The cells of two runs side by side, by name."""
    one, two = ({cell.cell: cell for cell in cells} for cells in (first, second))
    return [Change(name, one.get(name), two.get(name)) for name in sorted({*one, *two})]


def surroundings(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What differs between where two runs were made, from their headers: commit, machine, versions."""
    one, two = (
        _flat({part: header.get(part) for part in ("commit", "machine", "versions")}) for header in (first, second)
    )
    names = [name for name in dict.fromkeys([*one, *two]) if name != "machine.setup_seconds"]
    return {name: (one.get(name), two.get(name)) for name in names if one.get(name) != two.get(name)}


def _settings(cell: CellRecord) -> dict[str, Any]:
    """All that a cell was given: claim, bars, knobs, seed, how models were loaded; fingerprints of data and code."""
    read = {part: cell.determined_by.get(part) for part in ("subjects", "data", "code")}
    told = {"claim": cell.claim, "seed": cell.seed, "knobs": cell.knobs, "fingerprint": read}
    told["models"] = {str(i): model.get("backend", {}) for i, model in enumerate(cell.config.get("models", []))}
    told["bars"] = {measure.estimate.name: measure.bar for measure in cell.measures if measure.claims}
    return _flat(told)


def _flat(told: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted names."""
    found: dict[str, Any] = {}
    for name, value in told.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, Mapping) else {f"{before}{name}": value}
    return found
