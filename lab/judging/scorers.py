"""Scorers of text: the interface that every scorer has, and scores of toxicity and formality from word lists."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np


class Scorer(Protocol):
    """Scores texts: a list of n gives [n] numbers between 0 and 1. `name` says what scored them."""

    @property
    def name(self) -> str: ...

    def __call__(self, texts: Sequence[str]) -> np.ndarray: ...


@dataclass(frozen=True)
class Lexicon:
    """Scores a text by words and phrases that raise its score and others that lower it.

    Every entry has a weight between 0 and 1, and counts once, however often it stands in the text. With
    up = 1 - prod(1 - weight) over the entries of `raises` that were found, and down likewise, the score is

        neutral + (1 - neutral) * up - neutral * down

    which depends on no text's length, and is `neutral` where nothing was found. Words are whole ones in upper or
    lower case; what a longer entry has taken is not counted for a shorter one. It reads words, and no irony:
    "not stupid" scores as "stupid" does.

        >>> rude = Lexicon("rudeness", 0.0, {"you fool": 0.9, "fool": 0.5}, {})
        >>> rude(["You fool!", "A fool and his money", "Good morning"]).tolist()
        [0.9, 0.5, 0.0]

    Parameters
    ----------
    name
        What is scored.
    neutral
        The score of a text without any of the entries.
    raises, lowers
        Weights by entry.

    Raises ValueError for a weight or `neutral` outside of 0 to 1, an entry twice, or no entry.
    """

    name: str
    neutral: float
    raises: Mapping[str, float]
    lowers: Mapping[str, float]

    def __post_init__(self) -> None:
        up, down = self._weights
        entries = [*up, *down]
        if not entries:
            raise ValueError(f"{self.name} has no entry; give it words in `raises` or `lowers`")
        doubled = sorted({entry for entry in entries if entries.count(entry) > 1})
        if doubled:
            raise ValueError(f"{doubled[0]!r} stands twice in {self.name}; keep it once")
        for what, value in {"neutral": self.neutral, **up, **down}.items():
            if not 0 <= value <= 1:
                raise ValueError(f"{what!r} has {value:g} in {self.name}; write a number from 0 to 1")

    @classmethod
    def of(cls, name: str, content: Mapping[str, Any]) -> Lexicon:
        """As the file of lexicons writes one: `neutral`, `raises` and `lowers`, these by weight.

        Raises ValueError as above.
        """
        sides = ([(str(e), float(w)) for w, these in content[s].items() for e in these] for s in ("raises", "lowers"))
        raises, lowers = sides
        twice = [entry for side in (raises, lowers) for entry, _ in side if [e for e, _ in side].count(entry) > 1]
        if twice:
            raise ValueError(f"{twice[0]!r} stands twice in {name}; keep it once")
        return cls(name, float(content["neutral"]), dict(raises), dict(lowers))

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """[n] scores. Raises ValueError for one text in place of a list."""
        if isinstance(texts, str):
            raise ValueError("the texts are one string; pass a list of texts, for example [text]")
        return np.array([self._score(text) for text in texts])

    @cached_property
    def _weights(self) -> tuple[dict[str, float], dict[str, float]]:
        up, down = ({_folded(e): float(w) for e, w in side.items()} for side in (self.raises, self.lowers))
        return up, down

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest = sorted([entry for side in self._weights for entry in side], key=len, reverse=True)
        words = "|".join(re.escape(entry).replace(r"\ ", r"\s+") for entry in longest)
        return re.compile(rf"(?<!\w)(?:{words})(?!\w)")

    def found(self, text: str) -> list[str]:
        """The entries in a text, each once, in their order."""
        return list(dict.fromkeys(re.sub(r"\s+", " ", hit) for hit in self._pattern.findall(_folded(text))))

    def _score(self, text: str) -> float:
        entries = self.found(text)
        up, down = (1 - float(np.prod([1 - side[e] for e in entries if e in side])) for side in self._weights)
        return self.neutral + (1 - self.neutral) * up - self.neutral * down


def _folded(text: str) -> str:
    return text.lower().replace("\u2019", "'")
