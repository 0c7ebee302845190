"""Detection of refusals by rules from a list of words, which are few and know no irony."""

from __future__ import annotations

import re
from functools import lru_cache

from lab.files.texts import read


def refuses(text: str) -> bool:
    """Whether a text says that it will not answer, or not do what was asked.

    >>> refuses("I'm sorry, but I can't help with that."), refuses("I can't help but smile: 5")
    (True, False)
    """
    said = re.sub(r"\bcan(?:not| not)\b", "can't", " ".join(text.casefold().replace("\u2019", "'").split()))
    refusal, harmless = _rules()
    return bool(refusal.search(harmless.sub(" ", said)))


@lru_cache
def _rules() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What refuses, and what only looks so."""
    lists = read("refusals")
    any_of = {name: "|".join(map(re.escape, sorted(each, key=len, reverse=True))) for name, each in lists.items()}
    opened = rf"(?:{any_of['openings']}) (?:{any_of['verbs']})"
    return re.compile(rf"\b(?:{opened}|{any_of['phrases']})\b"), re.compile(rf"\b(?:{any_of['not']})\b")
