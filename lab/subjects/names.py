"""What can a subject be called, and how may it be loaded? Organisms, folders, hub names, untrained twins, APIs.

Knows no torch, so that a run can be planned without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab import shipped

UNTRAINED = "untrained:"
"""`untrained:NAME` is NAME's twin: same architecture and tokenizer, fresh weights of a fixed seed."""

MODEL_OPTIONS: dict[str, type] = {
    "device": str,
    "dtype": str,
    "quantize": str,
    "adapter": str,
    "device_map": str,
    "revision": str,
    "trust_remote_code": bool,
}
"""What `load` takes for a Hugging Face model beside its name."""
SERVER_OPTIONS: dict[str, type] = {
    "base_url": str,
    "concurrency": int,
    "cache": str,
    "timeout": float,
    "retries": int,
    "samples": int,
}
"""What `load` takes for a model behind an API."""


def options_for(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Those of the options that `load` takes for this subject. An untrained twin has no weights to quantize."""
    if name.startswith("openai:"):
        return {key: value for key, value in options.items() if key in SERVER_OPTIONS}
    plain = ("device", "dtype", "revision", "trust_remote_code")
    known = plain if name.startswith(UNTRAINED) else tuple(MODEL_OPTIONS)
    return {key: value for key, value in options.items() if key in known}


def home() -> Path:
    """The folder of all organisms."""
    return shipped.folder("organisms")


def organisms() -> tuple[str, ...]:
    """Names of the base organisms that are there, sorted. A run studies them where nothing else is asked for."""
    return tuple(sorted(path.parent.name for path in home().glob("*/config.json")))


def controls() -> tuple[str, ...]:
    """Organisms that are negative controls: studied where an experiment names them, or when asked for."""
    return tuple(sorted(path.parent.name for path in home().glob("controls/*/config.json")))


def variants() -> tuple[str, ...]:
    """Organisms under a LoRA adapter that changes one of their truths, as BASE+ADAPTER."""
    found = home().glob("*/adapters/*/adapter_config.json")
    return tuple(sorted(f"{path.parents[2].name}+{path.parent.name}" for path in found))


def folder(name: str) -> Path:
    """The Hugging Face folder of an organism, or a variant's adapter. Raises KeyError for an unknown name."""
    known = (*organisms(), *controls(), *variants())
    if name not in known:
        raise KeyError(f"no organism {name!r}; there are {', '.join(known)}")
    return place(home(), name, control=name in controls())


def place(home: Path, name: str, *, control: bool) -> Path:
    """Where in a home the folder of an organism, of a control, or of a variant's adapter is, or will be."""
    base, _, adapter = name.partition("+")
    return home / base / "adapters" / adapter if adapter else home / "controls" / name if control else home / name


def resolve(name: str) -> tuple[str, Path | None]:
    """Where the weights of a subject are, and its adapter: the folders of an organism, or the name itself.

    A leading `untrained:` stays.
    """
    prefix = UNTRAINED if name.startswith(UNTRAINED) else ""
    bare = name.removeprefix(prefix)
    if bare in variants():
        return prefix + str(folder(bare.split("+")[0])), folder(bare)
    known = bare in organisms() or bare in controls()
    return prefix + (str(folder(bare)) if known else bare), None
