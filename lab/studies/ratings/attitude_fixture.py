"""What a model says when it is steered, and how a judge finds its attitude: the fixture `opinions`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from lab.files.texts import Message, read, user
from lab.studies.ratings import attitudes

if TYPE_CHECKING:
    from lab.data import Tasks
    from lab.judging.judges import Judge
    from lab.plugin.judges import Judges
    from lab.record import Notebook
    from lab.studies.ratings.attitudes import Attitudes
    from lab.studies.ratings.concept_fixture import Concepts
    from lab.subjects import Subject

TASKS = "tasks"


@dataclass(frozen=True)
class Questions:
    """What is asked [n], and of what a judge is to find the attitude."""

    about: str
    texts: tuple[str, ...]

    @property
    def prompts(self) -> list[list[Message]]:
        """Each as a conversation."""
        return [[user(text)] for text in self.texts]


def asked(questions: str, tasks: Tasks) -> Questions:
    """Open questions on a topic of fixtures/prompts/attitudes.yaml; with "tasks", the requests to do these tasks.

    Raises ValueError for an unknown topic.
    """
    if questions == TASKS:
        return Questions("the work", tasks.texts)
    known = read("attitudes")
    if questions not in known:
        raise ValueError(f"there is no topic {questions!r}; there are {', '.join(known)}")
    return Questions(known[questions]["about"], tuple(known[questions]["questions"]))


@dataclass(frozen=True)
class Opinions:
    """Asks steered models openly, and lets a judge read what they say.

    Attributes
    ----------
    concepts
        Says where vectors are added.
    questions
        A topic by its name, or "tasks".
    seeds, temperature, max_new_tokens
        Answers to each question, and how they are written.
    judge
        By name.
    least_coherence
        From which on an answer counts as language.
    """

    evidence: Notebook
    concepts: Concepts
    judges: Judges
    questions: str
    seeds: int
    temperature: float
    max_new_tokens: int
    judge: str
    least_coherence: float

    @cached_property
    def read(self) -> Judge:
        """The judge."""
        return self.judges(self.judge)

    def of(self, model: Subject, tasks: Tasks) -> Speaker:
        """A model that is asked the questions, or for these tasks."""
        return Speaker(self, model, asked(self.questions, tasks))


@dataclass(frozen=True)
class Speaker:
    """A model that is asked the same questions under any vector [d_model]."""

    how: Opinions
    model: Subject
    asked: Questions

    def says(self, vector: np.ndarray | None = None, coefficient: float = 0.0) -> Sequence[str]:
        """All answers, question by question, and seed by seed within each."""
        how = self.how
        edit = None if vector is None else how.concepts.edit(self.model, vector, coefficient)
        written: dict[str, Any] = {"n": how.seeds, "temperature": how.temperature, "max_new_tokens": how.max_new_tokens}
        written |= {} if edit is None else {"edit": edit}
        texts = self.model.chat(self.asked.prompts, seed=how.evidence.seed, **written)
        return [text for each in texts for text in each]

    def judged(self, name: str, vector: np.ndarray | None = None, coefficient: float = 0.0) -> Attitudes:
        """The answers' attitudes; what was said and judged is kept under this name and the coefficient."""
        seeds, said = self.how.seeds, self.says(vector, coefficient)
        ids = [f"{name}__{coefficient:+g}__{i // seeds}__{i % seeds}" for i in range(len(said))]  # question and sample
        items = [{"id": id, "topic": self.asked.about, "text": text} for id, text in zip(ids, said, strict=True)]
        judged = self.how.read("attitude", items)
        rows = attitudes.raw_rows(self.asked.texts, said, judged, seeds)
        self.how.evidence.raw(f"{name} {coefficient:+g}", rows)
        return attitudes.attitudes(judged, seeds, least=self.how.least_coherence)


@pytest.fixture
def opinions(
    evidence: Notebook,
    concepts: Concepts,
    judges: Judges,
    *,
    questions: str = "tasks",
    seeds: int = 4,
    temperature: float = 1.0,
    max_new_tokens: int = 24,
    judge: str = "offline",
    least_coherence: float = 0.5,
) -> Opinions:
    """What steered models say and how it is judged: `opinions.of(model, tasks).judged("mean", vector, 1.0)`."""
    return Opinions(evidence, concepts, judges, questions, seeds, temperature, max_new_tokens, judge, least_coherence)
