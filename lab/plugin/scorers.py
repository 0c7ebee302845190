"""The fixture `scorers`: how toxic or how formal a text is, by a list of words or by a classifier."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.files.digest import digest
from lab.files.own import file_of
from lab.plugin.knobs import knob_texts, require_named
from lab.plugin.options import SETTINGS
from lab.subjects.identity import source

if TYPE_CHECKING:
    from lab.judging.scorers import Scorer

LEXICON = "lexicon"
_ON_THE_HUB = re.compile(r"\w[\w.-]*/[\w.-]+")


class Scorers:
    """Scorers by what they score: `scorers("toxicity")`, `scorers("formality", "name/on-the-hub:formal")`.

    `by` is "lexicon", the embedded word list; or a Hugging Face classifier (a hub name or a folder), with the label
    to be read behind a colon where it is not called as what is scored. A classifier is loaded once a process for
    what it holds.

    `knobs` are the texts among the values of the cell's knobs. A classifier is given only if a knob names it: what
    determines a result has to be known before the cell runs. None where there is no cell.
    """

    def __init__(self, knobs: frozenset[str] | None = None, *, dry: bool = False) -> None:
        self._knobs, self._dry = knobs, dry

    def __call__(self, behaviour: str, by: str = LEXICON) -> Scorer:
        """Raises ValueError for a behaviour without a word list, or a classifier that no knob names.

        LoadError for a classifier or label that is not there.
        """
        name, _, label = by.partition(":")
        if by != LEXICON:
            texts = frozenset() if self._knobs is not None and not _is_told_apart(name) else self._knobs
            require_named(by, texts, "the classifier", "as a folder or as owner/name")
        if by == LEXICON or self._dry:
            return _lexicon(behaviour, by == LEXICON)
        return _classifier(name, label or behaviour, digest(source(name)))

    @property
    def fingerprint(self) -> dict[str, dict[str, str]]:
        """What the classifiers hold that knobs name: their files, or the hub's commit. All texts count anyway."""
        names = {text.partition(":")[0] for text in self._knobs or ()}
        return {name: source(name) for name in sorted(names) if _is_classifier(name)}


def _is_told_apart(name: str) -> bool:
    """Whether a name can be a classifier's and nothing else's; a path that leads nowhere fails when it is loaded."""
    return _is_classifier(name) or "/" in name


def _is_classifier(name: str) -> bool:
    """Whether a text may name a classifier: it is a model's folder, or a name as on the hub and no data set's."""
    from lab import data  # numpy, which a run that only collects does without

    if file_of(name) is not None:  # a template of a file
        return False
    in_folder = bool(name) and (Path(name).expanduser() / "config.json").is_file()
    return in_folder or (bool(_ON_THE_HUB.fullmatch(name)) and name not in data.names())


def _lexicon(behaviour: str, named: bool) -> Scorer:
    from lab.files.texts import read
    from lab.judging.scorers import Lexicon

    lexicons = read("lexicons")
    if behaviour not in lexicons and named:
        raise ValueError(
            f"there is no word list for {behaviour!r}, only for {', '.join(lexicons)}; add it to "
            "fixtures/prompts/lexicons.yaml, or name a classifier, as scorer=owner/name:label"
        )
    return Lexicon.of(f"{LEXICON}:{behaviour}", lexicons.get(behaviour) or next(iter(lexicons.values())))


@lru_cache(maxsize=2)
def _classifier(name: str, label: str, content: str) -> Scorer:
    """A classifier, loaded once for what its files hold."""
    from lab.subjects import classifying

    return classifying.load(name, label)


@pytest.fixture
def scorers(request: pytest.FixtureRequest) -> Scorers:
    """Scorers of texts by what they score: `scorers("toxicity", by="lexicon")` gives [n] numbers between 0 and 1."""
    return Scorers(knob_texts(request.node), dry=request.config.stash[SETTINGS].plan)
