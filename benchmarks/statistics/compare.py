"""How long do several ways take to compute the same thing, and do they agree?"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

LEGEND = """\
Medians over rounds, each of which goes over all ways of a row in turn. `/ ours` is the median of the rounds' ratios,
with their range: 2.00 takes twice as long as ours. The difference is the largest absolute one from ours, over what both
report. `x 100` after a way: one hundredth of the work was measured, and its time multiplied.
"""

BLOCKS = 5
"""Parts of a measurement of short calls, of which the median counts: it lets one interruption pass."""


@dataclass(frozen=True)
class Way:
    """One way of computing something.

    Attributes
    ----------
    name
        The library and its function.
    prepare
        Imports what is needed and lays out the input, untimed; returns the call to be timed.
    read
        Turns what the call returns into numbers to compare, untimed.
    scale
        The whole work over what one call does.
    lacks
        What ours gives and this does not, where that is a good part of the work: "no interval".
    """

    name: str
    prepare: Callable[[], Callable[[], Any]]
    read: Callable[[Any], ArrayLike] = np.asarray
    scale: float = 1
    lacks: str = ""


@dataclass(frozen=True)
class Case:
    """One statistic of one input; the first way is ours. Of numbers, as many are compared as two ways both report."""

    title: str
    ways: Sequence[Way]
    note: str = ""


@dataclass
class Timed:
    """What was measured of one way: seconds of the whole work, one a round."""

    way: Way
    call: Callable[[], Any] | None = None
    blocks: int = 1
    repeats: int = 1
    numbers: np.ndarray = field(default_factory=lambda: np.empty(0))
    seconds: list[float] = field(default_factory=list)
    disturbed: int = 0
    error: str = ""

    def warm_up(self, least: float) -> None:
        """Runs it, keeps its result, and finds how many calls last `least` seconds."""
        try:
            self.call = self.way.prepare()
            begun = time.perf_counter()
            found = self.call()
        except ImportError as error:
            self.error = f"not installed ({error.name})"
            return
        took = time.perf_counter() - begun
        self.numbers = np.atleast_1d(np.asarray(self.way.read(found), dtype=float)).ravel()
        if took < 1:  # the first call may have imported something
            took = self._once()
        if took < least:
            self.blocks, self.repeats = BLOCKS, math.ceil(least / BLOCKS / max(took, 1e-7))

    def measure(self) -> None:
        """One round."""
        busy, begun = time.process_time(), time.perf_counter()
        took = median(self._once() for _ in range(self.blocks))
        wall = time.perf_counter() - begun
        # One thread that waits for nobody is busy all the time.
        self.disturbed += time.process_time() - busy < 0.9 * wall - 0.002
        self.seconds.append(took * self.way.scale)

    def _once(self) -> float:
        assert self.call is not None
        call, begun = self.call, time.perf_counter()
        for _ in range(self.repeats):
            call()
        return (time.perf_counter() - begun) / self.repeats


@dataclass
class Result:
    """One case, measured."""

    case: Case
    timed: list[Timed]

    @property
    def ours(self) -> Timed:
        return self.timed[0]

    def ratios(self, other: Timed) -> list[float]:
        """Theirs / ours, round by round."""
        return [theirs / ours for theirs, ours in zip(other.seconds, self.ours.seconds, strict=True)]

    def difference(self, other: Timed) -> float:
        """The largest absolute difference from ours over what both report."""
        both = min(len(other.numbers), len(self.ours.numbers))
        return float(np.abs(other.numbers[:both] - self.ours.numbers[:both]).max())

    def behind(self, *, whole: bool) -> list[str]:
        """Ways faster than ours by more than a twentieth, of those that do the whole work or of those that do less."""
        faster = [each.way for each in self.timed[1:] if each.seconds and median(self.ratios(each)) < 0.95]
        return [f"{self.case.title}: {way.name}" for way in faster if whole is not bool(way.lacks)]

    def rows(self) -> list[str]:
        rows = []
        for each in self.timed:
            scale = f", x {each.way.scale:,.0f}" if each.way.scale > 1 else ""
            lacks = f" ({each.way.lacks})" if each.way.lacks else ""
            first = each is self.ours
            cells = [self.case.title if first else "", each.way.name + lacks + scale]
            if each.error:
                cells += [each.error, "", ""]
            elif first:
                cells += [shown(median(each.seconds)), "", self.case.note]
            else:
                ratios = self.ratios(each)
                spread = f"{median(ratios):.3g} ({min(ratios):.3g} to {max(ratios):.3g})"
                differs = self.difference(each)
                cells += [shown(median(each.seconds)), spread, "" if math.isnan(differs) else f"{differs:.1g}"]
            rows.append("| " + " | ".join(cells) + " |")
        return rows

    def raw(self) -> dict[str, Any]:
        return {
            "title": self.case.title,
            "note": self.case.note,
            "ways": [
                {
                    "way": each.way.name,
                    "scale": each.way.scale,
                    "seconds": each.seconds,
                    "calls_a_round": each.blocks * each.repeats,
                    "disturbed": each.disturbed,
                    "difference": None
                    if not each.seconds or math.isnan(self.difference(each))
                    else self.difference(each),
                    "error": each.error,
                }
                for each in self.timed
            ],
        }


def measure(case: Case, rounds: int, least: float) -> Result:
    """`rounds` over all ways, at most three where one takes over ten seconds; `least` seconds a measurement."""
    result = Result(case, [Timed(way) for way in case.ways])
    for each in result.timed:
        each.warm_up(least)
    able = [each for each in result.timed if not each.error]
    i, begun = 0, time.perf_counter()
    while i < rounds:
        for j in range(len(able)):
            able[(i + j) % len(able)].measure()
        if not i and time.perf_counter() - begun > 10:
            rounds = min(rounds, 3)
        i += 1
    return result


def table(results: Sequence[Result]) -> str:
    """Markdown."""
    head = "| statistic | way | time | / ours | difference |"
    disturbed = sum(each.disturbed for result in results for each in result.timed)
    measured = sum(len(each.seconds) for result in results for each in result.timed)
    whole, part = ("; ".join(way for result in results for way in result.behind(whole=w)) for w in (True, False))
    return "\n".join(
        [
            head,
            "|" + " --- |" * 5,
            *(row for result in results for row in result.rows()),
            "",
            f"Ours is slower, by more than a twentieth, than: {whole or 'none'}. "
            f"Than one that does less: {part or 'none'}. "
            f"Disturbed by other processes: {disturbed} of {measured} measurements.",
            "",
        ]
    )


def shown(seconds: float) -> str:
    """Seconds in the unit that reads best."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"
