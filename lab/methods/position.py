"""Does a choice between two depend on which is named first? Content and position, told apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lab.estimate import Estimate
from lab.stats.intervals import reweighted, student, wilson

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW_SAMPLES = 100
"""Shares of so many samples an order still hold noise that counts where its sign is dropped."""


@dataclass(frozen=True)
class PositionBias:
    """What two orders of each pair say about position, and what about content.

    Attributes
    ----------
    bias
        b in logits: 1/2 ln(n_FF / n_SS), where n_FF and n_SS count pairs in which the first-named, or
        the second-named, is chosen in both orders. Free of content strength; 0 is no bias, positive
        favours the first-named.
    share_second
        Share of choices of the second-named (B): Wilson's interval by pairs for samples, Student's over
        pairs for probabilities.
    position_effect
        Mean probability of the first-named, minus one half.
    content_effect
        Mean distance from one half of the probability of the preferred of a pair, averaged over both
        orders: what is left of the preference when position is balanced. Noise in the probabilities adds to it
        and never cancels (a truth of 0.09 reads 0.26 of one sample an order, 0.11 of twenty), so that shares of
        100 samples or fewer leave it in doubt.
    swap_consistency
        Share of pairs in which both orders pick the same one. Depends on how close the pairs are, and
        is no measure of position bias.
    content, position
        [pairs] both parts in logits: (l1 - l2) / 2 and (l1 + l2) / 2 of the first-named's logits.
    """

    bias: Estimate
    share_second: Estimate
    position_effect: Estimate
    content_effect: Estimate
    swap_consistency: float
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
            title="Each pair asked in both orders",
        )
        ax.legend(fontsize=7)


def bias(p_first: np.ndarray, *, seed: int) -> PositionBias:
    """Separates position from content.

    Parameters
    ----------
    p_first
        [pairs, 2] probability of choosing the first-named: column 0 with the pair as it stands, column
        1 with the two swapped. Exact probabilities, or shares of samples.
    seed
        Of the bootstrap over pairs.

    In the conditional logit model with an order effect (Davidson and Beaver 1977), P(first) is
    sigmoid(c + b) in one order and sigmoid(b - c) in the other, so P(FF) / P(SS) = exp(2b) for any c.
    Probabilities enter as expected counts.

    Raises ValueError for a wrong shape, values outside [0, 1], or fewer than two pairs.
    """
    p = np.asarray(p_first, dtype=float)
    if p.ndim != 2 or p.shape[1] != 2 or len(p) < 2:
        raise ValueError(f"p_first needs shape [pairs, 2] with at least two pairs, not {p.shape}")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p_first holds values that are no probabilities")
    first_twice, second_twice = p[:, 0] * p[:, 1], (1 - p[:, 0]) * (1 - p[:, 1])
    if first_twice.sum() == 0 or second_twice.sum() == 0:
        raise ValueError(
            "one position was never chosen in both orders of a pair, so the bias has no finite estimate; "
            "add pairs, or use probabilities instead of samples"
        )
    logits = np.log(np.clip(p, 1e-12, 1)) - np.log(np.clip(1 - p, 1e-12, 1))
    preferred = (p[:, 0] + 1 - p[:, 1]) / 2
    return PositionBias(
        bias=reweighted(lambda w: 0.5 * np.log((w @ first_twice) / (w @ second_twice)), len(p), seed=seed),
        share_second=_share(1 - p),
        position_effect=student(p.mean(1) - 0.5),
        content_effect=replace(student(np.abs(preferred - 0.5)), doubt=_noisy(p)),
        swap_consistency=float(np.mean((p[:, 0] > 0.5) != (p[:, 1] > 0.5))),
        content=(logits[:, 0] - logits[:, 1]) / 2,
        position=(logits[:, 0] + logits[:, 1]) / 2,
    )


def _noisy(p: np.ndarray) -> str:
    """Why a mean of absolute values can decide nothing, where p are shares of few samples."""
    for k in range(1, _FEW_SAMPLES + 1):
        if np.allclose(p * k, np.rint(p * k), rtol=0, atol=1e-9):
            samples = "one sample" if k == 1 else f"{k} samples"
            return f"of shares of {samples} it holds their noise too, which never cancels; use probabilities"
    return ""


def _share(p: np.ndarray) -> Estimate:
    """Mean of choices [pairs, 2], which are samples where all are 0 or 1; both orders of a pair are one unit."""
    if np.isin(p, (0, 1)).all():
        return wilson(p.ravel(), groups=np.repeat(np.arange(len(p)), 2))
    return student(p.mean(1), unit="%")


@dataclass(frozen=True)
class WinRates:
    """How often one kind of task is chosen over all others, by where it stands.

    Attributes
    ----------
    in_first, in_second
        Win rate when it is named first, and when it is named second.
    actual, expected
        Its win rate over both, and what its places alone would give: the share of its comparisons in
        each place times how often that place is chosen.
    excess
        actual - expected: what is left to content.
    balanced
        The mean of `in_first` and `in_second`: its win rate with position balanced.
    """

    in_first: Estimate
    in_second: Estimate
    actual: float
    expected: float
    excess: float
    balanced: float


def win_rates(p_first: np.ndarray, member: np.ndarray) -> WinRates:
    """Splits the win rate of a kind of task by position.

    Parameters
    ----------
    p_first
        [pairs, 2], as in `bias`; NaN where an order was not asked.
    member
        [pairs, 2] whether the first and the second of a pair (as it stands) are of the kind. Pairs of
        which both or neither are, are left out.

    Raises ValueError where fewer than two comparisons have the kind in either place.
    """
    p, member = np.asarray(p_first, dtype=float), np.asarray(member, dtype=bool)
    if p.shape != member.shape or p.ndim != 2 or p.shape[1] != 2:
        raise ValueError(f"p_first {p.shape} and member {member.shape} must both have shape [pairs, 2]")
    mixed = member[:, 0] != member[:, 1]
    p, stands_first = p[mixed], member[mixed, 0]
    # Column 0 names the pair's first one first, column 1 its second one.
    named_first = np.concatenate([p[stands_first, 0], p[~stands_first, 1]])
    named_second = 1 - np.concatenate([p[stands_first, 1], p[~stands_first, 0]])
    named_first, named_second = (rates[~np.isnan(rates)] for rates in (named_first, named_second))
    if min(named_first.size, named_second.size) < 2:
        raise ValueError("the kind is compared with others fewer than twice in one of the places; add pairs")
    asked = named_first.size + named_second.size
    chose_first = (named_first.sum() + (1 - named_second).sum()) / asked
    share_first = named_first.size / asked
    actual = (named_first.sum() + named_second.sum()) / asked
    expected = share_first * chose_first + (1 - share_first) * (1 - chose_first)
    return WinRates(
        in_first=student(named_first, unit="%"),
        in_second=student(named_second, unit="%"),
        actual=float(actual),
        expected=float(expected),
        excess=float(actual - expected),
        balanced=float((named_first.mean() + named_second.mean()) / 2),
    )


@dataclass(frozen=True)
class Fit:
    """Utilities with a position term: P(first) = Phi(mu_first - mu_second + intercept).

    Attributes
    ----------
    mu
        [items] in probits, mean 0.
    intercept
        In probits, positive for the first-named. In doubt where the comparisons are not connected.
    log_likelihood
        In nats, of the choices as given.
    """

    mu: np.ndarray
    intercept: Estimate
    log_likelihood: float


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
    best, value = _maximise(pairs, p, np.zeros(items + 1))
    block = np.random.default_rng(seed).permutation(len(pairs)) % _BLOCKS
    without = [_maximise(pairs[block != b], p[block != b], best)[0][-1] for b in range(_BLOCKS)]
    pseudo = _BLOCKS * best[-1] - (_BLOCKS - 1) * np.array(without)
    at, error = float(pseudo.mean()), float(pseudo.std(ddof=1) / np.sqrt(_BLOCKS))
    half = float(student_t.ppf((1 + level) / 2, _BLOCKS - 1)) * error
    parts = _separate(pairs, items)
    doubt = "" if parts == 1 else (
        f"the comparisons fall into {parts} sets of items that never meet; compare items of different sets"
    )  # fmt: skip
    intercept = Estimate(at, at - half, at + half, len(pairs), "probit, jackknife by pair", level, doubt=doubt)
    return Fit(best[:-1] - best[:-1].mean(), intercept, value)


_PENALTY, _BLOCKS = 0.001, 20


def _maximise(pairs: np.ndarray, p_first: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, float]:
    """Parameters [items + 1] (utilities, then the position term) of greatest likelihood, and that likelihood."""
    from scipy.optimize import minimize
    from scipy.special import log_ndtr

    first, second = np.concatenate([pairs, pairs[:, ::-1]]).T
    chosen, items = p_first.T.ravel(), len(start) - 1

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        mu = theta[:-1]
        z = mu[first] - mu[second] + theta[-1]
        for_first, for_second = log_ndtr(z), log_ndtr(-z)
        log_density = -0.5 * z**2 - 0.5 * np.log(2 * np.pi)
        slope = chosen * np.exp(log_density - for_first) - (1 - chosen) * np.exp(log_density - for_second)
        gradient = np.append(
            np.bincount(second, slope, items) - np.bincount(first, slope, items) + 2 * _PENALTY * mu, -slope.sum()
        )
        return -float((chosen * for_first + (1 - chosen) * for_second).sum()) + _PENALTY * (mu**2).sum(), gradient

    options = {"maxiter": 2000, "ftol": 1e-12, "gtol": 1e-6}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    if not np.isfinite(found.fun) or np.abs(found.jac).max() > 1e-2:
        raise RuntimeError(f"the utilities did not converge: {found.message}")
    return found.x, -float(found.fun)


def _separate(pairs: np.ndarray, items: int) -> int:
    """How many sets of compared items never meet each other."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(items, items))
    labels = connected_components(graph, directed=False)[1]
    return len(np.unique(labels[np.unique(pairs)]))
