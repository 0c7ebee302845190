"""How well templates tell tasks apart and use their scale: divergence from uniform against reliability."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.record.kept import Kept
from lab.stats.bootstrap import bootstrap
from lab.stats.consistency import Pooled
from lab.stats.icc import Form, icc, icc_batch
from lab.stats.means import student
from lab.stats.scale_use import kl_observed_range
from lab.stats.seeds import cross_seed, variance_ratio
from lab.studies.shared.ratings import Ratings, row_means

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RULE = "goodness = ICC(2,1), no less than 0, times 1 - KL / ln K"
"""How templates are ranked: what of a rating is the task's, times what of the scale is used. Both are 0 to 1."""
RESAMPLES = 2000


# How much of the scale is used ---------------------------------------------------------------------------


def allowed_points(ratings: Ratings) -> np.ndarray:
    """[K] the points of the declared scale, without banned ones."""
    form = ratings.template
    return np.array([v for v, answer in zip(form.values, form.answers, strict=True) if answer not in form.banned])


def distributions(ratings: Ratings) -> np.ndarray:
    """[n, K] of each task's answers on the allowed points: exact, else how often the seeds gave each.

    NaN rows where nothing was rated.
    """
    form, points = ratings.template, allowed_points(ratings)
    if ratings.probabilities is not None:
        given = ratings.probabilities[:, ~np.isin(form.answers, form.banned)]
    else:
        given = (ratings.values[:, :, None] == points).sum(1).astype(float)
    total = given.sum(1, keepdims=True)
    return np.asarray(np.divide(given, total, out=np.full_like(given, np.nan), where=total > 0))


def divergence(shares: ArrayLike, *, seed: int = 0, level: float = 0.95) -> Estimate:
    """KL from uniform, in nats, of what n tasks' distributions [n, K] come to together: ln K - H of their mean.

    0 to ln K of K declared points; exactly ln K where all answers are one, and then in doubt. Less what a sample of n
    tasks makes it too large by. The interval draws tasks (BCa bootstrap).

    Raises ValueError for fewer than two tasks, or rows that do not sum to 1.

        >>> print(divergence([[0.5, 0.5], [0.9, 0.1], [0.7, 0.3]] * 10))
        0.0801 nats [0.0379, 0.14] (n=30, KL of pooled answers, BCa bootstrap)
    """
    p = _shares(shares)
    most = float(np.log(p.shape[1]))
    method = "KL of pooled answers"
    if (p.mean(0) > 1 - 1e-12).any():
        return Estimate(
            most, most, most, len(p), method, level, unit="nats", bounds=(0, most), doubt="every answer is the same"
        )
    found = bootstrap(p, _of_tasks, seed=seed, resamples=RESAMPLES, level=level, unit="nats", bounds=(0, most))
    return replace(found, method=f"{method}, {found.method}")


def divergence_difference(first: ArrayLike, second: ArrayLike, *, seed: int = 0, level: float = 0.95) -> Estimate:
    """How much more the first of two tables [n, K] and [n, J] of the same tasks diverges, each in shares of its ln K.

    In shares, -1 to 1, because scales of other lengths cannot be compared in nats. The interval draws tasks, each with
    both of its rows. Raises ValueError as `divergence`, and for tables of other tasks.
    """
    p, q = _shares(first), _shares(second)
    if len(p) != len(q):
        raise ValueError(f"the same tasks are compared on both scales, not {len(p)} and {len(q)}")
    logs = [float(np.log(side.shape[1])) for side in (p, q)]

    def of(sample: np.ndarray, axis: int) -> np.ndarray:
        one, other = sample[..., : p.shape[1]], sample[..., p.shape[1] :]
        return np.asarray(_of_tasks(one, axis) / logs[0] - _of_tasks(other, axis) / logs[1])

    both = np.concatenate([p, q], axis=1)
    found = bootstrap(both, of, seed=seed, resamples=RESAMPLES, level=level, bounds=(-1, 1))
    return replace(found, method=f"difference of KL / ln K, paired, {found.method}")


def _shares(given: ArrayLike) -> np.ndarray:
    p = np.asarray(given, dtype=float)
    if p.ndim != 2 or len(p) < 2 or p.shape[1] < 2:
        raise ValueError(f"distributions over answers are [tasks, points] with two or more of each, not {p.shape}")
    if not np.allclose(p.sum(1), 1, atol=1e-6):
        raise ValueError(f"distributions must sum to 1, but {int((~np.isclose(p.sum(1), 1)).sum())} rows do not")
    return p


def _of_tasks(p: np.ndarray, axis: int) -> np.ndarray:
    """KL of tasks' distributions [..., n, K] together, less half of the sum over answers of var / (n mean).

    By so much the divergence of a sample is too large, to second order; of whole answers it is (K - 1) / 2n (Miller
    and Madow 1955). Without it intervals lay above the truth in 6 % of experiments where 2.5 % are due.
    """
    n, centre = p.shape[axis], p.mean(axis)
    spread = np.maximum((p * p).mean(axis) - centre**2, 0) * n / (n - 1)
    excess = np.divide(spread, n * centre, out=np.zeros_like(centre), where=centre > 0).sum(-1) / 2
    return np.asarray(np.maximum(_kl(centre) - excess, 0))


def _kl(weights: np.ndarray) -> np.ndarray:
    """[..., K] weights of answers to ln K - H [...]; never below 0 by rounding."""
    p = weights / weights.sum(-1, keepdims=True)
    return np.asarray(np.maximum(np.log(p.shape[-1]) + (p * np.log(np.where(p > 0, p, 1))).sum(-1), 0))


# How well tasks are told apart ---------------------------------------------------------------------------


def icc_difference(
    first: ArrayLike, second: ArrayLike, form: Form = "2,1", *, seed: int = 0, level: float = 0.95
) -> Estimate:
    """The difference of two ICCs of the same tasks, first minus second: [n, s] and [n, t], without gaps.

    The interval draws tasks, each with both of its rows (BCa bootstrap). In doubt where either is undefined. Raises
    ValueError for tables of other tasks, or fewer than two tasks or seeds.
    """
    x, y = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or min(*x.shape, *y.shape) < 2:
        raise ValueError(f"ICCs of the same tasks under two seeds or more are compared, not of {x.shape} and {y.shape}")
    s, method = x.shape[1], f"difference of ICC({form}), paired"

    def of(sample: np.ndarray, axis: int) -> np.ndarray:
        return np.asarray(icc_batch(sample[..., :s])[form] - icc_batch(sample[..., s:])[form])

    both = np.concatenate([x, y], axis=1)
    if not np.isfinite(of(both, 0)):
        doubt = "an ICC is undefined: the ratings do not vary"
        return Estimate(0.0, -2, 2, len(x), method, level, bounds=(-2, 2), doubt=doubt)
    found = bootstrap(both, of, seed=seed, resamples=RESAMPLES, level=level, bounds=(-2, 2))
    return replace(found, method=f"{method}, {found.method}")


@dataclass(frozen=True)
class Discrimination:
    """One template: how much of its scale a model uses, and how well it tells tasks apart.

    Attributes
    ----------
    ratings
        What was rated.
    kl, kl_share
        Divergence from uniform over the declared scale (banned answers left out), in nats; and over its greatest, ln K.
    icc
        The six forms, of the tasks that every seed rated; empty where there are fewer than two.
    variance_ratio
        What has been called ICC too: between tasks over between tasks and within. None where it has no value.
    kl_observed
        What has been called KL too: over the observed range of whole numbers; NaN of constant ratings.
    n_complete
        How many tasks every seed rated.
    """

    ratings: Ratings
    kl: Estimate
    icc: dict[Form, Estimate]
    variance_ratio: Estimate | None
    kl_observed: float
    n_complete: int

    @property
    def name(self) -> str:
        return self.ratings.asked.template

    @property
    def kl_share(self) -> float:
        return self.kl.value / float(np.log(len(allowed_points(self.ratings))))

    @property
    def reliability(self) -> float | None:
        """ICC(2,1); None where it is undefined."""
        found = self.icc.get("2,1")
        return None if found is None or "undefined" in found.doubt else found.value

    @property
    def goodness(self) -> float:
        """By `RULE`; 0 where the reliability is undefined."""
        return max(self.reliability or 0.0, 0.0) * (1 - self.kl_share)

    def row(self) -> dict[str, Any]:
        """All of it as plain data, with the pooled distribution over the points."""
        two = self.icc.get("2,1")
        return {
            "template": self.name,
            "run": self.ratings.name,
            "tasks": len(self.ratings.tasks),
            "seeds": len(self.ratings.seeds),
            "K": len(allowed_points(self.ratings)),
            "kl": self.kl.value,
            "kl low": self.kl.low,
            "kl high": self.kl.high,
            "kl share": self.kl_share,
            "kl over the observed range": None if np.isnan(self.kl_observed) else self.kl_observed,
            "icc": self.reliability,
            "icc low": None if two is None or self.reliability is None else two.low,
            "icc high": None if two is None or self.reliability is None else two.high,
            "icc forms": {form: e.value for form, e in self.icc.items() if "undefined" not in e.doubt},
            "variance ratio": None if self.variance_ratio is None else self.variance_ratio.value,
            "goodness": self.goodness,
            "points": allowed_points(self.ratings).tolist(),
            "distribution": [round(float(p), 6) for p in _pooled(self.ratings)],
            "outcomes": self.ratings.counts,
        }

    def scores(self) -> dict[str, Any]:
        """The ratings themselves, task by task and seed by seed, for what is pooled over models later."""
        r = self.ratings
        values = [[None if v != v else v for v in row] for row in r.values.tolist()]
        ends = [min(r.template.values), max(r.template.values)]
        return {"template": self.name, "scale": ends, "seeds": list(r.seeds), "tasks": list(r.tasks), "values": values}


def _pooled(ratings: Ratings) -> np.ndarray:
    """[K] the share of each allowed point among all answers that are ratings."""
    p = distributions(ratings)
    return np.asarray(p[np.isfinite(p).all(1)].mean(0))


def discrimination(ratings: Ratings, *, seed: int = 0) -> Discrimination:
    """How a template is used and how reliable it is. Raises ValueError where fewer than two tasks were rated."""
    p = distributions(ratings)
    rated = np.isfinite(p).all(1)
    if rated.sum() < 2:
        counts = ", ".join(f"{n} {outcome}" for outcome, n in ratings.counts.items())
        raise ValueError(f"{ratings.name} rated {int(rated.sum())} tasks ({counts}); read its raw answers")
    whole = ratings.values[np.isfinite(ratings.values).all(1)]
    enough = len(whole) >= 2 and whole.shape[1] >= 2
    varies = enough and bool(np.ptp(whole) > 0)
    return Discrimination(
        ratings,
        kl=divergence(p[rated], seed=seed),
        icc=icc(whole) if enough else {},
        variance_ratio=variance_ratio(whole, seed=seed) if varies else None,
        kl_observed=kl_observed_range(ratings.given) if len(ratings.given) else float("nan"),
        n_complete=len(whole),
    )


def by_origin(ratings: Ratings) -> list[dict[str, Any]]:
    """KL, its share of ln K and ICC(2,1) of each origin's tasks, as plain data; None where undefined."""
    found = []
    for origin in dict.fromkeys(ratings.origins):
        these = ratings.of(origin)
        p = distributions(these)
        p = p[np.isfinite(p).all(1)]
        whole = these.values[np.isfinite(these.values).all(1)]
        kl = float(_kl(p.sum(0))) if len(p) else None
        value = float(icc_batch(whole)["2,1"]) if min(whole.shape) >= 2 else float("nan")
        found.append(
            {
                "template": ratings.asked.template,
                "origin": origin,
                "n": len(whole),
                "kl": kl,
                "kl share": None if kl is None else kl / float(np.log(p.shape[1])),
                "icc": None if np.isnan(value) else value,
            }
        )
    return found


def ranked(found: Iterable[Discrimination]) -> list[Discrimination]:
    """The templates from the best down, by `RULE`; the first of equals first."""
    return sorted(found, key=lambda each: -each.goodness)


@dataclass(frozen=True)
class Contrast:
    """Two runs over the same tasks, first minus second; each interval draws tasks, with both of their rows.

    Attributes
    ----------
    kl
        In shares of ln K: above 0 the first uses less of its scale.
    icc
        Of ICC(2,1): above 0 the first tells tasks apart better.
    r
        Of the mean correlation between seeds; values alone, since the ICC has the interval.
    mean
        Of the tasks' mean ratings as shares of the scale, 0 to 1.
    n
        Tasks that both have rated under every seed.
    """

    kl: Estimate
    icc: Estimate
    r: float
    mean: Estimate
    n: int


def contrast(first: Ratings, second: Ratings, *, seed: int = 0) -> Contrast:
    """How two runs differ in scale use, reliability and mean.

    Only tasks that both rated under every seed count. Raises ValueError for runs over other tasks, or fewer than two
    such tasks.
    """
    if first.tasks != second.tasks:
        raise ValueError(f"{first.name} and {second.name} rated other tasks; compare the same ones")
    both = np.isfinite(first.values).all(1) & np.isfinite(second.values).all(1)
    if both.sum() < 2:
        raise ValueError(
            f"{int(both.sum())} tasks were rated under every seed by both {first.name} and {second.name}; read the raw "
            "answers for why the others were not"
        )
    a, b = first.take(both), second.take(both)
    r = [cross_seed(side.values, seed=seed).mean.value for side in (a, b)]
    return Contrast(
        kl=divergence_difference(distributions(a), distributions(b), seed=seed),
        icc=icc_difference(a.values, b.values, seed=seed),
        r=r[0] - r[1],
        mean=student(row_means(a.shares) - row_means(b.shares)),
        n=int(both.sum()),
    )


@dataclass(frozen=True)
class Templates:
    """Several templates of one rater on the same tasks; `between` contrasts the second with the first.

    `lines` are ICCs that the plot marks.
    """

    found: tuple[Discrimination, ...]
    between: Contrast
    lines: tuple[float, ...] = ()

    def kept(self) -> Kept:
        """All templates from the best down, their scores, and the plot of both measures."""
        best = ranked(self.found)
        runs = [each.ratings for each in self.found]
        return Kept(
            rows={
                "templates": [each.row() for each in best],
                "templates by origin": [row for run in runs for row in by_origin(run)],
                "scores": [each.scores() for each in self.found],
            },
            summary={
                "author": runs[0].asked.author,
                "rule": RULE,
                "best": best[0].name,
                "worst": best[-1].name,
                "most_divergent": max(self.found, key=lambda each: each.kl_share).name,
                "reliability_gained": -self.between.icc.value,
                "first_kl": self.found[0].kl,
                "second_kl": self.found[1].kl,
            },
            plots={"kl_and_icc": (lambda ax: plot(self.found, ax, lines=self.lines), (5.6, 4.0))},
        )


def templates(runs: Sequence[Ratings], *, lines: Sequence[float] = (), seed: int = 0) -> Templates:
    """Discrimination of two runs or more, and the contrast of the second with the first."""
    found = tuple(discrimination(run, seed=seed) for run in runs)
    return Templates(found, contrast(runs[1], runs[0], seed=seed), tuple(lines))


@dataclass(frozen=True)
class Modes:
    """One rater on one template in two modes; `difference` is the first less the second."""

    by_mode: Mapping[str, Discrimination]
    difference: Contrast

    def kept(self) -> Kept:
        """A row a mode, the differences, and how often each point is given."""
        each = self.by_mode
        return Kept(
            rows={"modes": [of.row() | {"mode": mode} for mode, of in each.items()]},
            summary={
                "author": next(iter(each.values())).ratings.asked.author,
                "tasks_in_both": self.difference.n,
                "kl_direct_less_thinking": self.difference.kl,
                "mean_direct_less_thinking": self.difference.mean,
                "r_direct_less_thinking": self.difference.r,
                "failures": {mode: of.ratings.counts for mode, of in each.items()},
            },
            plots={"direct_and_thinking": lambda ax: plot_modes(each, ax)},
        )


def modes(direct: Ratings, thinking: Ratings, *, seed: int = 0) -> Modes:
    """Ratings given at once beside those given after a thought. Raises ValueError as `contrast` does."""
    difference = contrast(direct, thinking, seed=seed)
    return Modes({run.asked.mode: discrimination(run, seed=seed) for run in (direct, thinking)}, difference)


def plot(found: Sequence[Discrimination], ax: Axes, *, lines: Sequence[float] = ()) -> None:
    """Each template by KL over ln K and ICC(2,1), hollow at 0 where undefined. `lines` are ICCs to compare with."""
    first = found[0].ratings
    for at in lines:
        ax.axhline(at, color="0.6", linewidth=0.8, linestyle="--")
    for each in found:
        there = each.reliability is not None
        ax.plot(each.kl_share, each.reliability or 0.0, "o", color="#0072B2", mfc="#0072B2" if there else "none")
        right = each.kl_share > 0.6
        ax.annotate(
            each.name,
            (each.kl_share, each.reliability or 0.0),
            xytext=(-5 if right else 5, 3),
            textcoords="offset points",
            ha="right" if right else "left",
            fontsize=7,
        )
    ax.set(
        xlim=(-0.03, 1.03),
        ylim=(min(-0.03, *(each.reliability or 0.0 for each in found)), 1.03),
        xlabel="KL from uniform / ln K",
        ylabel="ICC(2,1)",
        title=f"{first.asked.rater}: {len(first.tasks)} tasks, {len(first.seeds)} seeds",
    )


def plot_modes(found: Mapping[str, Discrimination], ax: Axes) -> None:
    """How often each point is given in each of several modes of one rater on one template."""
    width = 0.8 / len(found)
    for i, (mode, each) in enumerate(found.items()):
        at = np.arange(len(allowed_points(each.ratings))) + (i - (len(found) - 1) / 2) * width
        said = "undefined" if each.reliability is None else f"{each.reliability:.2f}"
        label = f"{mode}: ICC {said}, KL {each.kl.value:.2f} nats"
        ax.bar(at, _pooled(each.ratings), width, label=label, color=("#0072B2", "#D55E00", "#009E73")[i % 3])
    first = next(iter(found.values())).ratings
    points = [f"{point:g}" for point in allowed_points(first)]
    ax.set_xticks(range(len(points)), points)
    ax.legend(fontsize=7)
    n, s = len(first.tasks), len(first.seeds)
    ax.set(xlabel="rating", ylabel="share of ratings", title=f"{first.asked.rater}: {n} tasks, {s} seeds each")


# Over templates and models -------------------------------------------------------------------------------


def pooled_icc(pooled: Pooled) -> dict[str, float | None]:
    """ICC(2,1) of what was pooled, and the mean of its parts': two aggregates that are not the same.

    Tasks that a seed did not rate are left out of each. None where undefined.
    """

    def of(scores: np.ndarray) -> float:
        whole = scores[np.isfinite(scores).all(1)]
        return float(icc_batch(whole)["2,1"]) if min(whole.shape) >= 2 else float("nan")

    parts = [value for part in pooled.parts.values() if np.isfinite(value := of(part))]
    whole = pooled.pooled(of)
    return {
        "icc pooled": None if np.isnan(whole) else whole,
        "icc mean": float(np.mean(parts)) if parts else None,
    }


def pooled_kl(distributions: Sequence[ArrayLike]) -> dict[str, float]:
    """KL / ln K of several runs on one scale [K]: of their answers together, and the mean of their own.

    By convexity the first is never above the second. On other scales answers cannot be put together; the divergence of
    template and answer jointly, each template asked as often, is then the mean.

        >>> pooled_kl([[1.0, 0.0], [0.0, 1.0]])
        {'kl pooled': 0.0, 'kl mean': 1.0}
    """
    p = _shares(np.asarray(distributions, dtype=float)) if len(distributions) > 1 else np.atleast_2d(distributions[0])
    most = float(np.log(p.shape[1]))
    return {"kl pooled": float(_kl(p.sum(0))) / most, "kl mean": float(np.mean(_kl(p))) / most}
