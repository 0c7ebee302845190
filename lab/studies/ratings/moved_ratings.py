"""Ratings that a system prompt moved, and whether their completions mention it, refuse or differ in sentiment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lab.judging.judges import Judge, failures

_ALIKE = ("template", "rater", "author", "completion seed", "mode", "form", "task")
_PROMPTS = ("system prompt", "author's system prompt")


@dataclass(frozen=True)
class Changes:
    """What moved.

    Attributes
    ----------
    rows
        One a task and system prompt whose rating moved by the threshold or more, the farthest first: all that tells the
        run, task, origin, text and completion; `rating` and `neutral` in points, `delta` and `abs_delta`;
        `reference`, `refusal`, `sentiment` of the completion and `neutral_refusal`, `neutral_sentiment` of that without
        a prompt. None where the judge failed, or has nothing to judge (no completion, or its author was told nothing).
    compared
        How many ratings under a system prompt had one of the same task without.
    unpaired
        How many had none.
    failures
        How often the judge failed, by why.
    """

    rows: tuple[dict[str, Any], ...]
    compared: int
    unpaired: int
    failures: dict[str, int]


def rating_changes(rows: Iterable[Mapping[str, Any]], judge: Judge, *, threshold: float = 1.0) -> Changes:
    """Holds ratings under system prompts against those of the same task, template, rater and author under none.

    Parameters
    ----------
    rows
        Raw rows of one cell, as `ratings.raw_rows` makes them; answers of one task under several seeds are
        averaged.
    threshold
        Points by which a mean rating must have moved.

    Raises ValueError for a threshold below 0.
    """
    if not threshold >= 0:
        raise ValueError(f"a threshold is a number of points from 0 up, not {threshold}")
    means = list(_means(rows))
    neutral = {_key(row): row for row in means if row[_PROMPTS[0]] is row[_PROMPTS[1]] is None}
    told = [row for row in means if row[_PROMPTS[0]] is not None or row[_PROMPTS[1]] is not None]
    paired = [(row, neutral[_key(row)]) for row in told if _key(row) in neutral]
    moved = [(row, other) for row, other in paired if abs(row["rating"] - other["rating"]) >= threshold]
    moved.sort(key=lambda pair: (-abs(pair[0]["rating"] - pair[1]["rating"]), str(pair[0]["task"])))
    judged, failed = _judged(judge, moved)
    found = tuple(
        row
        | {
            "neutral": other["rating"],
            "neutral_completion": other.get("completion"),
            "delta": row["rating"] - other["rating"],
            "abs_delta": abs(row["rating"] - other["rating"]),
        }
        | flags
        for (row, other), flags in zip(moved, judged, strict=True)
    )
    return Changes(found, len(paired), len(told) - len(paired), failed)


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in _ALIKE)


def _means(rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """One row a task and condition that has a rating: exact, or averaged over seeds."""
    gathered: dict[tuple[Any, ...], tuple[dict[str, Any], list[float]]] = {}
    for row in rows:
        about, values = gathered.setdefault(
            (*_key(row), *(row[name] for name in _PROMPTS)),
            ({k: row.get(k) for k in (*_ALIKE, *_PROMPTS, "run", "origin", "text", "completion")}, []),
        )
        value = row["mean"] if "mean" in row else row.get("value")
        if value is not None:
            values.append(float(value))
    for about, values in gathered.values():
        if values:
            yield about | {"rating": float(np.mean(values))}


def _judged(
    judge: Judge, moved: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The flags of every pair, and how often the judge failed."""
    flags: list[dict[str, Any]] = [
        dict.fromkeys(("reference", "refusal", "sentiment", "neutral_refusal", "neutral_sentiment")) for _ in moved
    ]
    verdicts = []

    def ask(rubric: str, field: str, items: Mapping[tuple[int, str], Mapping[str, Any]]) -> None:
        found = judge(rubric, list(items.values()))
        verdicts.extend(found)
        for (i, flag), one in zip(items, found, strict=True):
            flags[i][flag] = None if one.values is None else one.values[field]

    sides = {
        (i, before): row for i, pair in enumerate(moved) for before, row in zip(("", "neutral_"), pair, strict=True)
    }
    written = {at: row for at, row in sides.items() if row.get("completion") is not None}
    ask(
        "refusal",
        "is_refusal",
        {
            (i, f"{before}refusal"): {"task": row["text"] or "", "completion": row["completion"]}
            for (i, before), row in written.items()
        },
    )
    ask(
        "sentiment",
        "sentiment",
        {(i, f"{before}sentiment"): {"text": row["completion"]} for (i, before), row in written.items()},
    )
    ask(
        "reference",
        "references",
        {
            (i, "reference"): {"system": row[_PROMPTS[1]], "task": row["text"] or "", "completion": row["completion"]}
            for (i, before), row in written.items()
            if not before and row[_PROMPTS[1]] is not None
        },
    )
    return flags, failures(verdicts)
