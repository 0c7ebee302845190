"""Answer formats that a prompt can ask for: plain, in tags, as JSON, or as the call of a tool."""

from __future__ import annotations

from lab.files.texts import read

FORMATS: tuple[str, ...] = ("regex", "xml", "json", "tool")
"""`regex` is the plain answer that the question asks for."""


def formatted(question: str, form: str) -> str:
    """A question, with the sentence of a format behind it. Raises ValueError for an unknown format."""
    texts = read("formats")
    if form not in texts:
        raise ValueError(f"unknown answer format {form!r}; there are {', '.join(texts)}")
    return f"{question} {texts[form]}".rstrip()
