"""The fixture `scorers`: who says how toxic or how formal a text is? A list of words, or a classifier by name."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pytest

from lab.plugin.options import SETTINGS

if TYPE_CHECKING:
    from lab.methods.scorers import Scorer

LEXICON = "lexicon"


class Scorers:
    """Scorers by what they score: `scorers("toxicity")`, `scorers("formality", "name/on-the-hub:formal")`.

    `by` is "lexicon", the embedded word list; or a Hugging Face classifier (a hub name or a folder), with the label
    to be read behind a colon where it is not called as what is scored. A classifier is loaded once a process.
    """

    def __init__(self, *, dry: bool = False) -> None:
        self._dry = dry

    def __call__(self, behaviour: str, by: str = LEXICON) -> Scorer:
        """Raises ValueError for a behaviour without a word list, LoadError for a classifier or label not there."""
        if by == LEXICON or self._dry:
            return _lexicon(behaviour, by == LEXICON)
        name, _, label = by.partition(":")
        return _classifier(name, label or behaviour)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The word lists; classifiers are told apart by the knob that names them."""
        return _content()


def _content() -> dict[str, Any]:
    from lab.prompts.texts import read

    return read("lexicons")


def _lexicon(behaviour: str, named: bool) -> Scorer:
    from lab.methods.scorers import Lexicon

    lexicons = _content()
    if behaviour not in lexicons and named:
        raise ValueError(
            f"there is no word list for {behaviour!r}, only for {', '.join(lexicons)}; add it to "
            "fixtures/prompts/lexicons.yaml, or name a classifier, as scorer=owner/name:label"
        )
    return Lexicon.of(f"{LEXICON}:{behaviour}", lexicons.get(behaviour) or next(iter(lexicons.values())))


@lru_cache(maxsize=2)
def _classifier(name: str, label: str) -> Scorer:
    from lab.subjects import classifying

    return classifying.load(name, label)


@pytest.fixture(scope="session")
def scorers(request: pytest.FixtureRequest) -> Scorers:
    """Scorers of texts by what they score: `scorers("toxicity", by="lexicon")` gives [n] numbers between 0 and 1."""
    return Scorers(dry=request.config.stash[SETTINGS].plan)
