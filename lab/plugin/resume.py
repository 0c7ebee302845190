"""Replay of a cell that was run before: what it found is taken from the journal, and nothing is loaded or computed."""

from __future__ import annotations

import random
import sys
from typing import Any

import pytest

from lab.estimate import Inconclusive
from lab.files.digest import digest
from lab.plugin.claims import settle
from lab.plugin.notebook import NOTEBOOK
from lab.plugin.options import SETTINGS
from lab.record import Notebook, code

_DIGESTS = pytest.StashKey[dict[int, tuple[Any, str]]]()
SUBJECTS = ("model", "other_model", "panel")


def replay(item: pytest.Function) -> bool:
    """Tells the notebook what determines the cell; repeats a finished cell, or lets it run from its seed.

    Returns whether the cell was repeated, so that it need not run.
    """
    notebook = item.stash.get(NOTEBOOK, None)
    if notebook is None:
        return False
    parts = determined_by(item)
    notebook.begin(parts)
    settle(item, notebook, parts["data"])
    if item.config.stash[SETTINGS].replays and notebook.replay():
        verdict = notebook.asked
        if verdict is not None and verdict.outcome == "INCONCLUSIVE":
            raise Inconclusive(verdict.reason)
        assert verdict is None or verdict.outcome == "PASS", verdict.reason
        return True
    seed_everything(notebook.seed)
    return False


def determined_by(item: pytest.Function) -> dict[str, Any]:
    """Fingerprints of a cell's subjects, of the values of all its other fixtures, and of its code."""
    subjects: dict[str, str] = {}
    data: dict[str, str] = {}
    modules = {item.module.__name__}
    for name, value in item.funcargs.items():
        definition = (item._fixtureinfo.name2fixturedefs.get(name) or (None,))[-1]
        module = definition.func.__module__ if definition else "_pytest"
        if module.startswith("_pytest") or isinstance(value, Notebook):
            continue
        modules.add(module)
        lasting = definition is not None and definition.scope != "function"
        (subjects if name in SUBJECTS else data)[name] = _digest(item.config, value, lasting)
    return {
        "subjects": subjects,
        "data": data,
        "code": code.fingerprint(tuple(sorted(modules)), item.config.rootpath.resolve()),
    }


def _digest(config: pytest.Config, value: Any, lasting: bool) -> str:
    """The digest of a fixture's value; kept, with the value, where the fixture outlives its cell."""
    known = config.stash.setdefault(_DIGESTS, {})
    if id(value) not in known or not lasting:
        try:
            made = digest(value)
        except TypeError:
            made = f"a {type(value).__qualname__}"  # its code counts, what it holds cannot be seen
        if not lasting:
            return made
        known[id(value)] = value, made
    return known[id(value)][1]


def seed_everything(seed: int) -> None:
    """Global generators begin at the cell's seed, for code that uses them."""
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
