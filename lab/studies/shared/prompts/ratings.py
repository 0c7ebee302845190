"""Rating templates with a declared scale: the answers allowed, and the numbers they count as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from lab.files.own import mapping, named, placeholders
from lab.files.texts import Message, assistant, read, user
from lab.studies.shared.prompts.formats import formatted

BEFORE = {"would": "would you enjoy", "feels": "would it feel"}
AFTER = {"would": "did you enjoy", "feels": "did it feel"}
KEYS = {"scale", "text", "answers", "values", "banned", "range", "tags"}


@dataclass(frozen=True)
class Template:
    """One way to ask for a rating.

    `answers` are all texts on the scale, from the worst to the best, and `values` the numbers they count as;
    `banned` answers are on the scale but against the rules. `scale` is how the scale is told to somebody who reads an
    answer. `tags` say of which sort a template is: `scale`, its least and greatest value, and `kind`, numeric or
    qualitative, are always there.
    """

    name: str
    scale: str
    text: str
    answers: tuple[str, ...]
    values: tuple[float, ...]
    banned: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        low, high = min(self.values), max(self.values)
        coded = {
            "scale": f"{low:g}{'-' if low >= 0 else '..'}{high:g}",
            "kind": "numeric" if self.numeric else "qualitative",
        }
        object.__setattr__(self, "tags", coded | dict(self.tags))

    @property
    def numeric(self) -> bool:
        """Whether the answers are the numbers that they count as."""
        return all(answer == f"{value:g}" for answer, value in zip(self.answers, self.values, strict=True))

    @property
    def step(self) -> float:
        """A quarter of the scale, in points: 1 from 1 to 5, 2.5 from -5 to 5. So a bar means as much on any scale."""
        return (max(self.values) - min(self.values)) / 4

    @property
    def label(self) -> str:
        """The name with all tags, as "stated_1_5[anchors=none,kind=numeric,scale=1-5]"."""
        return f"{self.name}[{','.join(f'{key}={self.tags[key]}' for key in sorted(self.tags))}]"

    def question(self, *, after: bool, form: str = "regex") -> str:
        """The text, asked before (`after=False`) or after the task is done, to be answered in one of `FORMATS`."""
        words = AFTER if after else BEFORE
        said = self.text.format(**words, **{key.capitalize(): value.capitalize() for key, value in words.items()})
        return formatted(said, form)

    def before(self, task: str, form: str = "regex") -> list[Message]:
        """Asks about a task that has not been done."""
        return [user(f"Task: {task}\n{self.question(after=False, form=form)}")]

    def after(self, task: str, completion: str, form: str = "regex") -> list[Message]:
        """Asks about the task after it has been done, in the same conversation."""
        return [user(task), assistant(completion), user(self.question(after=True, form=form))]


def load_templates(path: str | Path) -> dict[str, Template]:
    """Templates of a YAML or JSON file in the form of fixtures/prompts/ratings.yaml, by name.

    Raises ValueError with one line that names the file, the template and what to change.
    """
    return {name: _template(f"{path}: {name}", name, given) for name, given in mapping(path, "templates").items()}


def templates(**tags: str) -> dict[str, Template]:
    """The thirteen templates, by name; with tags only those that have all of them, as `templates(kind="numeric")`.

    Raises ValueError where none has them.
    """
    found = {name: each for name, each in _thirteen().items() if tags.items() <= each.tags.items()}
    if not found:
        known = sorted({f"{key}={value}" for each in _thirteen().values() for key, value in each.tags.items()})
        raise ValueError(f"no template has the tags {tags}; there are {', '.join(known)}")
    return found


def template(name: str) -> Template:
    """One of the thirteen, or one of a file of your own: `template("my.yaml:mine")`.

    Raises ValueError for an unknown name, and as `load_templates` does.
    """
    return named(name, _thirteen(), load_templates, "template")


@lru_cache
def _thirteen() -> dict[str, Template]:
    return {name: _template(name, name, given) for name, given in read("ratings").items()}


def _template(where: str, name: str, given: Any) -> Template:
    if not isinstance(given, dict) or not isinstance(given.get("text"), str):
        raise ValueError(f"{where}: it needs a text")
    unknown = set(given) - KEYS
    if unknown:
        raise ValueError(f"{where}: unknown key {', '.join(sorted(unknown))}; there are {', '.join(sorted(KEYS))}")
    placeholders(where, given["text"], {*BEFORE, *map(str.capitalize, BEFORE)})
    if "range" in given:
        low, high = given["range"]
        answers, values = [str(v) for v in range(low, high + 1)], list(range(low, high + 1))
    else:
        answers, values = given.get("answers") or [], given.get("values") or []
    if len(answers) < 2 or len(answers) != len(values) or len({str(a).casefold() for a in answers}) != len(answers):
        raise ValueError(f"{where}: it needs a range, or two and more different answers and as many values")
    banned = tuple(map(str, given.get("banned", ())))
    if set(banned) - set(map(str, answers)):
        raise ValueError(f"{where}: banned answers must be among the answers")
    tags = given.get("tags") or {}
    if not isinstance(tags, dict) or "scale" in tags:
        raise ValueError(f"{where}: tags map names to texts, and `scale` is told by the values; leave it out")
    return Template(
        name,
        str(given.get("scale", f"{answers[0]} to {answers[-1]}")),
        " ".join(given["text"].split()),
        tuple(map(str, answers)),
        tuple(map(float, values)),
        banned,
        {str(key): str(value) for key, value in tags.items()},
    )
