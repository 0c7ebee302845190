"""Data sets as experiments see them: columns of equal length, from which a seeded part is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import combinations
from typing import Any, Self

import numpy as np

from lab.data import question_prompts

LETTERED = tuple(f" {letter}" for letter in question_prompts.LETTERS)
"""What follows a lettered question: a letter behind a space."""


def sample_indices(size: int, n: int | None, seed: int) -> np.ndarray:
    """Which of `size` rows are drawn: n of them [n] without replacement, in order, the same ones for a seed.

    All of them where n is None or not below `size`.
    """
    if n is not None and n < 1:
        raise ValueError(f"a sample has at least one row, not {n}; leave n out for all")
    if n is None or n >= size:
        return np.arange(size)
    return np.sort(np.random.default_rng(seed).choice(size, size=n, replace=False))


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What all data sets have in common; every tuple and array among their fields is a column.

    Attributes
    ----------
    name
        What was loaded, as "mmlu:anatomy"; empty for rows made in place.
    revision
        The hub's commit, or the SHA-256 of a file.
    indices
        [n] Which rows of the whole data set these are.
    """

    name: str = ""
    revision: str = ""
    indices: np.ndarray = field(default_factory=lambda: np.arange(0))

    def __post_init__(self) -> None:
        if not len(self.indices):
            object.__setattr__(self, "indices", np.arange(len(self)))
        uneven = {name: len(column) for name, column in self._columns().items() if len(column) != len(self)}
        if uneven:
            raise ValueError(f"columns of one length are needed; there are {len(self)} rows, but {uneven}")

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[len(fields(Rows))].name))

    def _columns(self) -> dict[str, Any]:
        """The columns; one that was left out is empty, and none."""
        every = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: column for name, column in every.items() if isinstance(column, tuple | np.ndarray) and len(column)
        }

    def take(self, rows: np.ndarray) -> Self:
        """Some rows, by a mask [n] or by their places."""
        places = np.arange(len(self))[rows]
        chosen: dict[str, Any] = {
            name: column[places] if isinstance(column, np.ndarray) else tuple(column[i] for i in places)
            for name, column in self._columns().items()
        }
        return replace(self, **chosen)

    def sample(self, n: int | None, *, seed: int) -> Self:
        """n rows without replacement, the same ones for a seed; all where n is None or not below their number."""
        return self if n is None or n >= len(self) else self.take(sample_indices(len(self), n, seed))

    def record(self) -> dict[str, Any]:
        """What was used, for `evidence.rows("items", [rows.record()])`: name, revision, n and indices."""
        return {"data": self.name, "revision": self.revision, "n": len(self), "indices": self.indices.tolist()}


@dataclass(frozen=True)
class Questions(Rows):
    """Multiple-choice questions.

    Attributes
    ----------
    prompts, options
        [n] A question as it is put to a model, and texts that may follow it.
    key
        [n] Index of the right option.
    subject
        [n] Of whom or what a question asks: what shares it belongs in one fold.
    form
        [n] In which words or on which field it asks.
    asks, choices
        [n] The bare question and the bare answers, for `lettered` and `spelled`.
    continues
        Whether the choices go on from the bare text itself, as HellaSwag's endings do.
    """

    prompts: tuple[str, ...]
    options: tuple[tuple[str, ...], ...]
    key: np.ndarray
    subject: np.ndarray
    form: np.ndarray
    asks: tuple[str, ...] = ()
    choices: tuple[tuple[str, ...], ...] = ()
    continues: bool = False

    @property
    def lettered(self) -> Questions:
        """The same as four lettered choices; the answer is " A", " B", " C" or " D".

        Raises ValueError where a question has another number of choices.
        """
        self._bare()
        asked = tuple(question_prompts.mcq(text, shown) for text, shown in zip(self.asks, self.choices, strict=True))
        return replace(self, prompts=asked, options=(LETTERED,) * len(self))

    @property
    def spelled(self) -> Questions:
        """The same with each choice's own text as what may follow."""
        self._bare()
        asked = self.asks if self.continues else tuple(question_prompts.question(text) for text in self.asks)
        return replace(self, prompts=asked, options=tuple(tuple(f" {text}" for text in each) for each in self.choices))

    def _bare(self) -> None:
        if not self.asks:
            raise ValueError("these questions were made without `asks` and `choices`, and cannot be put differently")


@dataclass(frozen=True)
class PromptPairs(Rows):
    """Clean and corrupted prompts of equal length that differ in one name, and so in their right answer.

    Attributes
    ----------
    clean, corrupted
        [n] The prompts.
    answers, clean_answers
        [n] The right continuations of the corrupted ones, and those of the clean ones.
    subjects
        [n, 2] Of whom the clean and the corrupted prompt ask: pairs that share one are not independent.
    """

    clean: tuple[str, ...]
    corrupted: tuple[str, ...]
    answers: tuple[str, ...]
    clean_answers: tuple[str, ...]
    subjects: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), int))

    def disjoint(self, n: int | None, *, seed: int) -> PromptPairs:
        """n pairs of which no two ask of the same subject, the same ones for a seed; as many as there are for None.

        Fewer where there are no n. Pairs of subjects that stand in few pairs are taken first, which comes close to
        the most that there can be (R. M. Karp and M. Sipser, "Maximum matching in sparse random graphs", 1981), and n
        of those are drawn. Raises ValueError where it is not known of whom they ask.
        """
        if not len(self.subjects):
            raise ValueError("these pairs were made without `subjects`, so it is not known which of them share one")
        left, taken = np.random.default_rng(seed).permutation(len(self)), []
        while len(left):
            asked = self.subjects[left]
            _, places, counts = np.unique(asked, return_inverse=True, return_counts=True)
            often = counts[places.reshape(asked.shape)]
            chosen = int(left[np.lexsort((often.max(1), often.min(1)))[0]])
            taken.append(chosen)
            left = left[~np.isin(asked, self.subjects[chosen]).any(1)]
        return self.take(np.sort(taken)).sample(n, seed=seed)


@dataclass(frozen=True)
class Tasks(Rows):
    """A pool of tasks, each of an origin (as chat, instruction, math, harmful, stress; or wildchat, alpaca, ...).

    Attributes
    ----------
    texts, origins
        [n] What is asked for, and where each task comes from.
    ids
        [n] Names that stay the same in every part of the pool, as "alpaca_930"; origin and place where left out.
    shortages
        How many tasks an origin has, where `stratified` was asked for more.

    Raises ValueError for an id that stands there twice.
    """

    texts: tuple[str, ...]
    origins: tuple[str, ...]
    ids: tuple[str, ...] = ()
    shortages: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.ids:
            made = tuple(f"{origin}_{i}" for origin, i in zip(self.origins, self.indices.tolist(), strict=True))
            object.__setattr__(self, "ids", made)
        twice = [name for name, n in Counter(self.ids).items() if n > 1]
        if twice:
            raise ValueError(f"id {twice[0]!r} stands there {self.ids.count(twice[0])} times; give each task its own")

    @classmethod
    def joined(cls, pools: Sequence[Tasks]) -> Self:
        """One pool of several; names and revisions are joined with "+". Raises ValueError for ids that they share."""
        texts, origins, ids = (
            tuple(each for pool in pools for each in getattr(pool, column)) for column in ("texts", "origins", "ids")
        )
        name, revision = ("+".join(getattr(pool, told) for pool in pools) for told in ("name", "revision"))
        return cls(texts, origins, ids, name=name, revision=revision)

    @property
    def counts(self) -> dict[str, int]:
        """How many tasks there are of each origin, in the order in which the origins come."""
        return dict(Counter(self.origins))

    def of(self, origin: str) -> Self:
        """The tasks of one origin, named in upper or lower case. Raises ValueError for one that is not there."""
        mine = np.array([each.casefold() == origin.casefold() for each in self.origins], dtype=bool)
        if not mine.any():
            raise ValueError(f"no task of origin {origin!r}; there are {', '.join(self.counts)}")
        return self.take(mine)

    def stratified(self, n_per_origin: int, *, seed: int, allow_short: bool = False) -> Self:
        """Equally many tasks of each origin, drawn without replacement, in the pool's order.

        What is drawn of an origin depends on the seed and on that origin alone, so a pool that gains another one keeps
        its tasks. Raises ValueError, which names the origins, where some have fewer; with `allow_short` all of theirs
        are taken, and `shortages` says how many there are.
        """
        short = {origin: n for origin, n in self.counts.items() if n < n_per_origin}
        if short and not allow_short:
            has = ", ".join(f"{origin} has {n}" for origin, n in short.items())
            raise ValueError(
                f"{n_per_origin} tasks of each origin were asked for, but {has}; ask for {min(short.values())}, or "
                "leave these origins out"
            )
        drawn: list[int] = []
        for origin in self.counts:
            places = [i for i, each in enumerate(self.origins) if each == origin]
            own = int(np.random.SeedSequence([seed, *origin.encode()]).generate_state(1)[0])
            drawn += [places[i] for i in sample_indices(len(places), n_per_origin, own)]
        return replace(self.take(np.sort(drawn)), shortages=short)

    def record(self) -> dict[str, Any]:
        """Also the tasks' ids, how many are of each origin, and which origins were short."""
        return super().record() | {"ids": list(self.ids), "origins": self.counts, "shortages": dict(self.shortages)}

    def pairs(self, n: int, *, seed: int) -> list[tuple[int, int]]:
        """n different unordered pairs of tasks, by index; which of a pair stands first is drawn too."""
        every = list(combinations(range(len(self.texts)), 2))
        rng = np.random.default_rng(seed)
        chosen = rng.choice(len(every), size=min(n, len(every)), replace=False)
        return [every[i] if rng.random() < 0.5 else every[i][::-1] for i in chosen]


@dataclass(frozen=True)
class Texts(Rows):
    """Running texts. `ids` [n] name them; `subject` [n] is the article that a text comes from, for folds."""

    texts: tuple[str, ...]
    ids: tuple[str, ...]
    subject: np.ndarray


@dataclass(frozen=True)
class Reports(Rows):
    """Medical reports and what each shows; `questions` where the file asks them; `kind` as histopathology."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    questions: tuple[str, ...] | None = None
    kind: str = ""

    @property
    def prompts(self) -> tuple[str, ...]:
        """[n] Each report as it is put to a model, which answers with a label behind a space."""
        return tuple(question_prompts.report(text, self.kind) for text in self.texts)

    @property
    def options(self) -> tuple[str, ...]:
        """The labels that occur, in alphabetical order, as texts that may follow a prompt."""
        return tuple(f" {label}" for label in sorted(set(self.labels)))

    @property
    def key(self) -> np.ndarray:
        """[n] Index of each report's label among `options`."""
        known: Sequence[str] = sorted(set(self.labels))
        return np.array([known.index(label) for label in self.labels])
