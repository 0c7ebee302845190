"""A search for the most similar pair of layers of two models, with chance given the same search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.stats.threads import one_thread
from lab.studies.activations.massive import massive
from lab.studies.activations.representations import KINDS, activations, doubt, left_out, repeated, same, shuffled
from lab.studies.activations.shuffles import Scored, chance, enough, jackknife, layout, over

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class LayerSearch(Scored):
    """All pairs of layers, and what the best of so many pairs would be by chance.

    Attributes
    ----------
    scores
        [layers of the first, layers of the second]
    best
        Where the highest of them is.
    score
        That one. Its interval is of this pair, as if it had been named beforehand and not searched for, so
        no verdict on it decides; p is corrected.
    null
        [permutations] the highest score of all pairs, with the pairing of texts shuffled.
    null_95, percentile, excess, calibrated
        Of the best score against that null: `percentile > 0.95` is the claim to test. See `shuffles.Chance`.
    percentiles
        [layers, layers] share of its own null below each score, uncorrected: of 144 unrelated pairs about
        7 stand above 0.95.
    """

    measure: str
    scores: np.ndarray
    best: tuple[int, int]
    score: Estimate
    null: np.ndarray
    null_95: float
    percentile: Estimate
    excess: Estimate
    calibrated: float
    percentiles: np.ndarray

    def rows(self) -> list[dict[str, float]]:
        """One row a pair of layers, for tables: its score, the 95 % of the search's null, and its own percentile."""
        return [
            {
                "layer": i,
                "other_layer": j,
                "score": float(score),
                "null_95": self.null_95,
                "percentile": float(self.percentiles[i, j]),
            }
            for (i, j), score in np.ndenumerate(self.scores)
        ]

    def plot(self, ax: Axes) -> None:
        """Every pair's score, with the best one marked."""
        from matplotlib.ticker import MaxNLocator

        image = ax.imshow(self.scores, cmap="cividis", origin="lower", aspect="auto")
        ax.figure.colorbar(image, ax=ax, label=self.measure)
        i, j = self.best
        ax.scatter([j], [i], s=120, facecolors="white", edgecolors="black", linewidths=1.5)  # seen on any colour
        ax.grid(False)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True))
        title = f"Layers {i} and {j}: {self.value:.3f}, corrected p = {self.p:.3g} (n={self.score.n})"
        ax.set(xlabel="layer of the second model", ylabel="layer of the first model", title=title)


@one_thread
def search(
    xs: ArrayLike | Sequence[ArrayLike],
    ys: ArrayLike | Sequence[ArrayLike],
    *,
    measure: str = "cka",
    permutations: int = 1000,
    groups: ArrayLike | None = None,
    seed: int = 0,
    **options: Any,
) -> LayerSearch:
    """Scores every layer of one model against every layer of another.

    The highest of many scores is high by chance, and the higher the more layers there are. So every
    permutation of texts scores all pairs and keeps the highest (Westfall and Young 1993).

    Parameters
    ----------
    xs, ys
        Activations of the same n texts by layer: [n, layers, d], or a row of [n, d], whose widths may differ.
    measure
        "cka", "mutual_knn", "cknna", "svcca", "rsa" or "procrustes", with its `options`: `unbiased`, `k`,
        `keep`, `kind`. Of a measure whose null depends on the width, as biased CKA, the widest pair wins.
    permutations, groups, seed
        As in `similarity.cka`.

    Two sides that are the same in the best pair, hold texts twice there, or stand above chance by massive dimensions
    alone, are in doubt as in `similarity.cka`.
    Takes 16 n^2 bytes a layer. Raises ValueError as the measure does, naming the layer that does not vary.
    """
    if measure not in KINDS:
        raise ValueError(f"measure is {measure!r}; write one of {', '.join(KINDS)}")
    enough(permutations)
    firsts, seconds = _layers(xs, "first"), _layers(ys, "second")
    if len({len(x) for x in (*firsts, *seconds)}) > 1:
        raise ValueError(f"all layers must be of the same n texts, not {sorted({len(x) for x in (*firsts, *seconds)})}")
    texts = layout(len(firsts[0]), groups, seed)
    firsts, seconds = ([x[texts.order] for x in side] for side in (firsts, seconds))
    represent = partial(KINDS[measure], **options)
    a, b = ([represent(x) for x in side] for side in (firsts, seconds))
    scores = np.array([[one.score(other) for other in b] for one in a])
    nulls = shuffled(a, b, texts, permutations, np.random.default_rng([seed, 1]))
    i, j = (int(at) for at in np.unravel_index(scores.argmax(), scores.shape))
    value, null = float(scores[i, j]), nulls.max(axis=(1, 2))
    found = chance(null, value)
    score = jackknife(value, left_out(a[i], b[j], texts), texts, None)
    lifted = massive(firsts[i], seconds[j], represent, value, found.percentile.value, texts, permutations, seed)
    why = doubt(a[i], b[j]) or same(value) or repeated(firsts[i], seconds[j], texts.member) or lifted.doubt
    searched = f"it is the best of {scores.size} pairs of layers; hold `percentile` or `excess` against a bar instead"
    score = replace(score, p=found.p, method=f"{score.method}, of the chosen pair", doubt=why)
    return LayerSearch(
        measure=measure,
        scores=scores,
        best=(i, j),
        score=replace(score, doubt=why or searched),
        null=null,
        null_95=found.null_95,
        percentile=replace(found.percentile, doubt=why),
        excess=over(score, found.null_95),
        calibrated=found.calibrated,
        percentiles=(nulls < scores - 1e-12).mean(0),
    )


def _layers(xs: ArrayLike | Sequence[ArrayLike], name: str) -> list[np.ndarray]:
    """[n, d] of each layer, checked."""
    layers = list(np.swapaxes(xs, 0, 1)) if isinstance(xs, np.ndarray) and xs.ndim == 3 else xs
    if not isinstance(layers, list | tuple) or not layers:
        raise ValueError(f"the {name} activations must be [n, layers, d], or a list of [n, d] by layer")
    return [activations(layer, f"{name} model's layer {i}") for i, layer in enumerate(layers)]
