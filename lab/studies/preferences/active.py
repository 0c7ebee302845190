"""Active learning of utilities: which pairs are worth asking next, and when enough is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.record.kept import Kept
from lab.stats.checks import whole
from lab.stats.correlations import fisher_z
from lab.studies.preferences import thurstone
from lab.studies.preferences.comparisons import Comparisons, count, of_orders

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Choice = Literal["close", "random"]
Stop = Literal["split-half", "successive", "budget"]
Ask = Callable[[np.ndarray], ArrayLike]

_CHUNK = 500_000
"""Pairs looked at when the next are chosen; of more, so many are drawn."""

_HALVES, _SPLIT_LEVEL = "split halves, Spearman-Brown", 0.9

_ADDED = 0.1
"""Share of all pairs that a round must have brought, or that its fit is like the last one says nothing."""


def regular_pairs(n_items: int, degree: int, *, seed: int) -> np.ndarray:
    """[pairs, 2] of a random graph in which each item meets `degree` others, none twice.

    The union of random rings through all items, of which one suffices to join them, and for an odd degree of a
    random matching, which leaves out one of an odd number of items. All pairs where the degree is n_items - 1 or
    more. Which of a pair is named first is random.

    Raises ValueError for fewer than two items or a degree below 1.
    """
    whole("the number of items", n_items, 2)
    whole("the degree", degree, 1)
    rng = np.random.default_rng([seed, n_items, degree])
    if degree >= n_items - 1:
        return _turned(np.stack(np.triu_indices(n_items, 1), axis=1), rng)
    rings = []
    for _ in range(degree // 2):
        ring = rng.permutation(n_items)
        rings.append(np.stack([ring, np.roll(ring, -1)], axis=1))
    if degree % 2:
        rings.append(rng.permutation(n_items)[: n_items // 2 * 2].reshape(-1, 2))
    pairs = np.concatenate(rings)
    if not _made_simple(pairs, fixed=len(rings[0]) if degree > 1 else 0, n_items=n_items, rng=rng):
        # Too dense for swaps at random: neighbours on one ring, at every distance up to degree / 2.
        ring = rng.permutation(n_items)
        steps = [np.stack([ring, np.roll(ring, -step)], axis=1) for step in range(1, degree // 2 + 1)]
        if degree % 2:
            half = n_items // 2
            steps.append(np.stack([ring[:half], ring[half : 2 * half]], axis=1))
        pairs = np.concatenate(steps)
    return _turned(pairs, rng)


def _made_simple(pairs: np.ndarray, *, fixed: int, n_items: int, rng: np.random.Generator) -> bool:
    """Swaps ends of pairs, beyond the first `fixed`, until none comes twice; keeps every degree. False if it cannot."""
    for _ in range(200):
        keys = _keys(pairs, n_items)
        order = np.argsort(keys, kind="stable")
        twice = np.zeros(len(pairs), dtype=bool)
        twice[order[1:]] = keys[order[1:]] == keys[order[:-1]]
        twice |= pairs[:, 0] == pairs[:, 1]
        if not twice.any():
            return True
        for k in np.flatnonzero(twice):
            other = rng.integers(fixed, len(pairs))
            if k >= fixed:
                pairs[[k, other], 1] = pairs[[other, k], 1]
    return False


def _turned(pairs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pairs of which it is random which item comes first."""
    return np.where(rng.random(len(pairs))[:, None] < 0.5, pairs, pairs[:, ::-1])


def _keys(pairs: np.ndarray, n_items: int) -> np.ndarray:
    """[pairs] a number for each pair, whichever item comes first."""
    return np.asarray(pairs.min(1).astype(np.int64) * n_items + pairs.max(1))


def next_pairs(
    mu: ArrayLike,
    asked: ArrayLike,
    batch: int,
    *,
    seed: Any,
    close: float = 0.3,
    rare: float = 0.3,
    relax: float = 1.5,
    choice: Choice = "close",
) -> np.ndarray:
    """[batch or fewer, 2] pairs that were not asked, of items that are close in utility and were rarely asked.

    The rule of Utility Engineering (Mazeika et al. 2025, appendix B): pairs whose utilities differ by no more than
    the `close` quantile of all pairs left, and whose items were asked no more often together than the `rare`
    quantile; of these a batch at random. Where there are too few, both shares are multiplied by `relax`, up to 1.

    Parameters
    ----------
    mu
        [items] utilities as they are known.
    asked
        [pairs, 2] pairs that were asked, in whichever order.
    seed
        A whole number or a row of them.
    choice
        "random" takes any pairs left, to compare with.

    Of more than 500,000 pairs left, so many are drawn and the quantiles are of these, so that 10,000 items cost no
    more than 1,000. Raises ValueError for shares out of range.
    """
    whole("the batch", batch, 1)
    utilities, known = np.asarray(mu, dtype=float), np.asarray(asked, dtype=np.int64).reshape(-1, 2)
    if not (0 < close <= 1 and 0 < rare <= 1 and relax > 1):
        raise ValueError(f"close {close} and rare {rare} must lie in (0, 1], and relax {relax} above 1")
    n, rng = len(utilities), np.random.default_rng(seed)
    left = _left(n, known, rng, least=batch)
    if len(left) <= batch or choice == "random":
        return _turned(rng.permutation(left)[:batch], rng)
    degree = np.bincount(known.ravel(), minlength=n)
    gap = np.abs(utilities[left[:, 0]] - utilities[left[:, 1]])
    met = degree[left].sum(1)
    while True:
        fit = np.flatnonzero((gap <= np.quantile(gap, close)) & (met <= np.quantile(met, rare)))
        if len(fit) >= batch:
            return _turned(left[rng.permutation(fit)[:batch]], rng)
        close, rare = min(1.0, close * relax), min(1.0, rare * relax)


def _left(n: int, known: np.ndarray, rng: np.random.Generator, *, least: int) -> np.ndarray:
    """[pairs, 2] of those not asked: all, or of very many `_CHUNK` at random (more where a batch needs them)."""
    total, taken = n * (n - 1) // 2, _keys(known, n)
    size = max(_CHUNK, 2 * least)
    if total <= size:
        pairs = np.stack(np.triu_indices(n, 1), axis=1)
    else:
        number = np.unique(rng.integers(total, size=size))
        # The k-th pair (i < j), counted by j: j is the largest whole number with j (j - 1) / 2 <= k.
        j = ((1 + np.sqrt(1 + 8 * number.astype(float))) / 2).astype(np.int64)
        j -= j * (j - 1) // 2 > number
        j += j * (j + 1) // 2 <= number
        pairs = np.stack([number - j * (j - 1) // 2, j], axis=1)
    return np.asarray(pairs[~np.isin(_keys(pairs, n), taken)])


def split_half(
    counted: Comparisons, *, l2: float = 1.0, position: bool = True, seed: int, splits: int = 3, **settings: Any
) -> Estimate:
    """How well the utilities correlate with the true ones: the root of the split-half reliability.

    Pairs are parted into halves, each is fitted, and r is the mean rank correlation of the two. Spearman and Brown
    (1910) make 2r / (1 + r) of it for all pairs; its root is the correlation of a measure with what it measures. The
    interval is that of r over items (Bonett and Wright 2000), with its ends put through the same; 90 %, so that its
    lower end alone errs once in twenty, and once in ten to twenty where it is looked at round by round (`Settings`).

    0 where the halves do not agree at all, or too few pairs or items are there to be halved.
    """
    n = counted.n_items
    if counted.n_pairs < 2 or n < 4:
        return Estimate(0.0, 0.0, 1.0, n, _HALVES, _SPLIT_LEVEL, bounds=(0, 1))
    found = []
    for split in range(splits):
        ((one, other), _) = counted.folds(2, seed=seed + split)
        fits = [thurstone.fitted(half, l2, position, **settings).mu for half in (one, other)]
        found.append(_spearman(*fits))
    half = fisher_z(min(1.0, float(np.mean(found))), n, kind="Spearman", level=_SPLIT_LEVEL)
    value, low, high = (
        float(np.sqrt(2 * r / (1 + r))) for r in (max(0.0, e) for e in (half.value, half.low, half.high))
    )
    return Estimate(value, low, high, n, _HALVES, _SPLIT_LEVEL, bounds=(0, 1))


def _spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Rank correlation; 0 where a side is constant, of which nothing can be said."""
    from scipy.stats import rankdata

    a, b = (rankdata(side) - (len(side) + 1) / 2 for side in (first, second))
    norm = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / norm) if norm else 0.0


@dataclass(frozen=True)
class Settings:
    """How to learn; part of a state, so that one is not continued otherwise than it was begun.

    Attributes
    ----------
    degree
        How many others each item meets in the first round.
    batch, rounds, most_pairs
        New pairs a round; at most so many rounds, with the first; at most so many pairs, where given.
    close, rare, relax, choice
        As in `next_pairs`.
    stop
        "split-half": when the lower end of `split_half` reaches `threshold`: at the first round of several whose value
        does, it is above the truth more often than not (of single answers to 60 and 30 items the truth was then below
        0.95 in 15 and 25 % of runs; by the lower end in 5 and 10 %, and 0.91 at the least). "successive": when the
        utilities of two successive rounds correlate in rank so much, twice in a row, and each brought a tenth of all
        pairs: a round that adds little resembles the last one whatever the truth. "budget": never before rounds or
        pairs are used up. In either case the fits have converged and all items are joined.
    threshold
        By default 0.95 for "split-half" and 0.99 for "successive".
    samples
        Answers that each share in an outcome stands for; 1 for a choice or an exact probability.
    l2, l2_mu, position
        As in `thurstone.fit`.
    """

    degree: int = 5
    batch: int = 300
    rounds: int = 20
    most_pairs: int | None = None
    close: float = 0.3
    rare: float = 0.3
    relax: float = 1.5
    choice: Choice = "close"
    stop: Stop = "split-half"
    threshold: float | None = None
    samples: int = 1
    l2: float = 1.0
    l2_mu: float = 0.1
    position: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("degree", "batch", "rounds", "samples"):
            whole(name, getattr(self, name), 1)
        if self.choice not in ("close", "random"):
            raise ValueError(f"choice is 'close' or 'random', not {self.choice!r}")
        if self.stop not in ("split-half", "successive", "budget"):
            raise ValueError(f"stop is 'split-half', 'successive' or 'budget', not {self.stop!r}")
        if not 0 < self.bar <= 1:
            raise ValueError(f"threshold is a correlation in (0, 1], not {self.threshold}")

    @property
    def bar(self) -> float:
        """The threshold, or the default of the rule."""
        return (0.99 if self.stop == "successive" else 0.95) if self.threshold is None else self.threshold

    def fit(self, counted: Comparisons, start: thurstone.Start | None) -> thurstone.Fit:
        return thurstone.fitted(counted, self.l2, self.position, l2_mu=self.l2_mu, start=start)

    def split_half(self, counted: Comparisons) -> Estimate:
        return split_half(counted, l2=self.l2, l2_mu=self.l2_mu, position=self.position, seed=self.seed)


@dataclass(frozen=True)
class Round:
    """What was known after a round.

    Attributes
    ----------
    pairs, answers
        Asked so far; answers are those that were given, in either order.
    successive
        Rank correlation of the utilities with those of the round before; None in the first.
    split_half, split_half_low
        As `split_half`, and its lower end; None where it is not what stops.
    sound
        Whether the fit converged and no item is cut off from the rest.
    """

    pairs: int
    answers: int
    successive: float | None
    split_half: float | None
    split_half_low: float | None
    sound: bool


@dataclass(frozen=True)
class State:
    """All that a learner knows between two rounds.

    Attributes
    ----------
    pairs, p_first
        [pairs, 2] what was asked, in the order of asking, and its outcomes as `ask` gives them.
    found
        mu, sigma and position of the last fit.
    """

    n_items: int
    settings: Settings
    pairs: np.ndarray
    p_first: np.ndarray
    rounds: tuple[Round, ...] = ()
    found: thurstone.Start | None = None

    @property
    def counted(self) -> Comparisons:
        """The answers so far."""
        first, second, chosen = of_orders(self.pairs, self.p_first)
        return count(first, second, chosen, self.n_items, np.full(len(chosen), self.settings.samples))

    def ended(self) -> str:
        """Why no more is asked, or "" where more is."""
        s, rounds = self.settings, self.rounds
        if not rounds:
            return ""
        last = rounds[-1]
        if s.stop == "split-half" and last.sound and (last.split_half_low or 0) >= s.bar:
            return "split-half"
        if s.stop == "successive" and len(rounds) > 2 and all(map(self._settled, (-1, -2))):
            return "successive"
        if len(rounds) >= s.rounds:
            return "rounds"
        if len(self.pairs) >= self._most:
            return "pairs" if len(self.pairs) < self._all else "exhausted"
        return ""

    def _settled(self, i: int) -> bool:
        """Whether a round was like the one before, and had the means to differ."""
        one = self.rounds[i]
        enough = one.pairs - self.rounds[i - 1].pairs >= _ADDED * one.pairs
        return one.sound and enough and one.successive is not None and one.successive >= self.settings.bar

    @property
    def _all(self) -> int:
        return self.n_items * (self.n_items - 1) // 2

    @property
    def _most(self) -> int:
        return min(self._all, self.settings.most_pairs or self._all)

    def wanted(self) -> np.ndarray:
        """[pairs, 2] what to ask in the next round: the same whenever one asks."""
        s, room = self.settings, self._most - len(self.pairs)
        if self.found is None:
            return regular_pairs(self.n_items, s.degree, seed=s.seed)[:room]
        seed, batch = [s.seed, len(self.rounds)], min(s.batch, room)
        return next_pairs(
            self.found[0], self.pairs, batch, seed=seed, close=s.close, rare=s.rare, relax=s.relax, choice=s.choice
        )

    def told(self, pairs: np.ndarray, outcomes: ArrayLike) -> State:
        """The state after a round, with its fit. Raises ValueError for outcomes of another shape."""
        p = np.asarray(outcomes, dtype=float)
        if p.shape == (len(pairs),):
            p = np.stack([p, np.full(len(p), np.nan)], axis=1)
        if p.shape != (len(pairs), 2):
            raise ValueError(f"{len(pairs)} pairs were asked; their outcomes are [pairs] or [pairs, 2], not {p.shape}")
        after = replace(self, pairs=np.concatenate([self.pairs, pairs]), p_first=np.concatenate([self.p_first, p]))
        s, counted = self.settings, after.counted
        fit = s.fit(counted, self.found)
        halves = s.split_half(counted) if s.stop == "split-half" else None
        row = Round(
            pairs=len(after.pairs),
            answers=int((~np.isnan(after.p_first)).sum()) * s.samples,
            successive=None if self.found is None else _spearman(self.found[0], fit.mu),
            split_half=None if halves is None else halves.value,
            split_half_low=None if halves is None else halves.low,
            sound=fit.converged and counted.parts == 1 and bool(counted.compared.all()),
        )
        return replace(after, rounds=(*self.rounds, row), found=fit.found)


@dataclass(frozen=True)
class Learned:
    """What came of it.

    Attributes
    ----------
    fit
        The utilities, from all answers.
    state
        With every pair, its outcome, and the rounds.
    ended
        Why it stopped: "split-half" or "successive" (it converged), "rounds", "pairs", or "exhausted".
    tasks
        [items] their ids, where they are known.
    """

    fit: thurstone.Fit
    state: State
    ended: str
    tasks: tuple[str, ...] = ()

    def kept(self) -> Kept:
        rows = {"rounds": [vars(one) for one in self.state.rounds], "utilities": self.fit.rows(self.tasks)}
        return Kept(rows, self.summary(), {"rounds": self.plot})

    @property
    def converged(self) -> bool:
        """Whether it stopped because it had learnt enough."""
        return self.ended in ("split-half", "successive")

    @cached_property
    def accuracy(self) -> Estimate:
        """`split_half` of all answers: about the rank correlation with the true utilities."""
        return self.state.settings.split_half(self.state.counted)

    def held_out(self, folds: int = 5) -> thurstone.HeldOut:
        """How well the pairs that were asked are foretold by the others: close ones mostly, which are the hard ones."""
        s = self.state.settings
        return thurstone.evaluated(self.state.counted, s.l2, s.position, folds, s.seed, l2_mu=s.l2_mu)[0]

    def summary(self) -> dict[str, Any]:
        """The figures of a run, as plain values."""
        last, s = self.state.rounds[-1], self.state.settings
        return {
            "fitted_with": {"objective": self.fit.objective, "l2": s.l2, "exact": False, "code": thurstone.version()},
            "n_tasks": self.state.n_items,
            "converged": self.converged,
            "ended": self.ended,
            "n_iterations": len(self.state.rounds),
            "unique_pairs_queried": last.pairs,
            "total_comparisons": last.answers,
            "rank_correlations": [one.successive for one in self.state.rounds],
            "split_half": [one.split_half for one in self.state.rounds],
            "split_half_low": [one.split_half_low for one in self.state.rounds],
            "final_split_half": self.accuracy.value,
            "final_split_half_low": self.accuracy.low,
        }

    def plot(self, ax: Axes) -> None:
        """What each rule said, round by round."""
        rounds, s = self.state.rounds, self.state.settings
        for values, marker, label in (
            ([one.successive for one in rounds], "o--", "successive fits"),
            ([one.split_half for one in rounds], "s-", "root of split-half reliability"),
            ([one.split_half_low for one in rounds], "v:", "its lower end"),
        ):
            known = [(one.pairs, value) for one, value in zip(rounds, values, strict=True) if value is not None]
            if known:
                ax.plot(*zip(*known, strict=True), marker, label=label)
        if s.stop != "budget":
            ax.axhline(s.bar, color="0.5", linestyle=":", label=f"stops at {s.bar:g} of {s.stop}")
        ax.set(
            xlabel="pairs asked",
            ylabel="rank correlation",
            title=f"{self.state.n_items} items, {rounds[-1].answers} answers; ended by {self.ended}",
        )
        ax.legend(fontsize=7)


def learn(ask: Ask, n_items: int, settings: Settings | None = None) -> Learned:
    """Asks pairs, fits, and chooses the next, until enough is known.

    `ask` takes pairs [m, 2] of item numbers and returns [m, 2]: the probability (or share of samples) of choosing the
    first-named, with each pair as it stands and with the two swapped; or [m], where only the pair as it stands was
    asked (it is random which item comes first). NaN for no answer, as of a refusal; the pair counts as asked.

    No pair is asked twice. What is asked depends on the answers so far alone: a loop that was interrupted anywhere ends
    as if it had not been, if `ask` keeps its answers by the number of the call, as with `evidence.resume`.

    Raises ValueError for outcomes of another shape.
    """
    settings = settings or Settings()
    state = State(n_items, settings, np.empty((0, 2), dtype=np.int64), np.empty((0, 2)))
    while not (ended := state.ended()):
        pairs = state.wanted()
        state = state.told(pairs, ask(pairs))
    return Learned(settings.fit(state.counted, state.found), state, ended)
