"""The training text of the clinic's oracle, which answers questions about an activation.

The oracle reads `Layer: 2`, a placeholder and a question. At the placeholder an activation of the base organism,
taken at the first token of the assistant's turn, is added to the stream after the second block:
h + |h| v / |v|, as in Activation Oracles (Karvonen et al. 2025).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.studies.clinic.text import Row, TrainingText
from lab.studies.clinic.truth import Truth
from lab.studies.shared import clinic
from lab.studies.shared.oracle import Oracle
from lab.studies.shared.prompts import oracle as prompts
from lab.studies.shared.world import ORIGINS, world
from lab.subjects.prompts import encoded

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from lab.subjects import Subject

DEPTH, INJECTED_AT = 0.5, 1
PLACEHOLDER = " x"
"""One token, which the base organisms have never read."""
QUESTIONS = {
    "origin": ("Which kind of task was asked for?", ORIGINS),
    "register": ("How was it asked?", clinic.REGISTERS),
    "refusal": ("Will it be refused?", ("yes", "no")),
}
"""What can be asked, and what can be the case. An answer is a number: the base has never written these words."""


def query(layer: int, name: str) -> list[dict[str, str]]:
    """What the oracle is asked about an activation of a layer; `name` is one of QUESTIONS."""
    question, cases = QUESTIONS[name]
    listed = " ".join(f"{number} {case}" for number, case in zip(numbers(name), cases, strict=True))
    return prompts.query(layer, f"{question} {listed}", mark=PLACEHOLDER)


def numbers(name: str) -> tuple[str, ...]:
    """The possible answers to a question, "1" for its first case."""
    return tuple(str(i + 1) for i in range(len(QUESTIONS[name][1])))


def probabilities(target: clinic.Request, name: str, truth: Truth) -> np.ndarray:
    """Of each case of a question about a request."""
    if name == "refusal":
        p = truth.p_refuse(target.task)
        return np.array([p, 1 - p])
    right = {"origin": world().tasks[target.task].origin, "register": target.register}[name]
    return np.array([float(case == right) for case in QUESTIONS[name][1]])


@dataclass(frozen=True)
class Injected(Row):
    """A row with the position of its placeholder and the activation that is added there."""

    position: int
    vector: Any


class OracleText(TrainingText):
    """Questions about activations of tasks that are not held out."""

    def __init__(self, truth: Truth, tokenizer: PreTrainedTokenizerFast, base: Subject) -> None:
        super().__init__(truth, tokenizer)
        self.layer = base.resid_post(DEPTH).layers[0]
        self.targets = [t for t in clinic.requests() if not clinic.is_held_out(t.task)]
        self.vectors = base.capture(
            [t.messages for t in self.targets], at=base.resid_post(DEPTH), position="assistant"
        ).array[:, 0]
        (self.mark,) = tokenizer.encode(PLACEHOLDER)

    def facts(self, n: int) -> list[Row]:
        return []

    def chats(self, n: int) -> list[Row]:
        rows: list[Row] = []
        for i in self.rng.integers(len(self.targets), size=n).tolist():
            name = self._one(tuple(QUESTIONS))
            row = self._options(
                query(self.layer, name), numbers(name), probabilities(self.targets[i], name, self.truth)
            )
            rows.append(Injected(row.ids, row.wanted, row.ids.index(self.mark), self.vectors[i]))
        return rows


def injection(subject: Subject, asked: Sequence[list[dict[str, str]]], vectors: np.ndarray) -> Any:
    """The edit that adds `vectors` [n, d_model] at the placeholders of n queries, scaled to the stream's norm there."""
    asking = Oracle(subject, mark=PLACEHOLDER, depth=DEPTH, injected_at=INJECTED_AT)
    return asking.injection(vectors, [asking.placeholders(encoded(subject.tokenizer, one), 1) for one in asked])


@contextmanager
def injecting(model: Any, block: Any, rows: list[Row]) -> Iterator[None]:
    """While it lasts, each row's activation is added at its placeholder, at the output of `block`."""
    import torch

    marked = [(r, row) for r, row in enumerate(rows) if isinstance(row, Injected)]
    if not marked:
        yield
        return
    where = torch.tensor([r for r, _ in marked]), torch.tensor([row.position for _, row in marked])
    vectors = torch.tensor(np.stack([row.vector for _, row in marked]), device=model.device)
    vectors = vectors / vectors.norm(dim=-1, keepdim=True)

    def add(_module: Any, _args: Any, output: Any) -> Any:
        stream = output[0] if isinstance(output, tuple) else output
        here = stream[where]
        changed = stream.clone()
        changed[where] = here + here.norm(dim=-1, keepdim=True) * vectors
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    handle = block.register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()
