"""Judged attitudes of a steered model to a topic, and whether what it says is still coherent language."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.judging.judges import Judged
from lab.record.kept import Kept
from lab.studies.ratings.concepts import Effect, effect
from lab.studies.shared.ratings import row_means
from lab.studies.shared.steering import random_directions

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


Ends = tuple[Attitudes, Attitudes]
"""At the negative and at the positive coefficient of one size."""


def shift(low: Attitudes, high: Attitudes, random: Sequence[Ends]) -> Shift:
    """From the negative to the positive coefficient of one size, beside random directions of the same length.

    The question is the unit: each one's answers are averaged over seeds first. Raises ValueError where fewer than two
    questions can be compared.
    """
    ends, whole = _compared(low, high, random)
    if whole.sum() < 2:
        raise ValueError(
            f"{int(whole.sum())} of {whole.size} questions have coherent answers at either end; take smaller "
            "coefficients, or more seeds"
        )
    kept = ends[:, :, whole]
    return Shift(effect(kept[0, 0], kept[0, 1], kept[1:]), int((~whole).sum()))


def _compared(low: Attitudes, high: Attitudes, random: Sequence[Ends]) -> tuple[np.ndarray, np.ndarray]:
    """[1 + r, 2, q] each question's mean attitude, and [q] whether it has one everywhere."""
    ends = np.array([[each.by_question for each in pair] for pair in [(low, high), *random]])
    return ends, ~np.isnan(ends).any((0, 1))


@dataclass(frozen=True)
class Comparison:
    """Judged answers by selector and coefficient, and beside each selector along random directions of its length.

    Attributes
    ----------
    found
        By selector and coefficient.
    random
        By selector: at either end, along each of r random directions that are as long as its vector.
    coefficient
        Of the ends: -coefficient and coefficient.
    selector
        That of which the claim is.
    """

    found: Mapping[tuple[str, float], Attitudes]
    random: Mapping[str, Sequence[Ends]]
    coefficient: float
    selector: str = ""

    def kept(self) -> Kept:
        """All attitudes, all effects, and what the claim's selector did."""
        shown = self.shift(self.selector)
        return Kept(
            rows={"attitudes": self.rows(), "attitude effects": self.effects()},
            summary={
                "questions_without_a_coherent_answer": shown.lost,
                "change_by_a_random_direction": shown.effect.random_change,
            },
            plots={"attitude by selector": self.plot},
        )

    def shift(self, selector: str) -> Shift:
        """What steering from end to end along a selector's vector does. Raises ValueError as `shift` does, and for a
        selector or a coefficient of which nothing was judged."""
        ends = [(selector, c) for c in (-self.coefficient, self.coefficient)]
        if missing := [f"{name} at {c:+g}" for name, c in ends if (name, c) not in self.found]:
            raise ValueError(f"nothing was judged of {' and '.join(missing)}; name it in selectors and coefficients")
        low, high = (self.found[end] for end in ends)
        return shift(low, high, self.random[selector])

    def rows(self) -> list[dict[str, Any]]:
        """One row a selector and coefficient; random directions are selectors of their own."""
        beside = {
            (f"random {i} for {name}", c): one
            for name, directions in self.random.items()
            for i, pair in enumerate(directions, 1)
            for c, one in zip((-self.coefficient, self.coefficient), pair, strict=True)
        }
        return [one.row(selector=name, coefficient=c) for (name, c), one in ({**self.found} | beside).items()]

    def effects(self) -> list[dict[str, Any]]:
        """One row a selector: its change from end to end beside those of random directions of its length.

        Without changes where fewer than two questions can be compared.
        """
        made: list[dict[str, Any]] = []
        for name, random in self.random.items():
            ends = self.found[name, -self.coefficient], self.found[name, self.coefficient]
            whole = _compared(*ends, random)[1]
            about = {"selector": name, "coefficient": self.coefficient, "random directions": len(random)}
            about |= {"questions lost": int((~whole).sum()), "n": int(whole.sum())}
            made.append(shift(*ends, random).effect.row(**about) if whole.sum() >= 2 else about)
        return made

    def plot(self, ax: Axes) -> None:
        """Mean attitude of coherent answers by coefficient, one line a selector; open circles with all answers."""
        for i, name in enumerate(dict.fromkeys(name for name, _ in self.found)):
            colour = _COLOURS[i % len(_COLOURS)]
            for pair in self.random.get(name, ()):
                told = [_or_nan(one.row()["attitude, coherent"]) for one in pair]
                ax.plot((-self.coefficient, self.coefficient), told, color=colour, linestyle=":", linewidth=0.9)
            mine = [one.row(coefficient=c) for (selector, c), one in self.found.items() if selector == name]
            x, n = [row["coefficient"] for row in mine], max(row["n"] for row in mine)
            told, every = ([_or_nan(row[key]) for row in mine] for key in ("attitude, coherent", "attitude"))
            ax.plot(x, told, color=colour, marker="o", markersize=4, label=f"{name} (n={n} each)")
            ax.plot(x, every, color=colour, linestyle="", marker="o", markersize=6, markerfacecolor="none")
        ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        title = "Attitude of coherent answers (open: of all)"
        if any(self.random.values()):
            title += "\ndotted: random directions as long as that selector's vector"
        ax.set(xlabel="coefficient", ylabel="mean attitude", title=title)
        ax.legend(frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3)


def compared(
    judged: Callable[[str, np.ndarray, float], Attitudes],
    plain: Attitudes,
    vectors: Mapping[str, np.ndarray],
    coefficients: Sequence[float],
    *,
    selector: str,
    coefficient: float,
    randoms: Mapping[str, int],
    seed: int = 0,
) -> Comparison:
    """What is said along vectors, and beside each along random directions of its length.

    Parameters
    ----------
    judged
        Gives the attitudes of what is said under a name, with a vector [d_model] added at a coefficient.
    plain
        Attitudes without steering, for coefficient 0.
    vectors
        By selector.
    selector, coefficient
        Of which selector the claim is, and at which ends selectors are compared with random directions.
    randoms
        By selector: how many random directions are drawn, with `seed`.
    """
    found = {
        (name, c): plain if c == 0 else judged(name, vector, c)
        for name, vector in vectors.items()
        for c in coefficients
    }
    ends = -coefficient, coefficient
    beside: dict[str, list[Ends]] = {}
    for name, vector in vectors.items():
        drawn = random_directions(vector, randoms[name], seed=seed)
        sides = [[judged(f"random {i} for {name}", v, c) for c in ends] for i, v in enumerate(drawn, 1)]
        beside[name] = [(low, high) for low, high in sides]
    return Comparison(found, beside, coefficient, selector)


_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None
