"""Prompts for a choice between two tasks: four wordings or one's own, with a reason or without; or by doing."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from lab.files.own import mapping, named, placeholders
from lab.files.texts import Message, read, user
from lab.studies.shared.prompts.formats import formatted

WORDINGS: tuple[str, ...] = ("simple_preference", "enjoy_most", "do_again", "prefer_completing")


def choice(
    first: str,
    second: str,
    wording: str = "simple_preference",
    *,
    reasoning: bool = False,
    completions: tuple[str, str] | None = None,
    form: str = "regex",
) -> list[Message]:
    """Asks which of two tasks is preferred, as A or B.

    Parameters
    ----------
    wording
        One of `WORDINGS`, or one of a file of your own, as "my.yaml:mine".
    reasoning
        Asks for a reason before the answer.
    completions
        How each task was done.
    form
        In which of `FORMATS` the answer is to be written.

    Raises ValueError for an unknown wording or format, and as `load_wordings` does.
    """
    how = read("choices")["formats"]
    end = how["reasoned" if form != "regex" else "reasoning"] if reasoning else how["letter"]
    asked = named(wording, _four(), load_wordings, "wording")
    return [user("\n".join([asked, *_both(first, second, completions), formatted(end, form)]))]


def do_one(first: str, second: str) -> list[Message]:
    """Asks to choose one of two tasks by doing it."""
    return [user("\n".join([read("choices")["do_one"], *_both(first, second, None)]))]


def load_wordings(path: str | Path) -> dict[str, str]:
    """Wordings of a YAML or JSON file that maps names to questions.

    The tasks follow the question, so it has no placeholders. Raises ValueError with one line that says what is wrong.
    """
    return {name: _wording(f"{path}: {name}", given) for name, given in mapping(path, "wordings").items()}


def _wording(where: str, given: Any) -> str:
    if not isinstance(given, str) or not given.strip():
        raise ValueError(f"{where}: a wording is a question as text")
    placeholders(where, given, set())
    return " ".join(given.format().split())


@lru_cache
def _four() -> dict[str, str]:
    return {name: _wording(name, given) for name, given in read("choices")["wordings"].items()}


def _both(first: str, second: str, completions: tuple[str, str] | None) -> list[str]:
    """Two tasks under their letters, each with how it was done where that is known."""
    lines = []
    for letter, task, done in zip("AB", (first, second), completions or ("", ""), strict=True):
        lines.append(f"Task {letter}: {task}")
        if done:
            lines.append(f"Completion {letter}: {done}")
    return lines
