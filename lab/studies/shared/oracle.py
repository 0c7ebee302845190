"""Activation oracles, asked about another model's activation: queries, injection, and what must hold for both.

    oracle = Oracle(subject)                         # a model with the oracle's LoRA adapter attached
    read = oracle.read(conversations)                # activations of the base, adapter off
    said = oracle.ask(questions, read.vectors, seeds)

As in Activation Oracles (Karvonen et al. 2025): at the output of an early block, in the prompt pass alone, each
placeholder of the query gets h + coefficient * |h| * v / |v|.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lab.files.texts import Message
from lab.studies.shared.prompts.oracle import Question, Target, query
from lab.subjects.prompts import NoTurn, assistant_start, encoded

CHECKS = {
    "chat template": "the tokenizer has a chat template",
    "one beginning": "the template and the tokenizer do not both add a token at the beginning",
    "assistant's turn": "the generation prompt continues a conversation, so that there is a first token of the turn",
    "one token each": "a placeholder is one token, whatever stands around it",
    "placeholders": "a query has as many placeholders as there are activations, and nowhere else the same token",
    "consecutive": "placeholders follow one another",
    "one activation": "each target has one activation of the width of the stream",
    "finite": "activations are finite, and none has length 0",
    "layers": "activations are put in at a layer that the model has",
    "seeds": "each query has as many seeds as the others, and no two samples of a run share theirs",
    "enough": "there are as many questions, targets and samples as were asked for",
    "names": "targets and questions have ids of their own",
}
"""What is taken for granted, by name. Each is checked before anything is spent on it."""
LARGE = 300.0
"""A stream of this length at a placeholder is unusual; the original code warns there."""


class Assumption(ValueError):
    """Something taken for granted does not hold. Its text begins with the name of the check, one of `CHECKS`."""

    def __init__(self, check: str, fault: str) -> None:
        super().__init__(f"{check}: {CHECKS[check]}, but {fault}")
        self.check = check


@dataclass(frozen=True)
class Read:
    """What was read of n targets.

    Attributes
    ----------
    ids
        [n] token ids of each conversation with the generation prompt.
    starts
        [n] where in them the assistant's turn begins: the position of the activation.
    vectors
        [n, d_model] activations of the base.
    """

    ids: tuple[tuple[int, ...], ...]
    starts: tuple[int, ...]
    vectors: np.ndarray


@dataclass(frozen=True)
class Oracle:
    """Asks a subject about activations of its base.

    Parameters
    ----------
    subject
        As `lab.subjects.load` gives it, with the oracle's LoRA adapter. One without an adapter is asked itself.
    mark
        The placeholder, one token: `" ?"` for the published oracles.
    depth
        Where activations are read, a fraction of the layers: 0.5 of 62 is layer 31.
    injected_at
        The block at whose output they are put in.
    coefficient
        How many times the stream's own norm.
    replace
        Puts coefficient * |h| * v / |v| in the place of h, where it is otherwise added.

    Raises Assumption where something of `CHECKS` does not hold.
    """

    subject: Any
    mark: str = " ?"
    depth: float = 0.5
    injected_at: int = 1
    coefficient: float = 1.0
    replace: bool = False

    def __post_init__(self) -> None:
        n = self.subject.n_layers
        if not 0 <= self.injected_at < n:
            raise Assumption("layers", f"there is no layer {self.injected_at} in {n} layers")

    @property
    def layer(self) -> int:
        """Index of the layer that is read."""
        (layer,) = self.subject.resid_post(self.depth).layers
        return int(layer)

    # Reading ------------------------------------------------------------------------------------------

    def read(self, targets: Sequence[Sequence[Message]]) -> Read:
        """The activation of the base at the first token of the assistant's turn of each conversation.

        A conversation is encoded twice, without and with the generation prompt; the length without is the position.
        """
        turns = [self._turn(messages) for messages in targets]
        with self.subject.adapter(None):
            found = self.subject.capture(
                [list(ids) for ids, _ in turns],
                at=self.subject.resid_post(self.depth),
                position=[start for _, start in turns],
            ).array
        if found.shape != (len(turns), 1, self.subject.d_model):
            raise Assumption("one activation", f"they have shape {found.shape}")
        return Read(tuple(ids for ids, _ in turns), tuple(start for _, start in turns), found[:, 0])

    def _turn(self, messages: Sequence[Message]) -> tuple[tuple[int, ...], int]:
        ids = self._encoded(messages)
        try:
            return tuple(ids), assistant_start(self.subject.tokenizer, messages, ids)
        except NoTurn as error:
            raise Assumption("assistant's turn", str(error)) from None

    def _encoded(self, messages: Sequence[Message]) -> list[int]:
        tokenizer = self.subject.tokenizer
        if not tokenizer.chat_template:
            raise Assumption("chat template", f"{self.subject.name} has none")
        ids = encoded(tokenizer, messages)
        first = tokenizer.bos_token_id
        if first is not None and ids[:2] == [first, first]:
            raise Assumption("one beginning", f"{ids[:2]} stands at the beginning of {messages[0]['content'][:40]!r}")
        return ids

    # Asking -------------------------------------------------------------------------------------------

    def query(self, question: str, count: int = 1) -> tuple[list[int], list[int]]:
        """Token ids of a question about `count` activations, and the positions of its placeholders."""
        ids = self._encoded(query(self.layer, question, mark=self.mark, count=count))
        return ids, self.placeholders(ids, count)

    def placeholders(self, ids: Sequence[int], count: int) -> list[int]:
        """Where in a query its placeholders stand."""
        token = self.subject.tokenizer.encode(self.mark, add_special_tokens=False)
        if len(token) != 1:
            raise Assumption("one token each", f"{self.mark!r} is {len(token)} tokens of {self.subject.name}")
        found = [i for i, one in enumerate(ids) if one == token[0]]
        if len(found) != count:
            raise Assumption(
                "placeholders", f"there are {len(found)} of {self.mark!r} for {count}; reword the question"
            )
        if found != list(range(found[0], found[0] + count)):
            raise Assumption("consecutive", f"they stand at {found}")
        return found

    def injection(self, vectors: ArrayLike, positions: Sequence[Sequence[int]]) -> Any:
        """The edit that puts vectors [n, d_model] or [n, count, d_model] at the placeholders of n queries."""
        given = np.asarray(vectors, dtype=np.float32)
        given = given[:, None] if given.ndim == 2 else given
        wanted = (len(positions), len(positions[0]), self.subject.d_model)
        if given.shape != wanted:
            raise Assumption("one activation", f"they have shape {given.shape} where {wanted} are asked about")
        if not np.isfinite(given).all() or not np.linalg.norm(given, axis=-1).all():
            raise Assumption("finite", "there is NaN, infinity or a vector of length 0")
        site = self.subject.resid_post(self.injected_at)
        return self.subject.inject(
            site, given[:, None], self.coefficient, position=[list(p) for p in positions], replace=self.replace
        )

    def ask(
        self,
        questions: Sequence[str],
        vectors: ArrayLike,
        seeds: ArrayLike,
        *,
        temperature: float = 0.7,
        top_p: float = 0.9,
        max_new_tokens: int = 40,
    ) -> list[list[str]]:
        """What the oracle says: one answer for each of the seeds [n, samples] of each of n questions.

        A question is read once for all its samples, and each sample draws from its own seed, so that any batch says
        what one question and one sample alone would have said.
        """
        drawn = np.asarray(seeds, dtype=np.int64)
        if drawn.ndim != 2 or len(drawn) != len(questions) or len(np.unique(drawn)) < drawn.size:
            raise Assumption("seeds", f"there are {len(np.unique(drawn))} different ones in {drawn.shape}")
        given = np.asarray(vectors, dtype=np.float32)
        count = given.shape[1] if given.ndim == 3 else 1
        asked = [self.query(question, count) for question in questions]
        texts = self.subject.generate(
            [ids for ids, _ in asked],
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
            seeds=drawn.tolist(),
            edit=self.injection(given, [positions for _, positions in asked]),
        ).texts
        k = drawn.shape[1]
        return [texts[i : i + k] for i in range(0, len(texts), k)]

    def norm_at_placeholder(self, question: str) -> float:
        """Length of the stream at the placeholder before anything is put in; what follows it does not change it."""
        ids, positions = self.query(question)
        at = self.subject.resid_post(self.injected_at)
        return float(np.linalg.norm(self.subject.capture([ids], at=at, position=positions).array[0, 0]))


def distinct(targets: Sequence[Target], questions: Sequence[Question]) -> None:
    """Raises Assumption where two targets or two questions have one id."""
    for kind in (targets, questions):
        ids = [one.id for one in kind]
        twice = next((id for id in ids if ids.count(id) > 1), None)
        if twice is not None:
            raise Assumption("names", f"{twice!r} stands there twice")


def drawn(items: Sequence[Any], n: int | None, what: str, *, seed: int) -> list[Any]:
    """n of the items, drawn without replacement and in their order; None takes all. Raises Assumption for too few."""
    if n is None or n == len(items):
        return list(items)
    if not 1 <= n <= len(items):
        raise Assumption("enough", f"{n} {what} were asked for and there are {len(items)}")
    chosen = np.random.default_rng(seed).permutation(len(items))[:n]
    return [items[i] for i in sorted(chosen.tolist())]


def random_vectors(vectors: np.ndarray, n: int, *, seed: int) -> np.ndarray:
    """[t, n, d] vectors of random direction, each as long as its target's own [t, d]."""
    noise = np.random.default_rng([seed, 7]).standard_normal((len(vectors), n, vectors.shape[-1]))
    size = np.linalg.norm(vectors, axis=-1)[:, None, None] / np.linalg.norm(noise, axis=-1, keepdims=True)
    return np.asarray(noise * size, dtype=np.float32)


def said(question: Question, text: str) -> int | None:
    """Which case an answer names: the only one of the question's answers that stands in it; None for none or several.

    >>> colour = Question("c", "Which colour?", "colour", ("red", "blue"), ("1", "2"))
    >>> said(colour, "It is 2."), said(colour, "1 or 2"), said(colour, "12")
    (1, None, None)
    """
    words = re.findall(r"\w+", text.casefold())
    found = [i for i, answer in enumerate(question.answers) if answer.casefold() in words]
    return found[0] if len(found) == 1 else None


def right_answer(question: Question, target: Target) -> int | None:
    """Which case holds of a target; None where nobody knows."""
    fact = target.facts.get(question.about)
    return question.cases.index(fact) if fact in question.cases else None
