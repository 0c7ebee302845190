"""How is what a subject gave kept in a cache? Its results as entries, and entries as the same results again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from lab.files.plain import plain
from lab.subjects.cache.store import Entry
from lab.subjects.results import Generation

Result = TypeVar("Result")


def entry(result: Any, notes: list[str], effort: Mapping[str, float]) -> Entry:
    """A result of `lab.subjects.results`, or the answers of `chat`, with the notes that go with it and what it took."""
    told: dict[str, Any] = {"notes": notes, "effort": dict(effort)}
    if isinstance(result, list):
        return Entry(told, rows=result)
    if isinstance(result, Generation):
        rows = [list(pair) for pair in zip(result.texts, result.tokens, strict=True)]
        return Entry(told, rows=rows)
    held = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    arrays = {name: value for name, value in held.items() if isinstance(value, np.ndarray)}
    facts = {name: plain(value) for name, value in held.items() if name not in arrays}
    return Entry({"result": facts, **told}, arrays)


def restored(kind: type[Result], kept: Entry) -> Result:
    """The result of this kind that `entry` was made of, equal to the bit."""
    if kind is list:
        return list(kept.rows)  # type: ignore[return-value]
    if kind is Generation:
        texts, tokens = ([row[i] for row in kept.rows] for i in (0, 1))
        return kind(texts, tokens)  # type: ignore[call-arg]
    facts = {name: tuple(v) if isinstance(v, list) else v for name, v in kept.facts["result"].items()}
    return kind(**facts, **kept.arrays)
