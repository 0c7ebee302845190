"""Which cells does an experiment have, and with which knobs? Subjects become test ids; bad knobs become one line."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import combinations, product
from typing import Any

import pytest

from lab.files.plain import plain
from lab.plugin.experiment import GENERATION, Experiment, experiment_of, knobs_of, parse_knob
from lab.plugin.options import SETTINGS, SWEEP, Settings
from lab.subjects.names import UNTRAINED as TWIN
from lab.subjects.names import controls, variants

EXPERIMENT = pytest.StashKey[Experiment]()
KNOBS = pytest.StashKey[Mapping[str, Any]]()
_PROBLEM = pytest.StashKey[str]()
UNTRAINED = TWIN.rstrip(":")
"""The name in `negative` that stands for every untrained twin."""
NEGATIVE = "negative control: "
"""Begins the reason of the xfail mark that we set; a user's own xfail marks say something else."""


def subjects(settings: Settings) -> tuple[str, ...]:
    """Names of the subjects that this run studies."""
    if settings.models is not None:
        return settings.models
    from lab.study import default_models

    return default_models()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`model` runs over all subjects; `model` with `other_model` over all their pairs; each with all swept knobs."""
    _generate_subjects(metafunc)
    declared = _with_fixtures(experiment_of(metafunc.function), metafunc.fixturenames, metafunc._arg2fixturedefs)
    grid = _grid(declared, metafunc.config.stash[SETTINGS])
    if grid:
        metafunc.fixturenames.append(SWEEP)
        ids = ["-".join(f"{knob}={text}" for knob, text in point) for point in grid]
        metafunc.parametrize(SWEEP, [dict(point) for point in grid], ids=ids, indirect=True, scope="function")


def _with_fixtures(
    declared: Experiment | None, names: Iterable[str], definitions: Mapping[str, Sequence[pytest.FixtureDef[Any]]]
) -> Experiment | None:
    """An experiment with the knobs of the fixtures that it uses beside its own.

    Raises UsageError for a fixture with knobs that outlives a cell, or whose default another fixture contradicts.
    """
    if declared is None:
        return None
    knobs: dict[str, Any] = {}
    for name in names:
        definition = definitions[name][-1] if definitions.get(name) else None
        own = {} if definition is None or _is_pytests(definition) else knobs_of(definition.func)
        if definition is not None and own and definition.scope != "function":
            raise pytest.UsageError(f"fixture {name} has the knobs {', '.join(own)}; give it the scope of a function")
        for knob, default in own.items():
            if knobs.setdefault(knob, default) != default and knob not in declared.knobs:
                raise pytest.UsageError(f"{declared.id}: two of its fixtures have a knob {knob}; give it a default")
    return replace(declared, knobs={**knobs, **declared.knobs})


def _is_pytests(definition: pytest.FixtureDef[Any]) -> bool:
    return definition.func.__module__.startswith("_pytest")


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Gives a fixture with knobs the values that its cell has for them; outside of a cell its defaults hold."""
    values = request.node.stash.get(KNOBS, None)
    own = {} if values is None or _is_pytests(fixturedef) else knobs_of(fixturedef.func)
    if not own:
        return (yield)
    function = fixturedef.func
    fixturedef.func = partial(function, **{name: values[name] for name in own})  # type: ignore[misc]
    try:
        return (yield)
    finally:
        fixturedef.func = function  # type: ignore[misc]


def _grid(declared: Experiment | None, settings: Settings) -> list[tuple[tuple[str, str], ...]]:
    """Every combination of the values of swept knobs that an experiment has, as texts."""
    if declared is None:
        return []
    axes: dict[str, list[tuple[str, str]]] = {}
    for owner, knob, text in settings.sweeps:
        if owner in (None, declared.id) and knob in declared.knobs:
            several = isinstance(declared.knobs[knob], list | tuple)
            values: dict[Any, str] = {}
            for part in map(str.strip, text.split(";" if several else ",")):
                values.setdefault(_value(declared.knobs[knob], part), part)
            axes[knob] = [(knob, value) for value in values.values()]
    return list(product(*axes.values())) if axes else []


def _value(default: Any, text: str) -> Any:
    """What a text sets a knob to, so that 0.5 and 0.50 are one value; the text itself where it is refused later."""
    try:
        value = parse_knob("", default, text)
    except ValueError:
        return text
    return tuple(value) if isinstance(value, list) else value


def _generate_subjects(metafunc: pytest.Metafunc) -> None:
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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Gives every experiment its knobs. A bad knob ends the run before anything is done."""
    with usage_errors(config, items):
        _declare(items, config.stash[SETTINGS])


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


def _declare(items: list[pytest.Item], settings: Settings) -> None:
    seen: dict[str, Any] = {}
    known: set[str] = set()
    for item in items:
        function = getattr(item, "function", None)
        declared = experiment_of(function)
        if declared is None:
            continue
        if seen.setdefault(declared.id, function) is not function:
            raise pytest.UsageError(f"two experiments have the id {declared.id!r}; give {item.nodeid} another")
        info = item._fixtureinfo  # type: ignore[attr-defined]
        declared = _with_fixtures(declared, info.names_closure, info.name2fixturedefs)
        assert declared is not None
        item.stash[EXPERIMENT] = declared
        item.extra_keyword_matches.add(declared.id)  # so that `-k 2A1` finds it
        callspec = getattr(item, "callspec", None)
        item.stash[KNOBS] = knobs(declared, settings, callspec.params.get(SWEEP) if callspec else None)
        ignored(declared, settings)
        try:
            plain(item.stash[KNOBS])
        except TypeError as error:
            raise pytest.UsageError(f"a knob of {declared.id} cannot be recorded: {error}") from None
        known |= {f"{declared.id}.{knob}" for knob in declared.knobs}
    if not seen:
        return
    given = [one for one in settings.asked_overrides if one[1] not in GENERATION or one[0] not in {None, *seen}]
    for flag, asked in (("--lab-set", given), ("--lab-sweep", settings.sweeps)):
        for owner, knob, _ in asked:
            if not any(name == f"{owner}.{knob}" if owner else name.endswith(f".{knob}") for name in known):
                listed = ", ".join(sorted(known)) or "none"
                raise pytest.UsageError(f"{flag}: no knob {f'{owner}.' if owner else ''}{knob}; known knobs: {listed}")


def knobs(declared: Experiment, settings: Settings, swept: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The experiment's knobs with what was set from outside, and those of its place in the grid.

    Raises UsageError for a value of the wrong type.
    """
    values = dict(declared.knobs)
    given = [("--lab-set", knob, text) for owner, knob, text in settings.overrides if owner in (None, declared.id)]
    for flag, knob, text in [*given, *(("--lab-sweep", *point) for point in (swept or {}).items())]:
        if knob in values:
            try:
                values[knob] = parse_knob(f"{declared.id}.{knob}", declared.knobs[knob], text)
            except ValueError as error:
                raise pytest.UsageError(f"{flag}: {error}") from None
    return values


def ignored(declared: Experiment, settings: Settings) -> dict[str, Any]:
    """What was set of `GENERATION` that the experiment has no knob for. Raises UsageError for a wrong type."""
    found = {}
    for owner, knob, text in settings.overrides:
        if owner in (None, declared.id) and knob in GENERATION and knob not in declared.knobs:
            try:
                found[knob] = parse_knob(f"{declared.id}.{knob}", GENERATION[knob], text)
            except ValueError as error:
                raise pytest.UsageError(f"--lab-set: {error}") from None
    return found


def knob_texts(item: pytest.Item) -> frozenset[str] | None:
    """Every text among the values of a cell's knobs, those in lists too; None for an ordinary test.

    What a knob names is known before the cell runs, so it can be part of what determines its result.
    """
    values = item.stash.get(KNOBS, None)
    return None if values is None else frozenset(_texts(list(values.values())))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


@pytest.fixture
def lab_sweep(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """Where in the grid of swept knobs a cell stands: their values as they were written, by name."""
    point: Mapping[str, str] = request.param
    return point


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object:
    """Calls an experiment with its knobs beside its fixtures."""
    values = pyfuncitem.stash.get(KNOBS, None)
    if not values:
        return None
    fixtures = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    pyfuncitem.obj(**fixtures, **{name: values[name] for name in knobs_of(pyfuncitem.function)})
    return True


# xdist: the controller collects nothing, so it learns of a bad knob from its workers.


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    settings = node.config.stash[SETTINGS]
    told = {"lab_run": settings.run, "lab_results": str(settings.results), "lab_command": list(settings.command)}
    told["lab_part"] = settings.part
    node.workerinput |= told


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    problem = getattr(node, "workeroutput", {}).get("lab_problem")
    if problem:
        node.config.stash[_PROBLEM] = problem


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    problem = session.config.stash.get(_PROBLEM, None)
    if problem:
        session.exitstatus = pytest.ExitCode.USAGE_ERROR


def pytest_unconfigure(config: pytest.Config) -> None:
    problem = config.stash.get(_PROBLEM, None)
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if problem and reporter:
        reporter.write_line(f"ERROR: {problem}", red=True)
