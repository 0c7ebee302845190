"""Tasks that an author did, and ratings of what it made of them, as the fixtures `done` and `rated`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from lab.studies.shared import prompts

if TYPE_CHECKING:
    from lab.data import Tasks
    from lab.record import Notebook
    from lab.studies.shared.asking import Asking, Works
    from lab.studies.shared.material import Datasets
    from lab.studies.shared.ratings import Ratings
    from lab.subjects import Subject


@dataclass(frozen=True)
class Done:
    """As many tasks from each origin of a pool, each done once by one author. Nothing is asked before it is needed.

    Attributes
    ----------
    pool, n_tasks
        A data set of tasks by name, and how many are drawn of it with `seed`.
    author, completion_seed
        Who does them, by name, and under which seed.
    """

    asking: Asking
    dataset: Datasets
    seed: int
    pool: str
    n_tasks: int
    author: str
    completion_seed: int

    @cached_property
    def tasks(self) -> Tasks:
        """The tasks."""
        tasks: Tasks = self.dataset(self.pool).stratified(self.n_tasks, seed=self.seed, allow_short=True)
        return tasks

    @cached_property
    def works(self) -> Works:
        """What the author made of them."""
        return self.asking.works(self.asking.author(self.author), self.tasks, seed=self.completion_seed)

    def rate(self, rater: Subject, template: str, **how: Any) -> Ratings:
        """Lets a rater rate the works, as `asking.rate` does."""
        return self.asking.rate(rater, self.tasks, template, works=self.works, **how)

    def first_chosen(self, model: Subject, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
        """[m, 2] the probability that a model prefers the first-named task: in the order of the pair, and in the
        other."""
        texts = self.tasks.texts
        orders = (pairs, [(b, a) for a, b in pairs])
        asked = [[prompts.choice(texts[first], texts[second]) for first, second in order] for order in orders]
        return np.stack([model.choose(each, ["A", "B"]).probabilities[:, 0] for each in asked], axis=1)


@dataclass(frozen=True)
class Rated:
    """Ratings of what was done: `rated(model, "stated_1_5", "anchored_1_5")`.

    `seeds` are the rating seeds; `exact` reads probabilities where a model gives them.
    """

    done: Done
    seeds: tuple[int, ...]
    exact: bool

    def __call__(self, rater: Subject, *templates: str) -> list[Ratings]:
        """One run a template."""
        return [self.done.rate(rater, name, seeds=self.seeds, exact=self.exact) for name in templates]


@pytest.fixture
def done(
    asking: Asking,
    dataset: Datasets,
    evidence: Notebook,
    *,
    pool: str = "clinic/tasks",
    n_tasks: int = 30,
    author: str = "clinic-llama",
    completion_seed: int = 0,
) -> Done:
    """Tasks and what an author made of them: `done.tasks`, `done.works`."""
    return Done(asking, dataset, evidence.seed, pool, n_tasks, author, completion_seed)


@pytest.fixture
def rated(done: Done, *, seeds: tuple[int, ...] = (0, 1, 2, 3), exact: bool = True) -> Rated:
    """Ratings of what was done, one run a template: `rated(model, *templates)`."""
    return Rated(done, tuple(seeds), exact)
