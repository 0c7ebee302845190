"""The `evidence` fixture: the notebook of one cell, backed by this process's journal."""

from __future__ import annotations

import pytest

from lab.forecast.throwaway import ThrowawayNotebook
from lab.plugin.cells import EXPERIMENT, KNOBS, NEGATIVE
from lab.plugin.experiment import experiment_of
from lab.plugin.options import SEED, SETTINGS, SWEEP
from lab.record import Cell, Fold, Journal, Notebook, machine, read

NOTEBOOK = pytest.StashKey[Notebook]()
JOURNAL = pytest.StashKey[Journal]()
_HISTORY = pytest.StashKey[Fold]()


def pytest_configure(config: pytest.Config) -> None:
    settings = config.stash[SETTINGS]

    def header() -> dict[str, object]:
        told = {"supersedes": settings.supersedes, "owner": settings.owner, "links": settings.links}
        return machine.describe(settings.command, config.rootpath) | told

    config.stash[JOURNAL] = Journal(settings.results / "journal", settings.run, settings.process, header)


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[JOURNAL].close()


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Where there are several seeds, each cell runs under each; the seed ends the test's id."""
    seeds = metafunc.config.stash[SETTINGS].seeds
    if experiment_of(metafunc.function) and len(seeds) > 1:
        metafunc.fixturenames.append(SEED)
        metafunc.parametrize(SEED, seeds, ids=[f"seed={seed}" for seed in seeds], indirect=True, scope="function")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Opens the notebook of an experiment's cell before its fixtures are made, so that a crash in one is seen."""
    if EXPERIMENT in item.stash:
        open_notebook(item)


def cell_of(item: pytest.Item) -> Cell | None:
    """The cell that a test is, or None for an ordinary test."""
    declared = item.stash.get(EXPERIMENT, None)
    if declared is None:
        return None
    callspec = getattr(item, "callspec", None)
    given = callspec.params if callspec else {}
    params = {name: str(value) for name, value in given.items() if name not in (SEED, SWEEP)}
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
        seed=callspec.params[SEED] if callspec and SEED in callspec.params else item.config.stash[SETTINGS].seeds[0],
        negative=negative,
        population=declared.population,
        title=declared.title,
        questions=declared.questions,
        swept=tuple(given.get(SWEEP, ())),
    )


def open_notebook(item: pytest.Item) -> Notebook:
    """Opens the notebook of an experiment's cell. Raises UsageError for an ordinary test."""
    cell = cell_of(item)
    if cell is None:
        raise pytest.UsageError(
            f"{item.nodeid} uses `evidence`, but is no experiment; decorate it with "
            "@experiment(id=..., claim=..., phase=...)"
        )
    settings = item.config.stash[SETTINGS]
    kind = ThrowawayNotebook if settings.plan else Notebook
    past = history(item.config) if settings.replays else None
    item.stash[NOTEBOOK] = kind(cell, item.config.stash[JOURNAL], settings.results, past)
    return item.stash[NOTEBOOK]


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
