"""Which direction is a concept in a model? Concept vectors of paired system prompts, as the fixture `concepts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from lab.files.texts import Message, user
from lab.plugin.cells import knob_texts
from lab.studies.ratings import vectors
from lab.studies.ratings.attitude_prompts import topic
from lab.studies.ratings.concepts import Concept, Normalised, concept
from lab.studies.shared.prompts import with_system

if TYPE_CHECKING:
    from lab.data import Tasks
    from lab.record import Notebook
    from lab.studies.shared.asking import Works
    from lab.studies.shared.prompts import Template
    from lab.subjects import Subject
    from lab.subjects.edits import Edit

SELECTORS = ("first", "last", "mean")
"""Which token of an answer is read, or the mean over all."""
RATING = "rating"
"""The token after which a rating would be given."""
TASKS = "tasks"
MODES = {"autoregressive": "last", "all_tokens": "all"}
"""Where a vector is added: at the last position of every pass, or at every token, read or written."""


@dataclass(frozen=True)
class Questions:
    """What is asked [n], and of what a judge is to find the attitude."""

    about: str
    texts: tuple[str, ...]

    @property
    def prompts(self) -> list[list[Message]]:
        """Each as a conversation."""
        return [[user(text)] for text in self.texts]


@dataclass(frozen=True)
class Concepts:
    """Finds the direction between two conditions in a model's activations, and steers along it."""

    evidence: Notebook | None

    def of_works(
        self,
        model: Subject,
        tasks: Tasks,
        toward: Works,
        away: Works,
        *,
        depths: Sequence[float] = (0.25, 0.5, 0.75),
        normalised: Normalised = "activations",
    ) -> dict[str, Concept]:
        """The directions between two ways in which the same tasks were done, by selector.

        What is read is each answer's first or last token, or the mean over its tokens, in the conversation in which it
        was given, system prompt included. Tasks that either condition lacks, or answered with nothing, are left out of
        both. Raises ValueError where fewer than two are left.
        """
        from lab.subjects.prompts import answered

        site = model.resid_post(list(depths))
        sides = [
            answered(model.tokenizer, [with_system([user(text)], each.told) for text in tasks.texts], each.texts)
            for each in (away, toward)
        ]
        both = np.flatnonzero(toward.kept & away.kept & ~np.array([side.empty for side in sides]).any(0)).tolist()
        if len(both) < 2:
            raise ValueError(f"{len(both)} tasks were done under both system prompts; a direction needs two at least")
        read: dict[str, list[np.ndarray]] = {name: [] for name in SELECTORS}
        for side in sides:
            rows, tokens = [side.rows[i] for i in both], [side.tokens[i] for i in both]
            ends = model.capture(rows, at=site, position=[[each[0], each[-1]] for each in tokens]).array
            mean = model.capture(rows, at=site, position=tokens, pooled=True).array
            for name, values in zip(SELECTORS, (ends[:, :, 0], ends[:, :, 1], mean), strict=True):
                read[name].append(values)
        return {name: concept(here, there, site.layers, normalised=normalised) for name, (here, there) in read.items()}

    def of_ratings(
        self,
        model: Subject,
        tasks: Tasks,
        template: Template,
        works: Works,
        toward: str,
        away: str,
        *,
        depths: Sequence[float] = (0.25, 0.5, 0.75),
        normalised: Normalised = "activations",
    ) -> Concept:
        """The direction between two system prompts while the same works are rated, where the rating is to be given."""
        site = model.resid_post(list(depths))
        asked = [template.after(task, done) for task, done in zip(tasks.texts, works.texts, strict=True)]
        here, there = (
            model.capture([with_system(each, told) for each in asked], at=site, position="last").array
            for told in (away, toward)
        )
        return concept(here, there, site.layers, normalised=normalised)

    def keep(self, found: Mapping[str, Concept], **about: Any) -> None:
        """Keeps vectors in the results, each selector in a file of its own, with their manifest and its table."""
        if self.evidence is None:
            return
        kept = {
            name: (self.evidence.arrays(f"vectors {name}", vectors.labelled(each)), each)
            for name, each in found.items()
        }
        folder = next(iter(kept.values()))[0].parent
        vectors.describe(folder, kept, about)
        rows = [{"selector": name} | row for name, each in found.items() for row in each.table()]
        self.evidence.rows("concept vectors", rows)

    @staticmethod
    def edit(model: Subject, depth: float, vector: np.ndarray, coefficient: float, mode: str) -> Edit:
        """A vector [d_model] added at a depth, in one of `MODES`. Raises ValueError for another mode."""
        if mode not in MODES:
            raise ValueError(f"vectors are added in mode {' or '.join(MODES)}, not {mode!r}")
        return model.steer(model.resid_post(depth), vector, coefficient, position=MODES[mode], decoding=True)

    @staticmethod
    def apart(tasks: Tasks, n: int, *, seed: int) -> tuple[Tasks, Tasks]:
        """n tasks to find a direction on, and all others. Raises ValueError where none would be left."""
        if n >= len(tasks):
            raise ValueError(f"of {len(tasks)} tasks none is left to ask for beside {n}; set n_tasks lower")
        known = tasks.sample(n, seed=seed)
        return known, tasks.take(np.array([each not in known.ids for each in tasks.ids]))

    @staticmethod
    def asked(questions: str, tasks: Tasks) -> Questions:
        """Open questions on a topic, by its name; with "tasks", the requests to do these tasks."""
        if questions == TASKS:
            return Questions("the work", tasks.texts)
        found = topic(questions)
        return Questions(found.about, found.questions)


@pytest.fixture
def concepts(request: pytest.FixtureRequest) -> Concepts:
    """Concept vectors: `concepts.of_works(model, tasks, loved, hated)`, `concepts.edit(model, 0.5, v, 1.0, mode)`."""
    knobs = knob_texts(request.node)
    return Concepts(request.getfixturevalue("evidence") if knobs is not None else None)
