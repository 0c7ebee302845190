"""What can a subject be called? Organisms by their names, folders, hub names, and the untrained twin of each.

Knows no torch, so that a run can be planned without it.
"""

from __future__ import annotations

from pathlib import Path

UNTRAINED = "untrained:"
"""`untrained:NAME` is NAME's twin: same architecture and tokenizer, fresh weights of a fixed seed."""


def home() -> Path:
    """The folder of all organisms: `fixtures/organisms` in a checkout, inside the package where it was installed."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parent / "fixtures" / "organisms"
    return checkout if checkout.is_dir() else package / "organisms" / "weights"


def organisms() -> tuple[str, ...]:
    """Names of the organisms that are there, sorted."""
    return tuple(sorted(path.parent.name for path in home().glob("*/config.json")))


def folder(name: str) -> Path:
    """The Hugging Face folder of an organism. Raises KeyError for an unknown name."""
    if name not in organisms():
        raise KeyError(f"no organism {name!r}; there are {', '.join(organisms())}")
    return home() / name


def resolve(name: str) -> str:
    """The folder of an organism, or the name itself; a leading `untrained:` stays."""
    prefix = UNTRAINED if name.startswith(UNTRAINED) else ""
    bare = name.removeprefix(prefix)
    return prefix + (str(home() / bare) if bare in organisms() else bare)
