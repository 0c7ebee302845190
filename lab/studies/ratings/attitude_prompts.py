"""Which open questions let a model show what it thinks of a topic?"""

from __future__ import annotations

from dataclasses import dataclass

from lab.files.texts import read


@dataclass(frozen=True)
class Topic:
    """Open questions on one topic. `about` is how a judge is told of it."""

    name: str
    about: str
    questions: tuple[str, ...]


def topic(name: str) -> Topic:
    """A topic of fixtures/prompts/attitudes.yaml. Raises ValueError for an unknown one."""
    known = read("attitudes")
    if name not in known:
        raise ValueError(f"there is no topic {name!r}; there are {', '.join(known)}")
    return Topic(name, known[name]["about"], tuple(known[name]["questions"]))
