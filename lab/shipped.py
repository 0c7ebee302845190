"""Where are the files that come with the library? In `fixtures/` of a checkout, inside the package where installed."""

from __future__ import annotations

from pathlib import Path

_INSTALLED = {"organisms": "organisms/weights", "prompts": "prompts/data", "data": "data/shipped"}


def folder(kind: str) -> Path:
    """The folder of the `organisms`, of the `prompts` or of the `data`."""
    package = Path(__file__).resolve().parent
    checkout = package.parent / "fixtures" / kind
    return checkout if checkout.is_dir() else package / _INSTALLED[kind]
