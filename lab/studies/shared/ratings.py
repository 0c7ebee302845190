"""Ratings of n tasks by one rater under s seeds, exact or sampled, on one template."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from lab.stats.health import Finding
from lab.studies.shared.parsing import Answer, counts, parse_all, values
from lab.studies.shared.prompts import Template, template


@dataclass(frozen=True)
class Asked:
    """In which way ratings were asked for: all that tells one run of questions from another.

    `author` is the model whose completions were shown, None before the task; its id stands apart from the rater's even
    where they are one model. `told` is the system prompt while it rated, `told_author` the one while the work was done;
    `mode` is "direct", or a way of thinking; `form` one of `lab.studies.shared.prompts.FORMATS`.
    """

    template: str
    rater: str
    author: str | None = None
    completion_seed: int | None = None
    told: str | None = None
    told_author: str | None = None
    mode: str = "direct"
    form: str = "regex"

    @property
    def when(self) -> str:
        """Whether the rating was asked before the task was done, or after."""
        return "before" if self.author is None else "after"

    def run(self, seeds: Sequence[int]) -> str:
        """The run's name: template, rater, form, author and both kinds of seeds; system prompts by a short digest."""
        parts = [self.template, self.rater, self.form]
        if self.author is not None:
            parts += [f"comp_{self.author}", f"cseed{self.completion_seed}"]
        for key, text in (("told", self.told), ("author-told", self.told_author)):
            if text is not None:
                parts.append(f"{key}-{hashlib.sha256(text.encode()).hexdigest()[:8]}")
        if self.mode != "direct":
            parts.append(self.mode)
        return "_".join([*parts, "rseed" + "-".join(map(str, seeds))])


@dataclass(frozen=True)
class Ratings:
    """The ratings of n tasks under s rating seeds.

    Attributes
    ----------
    asked, template
        How they were asked for, and on which scale.
    tasks, origins
        [n] ids of the tasks, and where each comes from.
    seeds
        [s] rating seeds.
    values
        [n, s] in points of the template's coding; NaN where an answer was no rating.
    outcomes
        [n, s] what each answer was: "rated", "refused", "unclear", "out_of_scale", "violation", "error".
    probabilities
        [n, K] of the scale's answers in their order, where they are to be had; each row sums to 1.
    on_scale
        [n] the probability that the answer is one of the scale's at all; None where answers were sampled.
    paths
        [n, s] by which step each answer was read; empty where nothing was written and so nothing had to be read.
    """

    asked: Asked
    template: Template
    tasks: tuple[str, ...]
    origins: tuple[str, ...]
    seeds: tuple[int, ...]
    values: np.ndarray
    outcomes: np.ndarray
    probabilities: np.ndarray | None = None
    on_scale: np.ndarray | None = None
    paths: np.ndarray = field(default_factory=lambda: np.empty((0, 0), dtype=str))

    @property
    def name(self) -> str:
        return self.asked.run(self.seeds)

    @property
    def exact(self) -> bool:
        """Whether the answers' probabilities are known, and nothing had to be written."""
        return self.probabilities is not None

    @cached_property
    def expected(self) -> np.ndarray:
        """[n] each task's mean rating: exact where probabilities are known, else over the seeds; NaN without a rating.

        Banned answers are left out, and what remains is scaled up.
        """
        if self.probabilities is None:
            return row_means(self.values)
        kept = self.allowed
        return np.asarray(kept @ np.array(self.template.values))

    @property
    def mode(self) -> np.ndarray:
        """[n] each task's likeliest rating, in points; the lowest of several. NaN without a rating."""
        points = np.array(self.template.values)
        if self.probabilities is not None:
            return np.asarray(points[self.allowed.argmax(1)])
        given = (self.values[:, :, None] == points).sum(1)
        return np.asarray(np.where(given.any(1), points[given.argmax(1)], np.nan))

    @property
    def entropy(self) -> np.ndarray:
        """[n] of each task's distribution over the allowed answers, in nats. Raises ValueError where it was sampled."""
        if self.probabilities is None:
            raise ValueError(f"{self.name} was sampled, and an entropy needs the probabilities; ask with exact=True")
        p = self.allowed
        return np.asarray(-(p * np.log(np.where(p > 0, p, 1))).sum(1))

    @property
    def allowed(self) -> np.ndarray:
        """[n, K] probabilities with nothing on banned answers."""
        assert self.probabilities is not None
        banned = np.isin(self.template.answers, self.template.banned)
        kept = np.where(banned, 0.0, self.probabilities)
        return np.asarray(kept / kept.sum(1, keepdims=True))

    @property
    def shares(self) -> np.ndarray:
        """[n, s] ratings as shares of the declared scale, 0 to 1; NaN where there is none."""
        low, high = min(self.template.values), max(self.template.values)
        return np.asarray((self.values - low) / (high - low))

    @property
    def given(self) -> np.ndarray:
        """All ratings that were given, in points, in no order."""
        return np.asarray(self.values[~np.isnan(self.values)])

    @property
    def counts(self) -> dict[str, int]:
        """How many answers came to each outcome, in alphabetical order."""
        return dict(sorted(Counter(self.outcomes.ravel().tolist()).items()))

    def of(self, origin: str) -> Ratings:
        """Those of one origin's tasks."""
        return self.take(np.array([each == origin for each in self.origins]))

    def take(self, rows: np.ndarray) -> Ratings:
        """Those of some tasks: [n] booleans, or indices."""
        chosen = np.arange(len(self.tasks))[rows].tolist()
        return replace(
            self,
            tasks=tuple(self.tasks[i] for i in chosen),
            origins=tuple(self.origins[i] for i in chosen),
            **{
                name: whole[chosen] if whole is not None and len(whole) else whole
                for name in ("values", "outcomes", "probabilities", "on_scale", "paths")
                for whole in [getattr(self, name)]
            },
        )

    def told(self) -> dict[str, Any]:
        """What stands beside every answer of this run, with both models' ids and both kinds of seeds."""
        return {
            "run": self.name,
            "template": self.asked.template,
            "rater": self.asked.rater,
            "author": self.asked.author,
            "completion seed": self.asked.completion_seed,
            "system prompt": self.asked.told,
            "author's system prompt": self.asked.told_author,
            "mode": self.asked.mode,
            "form": self.asked.form,
        }


def row_means(values: np.ndarray) -> np.ndarray:
    """[n, s] to [n] means of what is there; NaN of nothing, without a warning."""
    known = ~np.isnan(values)
    n = known.sum(1)
    return np.asarray(np.where(n > 0, np.where(known, values, 0).sum(1) / np.maximum(n, 1), np.nan))


def common(runs: Sequence[Ratings]) -> list[Ratings]:
    """The same runs on the tasks that have a mean rating in every one, in the first one's order."""
    rated = [{task for task, y in zip(run.tasks, run.expected, strict=True) if y == y} for run in runs]
    tasks = [task for task in (runs[0].tasks if runs else ()) if all(task in each for each in rated)]
    places = [{task: i for i, task in enumerate(run.tasks)} for run in runs]
    return [run.take(np.array([at[task] for task in tasks], int)) for run, at in zip(runs, places, strict=True)]


def from_probabilities(
    asked: Asked,
    template: Template,
    tasks: Sequence[str],
    origins: Sequence[str],
    logprobs: np.ndarray,
    seeds: Sequence[int],
) -> Ratings:
    """Ratings from the exact log-probabilities [n, K] of the scale's answers, one draw a seed.

    A draw is what an answer sampled at temperature 1 would be, had it to be one of the scale's. It depends on the
    seed, the run's name and the task's id alone: not on the other tasks or their order.
    """
    p = np.exp(logprobs)
    on_scale = p.sum(1)
    p = p / on_scale[:, None]
    answers = np.array(template.answers)
    drawn = np.empty((len(tasks), len(seeds)), dtype=int)
    edges = p.cumsum(1)
    for j, seed in enumerate(seeds):
        u = np.array([_uniform(asked.run([seed]), task) for task in tasks])
        drawn[:, j] = np.minimum((u[:, None] >= edges).sum(1), len(answers) - 1)
    banned = np.isin(answers, template.banned)[drawn]
    return Ratings(
        asked,
        template,
        tuple(tasks),
        tuple(origins),
        tuple(seeds),
        values=np.where(banned, np.nan, np.array(template.values, dtype=float)[drawn]),
        outcomes=np.where(banned, "violation", "rated"),
        probabilities=p,
        on_scale=on_scale,
    )


def from_answers(
    asked: Asked,
    template: Template,
    tasks: Sequence[str],
    origins: Sequence[str],
    answers: Sequence[Sequence[Answer]],
    seeds: Sequence[int],
) -> Ratings:
    """Ratings from answers that were written and read, [n][s]."""
    found = values([answer for row in answers for answer in row]).reshape(len(tasks), len(seeds))
    outcomes, paths = (np.array([[getattr(a, of) for a in row] for row in answers]) for of in ("outcome", "path"))
    return Ratings(
        asked, template, tuple(tasks), tuple(origins), tuple(seeds), values=found, outcomes=outcomes, paths=paths
    )


def seldom_given(ratings: Ratings) -> Finding | None:
    """A warning where the scale's answers together are less likely than all else that the rater might say.

    Exact ratings are of the scale's answers as if one of them had to be given. Of a model that would rather refuse or
    explain they tell what it would seldom say.
    """
    if ratings.on_scale is None or ratings.on_scale.mean() >= 0.5:
        return None
    return Finding(
        f"{ratings.asked.rater} would seldom give an answer of {ratings.template.name}, but exact ratings are of these "
        "alone and show no refusal; read what it writes with exact=false",
        fatal=False,
    )


def _uniform(*parts: str) -> float:
    """A number from 0 to below 1 that these texts determine."""
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:7], "big") / 2**56


# Raw answers -------------------------------------------------------------------------------------------


def raw_rows(
    ratings: Ratings,
    answers: Sequence[Sequence[Answer]] | None = None,
    works: Sequence[str] | None = None,
    texts: Sequence[str] | None = None,
) -> Iterator[dict[str, Any]]:
    """What a run left of every answer: one row a task where probabilities are known, else one a task and seed.

    `works` and `texts` [n] are the completions that were rated, and what was asked for.
    """
    for i, (task, origin) in enumerate(zip(ratings.tasks, ratings.origins, strict=True)):
        row = ratings.told() | {"task": task, "origin": origin}
        row |= {key: of[i] for key, of in (("text", texts), ("completion", works)) if of is not None}
        if ratings.probabilities is not None:
            p, drawn = ratings.probabilities[i], ratings.values[i].tolist()
            yield row | {
                "probabilities": {a: round(float(x), 6) for a, x in zip(ratings.template.answers, p, strict=True)},
                "mean": round(float(ratings.expected[i]), 6),
                "on scale": None if ratings.on_scale is None else round(float(ratings.on_scale[i]), 6),
                "drawn": {str(s): None if v != v else v for s, v in zip(ratings.seeds, drawn, strict=True)},
            }
            continue
        for j, seed in enumerate(ratings.seeds):
            answer = answers[i][j] if answers is not None else None
            value = float(ratings.values[i, j])
            yield row | {
                "rating seed": seed,
                "raw": None if answer is None else answer.raw,
                "outcome": str(ratings.outcomes[i, j]),
                "path": str(ratings.paths[i, j]),
                "value": None if value != value else value,
            }


@dataclass(frozen=True)
class Reparsed:
    """What reading raw answers again came to: how many were read, their outcomes, and those that came out otherwise."""

    n: int
    counts: dict[str, int]
    changed: list[dict[str, Any]]


def reparse(
    rows: Sequence[Mapping[str, Any]], templates: Callable[[str], Template], judge: Any | None = None
) -> Reparsed:
    """Reads kept raw answers again, without any model.

    Rows as `raw_rows` made them; those that hold probabilities have no text, and are passed over. Without a judge,
    answers that one had read are read without it: they then differ, and are listed.
    """
    written = [row for row in rows if row.get("raw") is not None]
    found: list[Answer] = []
    for name in dict.fromkeys(row["template"] for row in written):
        here = [row["raw"] for row in written if row["template"] == name]
        found += parse_all(here, templates(name), judge=judge)
    order = [
        i for t in dict.fromkeys(r["template"] for r in written) for i, r in enumerate(written) if r["template"] == t
    ]
    changed = [
        dict(written[i]) | {"now": {"outcome": answer.outcome, "path": answer.path, "value": answer.value}}
        for i, answer in zip(order, found, strict=True)
        if (answer.outcome, answer.path, answer.value) != tuple(written[i][k] for k in ("outcome", "path", "value"))
    ]
    return Reparsed(len(written), counts(found), changed)


def reread(rows: Sequence[Mapping[str, Any]], judge: Any | None = None) -> Reparsed:
    """Reads kept raw answers again, as `reparse` does, by the templates that their rows name."""
    return reparse(rows, template, judge)
