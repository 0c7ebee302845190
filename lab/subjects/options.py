"""Which option does a text name? For answers that come as text, not as logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lab.subjects.errors import PromptError


def first_tokens(top: list[tuple[str, float]], options: list[str]) -> list[float] | None:
    """Log-probability of each option among the first tokens, or None where one is missing."""
    found = [[logprob for token, logprob in top if token.strip() == option] for option in options]
    return [float(np.logaddexp.reduce(these)) for these in found] if all(found) else None


def begins(text: str, options: list[str]) -> int | None:
    """Index of the longest option that `text` begins with as a word, after space, quotes and punctuation.

    >>> begins('**"A."**', ["A", "B"]), begins("As I see it", ["A", "B"]), begins("No way.", ["No", "No way"])
    (0, None, 1)
    """
    for start, first in enumerate(text):
        hits = [j for j, option in enumerate(options) if _at(text, start, option)]
        if hits:
            return max(hits, key=lambda j: len(options[j]))
        if first.isalnum():
            break
    return None


def _at(text: str, start: int, option: str) -> bool:
    """Whether `option` stands at `start`, and no letter or digit continues its last word."""
    end = start + len(option)
    return text.startswith(option, start) and not (_in_word(option[-1]) and _in_word(text[end : end + 1]))


def _in_word(character: str) -> bool:
    """Whether it is of a script that parts its words, so that a word's end can be told: it has case, or is a digit."""
    return character.isdigit() or character.lower() != character.upper()


def option_lists(options: Sequence[str] | Sequence[Sequence[str]], n: int) -> list[list[str]]:
    """k options for each prompt, without the space around them. Raises PromptError."""
    first = options[0] if len(options) else ""
    each: Any = [options] * n if isinstance(first, str) else options
    if len(each) != n:
        raise PromptError(f"{n} prompts but {len(each)} lists of options; pass one list for each")
    stripped = [[option.strip() for option in these] for these in each]
    k = len(stripped[0])
    if k < 2 or any(len(these) != k for these in stripped):
        raise PromptError("every prompt needs the same number of options, at least two")
    for these in stripped:
        if "" in these:
            raise PromptError("an option is empty; every option needs at least one letter")
        if len(set(these)) < k:
            raise PromptError(f"options {these} hold one twice, and space does not tell options apart; rename one")
    return stripped
