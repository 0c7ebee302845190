"""The folders of files that come with the library: inside the installed package, in a clone beside it."""

from __future__ import annotations

from pathlib import Path

_CLONE = {
    "organisms": "fixtures/organisms",
    "prompts": "fixtures/prompts",
    "data": "fixtures/data",
    "hypotheses": "hypotheses",
    "templates": "reports/templates",
}


def folder(kind: str) -> Path:
    """The folder of the `organisms`, `prompts`, `data`, `hypotheses` or report `templates`."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "embedded" / kind
    return installed if installed.is_dir() else package.parent / _CLONE[kind]
