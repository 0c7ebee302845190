"""The square of raters by authors: how each rates whose work, self against cross, and its naive forms."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.estimate import Estimate
from lab.record.kept import Kept
from lab.stats.icc import icc_batch
from lab.stats.means import welch
from lab.stats.scale_use import kl_plugin
from lab.studies.ratings.self_rating import SelfRating, self_bias, self_preference
from lab.studies.shared.ratings import Ratings, common

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEASURES = ("icc", "mean", "kl_from_uniform")
"""What is told of every cell, and compared between self and cross."""


@dataclass(frozen=True)
class Square:
    """Every rater's ratings of every author's works on the same tasks, on one template.

    Attributes
    ----------
    names
        [k] raters and authors, the same models in the same order.
    rows
        One a cell that was measured: template, rating_model, completion_model, is_self, icc, mean, std,
        kl_from_uniform, n_measurements, modal_score, modal_share; None where undefined.
    missing
        (rater, author) of every cell without a rating.
    tasks
        [n] ids of the tasks that have a rating in every measured cell.
    points
        [k, k, n] mean rating of each of them, over completion seeds too; NaN in missing cells.
    runs
        Those that it was made of.
    """

    names: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    missing: tuple[tuple[str, str], ...]
    tasks: tuple[str, ...]
    points: np.ndarray
    runs: tuple[Ratings, ...] = field(repr=False)

    def naive(self, rater: str) -> list[dict[str, Any]]:
        """A rater's own works beside those of each other author with nothing taken out, as `naive` tells it."""
        own = next((run for run in self.runs if (run.asked.rater, run.asked.author) == (rater, rater)), None)
        others = [run for run in self.runs if run.asked.rater == rater != run.asked.author]
        return [] if own is None else [naive(own, other).row() for other in others]

    @property
    def gaps(self) -> str:
        """The missing cells by name, for a reader; empty where there is none."""
        return ", ".join(f"{rater} of {author}" for rater, author in self.missing)

    def plot(self, ax: Axes) -> None:
        """Mean rating by every rater (down) of every author (across); their own are framed."""
        heat(ax, self.names, self.rows, "mean")
        ax.set_title(f"{self.rows[0]['template']}, {len(self.tasks)} tasks" if self.rows else "nothing was rated")


def square(runs: Sequence[Ratings], names: Sequence[str]) -> Square:
    """Puts runs of one template together: those of each rater and author among `names`, of all completion seeds.

    A run says itself who rated whose works. Raises ValueError for two runs of the same works, or of several templates.
    """
    of_pair: dict[tuple[str, str], list[Ratings]] = {(rater, author): [] for rater in names for author in names}
    for run in runs:
        here = of_pair.get((run.asked.rater, str(run.asked.author)), [])
        if any(run.asked.completion_seed == other.asked.completion_seed for other in here):
            raise ValueError(f"{run.name} stands there twice; leave one of the two out")
        here.append(run)
    forms = sorted({run.template.name for run in runs})
    if len(forms) > 1:
        raise ValueError(f"a square is of one template, not of {', '.join(forms)}; make one of each")
    there = {pair: rated for pair, of in of_pair.items() if (rated := [run for run in of if run.given.size])}
    alike = common([run for of in there.values() for run in of])
    tasks = alike[0].tasks if alike else ()
    points = np.full((len(names), len(names), len(tasks)), np.nan)
    for rater, author in there:
        own = [run.expected for run in alike if (run.asked.rater, run.asked.author) == (rater, author)]
        points[names.index(rater), names.index(author)] = np.mean(own, axis=0)
    return Square(
        tuple(names),
        tuple(cell(*of) for of in there.values()),
        tuple(pair for pair in of_pair if pair not in there),
        tasks,
        points,
        tuple(run for of in there.values() for run in of),
    )


def cell(*runs: Ratings) -> dict[str, Any]:
    """What is told of one rater's ratings of one author, all seeds together, as a row of `Square`.

    The ICC(2,1) has works as targets and rating seeds as raters, on the works that have a rating under every seed; the
    divergence from uniform is over the declared scale without banned answers. Ratings of one work under several seeds
    are not independent: these describe, and decide nothing.
    """
    form, asked = runs[0].template, runs[0].asked
    given = np.concatenate([run.given for run in runs])
    whole = np.concatenate([run.values[~np.isnan(run.values).any(1)] for run in runs])
    icc = float(icc_batch(whole)["2,1"]) if min(whole.shape) >= 2 else float("nan")
    points, counts = np.unique(given, return_counts=True)
    allowed = [v for v, a in zip(form.values, form.answers, strict=True) if a not in form.banned]
    return {
        "template": form.name,
        "rating_model": asked.rater,
        "completion_model": asked.author,
        "is_self": asked.rater == asked.author,
        "icc": icc if np.isfinite(icc) else None,
        "mean": float(given.mean()) if given.size else None,
        "std": float(given.std(ddof=1)) if given.size > 1 else None,
        "kl_from_uniform": float(kl_plugin(given, allowed)) if given.size else None,
        "n_measurements": int(given.size),
        "modal_score": float(points[counts.argmax()]) if given.size else None,
        "modal_share": float(counts.max() / given.size) if given.size else None,
    }


def aggregate(rows: Sequence[Mapping[str, Any]], measures: Sequence[str] = MEASURES) -> list[dict[str, Any]]:
    """Self against cross over the cells of a square: n, mean and sd (n - 1) of each side, and p of a t-test.

    `rows` as of `Square`. p is Student's with pooled variance over cells as if they were independent, which cells that
    share a rater or an author are not: it is for comparison with results that were told so. What may be concluded
    stands in `self_rating.self_preference`. None where a side has fewer than two cells, or nothing varies.
    """
    from scipy.stats import ttest_ind

    made = []
    for measure in measures:
        own, cross = (
            np.array([float(r[measure]) for r in rows if bool(r["is_self"]) is side and r[measure] is not None])
            for side in (True, False)
        )
        tested = min(own.size, cross.size) >= 2 and own.var() + cross.var() > 0
        row: dict[str, Any] = {"measure": measure}
        for side, x in (("self", own), ("cross", cross)):
            row |= {
                f"{side}_n": int(x.size),
                f"{side}_mean": float(x.mean()) if x.size else None,
                f"{side}_std": float(x.std(ddof=1)) if x.size > 1 else None,
            }
        made.append(row | {"p": float(ttest_ind(own, cross).pvalue) if tested else None})
    return made


def breakdown(rows: Sequence[Mapping[str, Any]], measures: Sequence[str] = MEASURES) -> list[dict[str, Any]]:
    """For each rater a row of its own works, and one of the average over all others' (unweighted)."""
    made = []
    for rater in dict.fromkeys(str(row["rating_model"]) for row in rows):
        for is_self in (True, False):
            here = [row for row in rows if row["rating_model"] == rater and bool(row["is_self"]) is is_self]
            known = {m: [float(row[m]) for row in here if row[m] is not None] for m in measures}
            made.append(
                {
                    "rating_model": rater,
                    "completion_model": rater if is_self else "others (average)",
                    "is_self": is_self,
                    "cells": len(here),
                    **{m: float(np.mean(x)) if x else None for m, x in known.items()},
                }
            )
    return made


@dataclass(frozen=True)
class Naive:
    """Two runs beside each other, with nothing taken out: how each is used, and their difference.

    Attributes
    ----------
    first, second
        mean, modal_score, modal_share and n of each, as in `cell`.
    difference
        First minus second as if all ratings were independent (Welch); None where the scales differ.
    warning
        Why they cannot be compared so: other tasks, other templates. Empty where neither.
    """

    first: dict[str, Any]
    second: dict[str, Any]
    difference: Estimate | None
    warning: str

    def row(self) -> dict[str, Any]:
        """Both sides and the warning, for a table."""
        keys = ("rating_model", "completion_model", "mean", "modal_score", "modal_share", "n_measurements")
        sides = {"first": self.first, "second": self.second}
        told = {f"{side}_{key}": row[key] for side, row in sides.items() for key in keys}
        return told | {
            "difference": None if self.difference is None else self.difference.value,
            "warning": self.warning,
        }


def naive(first: Ratings, second: Ratings) -> Naive:
    """Mean and share at the modal score of two runs. Warns where tasks or templates differ; `warning` says so too."""
    told = []
    one, two = set(first.tasks), set(second.tasks)
    if one != two:
        told.append(f"their task sets differ ({len(one & two)} tasks in both, {len(one ^ two)} in one only)")
    if first.template.name != second.template.name:
        told.append(f"their templates differ ({first.template.name}, {second.template.name})")
    warning = f"{first.name} and {second.name} cannot be compared naively: {' and '.join(told)}" if told else ""
    if warning:
        warnings.warn(warning, stacklevel=2)
    same = first.template.values == second.template.values and min(first.given.size, second.given.size) >= 2
    return Naive(cell(first), cell(second), welch(first.given, second.given, unit="points") if same else None, warning)


@dataclass(frozen=True)
class Favour:
    """What one template says of a rater's favour for its own works; `spread` as in `self_bias`."""

    template: str
    square: Square
    rater: str
    spread: float

    @cached_property
    def bias(self) -> SelfRating:
        """Of this rater and these authors. Raises ValueError where a cell is missing."""
        return self_bias(self.square.points, self.rater, self.square.names, spread=self.spread)

    @property
    def tells_apart(self) -> bool:
        """Whether the rater rates works differently at all."""
        return bool(self.square.points[self.square.names.index(self.rater)].std() > 0.05)

    def kept(self) -> Kept:
        """The matrix, and every reading of it."""
        rows, bias, general = self.square.rows, self.bias, self_preference(self.square.points)
        told = {
            "tasks": len(self.square.tasks),
            "missing": [list(pair) for pair in self.square.missing],
            "quality of its works, as the others see it": bias.quality,
            "bias, if all raters spread alike": bias.alike,
            "self minus cross": bias.self_minus_cross,
            "self and cross": aggregate(rows),
            "by rater": breakdown(rows),
            "naive": self.square.naive(self.rater),
            "these models": general.these_models,
            "models in general": general.in_general,
            "p of permutations": general.p_permutation,
            "least p of so many models": general.least_p,
        }
        return Kept(
            rows={f"matrix, {self.template}": list(rows)},
            summary={f"{self.template}: {name}": value for name, value in told.items()},
            plots={f"matrix_{self.template}": (self.square.plot, (6, 5))},
        )


def heat(ax: Axes, names: Sequence[str], rows: Sequence[Mapping[str, Any]], measure: str) -> None:
    """One measure of every cell, raters down and authors across; own works are framed, missing cells grey and named."""
    from matplotlib.patches import Rectangle

    shown = np.full((len(names), len(names)), np.nan)
    for row in rows:
        if row[measure] is not None:
            shown[names.index(row["rating_model"]), names.index(row["completion_model"])] = row[measure]
    known = shown[~np.isnan(shown)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    ax.grid(False)
    ax.set_facecolor("0.9")
    image = ax.imshow(shown, cmap="cividis", vmin=low, vmax=max(high, low + 1e-6))
    size = 7 if len(names) <= 8 else 5
    for (i, j), value in np.ndenumerate(shown):
        text = "none" if np.isnan(value) else f"{value:.2f}"
        dark = not np.isnan(value) and value - low < 0.55 * (high - low)
        ax.text(j, i, text, ha="center", va="center", fontsize=size, color="white" if dark else "black")
        if i == j:
            ax.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor="#D55E00", linewidth=1.5))
    ax.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor", fontsize=size)
    ax.set_yticks(range(len(names)), names, fontsize=size)
    ax.set(xlabel="author", ylabel="rater")
    assert ax.figure is not None
    ax.figure.colorbar(image, ax=ax, shrink=0.7)
