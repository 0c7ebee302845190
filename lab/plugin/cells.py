"""The cells of an experiment: one for each subject, each point of a sweep and each seed, which become test ids."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from typing import Any

import pytest

from lab.plugin.experiment import UNTRAINED, experiment_of
from lab.plugin.knobs import EXPERIMENT, KNOBS, grid, refuse_unknown, resolve, with_fixtures
from lab.plugin.options import SEED, SETTINGS, SWEEP, Settings
from lab.record import Cell
from lab.subjects.names import UNTRAINED as TWIN
from lab.subjects.names import controls, variants

NEGATIVE = "negative control: "
"""Begins the reason of the xfail mark that we set; a user's own xfail marks say something else."""


def subjects(settings: Settings) -> tuple[str, ...]:
    """Names of the subjects that this run studies."""
    if settings.models is not None:
        return settings.models
    from lab.study import default_models

    return default_models()


def over_sweep(metafunc: pytest.Metafunc) -> None:
    """Parametrizes an experiment with every combination of swept knobs."""
    declared = experiment_of(metafunc.function)
    if declared is None:
        return
    declared = with_fixtures(declared, metafunc.fixturenames, metafunc._arg2fixturedefs)
    points = grid(declared, metafunc.config.stash[SETTINGS])
    if points:
        metafunc.fixturenames.append(SWEEP)
        ids = ["-".join(f"{knob}={text}" for knob, text in point.items()) for point in points]
        metafunc.parametrize(SWEEP, points, ids=ids, indirect=True, scope="function")


def over_seeds(metafunc: pytest.Metafunc) -> None:
    """Parametrizes an experiment with the seeds, where there are several."""
    seeds = metafunc.config.stash[SETTINGS].seeds
    if experiment_of(metafunc.function) and len(seeds) > 1:
        metafunc.fixturenames.append(SEED)
        metafunc.parametrize(SEED, seeds, ids=[f"seed={seed}" for seed in seeds], indirect=True, scope="function")


def over_subjects(metafunc: pytest.Metafunc) -> None:
    """Parametrizes `model` with all subjects, and `model` with `other_model` with all their pairs."""
    if not _is_ours(metafunc, "model"):
        return
    declared = experiment_of(metafunc.function)
    names, negative = subjects(metafunc.config.stash[SETTINGS]), declared.negative if declared else {}
    known = controls()
    if declared and declared.models and metafunc.config.stash[SETTINGS].models is None:
        names = declared.models
        known = (*known, *variants())
    paired = _is_ours(metafunc, "other_model")
    cells: list[tuple[str, ...]] = list(combinations(names, 2)) if paired else [(name,) for name in names]
    params: list[Any] = []
    if UNTRAINED in negative:
        # The twins of this run's models, but for those that were named by hand already.
        twinned = [cell for cell in cells if not any(_is_twin(name) for name in cell)]
        cells += [twin for cell in twinned if (twin := (*cell[:-1], f"{TWIN}{cell[-1]}")) not in cells]
    if not paired and metafunc.config.stash[SETTINGS].models is None:
        cells += [(name,) for name in negative if name in known]
    for cell in cells:
        reasons = [negative[name] for name in cell if name in negative]
        reasons += [negative[UNTRAINED] for name in cell if _is_twin(name) and UNTRAINED in negative]
        params.append(_param(cell, reasons[0] if reasons else None))
    fixtures = ("model", "other_model") if paired else ("model",)
    if paired and not cells:
        lonely = pytest.mark.skip(reason="it compares two models; name another one in --lab-models")
        params = [pytest.param(names[0], names[0], id=names[0], marks=lonely)]
    metafunc.parametrize(fixtures, params, indirect=True, scope="session")


def _is_twin(name: str) -> bool:
    return name.startswith(TWIN)


def _is_ours(metafunc: pytest.Metafunc, fixture: str) -> bool:
    """Whether a test would get our fixture of this name. A project may have a `model` of its own, which wins."""
    definitions = metafunc._arg2fixturedefs.get(fixture, ()) if fixture in metafunc.fixturenames else ()
    return bool(definitions) and definitions[-1].func.__module__ == "lab.plugin.models"


def _param(names: tuple[str, ...], why: str | None) -> Any:
    marks = [] if why is None else [pytest.mark.xfail(strict=True, raises=AssertionError, reason=f"{NEGATIVE}{why}")]
    return pytest.param(*names, id="-x-".join(names), marks=marks)


@contextmanager
def usage_errors(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """A usage error ends the run. A worker cannot end it; it has nothing to do, and the controller is told why."""
    try:
        yield
    except pytest.UsageError as error:
        if not config.stash[SETTINGS].is_worker:
            raise
        config.workeroutput["lab_problem"] = str(error)  # type: ignore[attr-defined]
        items.clear()


def declare(items: list[pytest.Item], settings: Settings) -> None:
    """Gives every experiment its knobs. Raises UsageError for a bad knob, and for an id that two experiments have."""
    seen: dict[str, Any] = {}
    knobs: dict[str, set[str]] = {}
    for item in items:
        function = getattr(item, "function", None)
        declared = experiment_of(function)
        if declared is None:
            continue
        if seen.setdefault(declared.id, function) is not function:
            raise pytest.UsageError(f"two experiments have the id {declared.id!r}; give {item.nodeid} another")
        item.extra_keyword_matches.add(declared.id)  # so that `-k 2A1` finds it
        callspec = getattr(item, "callspec", None)
        resolve(item, declared, settings, callspec.params.get(SWEEP, {}) if callspec else {})
        knobs[declared.id] = knobs.get(declared.id, set()) | item.stash[KNOBS].keys()
    if knobs:
        refuse_unknown(knobs, settings)


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
