"""Corrections for judging many claims together.

holm, benjamini_hochberg   p-values in, adjusted p-values out
max_t                      a sweep over layers: adjusted p-values and a band for all of them at once
verdicts                   a family of estimates held against one bar
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Bar, Estimate, Outcome, Verdict
from lab.stats.checks import finite
from lab.stats.threads import one_thread


def holm(p: ArrayLike) -> np.ndarray:
    """[m] p-values adjusted step-down, so that the chance of any false rejection is at most alpha (Holm 1979).

    A NaN or None, which is a member that could not be tested, stays NaN and counts in m like a p of 1, so
    that it never makes the others' case better. Raises ValueError for values outside 0 to 1.

        >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
        [0.03, 0.06, 0.06]
        >>> holm([0.01, None]).tolist()
        [0.02, nan]
    """
    values, known = _p_values(p)
    m = values.size
    order = np.argsort(values)
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(np.maximum.accumulate(np.arange(m, 0, -1) * values[order]), 1)
    return np.where(known, adjusted, np.nan)


def benjamini_hochberg(p: ArrayLike) -> np.ndarray:
    """[m] p-values adjusted so that the expected share of false rejections is at most alpha (Benjamini, Hochberg 1995).

    For independent or positively dependent tests. NaN and None as in `holm`.

        >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(3).tolist()
        [0.03, 0.04, 0.04]
    """
    values, known = _p_values(p)
    m = values.size
    order = np.argsort(values)[::-1]
    adjusted = np.empty(m)
    adjusted[order] = np.minimum.accumulate(values[order] * m / np.arange(m, 0, -1)) if m else []
    return np.where(known, np.minimum(adjusted, 1), np.nan)


def _p_values(p: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """[m] with 1 where there is none, and [m] whether there is one."""
    values = np.asarray(p, dtype=float)
    known = ~np.isnan(values)
    if values.ndim != 1 or (values < 0).any() or (values > 1).any():
        raise ValueError(f"p-values are one row of numbers between 0 and 1, not {values.tolist()}")
    return np.where(known, values, 1.0), known


@dataclass(frozen=True)
class MaxT:
    """What a sweep shows once it is corrected for having looked everywhere.

    Attributes
    ----------
    t
        [layers] one-sample t of each; NaN for a constant layer.
    p
        [layers] two-sided, adjusted step-down; NaN for a constant layer. The smallest possible is
        1 / (permutations + 1), and with few units 2 / 2^n.
    critical
        The |t| that the largest of all layers exceeds with probability 1 - level where none has an effect.
    band
        An estimate of each layer's mean. All of them hold their truths at once with probability `level`,
        so that the best layer may be picked afterwards. A constant layer is in doubt.
    """

    t: np.ndarray
    p: np.ndarray
    critical: float
    band: tuple[Estimate, ...]


@one_thread
def max_t(values: ArrayLike, *, permutations: int = 9999, seed: int = 0, level: float = 0.95, unit: str = "") -> MaxT:
    """At which layers do the means differ from 0, corrected for the number of layers by the largest |t|?

    Westfall and Young's (1993) step-down over sign flips, which keeps what the layers have in common: with
    36 layers correlated 0.8 Holm rejects 1.8 % of null sweeps, max-T 6.0 %, uncorrected tests 28 %. The
    p-values are exact where the differences are symmetric about 0. The band is the single-step quantile of
    the largest |t| over flips of the residuals, so a layer at the edge may differ between band and p.

    Parameters
    ----------
    values
        [n, layers], such as paired differences; rows are n independent units (average rows of one
        prompt or seed first).
    permutations
        How many random flips of the units' signs.

    Raises ValueError for another shape, fewer than two units, or NaN.

        >>> found = max_t(np.random.default_rng(0).normal([0, 0, 1], 1, size=(40, 3)))
        >>> found.p.round(3).tolist()
        [0.587, 0.792, 0.0]
    """
    x = np.asarray(values, dtype=float)
    if x.ndim != 2 or len(x) < 2 or x.shape[1] < 1:
        raise ValueError(f"a sweep needs [units, layers] with at least two units, not shape {x.shape}")
    if permutations < 19:
        raise ValueError(f"a sweep needs at least 19 flips to reach 5 %, not {permutations}")
    n = len(finite(x))
    means, squares = x.mean(0), (x * x).sum(0)
    deviation = x.std(axis=0, ddof=1)
    live = deviation > 1e-13 * np.sqrt(squares / n)
    x, centre, square = x[:, live], means[live], squares[live]

    def t_of(sums: np.ndarray, squares: np.ndarray) -> np.ndarray:
        # A flip can leave no spread at all, where the values are constant but for their signs.
        rest = np.maximum(squares - sums * sums / n, 1e-26 * squares)
        return np.asarray(np.abs(sums) / np.sqrt(rest * n / (n - 1)))

    t = t_of(centre * n, square)
    order = np.argsort(t)
    x, centre, square, t = x[:, order], centre[order], square[order], t[order]
    exceeding, largest = np.ones(t.size), np.empty(permutations)
    rng = np.random.default_rng(seed)
    rows = max(1, (1 << 21) // n)  # 16 MB of signs at a time
    for start in range(0, permutations if t.size else 0, rows):
        count = min(rows, permutations - start)
        bits = np.unpackbits(np.frombuffer(rng.bytes((count * n + 7) // 8), dtype=np.uint8), count=count * n)
        signs = bits.reshape(count, n) * 2.0 - 1
        sums = signs @ x
        # The largest of a layer and all those less extreme, as the step-down asks.
        reached = np.maximum.accumulate(t_of(sums, square), axis=1)
        exceeding += (reached >= t * (1 - 1e-9)).sum(0)
        residual = t_of(sums - signs.sum(1, keepdims=True) * centre, square - n * centre**2)
        largest[start : start + count] = residual.max(1)
    p, all_t = np.full(live.size, np.nan), np.full(live.size, np.nan)
    at = np.flatnonzero(live)[order]
    p[at] = np.maximum.accumulate(exceeding[::-1])[::-1] / (permutations + 1)
    all_t[at] = np.sign(centre) * t
    critical = float(np.quantile(largest, level)) if t.size else np.nan
    band = []
    for mean, spread, alive, adjusted in zip(
        means.tolist(), deviation.tolist(), live.tolist(), p.tolist(), strict=True
    ):
        if not alive:
            doubt = "every unit has the same value here"
            band.append(Estimate(mean, mean, mean, n, "max-T band", level, unit=unit, doubt=doubt))
            continue
        half = critical * spread / n**0.5
        band.append(Estimate(mean, mean - half, mean + half, n, "max-T band", level, p=adjusted, unit=unit))
    return MaxT(all_t, p, critical, tuple(band))


@dataclass(frozen=True)
class Member:
    """One claim of a family.

    Attributes
    ----------
    verdict
        At the corrected level; its reason names the correction. Truthy on PASS, as any verdict.
    p_pass
        Corrected p of "the claim does not hold"; NaN where the member can decide nothing.
    p_fail
        Corrected p of "the claim does hold"; NaN as above.
    """

    verdict: Verdict
    p_pass: float
    p_fail: float

    @property
    def outcome(self) -> Outcome:
        """PASS, FAIL or INCONCLUSIVE."""
        return self.verdict.outcome


def p_against(estimate: Estimate, bar: float, sign: Literal[">", "<"] = ">") -> float:
    """One-sided p of "the truth does not lie on this side of the bar", by the estimate's interval.

    The half-width towards the bar, over Student's quantile for n - 1 degrees of freedom, stands for the
    standard error, and t for the tail: Altman and Bland's way from an interval to a p (2011, BMJ 343: d2090)
    with t for their normal. (The normal tail would let a sweep of 36 layers over 5 units pass falsely in one
    of five.) It is exact for `student`. Far from the value an asymmetric interval must not be extended as it
    stands, so of a measure with bounds half-width and gap are taken on the logit scale of its range, on which
    Fisher's z (artanh) and the logit interval of an AUROC are symmetric. (Of one that is symmetric as it
    stands the half-width there is at least its own times the scale's slope at the value.) There n is at most
    (value - least)(most - value) / error^2, which is what the same spread of single values would need: an
    AUROC counts rows, but its smaller class decides. A share by `wilson` or `clopper_pearson` has the
    binomial tail. A bootstrap's p is 0.001 at least: its tails further out are those of its few extreme
    resamples. At a bound of the measure only the interval's own end is known, and no smaller p.

    p is at most (1 - level)/2 where the interval clears the bar, and at least that where it does not, so that a
    family of one has its ordinary verdict.

    NaN where nothing can be decided: an estimate in doubt, or without width, or without width towards the bar.

        >>> round(p_against(Estimate(0.61, 0.57, 0.65, n=600, method="DeLong"), 0.57), 3)
        0.025
    """
    bar = float(bar)
    above = estimate.value > bar
    end = estimate.low if above else estimate.high
    if estimate.doubt or estimate.without_width or (estimate.value != bar and end == estimate.value):
        return float("nan")
    if estimate.bounds is not None and not estimate.bounds[0] <= bar <= estimate.bounds[1]:
        return 0.0 if (bar < estimate.bounds[0]) == (sign == ">") else 1.0  # as an edge of a band may be
    if estimate.method in ("Wilson", "Clopper-Pearson"):
        p = _binomial(estimate, bar, sign)
    else:
        p = _by_t(estimate, bar, end)
        p = p if above == (sign == ">") else 1 - p
    if "bootstrap" in estimate.method:
        p = max(p, 1e-3)
    alpha = (1 - estimate.level) / 2
    clears = estimate.low > bar if sign == ">" else estimate.high < bar
    return min(p, alpha) if clears else max(p, alpha)


def _binomial(estimate: Estimate, bar: float, sign: Literal[">", "<"]) -> float:
    """One-sided exact p of a share."""
    from scipy.special import bdtr, bdtrc

    k = round(estimate.value * estimate.n)
    if sign == "<":
        return float(bdtr(k, estimate.n, bar))
    return float(bdtrc(k - 1, estimate.n, bar)) if k else 1.0


def _by_t(estimate: Estimate, bar: float, end: float) -> float:
    """The tail beyond the bar, seen from the value over the end of its interval; at most one half."""
    from scipy.special import logit, stdtr, stdtrit

    if estimate.value == bar:
        return 0.5
    tail, freedom = (1 + estimate.level) / 2, max(estimate.n - 1.0, 1.0)
    gap, half = abs(estimate.value - bar), abs(estimate.value - end)
    if estimate.bounds is not None:
        least, most = estimate.bounds
        value, bar, end = ((x - least) / (most - least) for x in (estimate.value, bar, end))
        if not 0 < value < 1:
            return 1 - tail
        slope, steps = 1 / (value * (1 - value)), half / (most - least)
        gap, half = abs(float(logit(value) - logit(bar))), abs(float(logit(value) - logit(end)))
        if math.isinf(half):
            return 0.5
        if _symmetric(estimate):
            half = max(half, steps * slope)
        freedom = max(min(freedom, slope * (float(stdtrit(freedom, tail)) / half) ** 2 - 1), 1.0)
    return float(stdtr(freedom, -gap / half * float(stdtrit(freedom, tail))))


def _symmetric(estimate: Estimate) -> bool:
    """Whether the interval was made as value -+ half-width, be it cut at a bound."""
    down, up = estimate.value - estimate.low, estimate.high - estimate.value
    cut = estimate.bounds is not None and (estimate.low <= estimate.bounds[0] or estimate.high >= estimate.bounds[1])
    return cut or abs(up - down) <= 1e-9 * (up + down)


def verdicts(
    estimates: Sequence[Estimate],
    bar: float | Bar | tuple[float, float],
    sign: Literal[">", "<"] = ">",
    *,
    method: Literal["holm", "benjamini-hochberg"] = "holm",
) -> list[Member]:
    """Each member of a family of claims (layers, models, templates) at the level that the family leaves it.

    A p of each claim's failure and of its truth is taken from the interval (`p_against`), and each of the
    two rows is corrected. PASS where the first is below (1 - level)/2 and FAIL where the second is, so a
    family of one has its ordinary verdict. With Holm, the chance of any false PASS in the family is at most
    2.5 % for 95 % intervals, and so is that of any false FAIL, as far as the intervals keep their own level.
    Measured with 12 and 36 members whose truth is on the bar (shares, correlations, AUROCs up to 0.90): any
    false PASS in 0 to 2.7 % of families, and any false FAIL. A member in doubt is INCONCLUSIVE and still counts.

    Parameters
    ----------
    estimates
        The whole family, all of one level; every member that was looked at.
    bar
        A number, a `Bar` of two, or (low, high) for the claim that each lies between them.
    sign
        The claim's side of a bar; of no use with (low, high).

    Raises ValueError for no members, intervals of different levels, or another method.

        >>> family = [Estimate(0.60, 0.56, 0.64, 600, "DeLong"), Estimate(0.60, 0.51, 0.69, 90, "DeLong")]
        >>> [member.outcome for member in verdicts(family, 0.5)]
        ['PASS', 'PASS']
        >>> [member.outcome for member in verdicts([*family, Estimate(0.5, 0.4, 0.6, 90, "DeLong")], 0.5)]
        ['PASS', 'INCONCLUSIVE', 'INCONCLUSIVE']
    """
    if not estimates or len({estimate.level for estimate in estimates}) > 1:
        raise ValueError("a family of claims needs members, with intervals of one level")
    corrections = {"holm": holm, "benjamini-hochberg": benjamini_hochberg}
    if method not in corrections:
        raise ValueError(f"method {method!r} corrects no family: 'holm' or 'benjamini-hochberg'")
    correct = corrections[method]
    alone = [_alone(estimate, bar, sign) for estimate in estimates]
    raw = np.array([_raw(estimate, bar, sign) for estimate in estimates])
    p_pass, p_fail = correct(raw[:, 0]), correct(raw[:, 1])
    alpha = (1 - estimates[0].level) / 2
    name = {"holm": "Holm", "benjamini-hochberg": "Benjamini-Hochberg"}[method]
    members = []
    for single, yes, no in zip(alone, p_pass.tolist(), p_fail.tolist(), strict=True):
        near = alpha * (1 + 1e-9)  # rounding; the verdict alone has seen whether the interval touches the bar
        outcome: Outcome = "PASS" if yes < near else "FAIL" if no < near else "INCONCLUSIVE"
        if single.outcome == "INCONCLUSIVE":
            outcome, reason = "INCONCLUSIVE", single.reason
        elif outcome == "INCONCLUSIVE":
            p = yes if single.outcome == "PASS" else no
            reason = f"{single.reason} by itself, but not among {len(alone)} claims ({name}: p {p:.2g})"
        else:
            reason = f"{single.reason} ({name} over {len(alone)}: p {yes if outcome == 'PASS' else no:.2g})"
        members.append(Member(dataclasses.replace(single, outcome=outcome, reason=reason), yes, no))
    return members


def _alone(estimate: Estimate, bar: float | Bar | tuple[float, float], sign: str) -> Verdict:
    """The verdict without a family. Of a plain copy: an estimate of a notebook would record it as a claim."""
    plain = Estimate(**{key.name: getattr(estimate, key.name) for key in dataclasses.fields(Estimate)})
    if isinstance(bar, tuple):
        return plain.within(*bar)
    return plain > bar if sign == ">" else plain < bar


def _raw(estimate: Estimate, bar: float | Bar | tuple[float, float], sign: Literal[">", "<"]) -> tuple[float, float]:
    """One-sided p of the claim's failure and of its truth."""
    if isinstance(bar, tuple):
        low, high = bar
        inside = p_against(estimate, low, ">"), p_against(estimate, high, "<")
        outside = p_against(estimate, low, "<"), p_against(estimate, high, ">")
        return float(np.maximum(*inside)), float(np.minimum(*outside))
    passes, fails = (bar if isinstance(bar, Bar) else Bar(bar)).edges
    return p_against(estimate, passes, sign), p_against(estimate, fails, "<" if sign == ">" else ">")
