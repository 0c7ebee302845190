"""The fixture `templates`: embedded rating templates and wordings of choices, and those of a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from lab.files.own import file_of
from lab.plugin.knobs import file_fingerprints, knob_texts, require_named
from lab.studies.shared import prompts
from lab.studies.shared.prompts import Template


@dataclass(frozen=True)
class Templates:
    """Gives templates by name: `templates("anchored_1_5")`, `templates("my.yaml:mine")`.

    `knobs` are the names that stand in the cell's knobs. A file is read only if a knob names it: what determines a
    result has to be known before the cell runs, and all that files hold does. None where there is no cell.
    """

    knobs: frozenset[str] | None

    def __call__(self, name: str) -> Template:
        """Raises ValueError for an unknown name, a template that is wrong, or a file that no knob names."""
        self._check(name)
        return prompts.template(name)

    def choice(self, first: str, second: str, wording: str = "simple_preference", **how: Any) -> list[dict[str, str]]:
        """Asks which of two tasks is preferred, as `prompts.choice` does. Raises ValueError as a template does."""
        self._check(wording)
        return prompts.choice(first, second, wording, **how)

    def _check(self, name: str) -> None:
        if file_of(name) is not None:
            require_named(name, self.knobs)

    @property
    def fingerprint(self) -> dict[str, str]:
        """What the files hold that knobs name; the embedded texts are part of the code."""
        return file_fingerprints(path for name in self.knobs or () if (path := file_of(name)) is not None)


@pytest.fixture
def templates(request: pytest.FixtureRequest) -> Templates:
    """Templates by name: `templates("stated_1_5")`; pairs of tasks: `templates.choice(first, second, wording)`."""
    return Templates(knob_texts(request.node))
