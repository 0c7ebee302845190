"""Prompts for an activation oracle: pools of questions and of conversations, from oracle.yaml."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from lab.files import own
from lab.files.texts import Message, read, user


@dataclass(frozen=True)
class Question:
    """A question about an activation.

    `about` names the fact of a target that answers it, "" where none does; `cases` are what may be the case, and
    `answers` how each of them is said.
    """

    id: str
    text: str
    about: str = ""
    cases: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """A conversation whose activation is read, and what is known to be true of it, by name."""

    id: str
    messages: tuple[Message, ...]
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pool:
    """Questions, the targets that they may be asked about, and the `mark` that stands where an activation is put."""

    name: str
    mark: str
    questions: tuple[Question, ...]
    targets: tuple[Target, ...] = ()


def query(layer: int, question: str, *, mark: str, count: int = 1) -> list[Message]:
    """What an oracle is asked about `count` activations of a layer (Karvonen et al. 2025)."""
    return [user(f"Layer: {layer}\n{mark * count} \n{question}")]


def pool(name: str) -> Pool:
    """A pool of the library, or one of a file, as my.yaml:mine. Raises ValueError, one line, for what is not there."""
    return own.named(name, _shipped(), load_pools, "pool")


def load_pools(path: str | Path) -> dict[str, Pool]:
    """The pools of a file in the form of fixtures/prompts/oracle.yaml, by name. Raises ValueError with one line."""
    return {name: _pool(f"{path}: {name}", name, given) for name, given in own.mapping(path, "pools").items()}


def load_targets(path: str | Path) -> tuple[Target, ...]:
    """The targets of a JSON file: a list of {"id": ..., "messages": [...]}.

    Raises ValueError, one line with the index, for an item without id or messages, or an id that stands there twice.
    """
    try:
        given = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; name a JSON file of targets") from None
    except ValueError as error:
        raise ValueError(f"{path}: no JSON: {error}") from None
    if not isinstance(given, list):
        raise ValueError(f'{path}: it must be a list of {{"id": ..., "messages": [...]}}')
    return _targets(str(path), given)


@lru_cache
def _shipped() -> dict[str, Pool]:
    every = read("oracle")
    every["chat"] = every["chat"] | {"targets": read("chats")}
    return {name: _pool(name, name, given) for name, given in every.items()}


def _pool(where: str, name: str, given: Any) -> Pool:
    if not isinstance(given, dict) or not isinstance(given.get("mark"), str):
        raise ValueError(f"{where}: it needs a mark, the token that stands where an activation is put")
    if not isinstance(given.get("questions"), dict) or not given["questions"]:
        raise ValueError(f"{where}: it needs questions, as questions: {{topic: {{text: What is it about?}}}}")
    abouts = given.get("abouts") or {}
    questions = tuple(_question(f"{where}: {id}", str(id), one, abouts) for id, one in given["questions"].items())
    targets = given.get("targets") or []
    listed = targets if isinstance(targets, list) else _flat(where, targets, given.get("facts"))
    return Pool(name, given["mark"], questions, _targets(where, listed))


def _question(where: str, id: str, given: Any, abouts: Mapping[str, Any]) -> Question:
    if not isinstance(given, dict) or not str(given.get("text") or "").strip():
        raise ValueError(f"{where}: it needs a text")
    about = given.get("about", "")
    if not about:
        return Question(id, given["text"])
    if about not in abouts:
        raise ValueError(f"{where}: it is about {about!r}, none of {', '.join(abouts) or 'no abouts'}")
    cases = tuple(map(str, abouts[about].get("cases") or ()))
    answers = tuple(map(str, abouts[about].get("answers") or cases))
    if len(cases) < 2 or len(answers) != len(cases) or len(set(answers)) < len(answers):
        raise ValueError(f"{where}: {about} needs two or more cases, and a different answer for each")
    return Question(id, given["text"], about, cases, answers)


def _flat(where: str, targets: Mapping[str, Any], facts: Any) -> list[dict[str, Any]]:
    """Targets that stand under the values of two facts, each with both."""
    if not isinstance(facts, list) or len(facts) != 2:
        raise ValueError(f"{where}: its targets stand under two facts; name them, as facts: [topic, form]")
    return [
        {"id": f"{outer}-{inner}-{i}", "messages": [user(text)], "facts": dict(zip(facts, (outer, inner), strict=True))}
        for outer, inside in targets.items()
        for inner, texts in inside.items()
        for i, text in enumerate(texts, 1)
    ]


def _targets(where: str, given: Sequence[Any]) -> tuple[Target, ...]:
    made: dict[str, Target] = {}
    for i, one in enumerate(given):
        if not isinstance(one, dict) or not one.get("id") or not _is_talk(one.get("messages")):
            raise ValueError(
                f'{where}: target {i} needs an id and messages, as [{{"role": "user", "content": "Hello"}}]'
            )
        id = str(one["id"])
        if id in made:
            raise ValueError(f"{where}: target {i} has the id {id!r}, as an earlier one; give it another")
        made[id] = Target(id, tuple(one["messages"]), dict(one.get("facts") or {}))
    return tuple(made.values())


def _is_talk(messages: Any) -> bool:
    return (
        isinstance(messages, list)
        and bool(messages)
        and all(isinstance(m, dict) and isinstance(m.get("role"), str) and "content" in m for m in messages)
    )
