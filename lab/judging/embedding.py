"""A judge of how similar answers are, by cosines of a model's embeddings. It asks nobody."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from lab.files.texts import chats
from lab.judging.judges import FAILED, Judged
from lab.judging.rubrics import rubrics

RUBRIC = "similarity"


class Embedding:
    """Judges the rubric "similarity" by embeddings of a subject that reads; the same answers always get the same score.

    A text's embedding is the mean of a middle layer over its tokens, less the mean embedding of a hundred chats on ten
    topics: activations of language models share a large common part (Ethayarajh 2019), which would make any two texts
    alike. The score is 1 for a mean cosine over all pairs of 0 or less, and 10 for one of 1.

    Parameters
    ----------
    subject
        With `capture`, `resid_post` and `notes`, as local subjects of `lab.subjects` have them.
    depth
        Where it is read, a fraction of the layers.
    """

    def __init__(self, subject: Any, *, depth: float = 0.5) -> None:
        self.name, self._subject, self._depth = f"embedding:{subject.name}", subject, depth

    @property
    def notes(self) -> list[str]:
        """How the subject had to be run."""
        return list(self._subject.notes)

    def __call__(self, rubric: str, items: Sequence[Mapping[str, Any]]) -> list[Judged]:
        if rubric != RUBRIC:
            raise ValueError(f"embeddings judge {RUBRIC} alone, not {rubric!r}; name a model as the judge")
        asked = rubrics()[RUBRIC]
        prompts = [asked.ask(**item)[-1]["content"] for item in items]
        known = self._embedded(sorted({text for item in items for text in item["answers"] if text.strip()}))
        return [self._one(item["answers"], known, prompt) for item, prompt in zip(items, prompts, strict=True)]

    def _embedded(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Texts and their embeddings of length 1."""
        if not texts:
            return {}
        found = self._read(texts) - self._usual
        size = np.linalg.norm(found, axis=1, keepdims=True)
        return dict(zip(texts, found / np.where(size > 0, size, 1), strict=True))

    @cached_property
    def _usual(self) -> np.ndarray:
        """What activations have in common: the mean embedding of a hundred chats."""
        return np.asarray(self._read(chats()).mean(0))

    def _read(self, texts: Sequence[str]) -> np.ndarray:
        at = self._subject.resid_post(self._depth)
        return np.asarray(self._subject.capture(list(texts), at=at, position="mean").array[:, 0], dtype=float)

    def _one(self, answers: Sequence[str], known: Mapping[str, np.ndarray], prompt: str) -> Judged:
        if len(answers) < 2:
            fault = f"{FAILED}: unsuitable: one answer alone is similar to nothing; give at least two"
            return Judged(None, "", 1, fault, self.name, prompt)
        cosines = [_cosine(a, b, known) for a, b in combinations(answers, 2)]
        mean = float(np.mean(cosines))
        told = f"the {len(answers)} answers have a cosine of {mean:.2f}, on average over pairs"
        values = {"similarity_1_to_10": 1 + round(9 * min(max(mean, 0.0), 1.0)), "rationale": told}
        return Judged(values, json.dumps(values, ensure_ascii=False), 1, None, self.name, prompt)


def _cosine(a: str, b: str, known: Mapping[str, np.ndarray]) -> float:
    """Of two texts; one that is empty is like no other but an empty one."""
    if a == b or not (a.strip() or b.strip()):
        return 1.0
    return float(known[a] @ known[b]) if a in known and b in known else 0.0
