"""Stand-ins for a run that is only planned: subjects that count calls, a cache and a notebook that keep nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from lab.estimate import Estimate, Verdict
from lab.record.events import Event, Line
from lab.record.notebook import Notebook
from lab.subjects.cache.cached import CachedSpeaker, CachedSubject
from lab.subjects.cache.store import Cache, Entry

Result = TypeVar("Result")
WRITING = ("generate", "chat", "replies")
"""Calls whose results have a length that nobody knows before."""


class Enough(BaseException):
    """Ends a test function of which all that counts is known. No `except Exception` of a test's own stops it."""


@dataclass
class Calls:
    """The calls that a cell `made`. With the `last` of them, where that is known, it has told all it can.

    Cells of one experiment ask equally often, so the count of the first says when the others may end.
    """

    made: int = 0
    last: int | None = None

    def count(self) -> None:
        """Counts one more call. Raises Enough for the last one."""
        self.made += 1
        if self.made == self.last:
            raise Enough


class PlannedCache(Cache):
    """Finds what is kept, and what this plan would have kept by then; of the latter's numbers it has the shapes.

    Nothing is written, and what is found counts as not used.
    """

    def __init__(self, folder: Path, mode: str) -> None:
        super().__init__(folder, "off" if mode == "off" else "read")
        self.guessed = False
        """Whether a text was made up since this was last set to False."""
        self._planned: dict[str, tuple[Entry, dict[str, tuple[int, ...]]]] = {}

    def get(self, key: str) -> Entry | None:
        if key not in self._planned:
            return super().get(key)
        entry, shapes = self._planned[key]
        self.guessed |= bool(entry.rows)
        draw = np.random.default_rng(0)
        made = {name: draw.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}
        return dataclasses.replace(entry, arrays={**entry.arrays, **made})

    def put(self, key: str, entry: Entry) -> None:
        if self.mode == "off":
            return
        shapes = {name: array.shape for name, array in entry.arrays.items() if array.dtype.kind == "f"}
        others = {name: array for name, array in entry.arrays.items() if name not in shapes}
        self._planned[key] = dataclasses.replace(entry, arrays=others), shapes


class PlannedSpeaker(CachedSpeaker):
    """Counts its calls."""

    def __init__(
        self, name: str, identity: Mapping[str, Any], load: Callable[[], Any], cache: PlannedCache, calls: Calls
    ) -> None:
        super().__init__(name, identity, load, cache)
        self._calls, self._made_up = calls, cache

    def _each(
        self,
        method: str,
        keys: Sequence[str | None],
        restored: Callable[[Entry], Result],
        compute: Callable[[Any, list[int]], Sequence[Result]],
        entry: Callable[[Result, dict[str, Any]], Entry | None],
    ) -> list[Result]:
        def computed(subject: Any, new: list[int]) -> Sequence[Result]:
            self._made_up.guessed |= method in WRITING
            return compute(subject, new)

        results = super()._each(method, keys, restored, computed, entry)
        self._calls.count()
        return results


class PlannedSubject(PlannedSpeaker, CachedSubject):
    """Counts its calls."""


@dataclass(frozen=True, eq=False)
class _Hopeful(Estimate):
    """An estimate that meets every bar, so that nothing after an assertion is missed."""

    def _decided(self, verdict: Verdict) -> Verdict:
        return dataclasses.replace(verdict, outcome="PASS")


class ThrowawayNotebook(Notebook):
    """A notebook that is kept in memory, and draws nothing."""

    def measure(self, name: str, estimate: Estimate) -> Estimate:
        super().measure(name, estimate)
        return _Hopeful(**{field.name: getattr(estimate, field.name) for field in dataclasses.fields(Estimate)})

    def health(self, *findings: Any) -> None:
        pass  # a plan's numbers are made up

    def _decided(self, *_: Any) -> bool:
        return False  # nobody knows when it will be; a plan says the most it may take

    def plot(self, name: str, draw: Any, **_: Any) -> Path:
        return self._results / name

    def arrays(self, name: str, arrays: Any) -> Path:
        return self._results / name

    def raw(self, name: str, rows: Any) -> Path:
        return self._results / name

    def _write(self, event: Event) -> None:
        self.events.append(Line("", self.cell.id, self.key, "", event))
