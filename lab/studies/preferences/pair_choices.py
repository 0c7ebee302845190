"""Choices between pairs of tasks in both orders, as probabilities or as answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.stats.checks import whole
from lab.studies.preferences.active import regular_pairs
from lab.studies.preferences.comparisons import Comparisons, answers_of, count, of_orders
from lab.studies.shared.parsing import CHOICES, Answer, all_chosen_by_doing, counts, parse_choices
from lab.studies.shared.ratings import Reparsed

Orders = Literal["both", "one"]
Mode = Literal["direct", "reasoning", "doing"]
LETTERS = ("A", "B")
ONE_ORDER = (
    "each pair was asked in one order, so that a bias for a place goes into every preference; ask in both orders"
)


@dataclass(frozen=True)
class Asked:
    """In which way choices were asked for: all that tells one run of questions from another.

    `author` is the model whose completions were shown, None before the tasks. `mode` is "direct", "reasoning" (a reason
    comes first) or "doing" (the chosen task is done, and that is the choice). `orders` is "both", or "one" where each
    pair was asked as it stands and not the other way round. `form` is one of `lab.studies.shared.prompts.FORMATS`.
    """

    wording: str
    chooser: str
    author: str | None = None
    completion_seed: int | None = None
    mode: Mode = "direct"
    orders: Orders = "both"
    form: str = "regex"

    @property
    def when(self) -> str:
        """Whether the choice was asked for before the tasks were done, or after."""
        return "before" if self.author is None else "after"

    def run(self, seed: int) -> str:
        """The run's name: wording, chooser, form, author and both kinds of seeds, mode and one order where it is so."""
        parts = [self.wording, self.chooser, self.form]
        if self.author is not None:
            parts += [f"comp_{self.author}", f"cseed{self.completion_seed}"]
        parts += [self.mode] * (self.mode != "direct") + ["one-order"] * (self.orders == "one")
        return "_".join([*parts, f"rseed{seed}"])


@dataclass(frozen=True)
class Choices:
    """Choices between m pairs of n tasks.

    Attributes
    ----------
    asked, seed
        How they were asked for, and the seed of what was drawn.
    tasks, origins
        [n] ids of the tasks, and where each comes from.
    pairs
        [m, 2] indices of tasks, the pair as it stands.
    p_first
        [m, 2] the probability that the first-named is chosen, or its share of the answers that chose: in column 0 with
        the pair as it stands, in column 1 with the two swapped. NaN where an order was not asked, or nothing chosen.
    outcomes
        [m, 2, 5] how many answers came to each of `lab.studies.shared.parsing.CHOICES`; all 0 where `p_first` are
        probabilities.
    on_letters
        [m, 2] the probability that the answer begins with one of the two letters at all; None where it was written.
    texts
        [n] the tasks in words, where they are known.
    """

    asked: Asked
    seed: int
    tasks: tuple[str, ...]
    origins: tuple[str, ...]
    pairs: np.ndarray
    p_first: np.ndarray
    outcomes: np.ndarray
    on_letters: np.ndarray | None = None
    texts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.asked.run(self.seed)

    @property
    def exact(self) -> bool:
        """Whether `p_first` are probabilities, of which nothing was drawn."""
        return not self.outcomes.any()

    @property
    def answers(self) -> np.ndarray:
        """[m, 2] how many answers chose; all 0 where `p_first` are probabilities."""
        return np.asarray(self.outcomes[:, :, :2].sum(2))

    @property
    def answered(self) -> float:
        """Share of the answers that chose; 1 where `p_first` are probabilities."""
        return 1.0 if self.exact else float(self.answers.sum() / self.outcomes.sum())

    @property
    def design(self) -> str:
        """In how many orders each pair was asked, as every output says it."""
        return "both orders" if self.asked.orders == "both" else "one order, position not balanced"

    @property
    def counts(self) -> dict[str, int]:
        """How many answers came to each outcome that occurred."""
        found = self.outcomes.sum((0, 1)).tolist()
        return {outcome: n for outcome, n in zip(CHOICES, found, strict=True) if n}

    @cached_property
    def counted(self) -> Comparisons:
        """For `lab.studies.preferences.thurstone`: a share weighs as many answers as chose, a probability one."""
        first, second, p = of_orders(self.pairs, self.p_first)
        weights = np.ones(p.shape) if self.exact else self.answers.T.ravel()
        return count(first, second, p, len(self.tasks), weights)

    @property
    def of_origins(self) -> np.ndarray:
        """[m, 2] the origin of the first and of the second of each pair."""
        return np.asarray(np.array(self.origins)[self.pairs])

    def take(self, rows: np.ndarray) -> Choices:
        """Those of some pairs: [m] booleans, or indices. The tasks stay."""
        some: dict[str, Any] = {name: getattr(self, name)[rows] for name in ("pairs", "p_first", "outcomes")}
        return replace(self, **some, on_letters=None if self.on_letters is None else self.on_letters[rows])

    def without(self, left_out: ArrayLike) -> Choices:
        """Those between tasks of which none is left out ([n] booleans), numbered anew."""
        out = np.asarray(left_out, dtype=bool)
        number = np.cumsum(~out) - 1
        kept = self.take(~out[self.pairs].any(1))
        left = np.flatnonzero(~out).tolist()
        return replace(
            kept,
            tasks=tuple(self.tasks[i] for i in left),
            origins=tuple(self.origins[i] for i in left),
            texts=tuple(self.texts[i] for i in left) if self.texts else (),
            pairs=number[kept.pairs],
        )

    def qualified(self, estimate: Estimate) -> Estimate:
        """An estimate of what these tasks are worth: in doubt where position was not balanced by asking both orders."""
        return replace(estimate, doubt=estimate.doubt or (ONE_ORDER if self.asked.orders == "one" else ""))

    def told(self) -> dict[str, Any]:
        """What stands beside every answer of this run."""
        return {
            "run": self.name,
            "wording": self.asked.wording,
            "chooser": self.asked.chooser,
            "author": self.asked.author,
            "completion seed": self.asked.completion_seed,
            "mode": self.asked.mode,
            "form": self.asked.form,
            "design": self.design,
            "seed": self.seed,
        }

    def rows(self) -> list[dict[str, Any]]:
        """One mapping a pair: its tasks, their origins, and the probability of the first-named in either order."""
        return [
            {
                "tasks": [self.tasks[a], self.tasks[b]],
                "origins": [self.origins[a], self.origins[b]],
                "p first": _plain(p),
            }
            for (a, b), p in zip(self.pairs.tolist(), self.p_first, strict=True)
        ]


def design(n_items: int, n_pairs: int | None, *, seed: int) -> np.ndarray:
    """[pairs, 2] of which each item is in as many as any other, but for one, and which join all items; None: all pairs.

    The pairs of `active.regular_pairs` of the least degree that has enough, as many as are asked for. Which of a pair
    stands first is random. Raises ValueError for fewer than one pair.
    """
    every = n_items * (n_items - 1) // 2
    wanted = every if n_pairs is None else min(n_pairs, every)
    whole("the number of pairs", wanted, 1)
    pairs = regular_pairs(n_items, -(-2 * wanted // n_items), seed=seed)
    if len(pairs) < wanted:  # a matching leaves one of an odd number of items out
        pairs = regular_pairs(n_items, -(-2 * wanted // n_items) + 1, seed=seed)
    if len(pairs) == every:  # they come in the items' own order
        pairs = pairs[np.random.default_rng(seed).permutation(every)]
    return pairs[:wanted]


def from_probabilities(
    asked: Asked,
    tasks: Sequence[str],
    origins: Sequence[str],
    pairs: ArrayLike,
    logprobs: ArrayLike,
    *,
    seed: int = 0,
    samples: int = 0,
) -> Choices:
    """Choices from the log-probabilities [questions, 2] of the two letters: of all pairs as they stand, then swapped.

    With `samples`, so many answers are drawn of each question: what answers sampled at temperature 1 would be, had they
    to be one of the letters. A draw depends on the seed, the wording and the ids of the two tasks alone.
    """
    both = np.asarray(pairs, dtype=int).reshape(-1, 2)
    p = np.exp(np.asarray(logprobs, dtype=float))
    mass = p.sum(1)
    first = _by_order(p[:, 0] / mass, asked.orders)
    outcomes = np.zeros((len(both), 2, len(CHOICES)), dtype=int)
    if samples:
        for row, (a, b) in enumerate(both.tolist()):
            named = asked.wording, *sorted((tasks[a], tasks[b]))
            drawn = _generator(seed, *named).random((2, samples))
            drawn = drawn if tasks[a] < tasks[b] else drawn[::-1]
            for order in range(1 + (asked.orders == "both")):
                for_first = int((drawn[order] < first[row, order]).sum())
                outcomes[row, order, :2] = for_first, samples - for_first
    return Choices(
        asked,
        seed,
        tuple(tasks),
        tuple(origins),
        both,
        p_first=_shares(outcomes) if samples else first,
        outcomes=outcomes,
        on_letters=_by_order(mass, asked.orders),
    )


def from_answers(
    asked: Asked,
    tasks: Sequence[str],
    origins: Sequence[str],
    pairs: ArrayLike,
    answers: Sequence[Sequence[Answer]],
    *,
    seed: int = 0,
) -> Choices:
    """Choices from answers that were written and read, [questions][samples]: all pairs as they stand, then swapped."""
    both = np.asarray(pairs, dtype=int).reshape(-1, 2)
    counted = np.array([[sum(a.outcome == kind for a in each) for kind in CHOICES] for each in answers], dtype=int)
    outcomes = np.zeros((len(both), 2, len(CHOICES)), dtype=int)
    outcomes[:, 0] = counted[: len(both)]
    if asked.orders == "both":
        outcomes[:, 1] = counted[len(both) :]
    return Choices(
        asked,
        seed,
        tuple(tasks),
        tuple(origins),
        both,
        p_first=_shares(outcomes),
        outcomes=outcomes,
    )


def raw_rows(
    choices: Choices, answers: Sequence[Sequence[Answer]] | None = None, texts: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """What a run left of every question: a row a pair where nothing was written, else a row an answer.

    A row a pair has P(first-named) in both orders, and where answers were drawn, how many chose the one and the other.
    `texts` [n] are those of the tasks: what was chosen by doing is read beside them, so that they are kept with it.
    """
    told = choices.told()
    for i, (a, b) in enumerate(choices.pairs.tolist()):
        row = told | {"first": choices.tasks[a], "second": choices.tasks[b]}
        if answers is None:
            drawn = {} if choices.exact else {"answers": choices.outcomes[i, :, :2].tolist()}
            yield row | {"p first": _plain(choices.p_first[i])} | drawn
            continue
        for order in range(1 + (choices.asked.orders == "both")):
            named = (a, b) if order == 0 else (b, a)
            shown = {"texts": [texts[k] for k in named]} if texts and choices.asked.mode == "doing" else {}
            for sample, answer in enumerate(answers[order * len(choices.pairs) + i]):
                yield (
                    told
                    | shown
                    | {
                        "first": choices.tasks[named[0]],
                        "second": choices.tasks[named[1]],
                        "sample": sample,
                        "raw": answer.raw,
                        "outcome": answer.outcome,
                        "path": answer.path,
                    }
                )


def reparse(rows: Sequence[Mapping[str, Any]], judge: Any | None = None) -> Reparsed:
    """Reads kept raw answers again, without any model; rows as `raw_rows` made them, those without text passed over.

    Raises ValueError where a choice by doing was kept without the texts of its tasks.
    """
    written = [row for row in rows if row.get("raw") is not None]
    done = [row for row in written if row["mode"] == "doing"]
    if any("texts" not in row for row in done):
        raise ValueError("choices by doing were kept without the texts of their tasks; ask them again")
    said = [row for row in written if row["mode"] != "doing"]
    answers = parse_choices([row["raw"] for row in said], judge=judge)
    answers += all_chosen_by_doing(
        [row["raw"] for row in done], [(row["texts"][0], row["texts"][1]) for row in done], judge=judge
    )
    changed = [
        dict(row) | {"now": {"outcome": answer.outcome, "path": answer.path}}
        for row, answer in zip(said + done, answers, strict=True)
        if (answer.outcome, answer.path) != (row["outcome"], row["path"])
    ]
    return Reparsed(len(written), counts(answers), changed)


def of_raw(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], tuple[float, int]]:
    """P(first-named) by (first-named, second-named), and how many answers it is a share of (0: a probability).

    Rows as `raw_rows` made them; all answers to a question are taken together. Raises ValueError for other rows.
    """
    known: dict[tuple[str, str], tuple[float, int]] = {}
    drawn: dict[tuple[str, str], tuple[float, int]] = {}
    for number, row in enumerate(rows):
        if "first" not in row or "second" not in row or not {"p first", "outcome"} & row.keys():
            raise ValueError(f"row {number} is no answer to a choice; name a file that a run of choices has kept")
        for one, other, p, n in answers_of(row):
            if not n:
                known[one, other] = p, 0
            elif not np.isnan(p):
                share, before = drawn.get((one, other), (0.0, 0))
                drawn[one, other] = (share * before + p * n) / (before + n), before + n
    return known | drawn


def _by_order(values: np.ndarray, orders: Orders) -> np.ndarray:
    """[questions] to [m, 2], NaN in the order that was not asked."""
    if orders == "one":
        return np.stack([values, np.full(len(values), np.nan)], axis=1)
    return np.ascontiguousarray(values.reshape(2, -1).T)


def _shares(outcomes: np.ndarray) -> np.ndarray:
    chose = outcomes[:, :, :2].sum(2)
    return np.asarray(np.where(chose > 0, outcomes[:, :, 0] / np.maximum(chose, 1), np.nan))


def _generator(seed: int, *parts: str) -> np.random.Generator:
    """Of a seed and texts, and nothing else."""
    own = hashlib.sha256("\0".join(parts).encode()).digest()[:8]
    return np.random.default_rng([seed, int.from_bytes(own)])


def _plain(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 9) for value in values]
