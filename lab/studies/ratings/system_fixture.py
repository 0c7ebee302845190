"""The fixture `systems`: system prompts of love and hate of a kind of task, the twelve, and a user's own."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lab.plugin.knobs import file_fingerprints, knob_texts, require_named
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
        require_named(name, self.knobs)
        return load_variations(name)

    @property
    def fingerprint(self) -> dict[str, str]:
        """What the files hold that knobs name."""
        return file_fingerprints(name for name in self.knobs or () if _is_file(name))


def _is_file(name: str) -> bool:
    return name.lower().endswith((".yaml", ".yml", ".json"))


@pytest.fixture
def systems(request: pytest.FixtureRequest) -> Systems:
    """System prompts: `systems("twelve")`, `systems.likes("math")`."""
    return Systems(knob_texts(request.node))
