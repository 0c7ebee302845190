"""Effects of system prompts on ratings, of one given while the work is done and one while it is rated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.judging.judges import Judge, failures
from lab.record.kept import Kept
from lab.stats.checks import finite
from lab.stats.means import ratio, student
from lab.studies.shared.prompts import Variation, not_to_mention
from lab.studies.shared.ratings import Ratings, common

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVELS = ("love", "none", "hate")
"""What a system prompt says of a kind of task, in the order of a 3 x 3 design."""


def larger(first: ArrayLike, second: ArrayLike, *, unit: str = "points") -> Estimate:
    """By how much is one mean effect larger than another in size: |mean of first| - |mean of second|?

    Both effects [n] are of the same units. Each is turned so that its mean is positive, and the interval is Student's
    over the turned differences. An effect near 0 is turned by its noise, which makes it look larger by up to 0.8 of
    its standard error: hold the first against a bar that it could not reach so.

    Raises ValueError for rows that do not match.
    """
    one, two = (finite(np.asarray(side, dtype=float), "effects") for side in (first, second))
    if one.shape != two.shape or one.ndim != 1:
        raise ValueError(f"effects of the same units are needed, not shapes {one.shape} and {two.shape}")
    return student(_turned(one) - _turned(two), unit=unit)


def _turned(effects: np.ndarray) -> np.ndarray:
    return np.asarray(np.copysign(1.0, effects.mean()) * effects)


# Three by three -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ThreeByThree:
    """Ratings of the same tasks under three system prompts while the work is done, and three while it is rated.

    Attributes
    ----------
    ratings
        [3, 3, n] completion by measurement by task, in points.
    tasks
        [n] their ids.
    lost
        Tasks that have no rating in one of the cells, or more, and are left out of all.
    measurement, completion
        Points by which love beats hate, told while rating or while working: a mean over the three levels of the
        other, paired by task.
    excess
        By how much the first is larger in size.
    ratio
        Size of the first over that of the second (Fieller); in doubt where the second cannot be told from 0. None where
        the second is exactly 0.
    completion_untold
        As `completion`, where the rater is told nothing.
    anova
        Rows of the analysis of variance with tasks as blocks: {effect, ss, df, ms, f, error_df, p,
        partial_eta_squared}; each effect is tested against its own interaction with tasks.
    """

    ratings: np.ndarray
    tasks: tuple[str, ...]
    lost: int
    measurement: Estimate
    completion: Estimate
    excess: Estimate
    ratio: Estimate | None
    completion_untold: Estimate
    anova: tuple[dict[str, Any], ...]

    def plot(self, ax: Axes) -> None:
        """Nine violins: three measurement prompts within each completion prompt."""
        violins(ax, self.ratings)
        ax.legend(title="told while rating", fontsize=7, title_fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
        n = self.ratings.shape[2]
        ax.set_title(f"{n} tasks in each cell; measurement {self.measurement.value:+.2f}, "
                     f"completion {self.completion.value:+.2f}")  # fmt: skip

    def kept(self) -> Kept:
        """Nine cells, what either prompt does, and the violins."""
        return Kept(
            rows={"3x3": self.rows()},
            summary={
                "tasks_without_a_rating": self.lost,
                "measurement": self.measurement,
                "completion": self.completion,
                "completion_where_the_rater_is_told_nothing": self.completion_untold,
                "ratio": self.ratio,
                "anova": self.anova,
            },
            plots={"nine_violins": (self.plot, (6.4, 3.6))},
        )

    def rows(self) -> list[dict[str, Any]]:
        """One row a cell, with the mean rating of every task, by its id."""
        return [
            {
                "completion": c,
                "measurement": m,
                "ratings": {t: round(float(y), 4) for t, y in zip(self.tasks, self.ratings[i, j], strict=True)},
            }
            for i, c in enumerate(LEVELS)
            for j, m in enumerate(LEVELS)
        ]


SHADES = ("#0072B2", "0.6", "#D55E00")
"""Love, none and hate: a blue, a grey and a red that the colour-blind can tell apart."""


def violins(ax: Axes, ratings: np.ndarray) -> None:
    """Ratings [3, 3, n] as nine violins with their medians; a constant cell is a line."""
    for i in range(3):
        for j in range(3):
            at, y, colour = 4 * i + j, ratings[i, j], SHADES[j]
            if np.ptp(y) > 1e-9:
                parts: Any = ax.violinplot(y, positions=[at], widths=0.9, showextrema=False)
                for body in parts["bodies"]:
                    body.set(facecolor=colour, alpha=0.7)
            ax.hlines(float(np.median(y)), at - 0.35, at + 0.35, color="black", linewidth=1.5)
            if i == 0:
                ax.fill_between([], [], color=colour, alpha=0.7, label=LEVELS[j])
    ax.set_xticks([1, 5, 9], LEVELS)
    ax.set(xlabel="told while working", ylabel="rating (points)")


def three_by_three(runs: Sequence[Sequence[Ratings]]) -> ThreeByThree:
    """Takes ratings apart into what two system prompts do to them.

    Parameters
    ----------
    runs
        [3][3] told while working by told while rating, each love, none and hate; of the same tasks, on one template.

    Raises ValueError for another shape, several templates, or fewer than two tasks with a rating in every cell.
    """
    flat = [run for row in runs for run in row]
    if [len(row) for row in runs] != [3, 3, 3] or len({run.template.name for run in flat}) != 1:
        raise ValueError("a 3 x 3 design needs nine runs on one template: love, none and hate, each three times")
    alike = common(flat)
    tasks, every = alike[0].tasks, len({task for run in flat for task in run.tasks})
    if len(tasks) < 2:
        raise ValueError(f"{len(tasks)} of {every} tasks have a rating in all nine cells; at least two are needed")
    y = np.array([run.expected for run in alike]).reshape(3, 3, -1)
    measured, done = (y[:, 0] - y[:, 2]).mean(0), (y[0] - y[2]).mean(0)
    return ThreeByThree(
        ratings=y,
        tasks=tasks,
        lost=every - len(tasks),
        measurement=student(measured, unit="points"),
        completion=student(done, unit="points"),
        excess=larger(measured, done),
        ratio=ratio(_turned(measured), _turned(done)) if done.mean() else None,
        completion_untold=student(y[0, 1] - y[2, 1], unit="points"),
        anova=tuple(anova(y, ("completion", "measurement"))),
    )


def anova(ratings: np.ndarray, names: tuple[str, str]) -> list[dict[str, Any]]:
    """Repeated-measures analysis of variance of two factors, of ratings [a, b, n] of n units that are in every cell.

    Sums of squares of the factors, their interaction and the units; each of the first three over the mean square of its
    interaction with the units (no correction for sphericity). F and p are None where nothing varies.
    """
    from scipy.special import fdtrc

    y = finite(np.asarray(ratings, dtype=float), "ratings")
    a, b, n = y.shape
    grand, units = y.mean(), y.mean((0, 1))
    first, second, cells = y.mean((1, 2)) - grand, y.mean((0, 2)) - grand, y.mean(2) - grand
    both = cells - first[:, None] - second
    by_unit = y - grand
    own = units - grand
    first_unit = by_unit.mean(1) - first[:, None] - own
    second_unit = by_unit.mean(0) - second[:, None] - own
    rest = by_unit - cells[:, :, None] - own - first_unit[:, None] - second_unit[None]
    effects = (
        (names[0], b * n * (first**2).sum(), a - 1, b * (first_unit**2).sum()),
        (names[1], a * n * (second**2).sum(), b - 1, a * (second_unit**2).sum()),
        (f"{names[0]} x {names[1]}", n * (both**2).sum(), (a - 1) * (b - 1), (rest**2).sum()),
    )
    rows: list[dict[str, Any]] = []
    for name, ss, df, error in effects:
        error_df = df * (n - 1)
        known = error > 1e-18 * max(1.0, float((by_unit**2).sum()))
        f = float(ss / df / (error / error_df)) if known else None
        rows.append(
            {
                "effect": name,
                "ss": float(ss),
                "df": df,
                "ms": float(ss / df),
                "f": f,
                "error_df": error_df,
                "p": None if f is None else float(fdtrc(df, error_df, f)),
                "partial_eta_squared": float(ss / (ss + error)) if known else None,
            }
        )
    return [*rows, {"effect": "tasks", "ss": float(a * b * (own**2).sum()), "df": n - 1}]


# Many prompts against none ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shift:
    """What a system prompt did to ratings of the same tasks, against none.

    Attributes
    ----------
    tasks, origins
        [n] that have a rating under both.
    deltas
        [n] points under the prompt less those without, mean rating against mean rating.
    higher, ties, lower
        [n] how likely a rating of the task under the prompt is higher than one without it, as high, or lower: exact
        where probabilities are known, else the share of seeds.
    lost
        Tasks that have no rating under one of the two.
    """

    tasks: tuple[str, ...]
    origins: tuple[str, ...]
    deltas: np.ndarray
    higher: np.ndarray
    ties: np.ndarray
    lower: np.ndarray
    lost: int

    @property
    def delta(self) -> Estimate:
        """Mean of the deltas, over tasks."""
        return student(self.deltas, unit="points")

    def towards(self, sign: int) -> Estimate:
        """Mean of the deltas in the direction of a prompt: as they are for 1, turned round for -1."""
        return student(sign * self.deltas, unit="points")

    def of(self, origin: str) -> np.ndarray:
        """[n] whether a task is of this origin; all are of "all"."""
        return np.array([origin in (each, "all") for each in self.origins])

    def rows(self) -> list[dict[str, Any]]:
        """What it did to all tasks, and to those of each origin that has two or more."""
        made = []
        for origin in ("all", *dict.fromkeys(self.origins)):
            here = self.of(origin)
            if here.sum() >= 2:
                e = student(self.deltas[here], unit="points")
                shares = {k: round(float(getattr(self, k)[here].mean()), 4) for k in ("higher", "ties", "lower")}
                made.append({"origin": origin, "n": e.n, "delta": e.value, "low": e.low, "high": e.high, **shares})
        return made


def shift(under: Ratings, neutral: Ratings) -> Shift:
    """What a system prompt did to ratings, paired by task; tasks that stand in one of the two only are lost.

    Raises ValueError where the scales differ, or fewer than two tasks are left.
    """
    if under.template.values != neutral.template.values:
        raise ValueError(
            f"ratings on {under.template.name} and on {neutral.template.name} are on two scales, and have no difference"
        )
    every = len({*under.tasks, *neutral.tasks})
    one, two = common([under, neutral])
    if len(one.tasks) < 2:
        raise ValueError(f"{every} tasks were rated, but fewer than two of them under both system prompts")
    higher, lower = exceeds(one, two), exceeds(two, one)
    deltas = one.expected - two.expected
    return Shift(one.tasks, one.origins, deltas, higher, 1 - higher - lower, lower, every - len(one.tasks))


def exceeds(one: Ratings, two: Ratings) -> np.ndarray:
    """[n] how likely a rating of the one is strictly higher than one of the other, task by task."""
    if one.probabilities is not None and two.probabilities is not None:
        points = np.array(one.template.values)
        wins = points[:, None] > points
        return np.asarray(np.einsum("ni,ij,nj->n", one.allowed, wins, two.allowed))
    given = one.values[:, :, None], two.values[:, None, :]
    known = ~np.isnan(given[0]) & ~np.isnan(given[1])
    return np.asarray((known & (given[0] > given[1])).sum((1, 2)) / np.maximum(known.sum((1, 2)), 1))


def asymmetry(positive: Shift, negative: Shift) -> Estimate:
    """By how much a positive prompt moves ratings more than its negative does, whichever way each moves them.

    On the tasks that both have. Near an end of the scale there is less room on one side, which looks like an asymmetry:
    two prompts as strong as each other (0.8 points in the middle) differed by 0.07 points where the mean without a
    prompt was 3.5 of 1 to 5, and by 0.17 at 3.9. Raises ValueError for fewer than two of those tasks.
    """
    place = {task: i for i, task in enumerate(negative.tasks)}
    both = [(i, place[task]) for i, task in enumerate(positive.tasks) if task in place]
    if len(both) < 2:
        raise ValueError(f"{len(both)} tasks were rated under both prompts; an asymmetry needs at least two")
    first, second = (np.array(rows) for rows in zip(*both, strict=True))
    return larger(positive.deltas[first], negative.deltas[second])


def asymmetries(shifts: Mapping[Variation, Shift]) -> dict[str, Estimate]:
    """The asymmetry of every category that has one prompt of each sign, of shifts by prompt, as "asymmetry, NAME"."""
    signed: dict[str, dict[int, list[Shift]]] = {}
    for prompt, found in shifts.items():
        signed.setdefault(prompt.category, {}).setdefault(prompt.sign, []).append(found)
    return {
        f"asymmetry, {category}": asymmetry(of[1][0], of[-1][0])
        for category, of in signed.items()
        if len(of.get(1, ())) == len(of.get(-1, ())) == 1
    }


def farthest(shifts: Mapping[Variation, Shift]) -> tuple[Variation, Estimate]:
    """The prompt whose interval reaches farthest from 0: where it is within bounds, those of all prompts are.

    Raises ValueError for no prompts.
    """
    if not shifts:
        raise ValueError("there are no prompts to look for the farthest among; name a category that the set has")
    found = {prompt: shift.delta for prompt, shift in shifts.items()}
    return max(found.items(), key=lambda each: max(-each[1].low, each[1].high))


@dataclass(frozen=True)
class Mentions:
    """Which completions speak of their system prompt.

    `flagged` [n]; those that could not be judged are not flagged, and `failures` counts them by why.
    """

    flagged: np.ndarray
    failures: dict[str, int]


def mentions(
    judge: Judge, system: str, tasks: Sequence[str], completions: Sequence[str], ids: Sequence[str]
) -> Mentions:
    """Lets a judge say which of the completions [n] of tasks [n] refer to the system prompt; `ids` [n] name them."""
    items = [
        {"id": id, "system": system, "task": task, "completion": said}
        for id, task, said in zip(ids, tasks, completions, strict=True)
    ]
    judged = judge("reference", items)
    flagged = [each.values is not None and bool(each.values["references"]) for each in judged]
    return Mentions(np.array(flagged, dtype=bool), failures(judged))


@dataclass(frozen=True)
class Against:
    """What each of several system prompts did to ratings of n tasks, against none.

    `mentions` says of each prompt which completions spoke of it; None where it was told to the rater.
    """

    shifts: Mapping[Variation, Shift]
    mentions: Mapping[Variation, Mentions | None]
    n: int

    @property
    def lost(self) -> int:
        """The most tasks that any prompt has no rating of."""
        return max((shift.lost for shift in self.shifts.values()), default=0)

    @property
    def unread(self) -> int:
        """The most completions that the judge failed on under any prompt."""
        return max((sum(found.failures.values()) for found in self.mentions.values() if found), default=0)

    def of(self, *categories: str) -> dict[Variation, Shift]:
        """The shifts of prompts of these categories."""
        return {prompt: shift for prompt, shift in self.shifts.items() if prompt.category in categories}

    def rows(self) -> list[dict[str, Any]]:
        """The effect of each prompt on all tasks and on those of each origin."""
        return [_about(prompt) | row for prompt, shift in self.shifts.items() for row in shift.rows()]

    def prompts(self) -> list[dict[str, Any]]:
        """Each prompt as it was told, and how many completions and tasks it cost."""
        made = []
        for prompt, shift in self.shifts.items():
            found = self.mentions[prompt]
            told = prompt.text if found is None else not_to_mention(prompt.text)
            row = _about(prompt) | {"text": prompt.text, "told": told, "tasks": self.n}
            row |= {
                "left_out": int(found.flagged.sum()) if found else 0,
                "judge_failed": found.failures if found else {},
            }
            made.append(row | {"lost": shift.lost})
        return made

    def kept(self) -> Kept:
        """Every effect, every prompt, the asymmetries, and the grid."""
        rows = self.rows()
        return Kept(
            rows={"effects": rows, "prompts": self.prompts()},
            summary={"tasks": self.n, "by_category": by_sign(rows), **asymmetries(self.shifts)},
            plots={"effect_grid": (lambda ax: grid(ax, rows), (6, 5))},
        )


def against(under: Mapping[Variation, tuple[Ratings, Mentions | None]], neutral: Ratings, n: int) -> Against:
    """Ratings of n tasks under each prompt against those under none. Raises ValueError as `shift` does."""
    return Against(
        {prompt: shift(ratings, neutral) for prompt, (ratings, _) in under.items()},
        {prompt: found for prompt, (_, found) in under.items()},
        n,
    )


def _about(prompt: Variation) -> dict[str, Any]:
    return {"prompt": prompt.name, "category": prompt.category, "sign": prompt.sign}


def by_sign(rows: Sequence[Mapping[str, Any]], origin: str = "all") -> list[dict[str, Any]]:
    """One row a category, of rows {category, sign, origin, delta}: the deltas of its positive and negative prompt.

    None where a category has none of a sign; the mean of several.
    """
    made = []
    for category in dict.fromkeys(str(row["category"]) for row in rows):
        row: dict[str, Any] = {"category": category}
        for sign, name in ((1, "positive"), (-1, "negative")):
            found = [
                float(r["delta"])
                for r in rows
                if (r["category"], r["sign"], r["origin"]) == (category, sign, origin) and r["delta"] is not None
            ]
            row[name] = float(np.mean(found)) if found else None
        made.append(row)
    return made


def grid(ax: Axes, rows: Sequence[Mapping[str, Any]], most: float | None = None) -> None:
    """Mean deltas of prompts (down) on origins (across), of rows {prompt, origin, delta}; grey: not measured.

    Colours reach from -most to most, by default the largest delta, and at least 0.1 points.
    """
    prompts, origins = (list(dict.fromkeys(str(row[key]) for row in rows)) for key in ("prompt", "origin"))
    shown = np.full((len(prompts), len(origins)), np.nan)
    for row in rows:
        shown[prompts.index(row["prompt"]), origins.index(row["origin"])] = row["delta"]
    most = max(float(np.nanmax(np.abs(shown))), 0.1) if most is None else most
    ax.grid(False)
    ax.set_facecolor("0.9")
    image = ax.imshow(shown, cmap="PuOr_r", vmin=-most, vmax=most, aspect="auto")
    for (i, j), value in np.ndenumerate(shown):
        if not np.isnan(value):
            colour = "white" if abs(value) > 0.6 * most else "black"
            ax.text(j, i, f"{round(value, 2) + 0.0:+.2f}", ha="center", va="center", fontsize=7, color=colour)
    ax.set_xticks(range(len(origins)), origins, rotation=30, ha="right", rotation_mode="anchor", fontsize=7)
    ax.set_yticks(range(len(prompts)), [name.replace("_", " ") for name in prompts], fontsize=7)
    assert ax.figure is not None
    ax.figure.colorbar(image, ax=ax, label="points above no prompt", shrink=0.8)
