"""Comparisons of items: answers checked once, counted by pair, and parted by whole pairs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.stats.checks import whole
from lab.stats.intervals import student, wilson


@dataclass(frozen=True)
class Comparisons:
    """Answers by question, where a question is two items in the order in which they were named.

    Made by `count`; repeats of a question are one row, so that nothing costs more for them.

    Attributes
    ----------
    first, second
        [questions] indices of the items, the first-named and the second-named.
    for_first, for_second
        [questions] weight of the answers that chose the one, and the other.
    answers
        [questions] how many answers were counted; 0 where they are probabilities, of which none was drawn.
    n_items
        How many items there are, also those that are never compared.
    """

    first: np.ndarray
    second: np.ndarray
    for_first: np.ndarray
    for_second: np.ndarray
    answers: np.ndarray
    n_items: int

    def __len__(self) -> int:
        return len(self.first)

    @property
    def total(self) -> float:
        """The weight of all answers: their number, where none was weighted."""
        return float(self.for_first.sum() + self.for_second.sum())

    @cached_property
    def pair(self) -> np.ndarray:
        """[questions] the number of each question's pair of items, whichever is named first."""
        low, high = np.minimum(self.first, self.second), np.maximum(self.first, self.second)
        return np.unique(low * self.n_items + high, return_inverse=True)[1].reshape(-1)

    @property
    def n_pairs(self) -> int:
        """How many different pairs of items were compared."""
        return int(self.pair.max()) + 1 if len(self) else 0

    @property
    def density(self) -> float:
        """Share of all pairs of items that were compared."""
        return self.n_pairs / (self.n_items * (self.n_items - 1) / 2)

    @cached_property
    def compared(self) -> np.ndarray:
        """[items] whether an item was compared at all."""
        seen = np.zeros(self.n_items, dtype=bool)
        seen[self.first], seen[self.second] = True, True
        return seen

    @cached_property
    def parts(self) -> int:
        """How many sets of compared items never meet each other; on one scale they are not."""
        labels = self._components(self.first, self.second, "weak")
        return len(np.unique(labels[self.compared]))

    @cached_property
    def comparable(self) -> np.ndarray:
        """[items] whether an item belongs to the largest set within which each was chosen over each, directly or not.

        Only within such a set has a utility a finite maximum-likelihood estimate (Ford 1957): an item that was
        always chosen, or never, has none.
        """
        one, other = self.for_first > 0, self.for_second > 0
        chosen = np.concatenate([self.first[one], self.second[other]])
        left = np.concatenate([self.second[one], self.first[other]])
        labels = self._components(chosen, left, "strong")
        sizes = np.bincount(labels[self.compared], minlength=labels.max() + 1)
        return np.asarray((labels == sizes.argmax()) & self.compared)

    def _components(self, source: np.ndarray, target: np.ndarray, connection: str) -> np.ndarray:
        """[items] the number of the connected component of each."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        graph = coo_array((np.ones(len(source)), (source, target)), shape=(self.n_items, self.n_items))
        return np.asarray(connected_components(graph, directed=True, connection=connection)[1])

    @property
    def asked(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """first, second and share of the first by question, as `count` takes them with `asked_weights`."""
        return self.first, self.second, self.for_first / self.asked_weights

    @property
    def asked_weights(self) -> np.ndarray:
        """[questions] weight of all answers to each."""
        return np.asarray(self.for_first + self.for_second)

    def take(self, questions: np.ndarray) -> Comparisons:
        """Those questions alone, by index or by a boolean for each, of the same items."""
        return replace(
            self,
            first=self.first[questions],
            second=self.second[questions],
            for_first=self.for_first[questions],
            for_second=self.for_second[questions],
            answers=self.answers[questions],
        )

    def folds(self, k: int, *, seed: int) -> Iterator[tuple[Comparisons, Comparisons]]:
        """k times (all other pairs, one k-th of them); a pair goes with all of its answers, in either order.

        Raises ValueError for fewer than two folds, or fewer pairs than folds.
        """
        whole("folds", k, 2)
        if self.n_pairs < k:
            raise ValueError(f"{self.n_pairs} pairs cannot be parted into {k} folds; compare more pairs")
        fold = (np.random.default_rng(seed).permutation(self.n_pairs) % k)[self.pair]
        for i in range(k):
            yield self.take(fold != i), self.take(fold == i)

    @property
    def agreement(self) -> Estimate | None:
        """How often two answers to the same question agree; None where fewer than two pairs were asked one twice.

        For each question with two answers or more, the share of pairs of its answers that are the same:
        unlike the share of the more frequent answer it is not lifted by having few of them (two answers at
        random have a "majority" of 75 %). Student's interval over pairs of items. Only answers in one order are
        held against each other, or else position bias would count.

        Of probabilities there is none: nothing was drawn.
        """
        repeated = self.answers >= 2
        pairs = self.pair[repeated]
        if len(np.unique(pairs)) < 2:
            return None
        n = self.answers[repeated]
        same = (self.for_first[repeated] ** 2 + self.for_second[repeated] ** 2 - n) / (n * (n - 1))
        return student(same, groups=pairs if len(np.unique(pairs)) < len(pairs) else None, unit="%")


def out_of_fold(hits: ArrayLike, groups: ArrayLike | None = None) -> Estimate:
    """Share of what was held out and foretold, from booleans; Wilson's interval with twice the variance.

    Two pairs of different folds have each taught the fit of the other, so that they are not separate. Measured of pairs
    without any content, on 30 to 200 items: 1.4 to 1.8 times the variance of separate pairs, and of pairs with some 1.9
    times. `groups` [n] are labels of hits that belong together, as both orders of a pair.
    """
    e, wider = wilson(hits, groups=groups), math.sqrt(2)
    low, high = max(0.0, e.value - wider * (e.value - e.low)), min(1.0, e.value + wider * (e.high - e.value))
    return replace(e, low=low, high=high, method=f"{e.method}, out of fold")


def count(
    first: ArrayLike, second: ArrayLike, chose_first: ArrayLike, n_items: int, weights: ArrayLike | None = None
) -> Comparisons:
    """Counts answers by question.

    Parameters
    ----------
    first, second
        [comparisons] whole numbers from 0 to n_items - 1: the item named first, and the one named second.
    chose_first
        [comparisons] 1 where the first-named was chosen and 0 where the second-named was, or the
        probability of the first-named; NaN where there was no answer (a refusal), which is left out.
    weights
        [comparisons] how many answers each stands for (of a share of k samples: k); 1 by default. At 0 a
        comparison is left out.

    Raises ValueError for rows of unequal length, items that do not exist, an item compared with itself, what is no
    probability, negative weights, or where no answer is left.
    """
    whole("the number of items", n_items, 2)
    a, b = np.asarray(first), np.asarray(second)
    p = np.asarray(chose_first, dtype=float)
    w = np.ones(p.shape) if weights is None else np.asarray(weights, dtype=float)
    if not a.shape == b.shape == p.shape == w.shape or a.ndim != 1:
        raise ValueError(
            f"first {a.shape}, second {b.shape}, chose_first {p.shape} and weights {w.shape} must be rows of one length"
        )
    if a.size and not all(np.issubdtype(side.dtype, np.integer) for side in (a, b)):
        raise ValueError("first and second must be whole numbers, the indices of items")
    if a.size and not 0 <= min(a.min(), b.min()) <= max(a.max(), b.max()) < n_items:
        raise ValueError(
            f"items are 0 to {n_items - 1}, not {min(a.min(), b.min())} to {max(a.max(), b.max())}; check n_items"
        )
    if (a == b).any():
        raise ValueError(f"item {a[a == b][0]} is compared with itself; leave such comparisons out")
    if ((p < 0) | (p > 1) | np.isinf(p)).any():
        raise ValueError("chose_first holds values that are no probabilities: 0, 1, or between, and NaN for no answer")
    if not (np.isfinite(w) & (w >= 0)).all():
        raise ValueError("weights must be finite and not negative")
    known = ~np.isnan(p) & (w > 0)
    if not known.any():
        raise ValueError("there is no answer among the comparisons; all are NaN or of weight 0")
    a, b, p, w = (column[known] for column in (a.astype(np.int64), b.astype(np.int64), p, w))
    keys, question = np.unique(a * n_items + b, return_inverse=True)
    k = len(keys)
    return Comparisons(
        first=keys // n_items,
        second=keys % n_items,
        for_first=np.bincount(question, w * p, k),
        for_second=np.bincount(question, w * (1 - p), k),
        answers=np.bincount(question, w if _are_counts(p, w) else np.zeros(w.size), k),
        n_items=int(n_items),
    )


def _are_counts(p: np.ndarray, w: np.ndarray) -> bool:
    """Whether weights are numbers of answers, of which the p are shares."""
    return bool(np.allclose(w, np.rint(w)) and np.allclose(w * p, np.rint(w * p), rtol=0, atol=1e-6))


def of_orders(pairs: ArrayLike, p_first: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """first, second and chose_first of pairs [pairs, 2] whose orders are answered side by side, as `count` takes them.

    `p_first` [pairs, 2] is the probability of the first-named, in column 0 with the pair as it stands and in column 1
    with the two swapped; NaN where an order was not asked. Raises ValueError for other shapes.
    """
    both, p = np.asarray(pairs), np.asarray(p_first, dtype=float)
    if both.shape != p.shape or both.ndim != 2 or both.shape[1] != 2:
        raise ValueError(f"pairs {both.shape} and p_first {p.shape} must both be [pairs, 2]")
    return both.T.ravel(), both[:, ::-1].T.ravel(), p.T.ravel()


NO_CHOICE = ("", "none", "refusal", "refused", "unclear", "tie", "error")
"""What `chosen` may say of an answer that chose neither."""


def answers_of(row: Mapping[str, Any]) -> list[tuple[str, str, float, int]]:
    """What a stored row tells, by question: the first-named, the second-named, and whether the first was chosen.

    That is 1, 0, NaN where neither was, or a share; with the number of answers that it is a share of, which is 0 of a
    probability.

    A row has `first` and `second`, or `task_a` and `task_b`: the ids of two items in the order in which they were
    named; and one of

    - `chosen`: the id of the one that was, or "first" or "second", or one of `NO_CHOICE`;
    - `choice` or `outcome`: "a" for the first-named, "b" for the second; anything else counts as no choice;
    - `p first`: the probabilities of the first-named, as they stand and with the two swapped, None where not asked; and
      `answers`, where these are shares: how many chose the first-named and the second-named, of either order.

    Raises ValueError, of a text that begins with a verb, for a row that has none of these, or that chose a third.
    """
    names = next((pair for pair in (("first", "second"), ("task_a", "task_b")) if pair[0] in row), ("first", "second"))
    told = next((key for key in ("chosen", "choice", "outcome", "p first") if key in row), None)
    for key in names:
        if row.get(key) in (None, ""):
            raise ValueError(f"lacks {key!r}; it has {', '.join(map(str, row)) or 'nothing'}")
    if told is None:
        due = "chosen" if names[0] == "first" else "choice"
        raise ValueError(f"lacks {due!r}; it has {', '.join(map(str, row))}")
    one, other = str(row[names[0]]), str(row[names[1]])
    if one == other:
        raise ValueError(f"compares {one!r} with itself")
    if told == "p first":
        return _in_both_orders(one, other, row)
    said = "" if row[told] is None else str(row[told])
    if told != "chosen":
        return [(one, other, {"a": 1.0, "b": 0.0}.get(said.lower(), np.nan), 1)]
    known = {one: 1.0, other: 0.0}
    if said not in known and said.lower() not in ("first", "second", *NO_CHOICE):
        raise ValueError(f"chose {said!r}, which is neither {one!r} nor {other!r}")
    return [(one, other, known.get(said, {"first": 1.0, "second": 0.0}.get(said.lower(), np.nan)), 1)]


def _in_both_orders(one: str, other: str, row: Mapping[str, Any]) -> list[tuple[str, str, float, int]]:
    """As `answers_of`, of a row with `p first`."""
    orders = ((one, other), (other, one))
    try:
        if "answers" in row:
            drawn = zip(orders, row["answers"], strict=True)
            return [(*named, a / (a + b), a + b) for named, (a, b) in drawn if a + b]
        return [(*named, float(p), 0) for named, p in zip(orders, row["p first"], strict=True) if p is not None]
    except (TypeError, ValueError):
        raise ValueError("needs two numbers as 'p first', and two times two as 'answers' where it has any") from None


def of_answers(
    answers: Iterable[tuple[str, str, float, int]], ids: Iterable[str] | None = None
) -> tuple[tuple[str, ...], Comparisons, int]:
    """Ids, comparisons, and how many answers chose neither, of what `answers_of` reads.

    A share weighs as many answers as it is of, a probability one. `ids` gives the items and their order; by default
    those that occur, sorted. Raises ValueError for an item that is not among them, and as `count`.
    """
    table = list(answers)
    found = {name for one, other, _, _ in table for name in (one, other)}
    names = tuple(sorted(found) if ids is None else map(str, ids))
    index = {name: i for i, name in enumerate(names)}
    if strangers := sorted(found - index.keys()):
        raise ValueError(f"{strangers[0]!r} is compared and is none of the {len(names)} items")
    first = np.array([index[one] for one, _, _, _ in table], dtype=int)
    second = np.array([index[other] for _, other, _, _ in table], dtype=int)
    chosen = np.array([p for _, _, p, _ in table], dtype=float)
    weights = np.array([n or 1 for _, _, _, n in table], dtype=float)
    return names, count(first, second, chosen, len(names), weights), int(np.isnan(chosen).sum())
