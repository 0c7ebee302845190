"""How is a task rated? Templates with a declared scale: the answers allowed, and the numbers they count as."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import Any

from lab.prompts.texts import Message, assistant, read, user

BEFORE = {"would": "would you enjoy", "feels": "would it feel"}
AFTER = {"would": "did you enjoy", "feels": "did it feel"}
KEYS = {"scale", "text", "answers", "values", "banned", "range"}


@dataclass(frozen=True)
class Template:
    """One way to ask for a rating.

    `answers` are all texts on the scale, from the worst to the best, and `values` the numbers they count as;
    `banned` answers are on the scale but against the rules.
    """

    name: str
    scale: str
    text: str
    answers: tuple[str, ...]
    values: tuple[float, ...]
    banned: tuple[str, ...] = ()

    def question(self, *, after: bool) -> str:
        """The text, asked before (`after=False`) or after the task is done."""
        words = AFTER if after else BEFORE
        return self.text.format(**words, **{key.capitalize(): value.capitalize() for key, value in words.items()})

    def before(self, task: str) -> list[Message]:
        """Asks about a task that has not been done."""
        return [user(f"Task: {task}\n{self.question(after=False)}")]

    def after(self, task: str, completion: str) -> list[Message]:
        """Asks about the task after it has been done, in the same conversation."""
        return [user(task), assistant(completion), user(self.question(after=True))]


def load_templates(path: str | Path) -> dict[str, Template]:
    """Templates of a YAML file in the form of fixtures/prompts/ratings.yaml, by name.

    Raises ValueError with one line that names the file, the template and what to change.
    """
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: it must map names to templates")
    return {str(name): _template(f"{path}: {name}", str(name), given) for name, given in content.items()}


@lru_cache
def templates() -> dict[str, Template]:
    """The thirteen templates, by name."""
    return {name: _template(name, name, given) for name, given in read("ratings").items()}


def _template(where: str, name: str, given: Any) -> Template:
    if not isinstance(given, dict) or not isinstance(given.get("text"), str):
        raise ValueError(f"{where}: it needs a text")
    unknown = set(given) - KEYS
    if unknown:
        raise ValueError(f"{where}: unknown key {', '.join(sorted(unknown))}; there are {', '.join(sorted(KEYS))}")
    allowed = {*BEFORE, *map(str.capitalize, BEFORE)}
    try:
        places = {place for _, place, _, _ in Formatter().parse(given["text"]) if place is not None}
    except ValueError as error:
        raise ValueError(f"{where}: {error}; write {{{{ and }}}} for braces") from None
    if places - allowed:
        raise ValueError(f"{where}: unknown placeholder {places - allowed}; there are {', '.join(sorted(allowed))}")
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
    text, scale = " ".join(given["text"].split()), str(given.get("scale", f"{answers[0]} to {answers[-1]}"))
    return Template(name, scale, text, tuple(map(str, answers)), tuple(map(float, values)), banned)
