"""Small models whose truth is known because it was planted: their world, recipe, and where their weights are."""

from __future__ import annotations

from pathlib import Path


def home() -> Path:
    """The folder of all organisms: `fixtures/organisms` in a checkout, inside the package where it was installed."""
    package = Path(__file__).resolve().parent
    checkout = package.parent.parent / "fixtures" / "organisms"
    return checkout if checkout.is_dir() else package / "weights"


def names() -> tuple[str, ...]:
    """Names of the organisms that are there, sorted."""
    return tuple(sorted(path.parent.name for path in home().glob("*/config.json")))


def folder(name: str) -> Path:
    """The Hugging Face folder of an organism. Raises KeyError for an unknown name."""
    if name not in names():
        raise KeyError(f"no organism {name!r}; there are {', '.join(names())}")
    return home() / name
