"""Prompts for questions of fact: multiple choice with letters, claims that are true or false, and reports."""

from __future__ import annotations

from collections.abc import Sequence

from lab.files.texts import read

LETTERS = ("A", "B", "C", "D")


def question(text: str) -> str:
    """A question; the answer follows in words behind a space."""
    return _text("question").format(question=text)


def mcq(question: str, choices: Sequence[str]) -> str:
    """A question with four lettered choices; the answer is a letter behind a space."""
    if len(choices) != len(LETTERS):
        raise ValueError(f"a multiple-choice question has {len(LETTERS)} choices, not {len(choices)}")
    return _text("mcq").format(question=question, **dict(zip(LETTERS, choices, strict=True)))


def claim(text: str) -> str:
    """A claim; the answer is true or false behind a space."""
    return _text("claim").format(claim=text)


def report(text: str, kind: str) -> str:
    """A histopathology or radiology report, and what it shows."""
    return _text(kind).format(report=text)


def _text(name: str) -> str:
    texts = read("questions")
    if name not in texts:
        raise ValueError(f"no prompt {name!r}; there are {', '.join(texts)}")
    return str(texts[name])
