"""Checks that an experiment is well posed, made of the data and the bar before a model or a GPU is used.

    evidence.health(
        health.no_duplicates(asked.prompts),
        health.enough("AUROC", n=len(asked), bar=0.55, expected=0.65, base_rate=0.25),
    )

Each check returns what it found: nothing, a warning that is noted beside the verdict, or a fault that makes
the cell INVALID on the spot.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

Measure = Literal["share", "mean", "correlation", "AUROC"]
_RANGE: dict[str, tuple[float, float]] = {"share": (0, 1), "correlation": (-1, 1), "AUROC": (0, 1)}
_FATAL, _WANTED = 0.2, 0.8
"""Power below which an experiment is not worth running, and below which that is said."""


@dataclass(frozen=True)
class Finding:
    """What is wrong, in one line with what to do. A fatal one makes the cell INVALID, another is noted."""

    text: str
    fatal: bool


def no_duplicates(items: Iterable[Any], what: str = "items") -> Finding | None:
    """Whether all items differ. The same one twice is one unit of data that is counted as two.

    >>> no_duplicates(["a", "b", "a"], "prompts").text
    "1 of 3 prompts is a repetition ('a'); drop it, or pass groups so that it counts once"
    """
    counts = Counter(map(_key, items))
    total = sum(counts.values())
    again = total - len(counts)
    if not again:
        return None
    first = next(key for key, n in counts.items() if n > 1)
    is_are, it = ("is a repetition", "it") if again == 1 else ("are repetitions", "them")
    counts_once = "it counts" if again == 1 else "they count"
    return Finding(
        f"{again} of {total} {what} {is_are} ({_short(first)}); drop {it}, or pass groups so that {counts_once} once",
        fatal=False,
    )


def enough(
    measure: Measure,
    *,
    n: int,
    bar: float | tuple[float, float],
    expected: float,
    **settings: Any,
) -> Finding | None:
    """Whether n units can decide at the bar, were the truth as `expected`; the power is shown.

    Noted below a power of 80 %; fatal below 20 %, and for a bar outside of the measure's range. Parameters
    and further `settings` as of `power`.

    >>> enough("share", n=60, bar=0.5, expected=0.6).text
    'n = 60 decides a share of 0.6 against the bar 0.5 with power 35 %; n of about 194 would have 80 %'
    """
    if measure not in get_args(Measure):
        raise ValueError(f"power is known of {', '.join(get_args(Measure))}, not of {measure!r}")
    low, high = _RANGE.get(measure, (-np.inf, np.inf))
    for what, value in [("a bar", edge) for edge in np.atleast_1d(bar)] + [("an expected value", expected)]:
        if not low < value < high:
            text = f"{what} of {value:g} cannot be met or missed: {measure} lies between {low} and {high}"
            return Finding(text, fatal=True)
    found = power(measure, n=n, bar=bar, expected=expected, **settings)
    if found >= _WANTED:
        return None
    many = needed(measure, bar=bar, expected=expected, **settings)
    hint = f"n of about {many} would have 80 %" if many else "no n would do: the expected value is on the bar"
    article = "an" if measure[0] in "AEIOU" else "a"
    shown = f"{bar:g}" if isinstance(bar, int | float) else f"within ({bar[0]:g}, {bar[1]:g})"
    said = f"n = {n} decides {article} {measure} of {expected:g} against the bar {shown}"
    return Finding(f"{said} with power {100 * found:.0f} %; {hint}", fatal=found < _FATAL)


def power(
    measure: Measure,
    *,
    n: int,
    bar: float | tuple[float, float],
    expected: float,
    base_rate: float = 0.5,
    out_of_fold: bool = False,
    sd: float = 1.0,
    level: float = 0.95,
) -> float:
    """Probability that the interval of n units is wholly on the truth's side of the bar, and decides.

    Parameters
    ----------
    measure
        "share": exact, with Wilson's interval. "mean": Student's, by the noncentral t. "correlation":
        Fisher's z. "AUROC": normal, with the variance of Hanley and McNeil (1982), doubled for scores that
        are out of fold.
    n
        Independent units: groups, where rows are clustered.
    bar
        A number, or the two bounds of `within`.
    expected
        The truth for which power is asked.
    base_rate
        Share of positives, for AUROC.
    sd
        Of single values, for a mean.

    Raises ValueError for n below 4.

        >>> round(power("mean", n=34, bar=0.0, expected=0.5), 2)
        0.81
    """
    if n < 4:
        raise ValueError(f"power is asked of at least four units, not {n}")
    if measure == "share":
        return _power_of_share(n, bar, expected, level)
    from scipy import stats

    if measure == "mean":
        error, freedom = sd / np.sqrt(n), n - 1
        reach = float(stats.t.ppf((1 + level) / 2, freedom))
        if isinstance(bar, tuple):  # both one-sided tests; by the normal, as the bivariate t differs little
            inside = stats.norm.cdf((bar[1] - expected) / error - reach) - stats.norm.cdf(
                (bar[0] - expected) / error + reach
            )
            return float(max(inside, 0.0))
        return float(stats.nct.sf(reach, freedom, abs(expected - bar) / error))
    if measure == "correlation":
        error, turn = 1 / np.sqrt(max(n - 3, 1)), _Z
    else:
        m = max(n * base_rate, 1.0)
        others = max(n - m, 1.0)
        q1, q2 = expected / (2 - expected), 2 * expected**2 / (1 + expected)
        spread = expected * (1 - expected) + (m - 1) * (q1 - expected**2) + (others - 1) * (q2 - expected**2)
        error, turn = np.sqrt(spread / (m * others) * (2 if out_of_fold else 1)), _SAME
    reach, at = float(stats.norm.ppf((1 + level) / 2)), turn(expected)
    if isinstance(bar, tuple):
        low, high = (turn(edge) for edge in bar)
        inside = stats.norm.cdf((high - at) / error - reach) - stats.norm.cdf((low - at) / error + reach)
        return float(max(inside, 0.0))
    return float(stats.norm.cdf(abs(at - turn(bar)) / error - reach))


def needed(measure: Measure, *, wanted: float = _WANTED, **settings: Any) -> int | None:
    """The smallest n with the wanted power, to about 1 %; None where a million would not do.

    `settings` as in `power`.

        >>> needed("share", bar=0.5, expected=0.8)
        19
    """
    high = 8
    while power(measure, n=high, **settings) < wanted:
        high *= 2
        if high > 1_000_000:
            return None
    low = high // 2
    while high - low > max(1, high // 200):
        middle = (low + high) // 2
        low, high = (low, middle) if power(measure, n=middle, **settings) >= wanted else (middle, high)
    return high


_Z: Callable[[float], float] = math.atanh
_SAME: Callable[[float], float] = float


def _power_of_share(n: int, bar: float | tuple[float, float], expected: float, level: float) -> float:
    """Exact: all counts whose Wilson interval decides, weighted by their probability."""
    from scipy import stats

    k = np.arange(n + 1)
    z2 = float(stats.norm.ppf((1 + level) / 2)) ** 2
    centre, half = (k + z2 / 2) / (n + z2), np.sqrt(z2 * (k * (n - k) / n + z2 / 4)) / (n + z2)
    low, high = centre - half, centre + half
    if isinstance(bar, tuple):
        decides = (bar[0] < low) & (high < bar[1])
    else:
        decides = low > bar if expected > bar else high < bar
    return float(stats.binom.pmf(k, n, expected)[decides].sum())


def _key(item: Any) -> Any:
    """What makes an item the same as another."""
    if isinstance(item, np.ndarray):
        return item.tobytes()
    return item if isinstance(item, str | int | float) else repr(item)


def _short(key: Any) -> str:
    text = repr(key) if not isinstance(key, bytes) else "a row of numbers"
    return text if len(text) <= 60 else f"{text[:57]}..."
