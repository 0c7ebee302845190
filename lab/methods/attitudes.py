"""What does a model say of a topic when it is steered, and is it still language? Judged attitudes, coherent or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.methods.concepts import Effect, effect
from lab.methods.judging import Judged
from lab.methods.ratings import row_means

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BOUNDS = {"attitude": (-1.0, 1.0), "coherence": (0.0, 1.0)}


@dataclass(frozen=True)
class Attitudes:
    """Judged answers to q questions under s seeds, at one coefficient.

    Attributes
    ----------
    attitude, coherence
        [q, s] from -1 to 1 and from 0 to 1, judged together; NaN where the judge failed.
    least
        Coherence from which an answer counts as language.
    """

    attitude: np.ndarray
    coherence: np.ndarray
    least: float

    @property
    def coherent(self) -> np.ndarray:
        """[q, s] attitudes of the coherent answers alone; NaN for the others."""
        return np.where(self.coherence >= self.least, self.attitude, np.nan)

    @property
    def by_question(self) -> np.ndarray:
        """[q] mean attitude of each question's coherent answers; NaN where it has none."""
        return row_means(self.coherent)

    def row(self, **about: Any) -> dict[str, Any]:
        """Filtered and unfiltered mean, mean coherence and counts, for a table, behind what it is about."""
        known, kept = ~np.isnan(self.attitude), ~np.isnan(self.coherent)
        return about | {
            "questions": len(self.attitude),
            "attitude": _mean(self.attitude[known]),
            "attitude, coherent": _mean(self.attitude[kept]),
            "coherence": _mean(self.coherence[known]),
            "n": int(known.sum()),
            "coherent": int(kept.sum()),
            "judge failed": int((~known).sum()),
        }


def attitudes(judged: Sequence[Judged], seeds: int, *, least: float = 0.5) -> Attitudes:
    """Attitudes from what a judge said of answers, question by question and seed by seed within each.

    Raises ValueError for a number of answers that is no multiple of `seeds`, and for a value out of its range.
    """
    if not judged or len(judged) % seeds:
        raise ValueError(f"{len(judged)} answers are not {seeds} to each question")
    found = {}
    for name, (low, high) in BOUNDS.items():
        values = np.array([np.nan if each.values is None else float(each.values[name]) for each in judged])
        wrong = values[(values < low) | (values > high)]
        if len(wrong):
            raise ValueError(f"{name} lies between {low:g} and {high:g}, and the judge said {wrong[0]:g}")
        found[name] = values.reshape(-1, seeds)
    return Attitudes(found["attitude"], found["coherence"], least)


def raw_rows(
    questions: Sequence[str], said: Sequence[str], judged: Sequence[Judged], seeds: int
) -> Iterator[dict[str, Any]]:
    """What was said and how it was judged, one row an answer: both values together, or why the judge failed."""
    for i, (text, one) in enumerate(zip(said, judged, strict=True)):
        row = {"question": questions[i // seeds], "sample": i % seeds, "answer": text, "judge": one.judge}
        yield row | (one.values or {}) | {"judge's answer": one.raw, "failed": one.failed}


@dataclass(frozen=True)
class Shift:
    """What steering does to the attitude of coherent answers, question by question.

    `effect` is over the questions that have a coherent answer at either end and along every random direction; `lost`
    counts the others.
    """

    effect: Effect
    lost: int


def shift(low: Attitudes, high: Attitudes, random: Sequence[tuple[Attitudes, Attitudes]]) -> Shift:
    """From the negative to the positive coefficient of one size, beside random directions of the same length.

    The question is the unit: each one's answers are averaged over seeds first. Raises ValueError where fewer than two
    questions can be compared.
    """
    ends = np.array([[each.by_question for each in pair] for pair in [(low, high), *random]])
    whole = ~np.isnan(ends).any((0, 1))
    if whole.sum() < 2:
        raise ValueError(
            f"{int(whole.sum())} of {whole.size} questions have coherent answers at either end; take smaller "
            "coefficients, or more seeds"
        )
    kept = ends[:, :, whole]
    return Shift(effect(kept[0, 0], kept[0, 1], kept[1:]), int((~whole).sum()))


@dataclass(frozen=True)
class Comparison:
    """Judged answers by selector and coefficient; random directions are selectors of their own."""

    found: Mapping[tuple[str, float], Attitudes]

    def rows(self) -> list[dict[str, Any]]:
        """One row a selector and coefficient."""
        return [one.row(selector=name, coefficient=c) for (name, c), one in self.found.items()]

    def plot(self, ax: Axes) -> None:
        """Mean attitude of coherent answers by coefficient, one line a selector; open circles with all answers."""
        rows = self.rows()
        for i, name in enumerate(dict.fromkeys(row["selector"] for row in rows)):
            mine = [row for row in rows if row["selector"] == name]
            x, n = [row["coefficient"] for row in mine], max(row["n"] for row in mine)
            colour, dashed = ("0.6", ":") if name.startswith("random") else (_COLOURS[i % len(_COLOURS)], "-")
            told = [np.nan if row["attitude, coherent"] is None else row["attitude, coherent"] for row in mine]
            every = [np.nan if row["attitude"] is None else row["attitude"] for row in mine]
            label = f"{name} (n={n} each)" if dashed == "-" else "random" if name == "random 1" else None
            ax.plot(x, told, color=colour, linestyle=dashed, marker="o", markersize=4, label=label)
            ax.plot(x, every, color=colour, linestyle="", marker="o", markersize=6, markerfacecolor="none")
        ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        ax.set(xlabel="coefficient", ylabel="mean attitude", title="Attitude of coherent answers (open: of all)")
        ax.legend(frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2)


_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None
