"""System prompts that may move a preference: love or hate of a kind of task, and twelve others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.files.own import mapping
from lab.files.texts import Message, read


@dataclass(frozen=True)
class Variation:
    """One of the twelve system prompts: its category, which way it should move a preference, and its text."""

    name: str
    category: str
    sign: int
    text: str


def likes(kind: str, sign: int) -> str:
    """A system prompt that loves (`sign` > 0) or hates a kind of task."""
    return str(read("systems")["kinds"]["love" if sign > 0 else "hate"]).format(kind=kind)


def variations() -> tuple[Variation, ...]:
    """The twelve system prompts, in six categories."""
    return tuple(Variation(name, **given) for name, given in read("systems")["variations"].items())


def compared() -> tuple[Variation, ...]:
    """Pairs of four categories: affective and trend of the twelve, and math and ethical."""
    others = (Variation(name, **given) for name, given in read("systems")["compared"].items())
    affective, trend = ([v for v in variations() if v.category == category] for category in ("affective", "trend"))
    return (*affective, *others, *trend)


def load_variations(path: str | Path) -> tuple[Variation, ...]:
    """System prompts of a YAML or JSON file, by name, each as {category: affective, sign: 1, text: You love helping.}

    `sign` is 1, -1, or 0 for a prompt that should move nothing. Raises ValueError, one line, for what does not fit.
    """
    made = []
    for name, given in mapping(path, "system prompts").items():
        if not isinstance(given, dict) or set(given) != {"category", "sign", "text"} or given["sign"] not in (-1, 0, 1):
            raise ValueError(f"{path}: {name}: write {{category: ..., sign: 1, -1 or 0, text: ...}}, not {given!r}")
        made.append(Variation(name, str(given["category"]), int(given["sign"]), str(given["text"])))
    return tuple(made)


def not_to_mention(system: str) -> str:
    """A system prompt that asks not to speak of it; one that does so already stays as it is."""
    prefix = str(read("systems")["prefix"])
    return system if system.startswith(prefix) else f"{prefix}\n\n{system}"


def with_system(messages: Sequence[Message], system: str | None, *, unmentioned: bool = False) -> list[Message]:
    """The conversation under a system prompt; `unmentioned` asks not to speak of it. None leaves it as it is."""
    if system is None:
        return list(messages)
    return [{"role": "system", "content": not_to_mention(system) if unmentioned else system}, *messages]
