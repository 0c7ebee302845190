"""Mean activations of runs, and the distances between them.

A run is one data set read under one prompt: activations [n, layers, d_model]. What is kept of it are mean vectors.
This describes; what can be claimed of runs is in `divergence`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Mode = Literal["pairwise", "baseline"]
QUESTIONS = (
    "How do residual stream activations differ across runs and datasets?",
    "Which layers show the largest activation divergence between runs?",
    "Do activation differences align with task or prompt changes?",
)
"""What both experiments on runs ask; the first takes two runs, and the last a data set and a prompt that differ."""
_PART = 1 << 22
"""Numbers turned to float64 at a time."""


# One run ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Summary:
    """Statistics of one run, layer by layer.

    Attributes
    ----------
    layers
        True layer indices.
    mean
        [layers, d_model] float64: mean vector over the items that contributed.
    norm_of_mean
        [layers] its norm.
    mean_of_norms
        [layers] mean norm of single items; never below the former, and far above it where items differ.
    std
        [layers] mean over dimensions of the population's standard deviation (ddof 0).
    n
        Items that contributed.
    left_out
        Items with activations that are not finite, by their place in the run; they contribute nothing.
    """

    layers: tuple[int, ...]
    mean: np.ndarray
    norm_of_mean: np.ndarray
    mean_of_norms: np.ndarray
    std: np.ndarray
    n: int
    left_out: tuple[int, ...] = ()

    def table(self) -> dict[str, Any]:
        """Norms and std by layer, and the count: what reports show. All but the mean vectors."""
        return {
            "norm of the mean vector": _by_layer(self.layers, self.norm_of_mean),
            "mean of norms": _by_layer(self.layers, self.mean_of_norms),
            "std": _by_layer(self.layers, self.std),
            "samples processed": self.n,
            "samples left out": list(self.left_out),
            "layers": list(self.layers),
        }

    def rows(self) -> list[dict[str, Any]]:
        """The same, a row a layer."""
        columns = (self.layers, self.norm_of_mean, self.mean_of_norms, self.std)
        names = ("layer", "norm of the mean vector", "mean of norms", "std")
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def arrays(self, run: str) -> dict[str, np.ndarray]:
        """What `evidence.arrays` keeps of a run: its mean vectors, float32, and their layers; `saved` reads them."""
        return {f"{run}/mean": self.mean.astype(np.float32), f"{run}/layers": np.array(self.layers, dtype=np.int64)}

    def plot(self, ax: Axes) -> None:
        """Both norms by layer. Where the lines are far apart, items cancel in the mean."""
        ax.plot(self.layers, self.mean_of_norms, "o-", color="C0", label="mean of norms")
        ax.plot(self.layers, self.norm_of_mean, "s--", color="C1", label="norm of the mean vector")
        ax.set(xlabel="layer", ylabel="norm", ylim=(0, None), title=f"Residual stream (n={self.n})")
        ax.set_xticks(ticks(self.layers))
        ax.legend()


def summarise(activations: ArrayLike, layers: Sequence[int] | None = None) -> Summary:
    """Statistics of activations [n, layers, d_model]; `layers` are their true indices.

    Means and squared deviations are merged part by part (Chan, Golub and LeVeque 1983, The American Statistician
    37: 242): no difference of large squares, so a large common offset costs no digits. Raises ValueError for another
    shape, and where no item is finite.
    """
    x = np.asarray(activations)
    if x.ndim != 3 or 0 in x.shape[1:]:
        raise ValueError(f"activations must be [n, layers, d_model], not shape {x.shape}")
    named = tuple(range(x.shape[1])) if layers is None else tuple(int(layer) for layer in layers)
    if len(named) != x.shape[1]:
        raise ValueError(f"activations of shape {x.shape} do not fit {len(named)} layers")
    sound = np.isfinite(x).all(axis=(1, 2))
    if not sound.any():
        raise ValueError(f"none of {len(x)} items has finite activations; a mean needs one")
    mean, squares, norms, n = np.zeros(x.shape[1:]), np.zeros(x.shape[1:]), np.zeros(x.shape[1]), 0
    rows = max(1, _PART // x[0].size)
    for start in range(0, len(x), rows):
        part = x[start : start + rows].astype(np.float64)[sound[start : start + rows]]
        if not len(part):
            continue
        own, total = part.mean(0), n + len(part)
        apart = own - mean
        squares = squares + ((part - own) ** 2).sum(0) + apart**2 * (n * len(part) / total)
        mean = mean + apart * (len(part) / total)
        norms = norms + np.linalg.norm(part, axis=2).sum(0)
        n = total
    return Summary(
        layers=named,
        mean=mean,
        norm_of_mean=np.linalg.norm(mean, axis=1),
        mean_of_norms=norms / n,
        std=np.sqrt(squares / n).mean(1),
        n=n,
        left_out=tuple(np.flatnonzero(~sound).tolist()),
    )


# Two runs, as they are -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two runs' mean vectors, layer by layer; description, no claim.

    Attributes
    ----------
    cosine
        [layers] cosine similarity; 0 where one of the vectors is zero, and then flagged in `zero`.
    l2, relative_l2
        [layers] Euclidean distance; and the same over the mean of the two norms (0 of two zero vectors).
    """

    first: str
    second: str
    layers: tuple[int, ...]
    cosine: np.ndarray
    l2: np.ndarray
    relative_l2: np.ndarray
    zero: np.ndarray

    @property
    def means(self) -> dict[str, float]:
        """Means over the layers."""
        measures = {"cosine": self.cosine, "l2": self.l2, "relative l2": self.relative_l2}
        return {f"mean {name}": float(values.mean()) for name, values in measures.items()}

    def rows(self) -> list[dict[str, Any]]:
        """A row a layer, and one with the means."""
        runs = f"{self.first} / {self.second}"
        columns = (map(str, self.layers), self.cosine, self.l2, self.relative_l2)
        rows = [(runs, *row) for row in zip(*columns, strict=True)] + [(runs, "mean", *self.means.values())]
        return [dict(zip(("runs", "layer", "cosine", "l2", "relative l2"), row, strict=True)) for row in rows]

    def table(self, *, per_layer: bool = True) -> dict[str, Any]:
        """As plain values; without the lists by layer where these are not wanted."""
        told: dict[str, Any] = {"runs": [self.first, self.second], "layers": list(self.layers), **self.means}
        if per_layer:
            told |= {
                "cosine": _by_layer(self.layers, self.cosine),
                "l2": _by_layer(self.layers, self.l2),
                "relative l2": _by_layer(self.layers, self.relative_l2),
            }
        told["zero vectors at layers"] = [layer for layer, zero in zip(self.layers, self.zero, strict=True) if zero]
        return told


def compare(
    first: Mapping[int, ArrayLike] | Summary, second: Mapping[int, ArrayLike] | Summary, *, names: tuple[str, str]
) -> Comparison:
    """Compares mean vectors, given by true layer index or as summaries, at the layers that both have.

    Raises ValueError where they have no layer in common, or differ in width.
    """
    a, b = _vectors(first), _vectors(second)
    layers = tuple(sorted(set(a) & set(b)))
    if not layers:
        raise ValueError(f"{names[0]} has layers {sorted(a)} and {names[1]} {sorted(b)}; none is in both")
    widths = {a[layer].shape for layer in layers} | {b[layer].shape for layer in layers}
    if len(widths) > 1:
        raise ValueError(f"{names[0]} and {names[1]} differ in width: {sorted(widths)}; compare runs of one model")
    x, y = (np.stack([side[layer] for layer in layers]).astype(np.float64) for side in (a, b))
    one, two, apart = (np.linalg.norm(v, axis=1) for v in (x, y, x - y))
    zero = (one == 0) | (two == 0)
    # of unit vectors, so that neither overflow nor underflow of a product of norms is possible
    unit = [v / np.where(norm > 0, norm, 1)[:, None] for v, norm in ((x, one), (y, two))]
    both = (one + two) / 2
    return Comparison(
        first=names[0],
        second=names[1],
        layers=layers,
        cosine=np.clip((unit[0] * unit[1]).sum(1), -1, 1),
        l2=apart,
        relative_l2=apart / np.where(both > 0, both, 1),
        zero=zero,
    )


def saved(arrays: Mapping[str, np.ndarray]) -> dict[str, dict[int, np.ndarray]]:
    """Mean vectors by run and layer, from what `Summary.arrays` kept. Raises ValueError where there are none."""
    names = [label.removesuffix("/mean") for label in arrays if label.endswith("/mean")]
    if not names or any(f"{name}/layers" not in arrays for name in names):
        raise ValueError(f"there are no mean vectors of runs among {', '.join(arrays) or 'no arrays'}")
    return {
        name: {
            int(layer): vector for layer, vector in zip(arrays[f"{name}/layers"], arrays[f"{name}/mean"], strict=True)
        }
        for name in names
    }


def pairs(names: Sequence[str], mode: Mode = "pairwise") -> list[tuple[str, str]]:
    """Which runs are compared: all pairs, or each with the first. Raises ValueError for another mode, or one run.

    >>> pairs(["a", "b", "c"], "baseline")
    [('a', 'b'), ('a', 'c')]
    """
    if mode not in ("pairwise", "baseline"):
        raise ValueError(f"comparison mode {mode!r}; choose pairwise or baseline")
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError(f"a comparison needs two runs of different names, not {list(names)}")
    every = list(combinations(names, 2))
    return every if mode == "pairwise" else every[: len(names) - 1]


def _vectors(means: Mapping[int, ArrayLike] | Summary) -> dict[int, np.ndarray]:
    if isinstance(means, Summary):
        return dict(zip(means.layers, means.mean.astype(np.float32), strict=True))  # as they are kept on disk
    return {int(layer): np.asarray(vector) for layer, vector in means.items()}


def _by_layer(layers: Sequence[int], values: np.ndarray) -> dict[str, float]:
    return {str(layer): float(value) for layer, value in zip(layers, values, strict=True)}


def ticks(layers: Sequence[int]) -> Sequence[int]:
    """A dozen of the layers at most, for an axis."""
    return layers[:: 1 + len(layers) // 12]
