"""Position and content, told apart: how a choice between two depends on which is named first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.stats.checks import whole
from lab.stats.intervals import clopper_pearson, reweighted, student, unpaired_difference, welch, wilson
from lab.studies.preferences import thurstone
from lab.studies.preferences.comparisons import of_orders, out_of_fold

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW_SAMPLES = 100
"""Shares of so many samples an order still hold noise that counts where it is squared."""
CLASSES = ("robust", "fragile", "order-flipping")


@dataclass(frozen=True)
class PositionBias:
    """What two orders of each pair say about position, and what about content.

    Attributes
    ----------
    bias
        b in logits: 1/2 ln(n_FF / n_SS), where n_FF and n_SS count pairs in which the first-named, or
        the second-named, is chosen in both orders. Free of content strength; 0 is no bias, positive
        favours the first-named. Of single answers with the exact binomial interval and test, otherwise by a
        bootstrap over pairs.
    share_second
        Share of choices of the second-named (B): Wilson's interval by pairs for samples, Student's over
        pairs for probabilities.
    position_effect
        Mean probability of the first-named, minus one half.
    content_effect
        Root mean square over pairs of how far from one half one of the pair is preferred, averaged over both orders:
        what is left of preferences when position is balanced. Where two answers or more to each order are known, the
        mean square is free of their noise; single answers leave it in doubt.
    swap_consistency, repeat_consistency
        How often two answers pick the same one: one in either order, and two in the same order. The first depends on
        how close the pairs are (53 to 82 % at no bias) and tells of position only beside the second, which is None
        for single answers.
    inconsistency
        repeat_consistency - swap_consistency, the mean square of what the order changes: 0 where it changes nothing,
        whatever the content. None for single answers.
    content, position
        [pairs] both parts in logits: (l1 - l2) / 2 and (l1 + l2) / 2 of the first-named's logits.
    """

    bias: Estimate
    share_second: Estimate
    position_effect: Estimate
    content_effect: Estimate
    swap_consistency: float
    repeat_consistency: float | None
    inconsistency: Estimate | None
    content: np.ndarray
    position: np.ndarray

    def plot(self, ax: Axes) -> None:
        """Every pair by its content and its position part; without bias the cloud lies on the line."""
        ax.axhline(0, color="0.6", linestyle=":")
        ax.scatter(self.content, self.position, s=8, alpha=0.5)
        e = self.bias
        ax.axhline(e.value, color="C3", label=f"b = {e.value:.2f} [{e.low:.2f}, {e.high:.2f}]")
        reach = 1.1 * max(1.0, float(np.abs(self.position).max()))
        ax.set(
            xlabel="content (logits for the pair's first)",
            ylabel="position (logits for the first-named)",
            ylim=(-reach, reach),
            title=f"{len(self.content)} pairs, each asked in both orders",
        )
        ax.legend(fontsize=7)


def bias(p_first: ArrayLike, *, seed: int, answers: ArrayLike | None = None) -> PositionBias:
    """Separates position from content.

    Parameters
    ----------
    p_first
        [pairs, 2] probability of choosing the first-named: column 0 with the pair as it stands, column
        1 with the two swapped. Exact probabilities, or shares of answers; NaN where there is none.
    seed
        Of the bootstrap over pairs.
    answers
        [pairs, 2] of how many answers each is a share; 0 for a probability. By default what is only 0 and 1 is taken
        for single answers, and anything else for probabilities.

    In the conditional logit model with an order effect (Davidson and Beaver 1977), P(first) is
    sigmoid(c + b) in one order and sigmoid(b - c) in the other, so P(FF) / P(SS) = exp(2b) for any c.
    Probabilities enter as expected counts. Pairs without an answer in both orders are left out.

    Raises ValueError for a wrong shape, values outside [0, 1], or fewer than two pairs.
    """
    p, k = _in_both(p_first, answers)
    x, y = p[:, 0], 1 - p[:, 1]  # how often the pair's first one is chosen, in either order
    logits = np.log(np.clip(p, 1e-12, 1)) - np.log(np.clip(1 - p, 1e-12, 1))
    xx, yy = _squared(x, k[:, 0]), _squared(y, k[:, 1])
    known = ~np.isnan(xx + yy)
    single = known.sum() < 2
    if single:
        xx, yy, known = x**2, y**2, np.ones(len(x), dtype=bool)
    content = (xx + yy + 2 * x * y - 2 * x - 2 * y + 1)[known] / 4
    swapped = 1 - x - y + 2 * x * y
    repeated = 1 - x - y + xx + yy
    doubt = "of single answers it holds their noise too; ask each order twice or more, or use probabilities"
    return PositionBias(
        bias=_bias(p, seed),
        share_second=_share(1 - p),
        position_effect=student(p.mean(1) - 0.5),
        content_effect=replace(_root(student(content)), doubt=doubt if single else "" if k.any() else _noisy(p)),
        swap_consistency=float(swapped[known].mean()),
        repeat_consistency=None if single else float(repeated[known].mean()),
        inconsistency=None if single else student((repeated - swapped)[known]),
        content=(logits[:, 0] - logits[:, 1]) / 2,
        position=(logits[:, 0] + logits[:, 1]) / 2,
    )


def _in_both(p_first: ArrayLike, answers: ArrayLike | None) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities or shares of the pairs that have them in both orders, and of how many answers each is a share."""
    p = np.asarray(p_first, dtype=float)
    if p.ndim != 2 or p.shape[1] != 2 or len(p) < 2:
        raise ValueError(f"p_first needs shape [pairs, 2] with at least two pairs, not {p.shape}")
    there = ~np.isnan(p).any(1)
    if ((p < 0) | (p > 1)).any():
        raise ValueError("p_first holds values that are no probabilities")
    if there.sum() < 2:
        raise ValueError("fewer than two pairs were answered in both orders: there are no probabilities to compare")
    single = answers is None and bool(np.isin(p[there], (0, 1)).all())
    k = np.full(p.shape, int(single)) if answers is None else np.asarray(answers, dtype=float)
    if k.shape != p.shape:
        raise ValueError(f"answers {k.shape} must tell of each of p_first {p.shape}")
    return p[there], k[there]


def _bias(p: np.ndarray, seed: int) -> Estimate:
    first_twice, second_twice = p[:, 0] * p[:, 1], (1 - p[:, 0]) * (1 - p[:, 1])
    if first_twice.sum() == 0 or second_twice.sum() == 0:
        raise ValueError(
            "one position was never chosen in both orders of a pair, so the bias has no finite estimate; "
            "add pairs, or use probabilities instead of samples"
        )
    if not np.isin(p, (0, 1)).all():
        return reweighted(lambda w: 0.5 * np.log((w @ first_twice) / (w @ second_twice)), len(p), seed=seed)
    from scipy.stats import binomtest

    first, both = int(first_twice.sum()), int(first_twice.sum() + second_twice.sum())
    share = clopper_pearson(first, both)
    at, low, high = (0.5 * math.log(q / (1 - q)) for q in (share.value, share.low, share.high))
    return Estimate(at, low, high, len(p), "exact binomial, by pair", p=float(binomtest(first, both).pvalue))


def _squared(share: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """The square of a probability, without bias from its share of k answers; NaN of a single one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        corrected = (answers * share**2 - share) / (answers - 1)
    return np.where(answers == 0, share**2, np.where(answers >= 2, corrected, np.nan))


def _root(square: Estimate) -> Estimate:
    """The root of a mean square, which cannot be below 0; its interval goes with it, the root being monotone."""
    value, low, high = (math.sqrt(max(0.0, end)) for end in (square.value, square.low, square.high))
    return Estimate(value, low, high, square.n, f"{square.method}, of squares", square.level, bounds=(0, 0.5 + 1e-9))


def _noisy(p: np.ndarray) -> str:
    """Why a mean of squares can decide nothing, where p are shares of few answers and nobody said so."""
    for k in range(1, _FEW_SAMPLES + 1):
        if np.allclose(p * k, np.rint(p * k), rtol=0, atol=1e-9):
            return f"it looks like shares of {k} answers, whose noise it then holds; say so by answers="
    return ""


def _share(p: np.ndarray) -> Estimate:
    """Mean of choices [pairs, 2], which are samples where all are 0 or 1; both orders of a pair are one unit."""
    if np.isin(p, (0, 1)).all():
        return wilson(p.ravel(), groups=np.repeat(np.arange(len(p)), 2))
    return student(p.mean(1), unit="%")


# Win rates ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WinRates:
    """How often one kind of task is chosen over others, by where it stands.

    Attributes
    ----------
    in_first, in_second
        Win rate when it is named first, and when it is named second.
    share_first
        Share of its comparisons in which it is named first.
    actual, expected
        Its win rate over both, and what its places alone would give: the share of its comparisons in
        each place times how often that place is chosen in all comparisons.
    excess
        actual - expected: what is left to content, for as long as the kind stands in either place alike.
    balanced
        The mean of `in_first` and `in_second`: its win rate with position balanced.
    content, position
        balanced - 1/2, and (in_first - in_second) / 2: in_first = 1/2 + content + position.
    pairs
        How many pairs there are of it and others.
    """

    in_first: Estimate
    in_second: Estimate
    share_first: float
    actual: float
    expected: float
    excess: float
    balanced: Estimate
    content: Estimate
    position: Estimate
    pairs: int


def win_rates(p_first: ArrayLike, member: ArrayLike, *, among: ArrayLike | None = None) -> WinRates:
    """Splits the win rate of a kind of task by position.

    Parameters
    ----------
    p_first
        [pairs, 2], as in `bias`; NaN where an order was not asked.
    member
        [pairs, 2] whether the first and the second of a pair (as it stands) are of the kind. Pairs of
        which both or neither are, are left out.
    among
        [pairs] which pairs count as comparisons of the kind with others; all by default. All tell how often each
        place is chosen.

    Raises ValueError where fewer than two comparisons have the kind in either place.
    """
    p, member = np.asarray(p_first, dtype=float), np.asarray(member, dtype=bool)
    if p.shape != member.shape or p.ndim != 2 or p.shape[1] != 2:
        raise ValueError(f"p_first {p.shape} and member {member.shape} must both have shape [pairs, 2]")
    chose_first = float(np.nanmean(p))
    mixed = member[:, 0] != member[:, 1]
    if among is not None:
        mixed &= np.asarray(among, dtype=bool)
    p, stands_first = p[mixed], member[mixed, 0]
    # Column 0 names the pair's first one first, column 1 its second one.
    first = np.where(stands_first, p[:, 0], p[:, 1])
    second = 1 - np.where(stands_first, p[:, 1], p[:, 0])
    named_first, named_second = first[~np.isnan(first)], second[~np.isnan(second)]
    if min(named_first.size, named_second.size) < 2:
        raise ValueError("the kind is compared with others fewer than twice in one of the places; add pairs")
    asked = named_first.size + named_second.size
    share_first = named_first.size / asked
    actual = (named_first.sum() + named_second.sum()) / asked
    expected = share_first * chose_first + (1 - share_first) * (1 - chose_first)
    balanced, position = (_half_sum(first, sign * second) for sign in (1, -1))
    return WinRates(
        in_first=student(named_first, unit="%"),
        in_second=student(named_second, unit="%"),
        share_first=share_first,
        actual=float(actual),
        expected=float(expected),
        excess=float(actual - expected),
        balanced=balanced,
        content=replace(balanced, value=balanced.value - 0.5, low=balanced.low - 0.5, high=balanced.high - 0.5, p=None),
        position=position,
        pairs=len(p),
    )


def _half_sum(first: np.ndarray, second: np.ndarray) -> Estimate:
    """Half of the sum of two means: by pair where all have both, else as of separate samples."""
    both = ~np.isnan(first) & ~np.isnan(second)
    if both.all():
        return student((first + second) / 2, unit="%")
    e = welch(first[~np.isnan(first)], -second[~np.isnan(second)], unit="%")
    return replace(e, value=e.value / 2, low=e.low / 2, high=e.high / 2)


def by_origin(p_first: ArrayLike, origins: ArrayLike) -> list[dict[str, Any]]:
    """Win rates of each origin against each other one, by place: one mapping a pair of origins that meet twice or more.

    `origins` [pairs, 2] are those of the first and of the second of each pair, as it stands.
    """
    p, named = np.asarray(p_first, dtype=float), np.asarray(origins, dtype=str)
    every = list(dict.fromkeys(named.ravel().tolist()))
    found = []
    for i, one in enumerate(every):
        for other in every[i + 1 :]:
            met = ((named == one) | (named == other)).all(1)
            try:
                rates = win_rates(p, named == one, among=met)
            except ValueError:
                continue
            found.append({"origin": one, "against": other, **_plain(rates)})
    return found


def _plain(rates: WinRates) -> dict[str, Any]:
    """Win rates as plain data."""
    told: dict[str, Any] = {"pairs": rates.pairs, "share first": rates.share_first}
    told |= {name: getattr(rates, name) for name in ("actual", "expected", "excess")}
    for name in ("in_first", "in_second", "balanced", "content", "position"):
        e = getattr(rates, name)
        told[name.replace("_", " ")] = {"value": e.value, "low": e.low, "high": e.high, "n": e.n}
    return told


# Single pairs ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Classes:
    """How many pairs keep their preference when they are swapped.

    Attributes
    ----------
    of
        [pairs] each pair's class, one of `CLASSES`: robust if the same one is clearly preferred in both orders,
        order-flipping if the same place is, fragile otherwise.
    shares
        Of each class, with Wilson's interval over pairs.
    """

    of: np.ndarray
    shares: dict[str, Estimate]

    @property
    def counts(self) -> dict[str, int]:
        return {name: int((self.of == name).sum()) for name in CLASSES}


def classes(
    p_first: ArrayLike, *, answers: ArrayLike | None = None, margin: float = 0.1, alpha: float = 0.05
) -> Classes:
    """Sorts pairs by what swapping does to them.

    An order is clear where its probability is further from one half than `margin`; where it is a share of answers, by
    the exact sign test at `alpha` (of five answers or fewer none is). Parameters as in `bias`; so are errors.
    """
    p, k = _in_both(p_first, answers)
    clear = np.where(k == 0, np.abs(p - 0.5) > margin, _sign_test(p, k) < alpha)
    side = np.where(clear, np.sign(p - 0.5), 0)
    of = np.where(side[:, 0] * side[:, 1] < 0, CLASSES[0], CLASSES[1])
    of = np.where(side[:, 0] * side[:, 1] > 0, CLASSES[2], of)
    return Classes(of, {name: wilson(of == name) for name in CLASSES})


def _sign_test(share: np.ndarray, k: np.ndarray) -> np.ndarray:
    """p of the two-sided test against one half, of shares of k answers."""
    from scipy.special import bdtr

    answers = np.maximum(k, 1).astype(int)
    least = np.rint(np.minimum(share, 1 - share) * answers).astype(int)
    return np.asarray(np.minimum(1.0, 2 * bdtr(least, answers, 0.5)))


@dataclass(frozen=True)
class Replication:
    """One pair asked many times in both orders.

    Attributes
    ----------
    table
        One mapping an order: which of the pair is named first, and how many answers chose A and B.
    order_effect
        Share of answers that choose the pair's first one when it is named first, minus the same when it is named
        second; 0 if only content counts. Newcombe's interval, Fisher's exact test.
    """

    table: list[dict[str, Any]]
    order_effect: Estimate


def replication(chose_a: ArrayLike, chose_b: ArrayLike) -> Replication:
    """Counts of A and of B [2]: with the pair as it stands, and with the two swapped.

    Raises ValueError for other shapes, or an order without answers.

        >>> replication([2, 0], [18, 20]).order_effect.value
        -0.9
    """
    a, b = np.asarray(chose_a, dtype=int), np.asarray(chose_b, dtype=int)
    if a.shape != (2,) or b.shape != (2,) or min(a.min(), b.min()) < 0 or (a + b < 1).any():
        raise ValueError(f"a replication has answers in both of two orders, not A {a.tolist()} and B {b.tolist()}")
    table = [{"named first": name, "A": int(a[i]), "B": int(b[i])} for i, name in enumerate(("first", "second"))]
    first, second = (np.repeat([True, False], n) for n in ((a[0], b[0]), (b[1], a[1])))
    return Replication(table, unpaired_difference(first, second))


def replications(tasks: Sequence[str], pairs: ArrayLike, outcomes: ArrayLike) -> list[dict[str, Any]]:
    """One mapping a pair and order, with how many answers chose A and B; and the pair's order effect and its p.

    `pairs` [m, 2] are indices of tasks, `outcomes` [m, 2, 5] as in `choices.Choices`. The effect is None where an order
    has no choice at all.
    """
    found = []
    for (one, other), counts in zip(np.asarray(pairs).tolist(), np.asarray(outcomes), strict=True):
        chose_a, chose_b = counts[:, 0], counts[:, 1]
        answered = bool((chose_a + chose_b > 0).all())
        e = replication(chose_a, chose_b).order_effect if answered else None
        for order, named in enumerate(((one, other), (other, one))):
            found.append(
                {
                    "A is": tasks[named[0]],
                    "B is": tasks[named[1]],
                    "A": int(chose_a[order]),
                    "B": int(chose_b[order]),
                    "neither": int(counts[order, 2:].sum()),
                    "order effect": None if e is None else {"value": e.value, "low": e.low, "high": e.high, "p": e.p},
                }
            )
    return found


# Two ways, or two times ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Contrast:
    """How far the choices of two runs on the same pairs lean to a place, first run minus second.

    Attributes
    ----------
    share_second
        Difference in P(B); Student's over pairs.
    bias
        Difference of the two b, in logits; a bootstrap over pairs. None where one of them has no finite b.
    pairs
        How many pairs both runs have answers to, in both orders.
    """

    share_second: Estimate
    bias: Estimate | None
    pairs: int


def contrast(first: ArrayLike, second: ArrayLike, *, seed: int) -> Contrast:
    """Compares two runs pair by pair: with a reason and without one, today and at an earlier date.

    `first`, `second` [pairs, 2] as in `bias`, of the same pairs. Raises ValueError as `bias`.
    """
    one, other = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if one.shape != other.shape:
        raise ValueError(f"two runs on the same pairs have p_first of one shape, not {one.shape} and {other.shape}")
    missing = np.isnan(one + other)
    one, other = (_in_both(np.where(missing, np.nan, each), np.zeros(each.shape))[0] for each in (one, other))
    twice = [each for p in (one, other) for each in (p[:, 0] * p[:, 1], (1 - p[:, 0]) * (1 - p[:, 1]))]

    def difference(w: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            ff, ss, gg, tt = (w @ each for each in twice)
            return np.asarray(0.5 * (np.log(ff / ss) - np.log(gg / tt)))

    finite = all(each.sum() > 0 for each in twice)
    return Contrast(
        share_second=student(other.mean(1) - one.mean(1), unit="%"),
        bias=reweighted(difference, len(one), seed=seed) if finite else None,
        pairs=len(one),
    )


# Content ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Content:
    """What preferences come to when position is taken out: Bradley and Terry's model of items, with an order column.

    Attributes
    ----------
    mu
        [items] in logits, mean 0.
    position
        In logits, what being named first adds, as fitted beside the items.
    foretold
        Share of held-out pairs, in both orders together, whose preferred one has the higher utility; a coin gets one
        half, and no leaning to a place can lift it. Wilson's interval over pairs, with twice the variance as they are
        out of fold.
    spread
        Standard deviation of `mu`.
    """

    mu: np.ndarray
    position: float
    foretold: Estimate
    spread: float


def content(
    pairs: ArrayLike,
    p_first: ArrayLike,
    *,
    items: int,
    answers: ArrayLike | None = None,
    folds: int = 5,
    seed: int = 0,
    l2_mu: float = 0.1,
) -> Content:
    """Does it matter what the tasks are, whichever is named first? Fits on all pairs but a fold's and foretells those.

    Parameters
    ----------
    pairs, p_first, answers
        As in `fit` and `bias`. Only pairs that were answered in both orders are foretold.
    folds
        How many parts of the pairs are held out in turn, each with both of its orders.
    l2_mu
        Of the utilities, which holds those that were always chosen.

    Raises ValueError for fewer pairs than folds, or where every pair is tied.
    """
    whole("folds", folds, 2)
    both, p = np.asarray(pairs, dtype=int), np.asarray(p_first, dtype=float)
    weight = np.ones(p.shape) if answers is None else np.maximum(np.asarray(answers, dtype=float), 1)
    part = np.random.default_rng(seed).permutation(len(both)) % folds
    if len(both) < folds:
        raise ValueError(f"{len(both)} pairs cannot be parted into {folds} folds; ask more pairs")
    hits, start = [], None
    for fold in range(folds):
        rest, out = part != fold, part == fold
        found = _terry(both[rest], p[rest], weight[rest], items, l2_mu, start)
        start = found.found
        lead = p[out, 0] - p[out, 1]
        decided = np.abs(lead) > 1e-9
        gap = (found.mu[both[out, 0]] - found.mu[both[out, 1]])[decided]
        hits.append(np.sign(gap) == np.sign(lead[decided]))
    told = np.concatenate(hits)
    if not told.size:
        raise ValueError("no pair was answered in both orders and decided; ask more pairs")
    whole_fit = _terry(both, p, weight, items, l2_mu, start)
    return Content(whole_fit.mu, whole_fit.position, out_of_fold(told), float(whole_fit.mu.std(ddof=1)))


def _terry(
    pairs: np.ndarray, p_first: np.ndarray, weight: np.ndarray, items: int, l2_mu: float, start: thurstone.Start | None
) -> thurstone.Fit:
    weights = weight.T.ravel()
    return thurstone.bradley_terry(*of_orders(pairs, p_first), items, weights, l2_mu=l2_mu, position=True, start=start)


# A position term in the fit --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fit:
    """Utilities with a position term: P(first) = Phi(mu_first - mu_second + intercept).

    Attributes
    ----------
    mu
        [items] in probits, mean 0.
    intercept
        In probits, positive for the first-named. In doubt where the comparisons are not connected.
    """

    mu: np.ndarray
    intercept: Estimate


def fit(pairs: np.ndarray, p_first: np.ndarray, *, items: int, seed: int = 0, level: float = 0.95) -> Fit:
    """Thurstone's case V with a position term, by maximum likelihood.

    Parameters
    ----------
    pairs
        [pairs, 2] indices of the items, the pair as it stands.
    p_first
        [pairs, 2], as in `bias`.
    items
        How many there are. Those that are never compared stay at 0.
    seed
        Of the blocks.

    A penalty of 0.001 mu^2 keeps items that never lose finite. Maximum likelihood overstates all of its
    parameters where there are few choices an item, by 8 % at 38 of them; of the intercept that is taken
    out by a delete-a-block jackknife over 20 blocks of pairs (Quenouille 1956), which also gives its interval,
    by Student's t: pairs, as their two orders are no independent draws.

    Raises ValueError for shapes that do not match or fewer than 40 pairs, and RuntimeError where the fit
    does not converge.
    """
    from scipy.stats import t as student_t

    pairs, p = np.asarray(pairs, dtype=int), np.asarray(p_first, dtype=float)
    if pairs.shape != p.shape or pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.min() < 0 or pairs.max() >= items:
        raise ValueError(f"pairs {pairs.shape} and p_first {p.shape} must be [pairs, 2] of items 0 to {items - 1}")
    if len(pairs) < 2 * _BLOCKS:
        raise ValueError(f"a position term with an interval needs at least {2 * _BLOCKS} pairs, not {len(pairs)}")
    best = _maximise(pairs, p, items)
    block = np.random.default_rng(seed).permutation(len(pairs)) % _BLOCKS
    without = [
        _maximise(pairs[block != b], p[block != b], items, best.found).position / _PROBIT for b in range(_BLOCKS)
    ]
    pseudo = _BLOCKS * best.position / _PROBIT - (_BLOCKS - 1) * np.array(without)
    at, error = float(pseudo.mean()), float(pseudo.std(ddof=1) / np.sqrt(_BLOCKS))
    half = float(student_t.ppf((1 + level) / 2, _BLOCKS - 1)) * error
    parts = best.comparisons.parts
    doubt = "" if parts == 1 else (
        f"the comparisons fall into {parts} sets of items that never meet; compare items of different sets"
    )  # fmt: skip
    intercept = Estimate(at, at - half, at + half, len(pairs), "probit, jackknife by pair", level, doubt=doubt)
    return Fit(best.mu / _PROBIT, intercept)


_PENALTY, _BLOCKS = 0.001, 20

_PROBIT = 2**0.5
"""What `thurstone.fit` divides differences of utilities by, where every sigma is 1."""


def _maximise(
    pairs: np.ndarray, p_first: np.ndarray, items: int, start: thurstone.Start | None = None
) -> thurstone.Fit:
    found = thurstone.fit(
        *of_orders(pairs, p_first),
        items,
        l2=math.inf,
        l2_mu=_PENALTY / _PROBIT**2,
        position=True,
        start=start,
        mu_bound=math.inf,
        tolerance=1e-4,
    )
    if not found.converged:
        raise RuntimeError(f"the utilities did not converge: {found.message}")
    return found
