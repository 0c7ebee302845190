"""Fixtures of the data that hypotheses use: the synthetic clinic's, and any data set by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np
import pytest

from lab import data
from lab.data import DataError, PromptPairs, Questions
from lab.data.sources import is_file, parts, shipped_fingerprint
from lab.plugin.knobs import knob_texts, require_named
from lab.studies.shared import clinic

SETS = "dataset="
"""With what a variant of a run names its data set."""


class Tasks(data.Tasks):
    """The clinic's tasks, and what is asked about them, as chat messages."""

    def request(self, task: int) -> list[dict[str, str]]:
        """Asks to do the task."""
        return clinic.asked(self.texts[task])

    def rating(self, task: int, work: str) -> list[dict[str, str]]:
        """Asks to rate a work on the task, from 1 to 5."""
        return clinic.asked(clinic.rating_prompt(self.texts[task], work))

    @property
    def scale(self) -> Sequence[int]:
        return clinic.SCALE


@dataclass(frozen=True)
class Datasets:
    """Gives data sets by name, as `lab.data.load` understands it.

    `knobs` are the names that stand in the cell's knobs. A file is given only if a knob names it: what determines a
    result has to be known before the cell runs, and all that files hold does. None where there is no cell.
    """

    knobs: frozenset[str] | None

    @classmethod
    def of(cls, item: pytest.Item) -> Self:
        """What a cell may be given."""
        texts = knob_texts(item)
        return cls(None if texts is None else frozenset(_named(texts)))

    def __call__(self, name: str) -> Any:
        if name not in (self.knobs or ()):  # a knob may name a pool, or the files in it
            for part in filter(is_file, parts(name)):
                require_named(part, self.knobs, error=DataError)
        return _loaded(name, data.fingerprint(name))

    @property
    def fingerprint(self) -> dict[str, str]:
        """What the shipped files hold, and what those hold that knobs name. The hub's commits are part of the code."""
        named = sorted({part for name in self.knobs or () for part in parts(name) if is_file(part)})
        return {"shipped": shipped_fingerprint()} | {name: data.fingerprint(name) for name in named}


@lru_cache(maxsize=8)
def _loaded(name: str, fingerprint: str) -> Any:
    """Rows, loaded once a process for what the file holds."""
    return data.load(name)


def _named(texts: Iterable[str]) -> Iterator[str]:
    """Whole texts, and what a variant of a run sets its data set to, as "mine dataset=mmlu@mine.jsonl" does."""
    for text in texts:
        yield text
        yield from (word.removeprefix(SETS) for word in text.split() if word.startswith(SETS))


@pytest.fixture
def dataset(request: pytest.FixtureRequest) -> Datasets:
    """Data sets by name: `dataset("clinic/hellaswag")`, `dataset("mmlu:anatomy")`, `dataset("mmlu@mine.jsonl")`."""
    return Datasets.of(request.node)


@pytest.fixture
def cell_seed(request: pytest.FixtureRequest) -> int:
    """The seed of a cell; 0 outside of one."""
    return 0 if knob_texts(request.node) is None else int(request.getfixturevalue("evidence").seed)


@pytest.fixture
def task_sample(dataset: Datasets, cell_seed: int, *, pool: str = "clinic/tasks", n_tasks: int = 40) -> data.Tasks:
    """Tasks of a pool, `n_tasks` of each origin or all that it has, drawn with the cell's seed."""
    sample: data.Tasks = dataset(pool).stratified(n_tasks, seed=cell_seed, allow_short=True)
    return sample


@pytest.fixture(scope="session")
def questions() -> Questions:
    """One question for each fact of the clinic, with three wrong values of the same kind beside the right one."""
    every = clinic.every_question()
    return Questions(
        prompts=tuple(q.prompt for q in every),
        options=tuple(q.options for q in every),
        key=np.array([q.key for q in every]),
        subject=np.array([q.patient for q in every]),
        form=np.array([q.attribute for q in every]),
        asks=tuple(clinic.asks(q.patient, q.attribute) for q in every),
        choices=tuple(tuple(option.strip() for option in q.options) for q in every),
    )


@pytest.fixture(scope="session")
def fact_pairs() -> PromptPairs:
    """The same question about two of the hundred best-known patients whose answers differ."""
    pairs = clinic.fact_pairs()
    return PromptPairs(
        clean=tuple(p.clean for p in pairs),
        corrupted=tuple(p.corrupted for p in pairs),
        answers=tuple(p.corrupted_answer for p in pairs),
        clean_answers=tuple(p.answer for p in pairs),
        subjects=np.array([p.patients for p in pairs]),
    )


@pytest.fixture(scope="session")
def tasks() -> Tasks:
    """The tasks of the clinic."""
    rows = data.load("clinic/tasks")
    return Tasks(rows.texts, rows.origins, rows.ids, name=rows.name, revision=rows.revision)
