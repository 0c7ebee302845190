"""Where are the texts? Reads the YAML files of fixtures/prompts, or of the installed package."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

Message = dict[str, str]


def home() -> Path:
    """The folder of the texts: `fixtures/prompts` in a checkout, inside the package where it was installed."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parent / "fixtures" / "prompts"
    return checkout if checkout.is_dir() else package / "prompts" / "data"


@lru_cache
def read(name: str) -> dict[str, Any]:
    """The content of one file, by its name without ending."""
    import yaml

    content: dict[str, Any] = yaml.safe_load((home() / f"{name}.yaml").read_text(encoding="utf-8"))
    return content


def user(content: str) -> Message:
    return {"role": "user", "content": content}


def assistant(content: str) -> Message:
    return {"role": "assistant", "content": content}
