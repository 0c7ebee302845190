"""The difference of two estimates from independent data, with an interval made from theirs alone."""

from __future__ import annotations

import math

from lab.estimate import Estimate


def difference(first: Estimate, second: Estimate) -> Estimate:
    """Second minus first, of two estimates of one quantity that were made from independent data.

    The interval is MOVER's: each end is as far from the difference as the root of the sum of squares of the two
    distances that pull that way (Zou and Donner 2008, Statistics in Medicine 27: 1693; of two Wilson intervals it is
    Newcombe's). So it is as skewed as they are. Where the data are shared, as where two runs read the same items, the
    estimates are correlated, mostly positively, and the interval is then wider than it need be. `n` counts both.

        >>> print(difference(Estimate(0.6, 0.5, 0.69, 100, "Wilson"), Estimate(0.8, 0.71, 0.87, 100, "Wilson")))
        0.2 [0.0727, 0.322] (n=200, MOVER of Wilson)

    Raises ValueError for estimates of different level or unit.
    """
    for what in ("level", "unit"):
        one, two = getattr(first, what), getattr(second, what)
        if one != two:
            raise ValueError(f"the estimates have different {what}s, {one!r} and {two!r}; make both the same way")
    value = second.value - first.value
    low = value - math.hypot(first.high - first.value, second.value - second.low)
    high = value + math.hypot(first.value - first.low, second.high - second.value)
    methods = " and ".join(dict.fromkeys((first.method, second.method)))
    return Estimate(
        value, low, high, first.n + second.n, f"MOVER of {methods}", first.level,
        unit=first.unit, name=second.name, doubt=first.doubt or second.doubt,
    )  # fmt: skip
