"""Which system prompts are tried? Love and hate of a kind of task, the twelve, and one's own: fixture `systems`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.plugin.cells import knob_texts
from lab.studies.shared.prompts import Variation, compared, likes, load_variations, variations

SETS = {"twelve": variations, "compared": compared}
"""`twelve`: six categories; `compared`: affective, math, ethical and trend."""


@dataclass(frozen=True)
class Systems:
    """System prompts by name of their set; a file of one's own, NAME.yaml or NAME.json, only if a knob names it."""

    knobs: frozenset[str] | None

    def likes(self, kind: str) -> dict[str, str | None]:
        """What is told of a kind of task in a 3 x 3 design: love, none, hate."""
        return {"love": likes(kind, 1), "none": None, "hate": likes(kind, -1)}

    def __call__(self, name: str) -> tuple[Variation, ...]:
        """The prompts of a set. Raises ValueError for an unknown set, or a file that no knob names."""
        if name in SETS:
            return SETS[name]()
        if not _is_file(name):
            raise ValueError(f"no set of system prompts {name!r}; there are {', '.join(SETS)}, and files NAME.yaml")
        if self.knobs is not None and name not in self.knobs:
            raise ValueError(f"{name!r} stands in no knob of this experiment; give it one with this value")
        return load_variations(name)

    @property
    def fingerprint(self) -> dict[str, str]:
        """What the files hold that knobs name."""
        named = sorted(name for name in self.knobs or () if _is_file(name) and Path(name).exists())
        return {name: hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in named}


def _is_file(name: str) -> bool:
    return name.lower().endswith((".yaml", ".yml", ".json"))


@pytest.fixture
def systems(request: pytest.FixtureRequest) -> Systems:
    """System prompts: `systems("twelve")`, `systems.likes("math")`."""
    return Systems(knob_texts(request.node))
