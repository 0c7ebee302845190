"""The fixture `concepts`: concept vectors of paired system prompts, and steering along them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from lab.files.texts import user
from lab.plugin.knobs import knob_texts
from lab.studies.ratings import vectors
from lab.studies.ratings.concepts import Concept, Normalised, Rated, Sweeps, concept, rated
from lab.studies.ratings.system_fixture import Systems
from lab.studies.shared.prompts import with_system

if TYPE_CHECKING:
    from lab.data import Tasks
    from lab.record import Notebook
    from lab.studies.shared.asking import Asking, Works
    from lab.studies.shared.prompts import Template
    from lab.studies.shared.ratings import Ratings
    from lab.subjects import Subject
    from lab.subjects.edits import Edit

SELECTORS = ("first", "last", "mean")
"""Which token of an answer is read, or the mean over all."""
MODES = {"autoregressive": "last", "all_tokens": "all"}
"""Where a vector is added: at the last position of every pass, or at every token, read or written."""


@dataclass(frozen=True)
class Concepts:
    """Finds the direction between two conditions in a model's activations, and steers along it.

    Attributes
    ----------
    kind
        The kind of task that is loved or hated.
    depth
        Where vectors are added, as a share of the layers.
    normalised
        How long vectors are made.
    mode
        At which positions they are added, one of `MODES`.
    """

    evidence: Notebook | None
    asking: Asking | None = None
    kind: str = "math"
    depth: float = 0.5
    normalised: Normalised = "activations"
    mode: str = "all_tokens"

    @property
    def told(self) -> dict[str, str | None]:
        """What is told of the kind of task: love, none, hate."""
        return Systems(None).likes(self.kind)

    def layer(self, model: Subject) -> int:
        """The layer at which vectors are added."""
        return int(model.resid_post(self.depth).layers[0])

    def of_works(
        self,
        model: Subject,
        tasks: Tasks,
        toward: Works,
        away: Works,
        *,
        depths: Sequence[float],
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
        return {
            name: concept(here, there, site.layers, normalised=self.normalised) for name, (here, there) in read.items()
        }

    def of_ratings(
        self,
        model: Subject,
        tasks: Tasks,
        template: Template,
        works: Works,
        *,
        depths: Sequence[float],
    ) -> Concept:
        """The direction from hate to love of the kind, told while works are rated, where the rating is to be given."""
        site = model.resid_post(list(depths))
        asked = [template.after(task, done) for task, done in zip(tasks.texts, works.texts, strict=True)]
        here, there = (
            model.capture([with_system(each, told) for each in asked], at=site, position="last").array
            for told in (self.told["hate"], self.told["love"])
        )
        return concept(here, there, site.layers, normalised=self.normalised)

    def keep(
        self, found: Mapping[str, Concept], model: Subject, author: Subject, tasks: Tasks, depths: Sequence[float]
    ) -> None:
        """Keeps vectors in the results, each selector in a file of its own, with their manifest and its table."""
        if self.evidence is None:
            return
        about = {"model": model.name, "author": author.name, "toward": self.told["love"], "away": self.told["hate"]}
        kept = {
            name: (self.evidence.arrays(f"vectors {name}", vectors.labelled(each)), each)
            for name, each in found.items()
        }
        folder = next(iter(kept.values()))[0].parent
        vectors.describe(folder, kept, about | {"depths": depths, "tasks": tasks.ids})
        rows = [{"selector": name} | row for name, each in found.items() for row in each.table()]
        self.evidence.rows("concept vectors", rows)

    def edit(self, model: Subject, vector: np.ndarray, coefficient: float) -> Edit:
        """A vector [d_model] added at the depth. Raises ValueError for an unknown mode."""
        if self.mode not in MODES:
            raise ValueError(f"vectors are added in mode {' or '.join(MODES)}, not {self.mode!r}")
        return model.steer(model.resid_post(self.depth), vector, coefficient, position=MODES[self.mode], decoding=True)

    def rate(
        self,
        model: Subject,
        tasks: Tasks,
        template: str,
        works: Works,
        told: str | None,
        vector: np.ndarray | None = None,
        coefficient: float = 0.0,
        mode: str = "direct",
    ) -> Ratings:
        """Exact ratings of works under a system prompt, with a vector added; `mode` names the run."""
        assert self.asking is not None
        edit = None if vector is None else self.edit(model, vector, coefficient)
        return self.asking.rate(model, tasks, template, works=works, told=told, edit=edit, mode=mode)

    def sweeps(
        self,
        model: Subject,
        tasks: Tasks,
        template: str,
        works: Mapping[str, Works],
        vector: np.ndarray,
        noise: np.ndarray,
        coefficients: Sequence[float],
    ) -> Sweeps:
        """Ratings along a vector and beside it along random ones [r, d_model], by what either side was told.

        `works` are those of an author who was told to love, to hate, or nothing.
        """

        def swept(done: Works, text: str | None) -> Rated:
            about = model, tasks, template, done, text
            plain = self.rate(*about)
            along = [plain if c == 0 else self.rate(*about, vector, c, f"steered{c:+g}") for c in coefficients]
            ends = coefficients[0], coefficients[-1]
            beside = [[self.rate(*about, v, c, f"random{i}{c:+g}") for c in ends] for i, v in enumerate(noise)]
            return rated(coefficients, along, beside)

        return Sweeps({(a, r): swept(works[a], text) for a in works for r, text in self.told.items()})

    @staticmethod
    def apart(tasks: Tasks, n: int, *, seed: int) -> tuple[Tasks, Tasks]:
        """n tasks to find a direction on, and all others. Raises ValueError where none would be left."""
        if n >= len(tasks):
            raise ValueError(f"of {len(tasks)} tasks none is left to ask for beside {n}; set n_tasks lower")
        known = tasks.sample(n, seed=seed)
        return known, tasks.take(np.array([each not in known.ids for each in tasks.ids]))


@pytest.fixture
def concepts(
    request: pytest.FixtureRequest,
    asking: Asking,
    *,
    kind: str = "math",
    depth: float = 0.5,
    normalised: Normalised = "activations",
    mode: str = "all_tokens",
) -> Concepts:
    """Concept vectors: `concepts.of_works(model, tasks, loved, hated, depths=[0.5])`, `concepts.edit(model, v, 1)`."""
    evidence = request.getfixturevalue("evidence") if knob_texts(request.node) is not None else None
    return Concepts(evidence, asking, kind, depth, normalised, mode)
