"""The `evidence` fixture: the notebook of one cell, backed by this process's journal."""

from __future__ import annotations

import pytest

from lab.plugin.cells import cell_of
from lab.plugin.knobs import EXPERIMENT
from lab.plugin.options import SETTINGS
from lab.record import Fold, Journal, Notebook, machine, read

NOTEBOOK = pytest.StashKey[Notebook]()
JOURNAL = pytest.StashKey[Journal]()
_HISTORY = pytest.StashKey[Fold]()


def open_journal(config: pytest.Config) -> None:
    """Opens the journal of this process, which makes its file when something is written."""
    settings = config.stash[SETTINGS]

    def header() -> dict[str, object]:
        told = {"supersedes": settings.supersedes, "owner": settings.owner, "links": settings.links}
        return machine.describe(settings.command, config.rootpath) | told

    config.stash[JOURNAL] = Journal(settings.results / "journal", settings.run, settings.process, header)


def open_notebook(item: pytest.Item) -> Notebook:
    """Opens the notebook of an experiment's cell. Raises UsageError for an ordinary test."""
    cell = cell_of(item)
    if cell is None:
        raise pytest.UsageError(
            f"{item.nodeid} uses `evidence`, but is no experiment; decorate it with "
            "@experiment(id=..., claim=..., phase=...)"
        )
    settings = item.config.stash[SETTINGS]
    kind = Notebook
    if settings.plan:
        from lab.forecast.planned import ThrowawayNotebook  # numpy, which is slow to import

        kind = ThrowawayNotebook
    past = history(item.config) if settings.replays else None
    item.stash[NOTEBOOK] = kind(cell, item.config.stash[JOURNAL], settings.results, past)
    return item.stash[NOTEBOOK]


def open_cell(item: pytest.Item) -> None:
    """Opens the notebook of an experiment's cell before its fixtures are made, so that a crash in one is seen."""
    if EXPERIMENT in item.stash:
        open_notebook(item)


def history(config: pytest.Config) -> Fold:
    """What the journals held when this process first asked; read once, and only where it is asked for."""
    if _HISTORY not in config.stash:
        # The end of the run says what cannot be read: `lab.record.registry.register`.
        config.stash[_HISTORY] = Fold(read(config.stash[SETTINGS].results / "journal", quiet=True))
    return config.stash[_HISTORY]


@pytest.fixture
def evidence(request: pytest.FixtureRequest) -> Notebook:
    """The experiment's notebook: `measure`, `control`, `report`, `plot`, `seed`."""
    return request.node.stash.get(NOTEBOOK, None) or open_notebook(request.node)


@pytest.fixture
def lab_seed(request: pytest.FixtureRequest) -> int:
    """The cell's seed, where there are several."""
    return int(request.param)
