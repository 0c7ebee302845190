"""What an activation oracle is asked, and what came of it: questions about targets, each answered several times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lab.studies.oracle import results_file
from lab.studies.oracle.similarity import clusters, semantic_entropy
from lab.studies.oracle.targets import N_CLINIC, pool_for, requests
from lab.studies.shared.oracle import Oracle, Read, distinct, drawn, random_vectors, right_answer, said
from lab.studies.shared.prompts.oracle import Question, Target, load_targets


@dataclass(frozen=True)
class Decoding:
    """How answers are drawn."""

    temperature: float
    top_p: float
    max_new_tokens: int

    @property
    def told(self) -> results_file.Decoding:
        return {
            "do_sample": self.temperature > 0,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_new_tokens": self.max_new_tokens,
        }


@dataclass(frozen=True)
class Design:
    """What is asked of an oracle: questions about targets, each k times, and who judges how alike the answers are."""

    oracle: Oracle
    pool: str
    questions: tuple[Question, ...]
    targets: tuple[Target, ...]
    k: int
    decoding: Decoding
    alike: float
    seed: int

    def seeds(self, runs: Sequence[str]) -> np.ndarray:
        """[runs, k] the seed of each answer."""
        return np.array(
            [
                [results_file.sample_seed(self.seed, results_file.sample_id(run, j)) for j in range(self.k)]
                for run in runs
            ]
        )

    def runs(self, target: Target) -> list[str]:
        """The ids of a target's runs, one for each question."""
        return [results_file.run_id(target.id, question.id) for question in self.questions]


def design_of(
    pool: str,
    file: str,
    sizes: tuple[int | None, int | None, int],
    decoding: Decoding,
    injection: Mapping[str, Any],
    alike: float,
    model: Any,
    seed: int,
) -> Design:
    """What to ask a model: the knobs of the fixture `resampling`, with questions and targets drawn by the seed.

    `sizes` are how many targets and questions, None for all, and how many answers to each question.
    Raises Assumption where there are not as many as were asked for, or two of one id.
    """
    among, (n_targets, n_questions, n_samples) = pool_for(model.name, pool), sizes
    targets = load_targets(file) if file else among.targets or requests(n_targets or N_CLINIC, seed)
    distinct(targets, among.questions)
    return Design(
        Oracle(model, among.mark, **injection),
        among.name,
        tuple(drawn(among.questions, n_questions, "questions", seed=seed)),
        tuple(drawn(targets, n_targets, "targets", seed=seed)),
        int(*drawn([n_samples], None if n_samples > 0 else n_samples, "samples", seed=seed)),
        decoding,
        alike,
        seed,
    )


@dataclass(frozen=True)
class Resampled:
    """What came of a design of t targets, q questions and k answers to each.

    Attributes
    ----------
    texts
        [t][q][k] answers.
    own_texts
        [t][k] what the model itself answers to a target, without the adapter.
    scores
        [t, q] similarity from 1 to 10, NaN where the judge failed.
    own_scores
        [t] the same of `own_texts`.
    file
        Where all of it is kept: results.json.
    """

    design: Design
    read: Read
    texts: list[list[list[str]]]
    own_texts: list[list[str]]
    scores: np.ndarray
    own_scores: np.ndarray
    file: Path

    @property
    def questions(self) -> list[str]:
        """The questions' ids."""
        return [question.id for question in self.design.questions]

    @cached_property
    def entropies(self) -> np.ndarray:
        """[t, q] semantic entropy of the answers, which asks no judge."""
        alike = self.design.alike
        return np.array([[semantic_entropy(clusters(k, alike=alike)) for k in each] for each in self.texts])

    @cached_property
    def truth(self) -> np.ndarray:
        """[t, q] the case that holds, -1 where nobody knows."""
        known = [[right_answer(q, t) for q in self.design.questions] for t in self.design.targets]
        return np.array([[-1 if case is None else case for case in row] for row in known])

    @property
    def cases(self) -> np.ndarray:
        """[t, q, k] the case that each answer names, -1 for none."""
        return self._cases(self.texts)

    def random_cases(self) -> np.ndarray:
        """[t, q, k] the case that is named where the oracle is given random vectors, as long as a target's activation.

        Each answer is about a vector of its own. Asked are questions whose right answer is known.
        """
        d = self.design
        asked = [i for i in range(len(d.questions)) if (self.truth[:, i] >= 0).any()]
        noise = random_vectors(self.read.vectors, d.k, seed=d.seed)
        texts = [[[""] * d.k for _ in d.questions] for _ in d.targets]
        for t in range(len(d.targets)):
            runs = d.runs(d.targets[t])
            answers = d.oracle.ask(
                [d.questions[i].text for i in asked for _ in range(d.k)],
                np.tile(noise[t], (len(asked), 1)),
                d.seeds([f"random__{runs[i]}" for i in asked]).reshape(-1, 1),
                **asdict(d.decoding),
            )
            for a, i in enumerate(asked):
                texts[t][i] = [answers[a * d.k + j][0] for j in range(d.k)]
        return self._cases(texts)

    def _cases(self, texts: list[list[list[str]]]) -> np.ndarray:
        named = [
            [[said(q, text) for text in answers] for q, answers in zip(self.design.questions, each, strict=True)]
            for each in texts
        ]
        return np.array([[[-1 if case is None else case for case in k] for k in each] for each in named])
