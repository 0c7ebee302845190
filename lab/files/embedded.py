"""The folders of files that come with the library: in a checkout where it has them, else inside the package."""

from __future__ import annotations

from pathlib import Path

_CHECKOUT = {
    "organisms": "fixtures/organisms",
    "prompts": "fixtures/prompts",
    "data": "fixtures/data",
    "hypotheses": "hypotheses",
    "templates": "reports/templates",
}


def folder(kind: str) -> Path:
    """The folder of the `organisms`, `prompts`, `data`, `hypotheses` or report `templates`."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parent / _CHECKOUT[kind]
    return checkout if checkout.is_dir() else package / "embedded" / kind
