"""Reader of the prompt texts: the YAML files of fixtures/prompts, or of the installed package."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

from lab.files.embedded import folder

Message = dict[str, str]


@lru_cache
def files() -> dict[str, bytes]:
    """What all files hold, by their names without ending; read once, so that `fingerprint` speaks of what is asked."""
    return {path.stem: path.read_bytes() for path in sorted(folder("prompts").glob("*.yaml"))}


@lru_cache
def fingerprint() -> str:
    """The SHA-256 of all files, in hexadecimal digits."""
    made = hashlib.sha256()
    for name, content in files().items():
        made.update(f"{name}|{len(content)}|".encode() + content)
    return made.hexdigest()


@lru_cache
def read(name: str) -> dict[str, Any]:
    """The content of one file, by its name without ending."""
    import yaml

    content: dict[str, Any] = yaml.safe_load(files()[name])
    return content


def chats() -> list[str]:
    """What people write to an assistant: a hundred messages about ten topics."""
    return [text for forms in read("chats").values() for texts in forms.values() for text in texts]


def user(content: str) -> Message:
    return {"role": "user", "content": content}


def assistant(content: str) -> Message:
    return {"role": "assistant", "content": content}
