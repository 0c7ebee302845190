"""Concept vectors, their lengths beside the activations, and the effects of steering along them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.record.kept import Kept
from lab.stats.checks import finite
from lab.stats.health import Finding
from lab.stats.means import student
from lab.studies.shared.ratings import Ratings
from lab.studies.shared.steering import beyond_random, difference_in_means

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Normalised = Literal["activations", "unit", "none"]
"""How long a vector is: as the mean activation of both conditions, 1, or as it was found."""
MOST = 0.6
"""Share of the activations' norm above which a perturbation was seen to make a model write nonsense."""


@dataclass(frozen=True)
class Concept:
    """A direction at each of some layers, and how long it is beside what it is added to.

    Attributes
    ----------
    layers
        Indices of the layers.
    vectors
        [layers, d_model], of the length that `normalised` says; None says that nobody knows.
    original_norms
        [layers] lengths as they were found.
    activation_norms
        [layers] mean length of the activations that it was found in, over both conditions.
    n
        Tasks that it was found on.
    """

    layers: tuple[int, ...]
    vectors: np.ndarray
    original_norms: np.ndarray
    activation_norms: np.ndarray
    normalised: Normalised | None
    n: int

    @property
    def norms(self) -> np.ndarray:
        """[layers] lengths as they are."""
        return np.asarray(np.linalg.norm(self.vectors, axis=1))

    @property
    def shares(self) -> np.ndarray:
        """[layers] lengths over those of the activations: the perturbation that coefficient 1 makes."""
        return np.asarray(self.norms / self.activation_norms)

    def at(self, layer: int) -> np.ndarray:
        """The vector [d_model] at a layer. Raises ValueError for one that it was not found at."""
        if layer not in self.layers:
            raise ValueError(f"there is no vector at layer {layer}, only at {', '.join(map(str, self.layers))}")
        return np.asarray(self.vectors[self.layers.index(layer)])

    def to(self, normalised: Normalised) -> Concept:
        """The same directions, as long as `normalised` says; itself where they are so already.

        Raises ValueError for another word, or a vector of length 0.
        """
        if normalised not in get_args(Normalised):
            raise ValueError(f"vectors are normalised to {', '.join(get_args(Normalised))}, not {normalised!r}")
        if normalised == self.normalised:
            return self
        if not self.norms.all():
            layer = self.layers[int(np.flatnonzero(self.norms == 0)[0])]
            raise ValueError(f"both conditions have the same mean at layer {layer}, so there is no direction")
        lengths = {"activations": self.activation_norms, "unit": np.ones(len(self.layers)), "none": self.original_norms}
        made = self.vectors * (lengths[normalised] / self.norms)[:, None]
        return replace(self, vectors=made, normalised=normalised)

    def perturbation(self, coefficients: Sequence[float], layer: int) -> float:
        """The largest share of the activations' norm that these coefficients add at a layer."""
        return float(max(map(abs, coefficients)) * self.shares[self.layers.index(layer)])

    def too_strong(self, coefficients: Sequence[float], layer: int, most: float = MOST) -> Finding | None:
        """A warning where the perturbation exceeds `most` of the activations' norm."""
        found = self.perturbation(coefficients, layer)
        if found <= most * (1 + 1e-6):  # a share of exactly `most` is no more than it, whatever its last digit
            return None
        return Finding(
            f"the perturbation is up to {found:.2g} of the activations' norm at layer {layer}, above {most:g}: what "
            "the model then says may be nonsense; take smaller coefficients, or look at its coherence",
            fatal=False,
        )

    def table(self) -> list[dict[str, Any]]:
        """One row a layer: its lengths, and the perturbation that coefficient 1 makes."""
        columns = (self.layers, self.original_norms, self.activation_norms, self.norms, self.shares)
        names = ("layer", "original_norm", "activation_norm", "norm", "perturbation")
        rows = zip(*(np.asarray(column).tolist() for column in columns), strict=True)
        return [dict(zip(names, row, strict=True)) for row in rows]


def concept(
    away: ArrayLike, toward: ArrayLike, layers: Sequence[int], *, normalised: Normalised = "activations"
) -> Concept:
    """The difference of means between two conditions on the same tasks, layer by layer.

    Parameters
    ----------
    away, toward
        [n, layers, d_model] activations of the same n tasks under either condition.
    layers
        Indices of the layers.
    normalised
        "activations" scales each vector to the mean norm of the activations, over all tasks of both conditions; a
        coefficient of 1 is then a perturbation as large as what it is added to. "unit" scales to 1, "none" not at all.

    Raises ValueError for shapes that do not match, NaN, or a direction of length 0.
    """
    here, there = (finite(np.asarray(side, dtype=float), "activations") for side in (away, toward))
    if here.shape != there.shape or here.ndim != 3 or here.shape[1] != len(layers):
        raise ValueError(
            f"a concept needs activations [n, {len(layers)}, d_model] of the same tasks twice, not {here.shape} and "
            f"{there.shape}"
        )
    vectors = np.stack([difference_in_means(here[:, k], there[:, k]) for k in range(len(layers))])
    sizes = np.linalg.norm(np.concatenate([here, there]), axis=2).mean(0)
    found = Concept(tuple(layers), vectors, np.linalg.norm(vectors, axis=1), sizes, "none", len(here))
    return found.to(normalised)


@dataclass(frozen=True)
class Effect:
    """What steering from a smallest to a largest coefficient does to scores of the same n units.

    Attributes
    ----------
    change
        Scores at the largest coefficient less those at the smallest, paired by unit.
    random
        [r] mean change along each random direction of the same length.
    random_change
        The change along that one which changed the scores most, in either sense.
    excess
        The direction's change with the interval of `steering.beyond_random`, as one more random direction: above 0 it
        does what few of them would.
    """

    change: Estimate
    random: np.ndarray
    random_change: Estimate
    excess: Estimate

    def row(self, **about: Any) -> dict[str, Any]:
        """The changes with their intervals, for a table, behind what it is about."""
        shown = {"change": self.change, "random": self.random_change, "beyond random": self.excess}
        cells = {
            f"{name}{end}": value
            for name, e in shown.items()
            for end, value in (("", e.value), (", low", e.low), (", high", e.high))
        }
        return about | {"n": self.change.n} | cells


def effect(low: ArrayLike, high: ArrayLike, random: ArrayLike, *, unit: str = "") -> Effect:
    """What steering does to the same n units, beside random directions of the same length.

    Parameters
    ----------
    low, high
        [n] scores at the smallest and at the largest coefficient.
    random
        [r, 2, n] the same along r random directions.
    unit
        Of the scores.

    Intervals of changes are Student's over units, paired; that of `excess` is over directions. Raises ValueError for
    shapes that do not match, or NaN.
    """
    x = finite(np.asarray([low, high], dtype=float), "scores")
    noise = finite(np.asarray(random, dtype=float), "scores")
    if x.ndim != 2 or noise.ndim != 3 or noise.shape[1:] != x.shape or not len(noise):
        raise ValueError(f"steering needs scores [n] twice and [r, 2, n], not {x.shape} and {noise.shape}")
    by_direction = (noise[:, 1] - noise[:, 0]).mean(1)
    strongest = noise[int(np.abs(by_direction).argmax())]
    change = student(x[1] - x[0], unit=unit)
    return Effect(
        change=change,
        random=by_direction,
        random_change=student(strongest[1] - strongest[0], unit=unit),
        excess=beyond_random(change.value, by_direction, symmetric=True, unit=unit),
    )


@dataclass(frozen=True)
class Rated:
    """Exact ratings of the same n tasks at each of k coefficients, and along r random directions at the two ends.

    Attributes
    ----------
    coefficients
        [k] in ascending order.
    ratings
        [k, n] in points.
    on_scale
        [k] the mean probability that the answer is one of the scale's at all.
    random
        [r, 2] mean ratings at the smallest and the largest coefficient.
    effect
        From the smallest to the largest coefficient.
    """

    coefficients: tuple[float, ...]
    ratings: np.ndarray
    on_scale: np.ndarray
    random: np.ndarray
    effect: Effect

    def rows(self, **about: Any) -> list[dict[str, Any]]:
        """One row a coefficient with all its ratings, behind what it is about."""
        return [
            about | {"coefficient": c, "ratings": [round(float(x), 4) for x in each], "on scale": round(float(mass), 6)}
            for c, each, mass in zip(self.coefficients, self.ratings, self.on_scale, strict=True)
        ]

    def plot(self, ax: Axes) -> None:
        """Mean ratings by coefficient, along the direction and along random ones."""
        for i, ends in enumerate(self.random):
            label = None if i else f"{len(self.random)} random directions"
            ax.plot(self.coefficients[:: len(self.coefficients) - 1], ends, color="0.6", marker=".", label=label)
        ax.plot(self.coefficients, self.ratings.mean(1), color="#0072B2", marker="o", label="direction")
        ax.axvline(0, color="0.8", linewidth=0.8, zorder=0)
        ax.set(xlabel="coefficient", ylabel="mean rating", title=f"Steering ratings (n={self.ratings.shape[1]} tasks)")
        ax.legend(frameon=False)


@dataclass(frozen=True)
class Sweeps:
    """Ratings steered along one direction, by what the author and what the rater was told: love, none or hate."""

    by_told: Mapping[tuple[str, str], Rated]

    @property
    def neutral(self) -> Rated:
        """Where neither was told anything."""
        return self.by_told["none", "none"]

    def kept(self) -> Kept:
        """All ratings, all effects, and a plot of the neutral ones."""
        told = [({"author": author, "rater": rater}, each) for (author, rater), each in self.by_told.items()]
        return Kept(
            rows={
                "steered ratings": [row for about, each in told for row in each.rows(**about)],
                "steering": [each.effect.row(**about) for about, each in told],
            },
            summary={
                "change_by_a_random_direction": self.neutral.effect.random_change,
                "least_probability_of_any_rating": min(float(each.on_scale.min()) for each in self.by_told.values()),
            },
            plots={"steered ratings": self.neutral.plot},
        )


def rated(coefficients: Sequence[float], along: Sequence[Ratings], random: Sequence[Sequence[Ratings]]) -> Rated:
    """What steering does to exact ratings.

    Parameters
    ----------
    coefficients
        [k], ascending, two at least.
    along
        [k] ratings of the same n tasks at each coefficient.
    random
        [r][2] the same along r random directions, at the first and the last coefficient.

    Raises ValueError for coefficients that do not ascend, other tasks, or ratings that were sampled.
    """
    if list(coefficients) != sorted(set(coefficients)) or not len(coefficients) == len(along) > 1:
        raise ValueError(
            f"steering needs two and more coefficients that ascend, not {', '.join(map(str, coefficients))}"
        )
    every = [*along, *(each for ends in random for each in ends)]
    if any(each.tasks != every[0].tasks for each in every):
        raise ValueError("steering is compared on the same tasks; leave out none of them at one coefficient alone")
    if any(each.on_scale is None for each in along):
        raise ValueError("steering is compared by exact ratings; ask with exact=true")
    noise = np.array([[each.expected for each in ends] for ends in random])
    return Rated(
        coefficients=tuple(coefficients),
        ratings=np.array([each.expected for each in along]),
        on_scale=np.array([each.on_scale.mean() for each in along if each.on_scale is not None]),
        random=noise.mean(2),
        effect=effect(along[0].expected, along[-1].expected, noise, unit="points"),
    )
