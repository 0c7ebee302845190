"""How do raters rate, and do they favour themselves? Raters by authors by tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.stats.intervals import student

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class SelfRating:
    """One rater's ratings of itself against its ratings of others.

    Attributes
    ----------
    bias
        Points of the scale: self minus cross, less what the other raters see in the same authors;
        paired by task. The interval speaks of this rater and these authors on new tasks of the pool.
    self_minus_cross
        The plain difference within the rater, in which an author's real quality counts as bias.
    cells
        [raters, authors] mean rating.
    """

    bias: Estimate
    self_minus_cross: Estimate
    cells: np.ndarray
    names: tuple[str, ...]

    def plot(self, ax: Axes) -> None:
        """The matrix of mean ratings, raters down and authors across; self-ratings are bold."""
        ax.grid(False)
        ax.imshow(self.cells, cmap="Blues", vmin=self.cells.min() - 0.3, vmax=self.cells.max() + 0.3)
        for i in range(len(self.names)):
            for j in range(len(self.names)):
                weight = "bold" if i == j else "normal"
                dark = self.cells[i, j] > (self.cells.min() + self.cells.max()) / 2 + 0.1
                ax.text(
                    j,
                    i,
                    f"{self.cells[i, j]:.2f}",
                    ha="center",
                    va="center",
                    weight=weight,
                    color="white" if dark else "black",
                )
        ax.set_xticks(range(len(self.names)), self.names, rotation=20, fontsize=7)
        ax.set_yticks(range(len(self.names)), self.names, fontsize=7)
        ax.set(xlabel="author", ylabel="rater", title=f"Mean rating; bias {self.bias.value:+.2f} points")


def expected(probabilities: np.ndarray, scale: Sequence[float]) -> np.ndarray:
    """Mean rating from the probabilities of the scale's points, [..., k] to [...]."""
    return np.asarray(np.asarray(probabilities) @ np.asarray(scale, dtype=float))


def difference(first: ArrayLike, second: ArrayLike) -> Estimate:
    """Mean difference of two ratings of the same n items, first minus second, in points; paired by item."""
    one, two = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if one.shape != two.shape:
        raise ValueError(f"paired ratings must be of the same items, not {one.shape} and {two.shape}")
    return student(one - two, unit="points")


def self_bias(ratings: np.ndarray, rater: str, names: Sequence[str]) -> SelfRating:
    """Does one rater favour its own works?

    Parameters
    ----------
    ratings
        [raters, authors, tasks] in points; raters and authors are the same models in the same order.
    rater
        Whose bias is asked for.
    names
        Of the models.

    For each task the rater's self-minus-cross difference is taken, and from it, for every other
    author a, the difference (self - a) as the remaining raters see it, who are neither of the two. So
    an author's quality cancels, and another rater's favouring of itself cannot leak in.

    The unit is the task: this is the test for "these models on new tasks". It says nothing of models
    in general, for which a matrix this small has no test (24 permutations of four models cannot
    reach a corrected 5 %).

    Raises ValueError for fewer than three models or a shape that does not match.
    """
    y, names = np.asarray(ratings, dtype=float), tuple(names)
    k = len(names)
    if y.ndim != 3 or y.shape[:2] != (k, k):
        raise ValueError(f"ratings need shape [{k}, {k}, tasks] for {k} models, not {y.shape}")
    if k < 3:
        raise ValueError(f"{k} models rate each other; telling bias from quality needs at least three")
    me = names.index(rater)
    others = [a for a in range(k) if a != me]
    plain = np.mean([y[me, me] - y[me, a] for a in others], axis=0)
    seen = np.mean([np.mean([y[r, me] - y[r, a] for r in others if r != a], axis=0) for a in others], axis=0)
    return SelfRating(student(plain - seen, unit="points"), student(plain, unit="points"), y.mean(2), names)
