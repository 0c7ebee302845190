"""Runs one rule many times on data whose truth is known, and counts how often it was wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from lab.estimate import Estimate
from lab.stats.shares import clopper_pearson

CEILING = 0.065
"""A rule is sound when its rate of wrong verdicts is surely below this, at a nominal 5 %."""


@dataclass(frozen=True)
class Rule:
    """A way to come to a verdict, and data on which its claim is just not true.

    `draw` simulates one experiment. For an interval it returns an `Estimate`, and `truth` is what was
    estimated; a bar is then put exactly on the truth, where both PASS and FAIL are wrong. For a claim it
    returns whether it came to PASS although it was false (`truth` None).
    """

    name: str
    setting: str
    draw: Callable[[np.random.Generator], Estimate | bool]
    truth: float | None = None
    share: float = 1.0
    """Of the usual number of simulations in the fast part: less for what takes long."""
    more: int = 1
    """Times the usual number of simulations in the campaign, where the rate is near to what is tolerated."""
    admits: str = ""
    """Why it is off its nominal level, where it is: printed in the table."""


@dataclass(frozen=True)
class Count:
    """What came of a rule. `over` and `under` count intervals wholly above and wholly below the truth."""

    rule: str
    runs: int
    over: int
    under: int
    interval: bool

    @property
    def coverage(self) -> Estimate | None:
        """Share of intervals that hold the truth."""
        return clopper_pearson(self.runs - self.over - self.under, self.runs) if self.interval else None

    @property
    def false_pass(self) -> Estimate:
        """Share of experiments in which `> bar` came to PASS with the truth on the bar (`< bar`: false_fail)."""
        return clopper_pearson(self.over, self.runs)

    @property
    def false_fail(self) -> Estimate | None:
        """Share in which `> bar` came to FAIL with the truth on the bar."""
        return clopper_pearson(self.under, self.runs) if self.interval else None

    @property
    def sound(self) -> bool:
        """Whether each side is wrong less often than `CEILING`, with 95 % confidence (one-sided)."""
        rates = [self.over, self.under] if self.interval else [self.over]
        return all(clopper_pearson(k, self.runs, level=0.9).high < CEILING for k in rates)

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def seed_of(rng: np.random.Generator) -> int:
    """A seed for what draws numbers of its own inside an experiment."""
    return int(rng.integers(2**31))


def simulate(rule: Rule, runs: int, *, start: int = 0, seed: int = 0) -> Count:
    """`runs` experiments from number `start` on; number i draws from the generator of (seed, i), so that any one can be looked at alone."""
    over = under = 0
    for i in range(start, start + runs):
        found = rule.draw(np.random.default_rng([seed, i]))
        if rule.truth is None:
            over += bool(found)
        else:
            assert isinstance(found, Estimate)
            if found.doubt or found.without_width:  # INCONCLUSIVE whatever the bar
                continue
            over += found.low > rule.truth
            under += found.high < rule.truth
    return Count(rule.name, runs, over, under, rule.truth is not None)
