"""Where are the texts? Reads the YAML files of fixtures/prompts, or of the installed package."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from lab.shipped import folder

Message = dict[str, str]


@lru_cache
def read(name: str) -> dict[str, Any]:
    """The content of one file, by its name without ending."""
    import yaml

    content: dict[str, Any] = yaml.safe_load((folder("prompts") / f"{name}.yaml").read_text(encoding="utf-8"))
    return content


def user(content: str) -> Message:
    return {"role": "user", "content": content}


def assistant(content: str) -> Message:
    return {"role": "assistant", "content": content}
