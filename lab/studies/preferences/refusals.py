"""Refusals of tasks against a score of each: its rating, or its utility."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.judging.judges import Judge
from lab.stats.correlations import correlation
from lab.stats.means import welch
from lab.stats.resampling import reweighted
from lab.stats.shares import wilson
from lab.studies.preferences import position_bias, wordings
from lab.studies.preferences.utilities import Utilities, foretold, utilities

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST = 5
"""Tasks on either side below which ranks are not tested."""
LEAST_OF_ORIGIN = 10
"""Tasks below which an origin is not looked at by itself."""
FEW = 10
"""Tasks on the smaller side below which an absent link has not been shown to be absent."""


@dataclass(frozen=True)
class Link:
    """A score of n tasks by whether each was refused.

    Attributes
    ----------
    n, refused
        How many tasks have a score and were done or refused, and how many were refused.
    rate
        Share refused; Wilson's interval.
    r
        Point-biserial correlation of refusal and score, positive if refused tasks score higher; Fisher's interval,
        p of Student's test. None where one of the two is constant.
    difference
        Mean score of refused tasks less that of the others (Welch). None below two on a side.
    mean_refused, mean_other, sd_refused, sd_other
        None of an empty side, and a deviation of a single task.
    rank_p
        Of Mann and Whitney's test, two-sided; None below `LEAST` on either side.
    underpowered
        Why nothing found is no evidence of nothing, or "".
    """

    n: int
    refused: int
    rate: Estimate
    r: Estimate | None
    difference: Estimate | None
    mean_refused: float | None
    mean_other: float | None
    sd_refused: float | None
    sd_other: float | None
    rank_p: float | None
    underpowered: str

    def row(self) -> dict[str, Any]:
        """As plain data."""
        told: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("n", "refused", "mean_refused", "mean_other", "sd_refused", "sd_other", "rank_p")
        }
        told |= {"underpowered": self.underpowered, "rate": self.rate.value}
        told |= {"rate low": self.rate.low, "rate high": self.rate.high}
        for key, of in (("r", "value"), ("r low", "low"), ("r high", "high"), ("p", "p")):
            told[key] = None if self.r is None else getattr(self.r, of)
        return {name.replace("_", " "): value for name, value in told.items()}


def link(scores: ArrayLike, refused: ArrayLike) -> Link:
    """Scores [n] against whether each task was refused [n]; NaN in either (not scored, not done) is left out.

    Raises ValueError for rows of unequal length, or where no task has both.
    """
    x, y = _known(scores, refused)
    said, other = x[y], x[~y]
    few = min(said.size, other.size)
    constant = not few or x.size < 4 or bool((x == x[0]).all())
    return Link(
        n=x.size,
        refused=said.size,
        rate=wilson(y),
        r=None if constant else correlation(x, y.astype(float)),
        difference=welch(said, other) if few >= 2 else None,
        mean_refused=_mean(said),
        mean_other=_mean(other),
        sd_refused=_deviation(said),
        sd_other=_deviation(other),
        rank_p=_rank_test(said, other) if few >= LEAST else None,
        underpowered=_underpowered(said.size, other.size),
    )


def by_origin(
    scores: ArrayLike, refused: ArrayLike, origins: Sequence[str], *, least: int = LEAST_OF_ORIGIN
) -> dict[str, Link]:
    """`link` within each origin of `least` tasks or more, in the order in which origins come."""
    x, y, where = np.asarray(scores, dtype=float), np.asarray(refused, dtype=float), np.array(origins)
    known = ~np.isnan(x + y)
    return {
        origin: link(x[mine], y[mine])
        for origin in dict.fromkeys(origins)
        if (mine := known & (where == origin)).sum() >= least
    }


def within(
    scores: ArrayLike, refused: ArrayLike, origins: Sequence[str], *, seed: int = 0, level: float = 0.95
) -> Estimate:
    """Correlation of refusal and score among tasks of the same origin, over all origins of which some are refused.

    Origins differ in both, whatever the link within them: harmful tasks are refused, and may be liked or not. So both
    are centred by origin, and their products summed over origins; a bootstrap draws tasks. `refused` [n] may also be
    the share of several completions that refused.

    Raises ValueError where no origin has refused and other tasks, or all scores of each are the same.

        >>> print(within([1, 2, 3, 4] * 5, [0, 0, 1, 1] * 5, ["a"] * 10 + ["b"] * 10).value > 0.8)
        True
    """
    x, y, where = np.asarray(scores, dtype=float), np.asarray(refused, dtype=float), np.array(origins)
    if not x.shape == y.shape == where.shape or x.ndim != 1:
        raise ValueError(f"scores {x.shape}, refused {y.shape} and origins {where.shape} must be rows of one length")
    known = ~np.isnan(x + y)
    each = [known & (where == origin) for origin in dict.fromkeys(origins)]
    parts = [mine for mine in each if mine.any() and np.ptp(y[mine]) > 0]
    if not parts or all(np.ptp(x[mine]) == 0 for mine in parts):
        raise ValueError(
            "no origin has refused tasks beside others with different scores; there is no link to look for"
        )
    used = np.logical_or.reduce(parts)
    n = int(used.sum())
    members = np.stack([mine[used] for mine in parts]).astype(float)
    a, b = x[used] - x[used].mean(), y[used] - y[used].mean()
    moments = np.stack([np.ones(n), a, b, a * a, b * b, a * b])
    table = (members[:, None, :] * moments[None]).reshape(-1, n).T

    def of(w: np.ndarray) -> np.ndarray:
        k, sa, sb, saa, sbb, sab = np.moveaxis((w @ table).reshape(len(w), len(parts), 6), -1, 0)
        there = np.maximum(k, 1)
        aa, bb, ab = saa - sa * sa / there, sbb - sb * sb / there, sab - sa * sb / there
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(ab.sum(1) / np.sqrt(aa.sum(1) * bb.sum(1)))

    found = reweighted(of, n, seed=seed, level=level, bounds=(-1, 1))
    return replace(found, method=f"{found.method}, within {len(parts)} origin{'s' * (len(parts) > 1)}")


@dataclass(frozen=True)
class Quartiles:
    """How often tasks are refused by how much they are liked.

    Attributes
    ----------
    edges
        [3] the scores at 25, 50 and 75 %; a task on an edge belongs below it.
    rates
        [4] share refused, from the least liked up; Wilson's intervals.
    """

    edges: tuple[float, float, float]
    rates: tuple[Estimate, ...]

    def rows(self) -> list[dict[str, Any]]:
        """One mapping a quartile."""
        return [
            {"quartile": i + 1, "n": e.n, "rate": e.value, "low": e.low, "high": e.high}
            for i, e in enumerate(self.rates)
        ]


def quartiles(scores: ArrayLike, refused: ArrayLike) -> Quartiles:
    """Refusal rate by quartile of the score, edges by `numpy.percentile`.

    Raises ValueError for fewer than four tasks, or where ties leave a quartile empty.
    """
    x, y = _known(scores, refused)
    if x.size < 4:
        raise ValueError(f"quartiles of {x.size} tasks are none; score more tasks")
    edges = np.percentile(x, [25, 50, 75])
    place = np.searchsorted(edges, x, side="left")
    sizes = np.bincount(place, minlength=4)
    if not sizes.all():
        raise ValueError("so many scores are equal that a quartile is empty; use a score with more values")
    return Quartiles(tuple(edges.tolist()), tuple(wilson(y[place == q]) for q in range(4)))


def _known(scores: ArrayLike, refused: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(scores, dtype=float), np.asarray(refused, dtype=float)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"scores {x.shape} and refused {y.shape} must be rows of one length")
    known = ~np.isnan(x + y)
    if not known.any():
        raise ValueError("no task has both a score and a completion that was done or refused")
    if not np.isin(y[known], (0, 1)).all():
        raise ValueError("refused must tell of each task whether it was: 0, 1, or NaN where it was not tried")
    return x[known], y[known].astype(bool)


def _mean(x: np.ndarray) -> float | None:
    return float(x.mean()) if x.size else None


def _deviation(x: np.ndarray) -> float | None:
    return float(x.std(ddof=1)) if x.size > 1 else None


def _rank_test(one: np.ndarray, other: np.ndarray) -> float:
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(one, other, alternative="two-sided").pvalue)


def _underpowered(refused: int, other: int) -> str:
    """Where a side is small: the least correlation that would be seen four times of five, at p < 0.05."""
    few, n = min(refused, other), refused + other
    if few >= FEW:
        return ""
    if not few:
        return f"none of {n} tasks was {'refused' if not refused else 'done'}, so that nothing can go with refusals"
    # d = (1.96 + 0.84) sqrt(1/n1 + 1/n2), and r = d / sqrt(d^2 + n^2 / (n1 n2)).
    d = 2.8 * math.sqrt(1 / refused + 1 / other)
    r = d / math.sqrt(d * d + n * n / (refused * other))
    side = "refused" if refused <= other else "not refused"
    return f"only {few} of {n} tasks were {side}: a link below |r| = {r:.2f} would mostly be missed"


# Completions and utilities ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Refused:
    """Which of n tasks were refused, over several completions of each.

    Attributes
    ----------
    share
        [n] share of a task's completions that refused; NaN where none could be judged.
    types
        How many completions refused in which way.
    failed
        How many completions the judge said nothing of.
    """

    share: np.ndarray
    types: dict[str, int]
    failed: int

    @property
    def is_refusal(self) -> np.ndarray:
        """[n] 1 where more than half of the completions refused, else 0; NaN where none could be judged."""
        return np.where(np.isnan(self.share), np.nan, self.share > 0.5)

    @property
    def known(self) -> int:
        """How many tasks have a completion that was judged."""
        return int((~np.isnan(self.share)).sum())


def judged(judge: Judge, tasks: Sequence[str], works: Sequence[Sequence[str]]) -> Refused:
    """Lets a judge say of every completion whether it refuses its task. `works` [completions][n] are texts.

    One without a text is not judged. Raises ValueError for works of another number of tasks.
    """
    if not works or any(len(each) != len(tasks) for each in works):
        raise ValueError(f"{len(tasks)} tasks need completions of each of them, not {[len(each) for each in works]}")
    places = [(i, text) for each in works for i, text in enumerate(each) if text.strip()]
    said = judge("refusal", [{"task": tasks[i], "completion": text} for i, text in places])
    known, refused = np.zeros(len(tasks)), np.zeros(len(tasks))
    types: Counter[str] = Counter()
    for (i, _), one in zip(places, said, strict=True):
        if one.values is not None:
            known[i] += 1
            refused[i] += one.values["is_refusal"]
            types[one.values["type"]] += bool(one.values["is_refusal"])
    share = np.where(known > 0, refused / np.maximum(known, 1), np.nan)
    return Refused(share, dict(sorted((+types).items())), sum(one.values is None for one in said))


def excluded(found: Utilities, is_refusal: ArrayLike) -> Utilities:
    """The utilities of the other tasks, fitted anew to the pairs of which neither was refused."""
    return utilities(found.choices.without(np.nan_to_num(np.asarray(is_refusal, dtype=float)) > 0.5), l2=found.l2)


def analysed(
    found: Mapping[str, Utilities], rated: ArrayLike, *, seed: int = 0
) -> dict[tuple[str, str, str], Estimate]:
    """Every analysis of preferences by (wording, analysis, of what): of utilities by wording, and ratings [n] beside.

    Utility by origin, position and content, pairs by what swapping does, win rates of origins with places balanced, how
    well new pairs are foretold, stated against revealed, and correlations of wordings. What too few tasks are left for
    is left out.
    """
    told: dict[tuple[str, str, str], Estimate] = {}
    for wording, one in found.items():
        run = one.choices
        for row in wordings.origin_means(one.fit.mu, run.origins):
            if row["low"] is not None:
                mean = Estimate(row["mean"], row["low"], row["high"], row["n"], "Student")
                told[wording, "mean utility", row["origin"]] = mean
        with suppress(ValueError):
            bias = position_bias.bias(run.p_first, answers=run.answers, seed=seed)
            told[wording, "position", "b"] = bias.bias
            told[wording, "position", "P(B)"] = bias.share_second
            told[wording, "content", "root mean square"] = bias.content_effect
            classes = position_bias.classes(run.p_first, answers=run.answers)
            told |= {(wording, "pairs", name): share for name, share in classes.shares.items()}
        for row in position_bias.by_origin(run.p_first, run.of_origins):
            e = row["balanced"]
            share = Estimate(e["value"], e["low"], e["high"], e["n"], "balanced", unit="%")
            told[wording, "win rate", f"{row['origin']} against {row['against']}"] = share
        with suppress(ValueError):
            new = foretold(run.counted, l2=one.l2, seed=seed)
            told[wording, "new pairs", "gain over places"] = new.gain
            told[wording, "new pairs", "share foretold"] = new.held_out.accuracy
        if (r := agreement(rated, one.fit.mu)) is not None:
            told[wording, "stated and revealed", "r"] = r
    with suppress(ValueError):
        for pair in wordings.correlations([one.scored for one in found.values()], seed=seed):
            names = f"{pair.first} and {pair.second}"
            told |= {("", "r of wordings", names): pair.pearson, ("", "weighted r of wordings", names): pair.weighted}
    return told


def with_and_without(
    found: Mapping[str, Utilities], rated: ArrayLike, is_refusal: ArrayLike, *, seed: int = 0
) -> list[dict[str, Any]]:
    """Each of `analysed` with all tasks, and with the refused ones ([n]; NaN is none) excluded and all fitted anew.

    One mapping an analysis, with value, low, high and n of either; None where too few tasks are left.
    """
    kept = np.nan_to_num(np.asarray(is_refusal, dtype=float)) <= 0.5
    left = {}
    for wording, one in found.items():
        with suppress(ValueError):  # no pair may be left
            left[wording] = excluded(one, is_refusal)
    every = analysed(found, rated, seed=seed)
    rest = analysed(left, np.asarray(rated, dtype=float)[kept], seed=seed)
    return [
        {
            "wording": wording,
            "analysis": analysis,
            "of": of,
            "all": _ends(e),
            "without": _ends(rest.get((wording, analysis, of))),
        }
        for (wording, analysis, of), e in every.items()
    ]


def _ends(e: Estimate | None) -> dict[str, Any] | None:
    return None if e is None else {"value": e.value, "low": e.low, "high": e.high, "n": e.n}


def agreement(first: ArrayLike, second: ArrayLike) -> Estimate | None:
    """Correlation of two scores of the same tasks, as stated and revealed; None where one is constant or too few."""
    x, y = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    known = ~np.isnan(x + y)
    x, y = x[known], y[known]
    if x.size < 4 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return correlation(x, y)


def table(scores: Mapping[str, np.ndarray], is_refusal: ArrayLike, origins: Sequence[str]) -> list[dict[str, Any]]:
    """One mapping for each score and origin, "all" first: `Link.row`."""
    found = []
    for name, values in scores.items():
        each = {"all": link(values, is_refusal)} | by_origin(values, is_refusal, origins)
        found += [{"score": name, "origin": origin, **one.row()} for origin, one in each.items()]
    return found


def rows(
    tasks: Sequence[str], origins: Sequence[str], refused: Refused, scores: Mapping[str, np.ndarray]
) -> list[dict[str, Any]]:
    """One mapping a task: its share of refusals, and its scores by name; None where it has none."""
    return [
        {
            "task": task,
            "origin": origins[i],
            "refusal rate": _number(refused.share[i]),
            "scores": {name: _number(values[i]) for name, values in scores.items()},
        }
        for i, task in enumerate(tasks)
    ]


def plot(scores: ArrayLike, is_refusal: ArrayLike, origins: Sequence[str], ax: Axes) -> None:
    """Each task by its origin and its score, refused ones beside the others, with both means."""
    x, y, where = np.asarray(scores, dtype=float), np.asarray(is_refusal, dtype=float), np.array(origins)
    names = list(dict.fromkeys(origins))
    for value, label, colour, marker, shift in (
        (0, "done", "#0072B2", "o", -0.17),
        (1, "refused", "#D55E00", "^", 0.17),
    ):
        for k, origin in enumerate(names):
            mine = x[(where == origin) & (y == value)]
            at = k + shift + np.linspace(-0.1, 0.1, mine.size) if mine.size > 1 else np.full(mine.size, k + shift)
            style: dict[str, Any] = {"linestyle": "", "marker": marker, "markersize": 3, "color": colour, "alpha": 0.6}
            ax.plot(at, mine, label=None if k else f"{label} ({int((y == value).sum())})", **style)
            if mine.size:
                ax.hlines(mine.mean(), k + shift - 0.14, k + shift + 0.14, color=colour, linewidth=1.5)
    ax.set_xticks(range(len(names)), [f"{name}\n({int((where == name).sum())})" for name in names])
    ax.set(ylabel="utility", title=f"{int((~np.isnan(x + y)).sum())} tasks; lines: means")
    ax.legend(fontsize=7)


def _number(x: float) -> float | None:
    return None if math.isnan(x) else float(x)
