"""What may a system prompt say that moves a preference? Love or hate of a kind of task, and twelve others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.prompts.texts import Message, read


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


def with_system(messages: Sequence[Message], system: str | None, *, unmentioned: bool = False) -> list[Message]:
    """The conversation under a system prompt; `unmentioned` asks not to speak of it. None leaves it as it is."""
    if system is None:
        return list(messages)
    text = f"{read('systems')['prefix']}\n\n{system}" if unmentioned else system
    return [{"role": "system", "content": text}, *messages]
