"""What would be asked of which subject? Cache and subjects of a run that is only planned."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from lab.forecast.calls import Calls
from lab.subjects.cache.cached import CachedSpeaker, CachedSubject
from lab.subjects.cache.store import Cache, Entry

Result = TypeVar("Result")
WRITING = ("generate", "chat", "replies")
"""Calls whose results have a length that nobody knows before."""


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
