"""Strategies that put an item to a model in an experiment on prompts, and the styles of their prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from string import ascii_uppercase
from typing import Any

from lab.files.texts import read

STRATEGIES: tuple[str, ...] = ("mcq", "histopathology", "radiology")
FORMATS: tuple[str, ...] = ("plain", "json", "yaml", "xml", "markdown", "toml", "toon")
ALIASES: tuple[str, ...] = ("text", "report", "question")
"""Under which of these names an item has its text; the first one that is there counts."""


@dataclass(frozen=True)
class Style:
    """How prompts of any strategy are built.

    Attributes
    ----------
    few_shot
        Whether answered examples stand before the item.
    output_format
        In which form the answer is asked for, and given in the examples; one of `FORMATS`.
    answer_first, contrarian
        Whether the answer is to come before its reasons, or the likely one is to be argued against; not both.
    answer_cue
        What every item ends in. None for the usual one, a blank line and "Answer:".

    Raises ValueError, in one line, for settings that make no sense.
    """

    few_shot: bool = False
    output_format: str = "plain"
    answer_first: bool = False
    contrarian: bool = False
    answer_cue: str | None = None

    def __post_init__(self) -> None:
        if self.answer_first and self.contrarian:
            raise ValueError("answer_first and contrarian exclude one another; set one of them")
        if self.output_format not in FORMATS:
            raise ValueError(f"no output_format {self.output_format!r}; there are {', '.join(FORMATS)}")

    @property
    def mode(self) -> str:
        """How the model is to reason: "standard", "answer_first" or "contrarian"."""
        return "answer_first" if self.answer_first else "contrarian" if self.contrarian else "standard"

    @property
    def cue(self) -> str:
        return str(read("strategies")["cue"]) if self.answer_cue is None else self.answer_cue


@dataclass(frozen=True)
class Strategy:
    """One way to ask. `strategy("mcq").prompt({"question": ..., "options": [...]}, Style(few_shot=True))`."""

    name: str
    task: str
    item: str
    like: str
    examples: tuple[Mapping[str, Any], ...]

    def prompt(self, item: Mapping[str, Any], style: Style | None = None) -> str:
        """The whole prompt of one item, which has a text under one of `ALIASES`, and `options` or not.

        Raises ValueError where there is no text.
        """
        style, texts = style or Style(), read("strategies")
        form = texts["formats"][style.output_format]
        asked = texts["respond"].format(name=form["name"], answer=form["answer"].format(answer=self.like))
        head = " ".join(part for part in (self.task, texts["modes"][style.mode], asked) if part)
        shown = [
            f"{self._item(example, style)} {form['answer'].format(answer=example['answer'])}"
            for example in self.examples * style.few_shot
        ]
        return "\n\n".join([head, *shown, self._item(item, style)])

    def _item(self, item: Mapping[str, Any], style: Style) -> str:
        return self.item.format(text=text_of(item), options=lettered(item.get("options", ()))) + style.cue


def text_of(item: Mapping[str, Any]) -> str:
    """An item's text. Raises ValueError where it has none."""
    found = next((item[name] for name in ALIASES if item.get(name)), None)
    if found is None:
        raise ValueError(f"an item has its text as {', '.join(ALIASES)}; this one has {', '.join(item) or 'nothing'}")
    return str(found)


def lettered(options: Sequence[str]) -> str:
    """Choices, each on a line of its own behind its letter; nothing of none."""
    return "".join(f"\n{letter}. {option}" for letter, option in zip(ascii_uppercase, options, strict=False))


@lru_cache
def strategy(name: str) -> Strategy:
    """A strategy by its name. Raises ValueError, naming those that there are."""
    known = read("strategies")["strategies"]
    if name not in known:
        raise ValueError(f"no prompt strategy {name!r}; there are {', '.join(known)}")
    given = known[name]
    return Strategy(name, given["task"], given["item"], given["like"], tuple(given["examples"]))
