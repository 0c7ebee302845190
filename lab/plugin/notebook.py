"""The `evidence` fixture: the notebook of one cell, backed by this process's journal."""

from __future__ import annotations

import pytest

from lab.evidence import Cell, Journal, Notebook
from lab.plugin.cells import EXPERIMENT, KNOBS, NEGATIVE
from lab.plugin.options import SETTINGS

NOTEBOOK = pytest.StashKey[Notebook]()
JOURNAL = pytest.StashKey[Journal]()
SEED = 42


def pytest_configure(config: pytest.Config) -> None:
    settings = config.stash[SETTINGS]
    config.stash[JOURNAL] = Journal(settings.results / "journal", settings.run, settings.worker)


def cell_of(item: pytest.Item) -> Cell | None:
    """The cell that a test is, or None for an ordinary test."""
    declared = item.stash.get(EXPERIMENT, None)
    if declared is None:
        return None
    callspec = getattr(item, "callspec", None)
    params = {name: str(value) for name, value in callspec.params.items()} if callspec else {}
    subject = " x ".join(params[name] for name in ("model", "other_model") if name in params)
    reasons = [str(mark.kwargs.get("reason", "")) for mark in item.iter_markers("xfail")]
    negative = next((reason.removeprefix(NEGATIVE) for reason in reasons if reason.startswith(NEGATIVE)), None)
    return Cell(
        id=f"{declared.id}[{callspec.id}]" if callspec else declared.id,
        experiment=declared.id,
        claim=declared.claim,
        phase=declared.phase,
        subject=subject,
        params=params,
        knobs=item.stash[KNOBS],
        seed=SEED,
        negative=negative,
    )


def open_notebook(item: pytest.Item) -> Notebook:
    """Opens the notebook of an experiment's cell. Raises UsageError for an ordinary test."""
    cell = cell_of(item)
    if cell is None:
        raise pytest.UsageError(
            f"{item.nodeid} uses `evidence`, but is no experiment; decorate it with "
            "@experiment(id=..., claim=..., phase=...)"
        )
    item.stash[NOTEBOOK] = Notebook(cell, item.config.stash[JOURNAL], item.config.stash[SETTINGS].results)
    return item.stash[NOTEBOOK]


@pytest.fixture
def evidence(request: pytest.FixtureRequest) -> Notebook:
    """The experiment's notebook: `measure`, `control`, `report`, `plot`, `seed`."""
    return open_notebook(request.node)
