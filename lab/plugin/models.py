"""The fixtures that supply models under study. Each is loaded once a process, when a cell first needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest

from lab.plugin.cells import subjects
from lab.plugin.notebook import NOTEBOOK
from lab.plugin.options import SETTINGS, Settings
from lab.study import default_models
from lab.subjects.names import options_for

if TYPE_CHECKING:
    from lab.subjects import Subject
    from lab.subjects.cache.cached import CachedSpeaker
    from lab.subjects.cache.store import Cache

KEEP_PARAMETERS = 50_000_000
"""A subject up to this size stays loaded for the whole session; a larger one leaves when another takes its place."""


class SubjectPool:
    """Subjects by name, as `lab.subjects.load` understands it. Each is loaded when something new is asked of it."""

    def __init__(self, options: dict[str, Any], cache: Cache) -> None:
        self._options, self._cache = options, cache
        self._subjects: dict[str, CachedSpeaker] = {}
        self.fingerprint = sorted(f"{key}={value}" for key, value in options.items())

    def get(self, name: str) -> Any:
        if name not in self._subjects:
            self._subjects[name] = self.made(name, options_for(name, self._options))
        return self._subjects[name]

    def made(self, name: str, options: dict[str, Any]) -> CachedSpeaker:
        """The subject of this name, which is not loaded yet."""
        from lab.subjects.cache.cached import cached
        from lab.subjects.identity import identity

        def load() -> Any:
            from lab import subjects

            return subjects.load(name, **options)

        return cached(name, identity(name, options), load, self._cache)

    def drop(self, name: str) -> None:
        subject = self._subjects.get(name)
        if subject is None or not subject.is_loaded:
            return
        if getattr(subject, "n_parameters", 0) > KEEP_PARAMETERS:  # an API has none
            del self._subjects[name]


POOL = pytest.StashKey[Callable[[Settings], SubjectPool]]()
"""Makes another kind of pool, where the run is no ordinary one."""


def check(settings: Settings) -> None:
    """Raises UsageError where a subject that was asked for by name cannot be loaded."""
    if settings.models is None or settings.is_worker:
        return
    from lab.subjects import LoadError, locate
    from lab.subjects.errors import MissingPackage
    from lab.subjects.names import organisms as names

    for name in settings.models:
        try:
            locate(name, settings.load.get("base_url"))
        except MissingPackage:
            continue  # its own cells say so; the others go on
        except LoadError as error:
            raise pytest.UsageError(f"--lab-models: {error}. Organisms: {', '.join(names())}") from None


@contextmanager
def noted(item: pytest.Item) -> Iterator[None]:
    """Puts down how a cell's subjects had to be run: batches made smaller, parameters that a server refused."""
    try:
        yield
    finally:
        notebook = item.stash.get(NOTEBOOK, None)
        if notebook is not None:
            for key, value in item.config.stash[SETTINGS].load.items():
                notebook.note(f"--lab-load {key}={value}")
            for given in getattr(item, "funcargs", {}).values():
                for subject in given.values() if isinstance(given, dict) else [given]:
                    if hasattr(type(subject), "fingerprint") and hasattr(type(subject), "notes"):
                        for text in subject.notes:
                            notebook.note(f"{subject.name}: {text}")


@pytest.fixture(scope="session")
def subject_pool(request: pytest.FixtureRequest) -> SubjectPool:
    """All subjects of this process, behind one cache."""
    from lab.subjects.cache.store import Cache, Mode

    settings = request.config.stash[SETTINGS]
    if POOL in request.config.stash:
        return request.config.stash[POOL](settings)
    return SubjectPool(settings.load, Cache(settings.results / "cache", cast(Mode, settings.cache)))


@pytest.fixture(scope="session")
def model(request: pytest.FixtureRequest, subject_pool: SubjectPool) -> Iterator[Subject]:
    """The model under study, with its hook points; one cell for each name of --lab-models."""
    yield subject_pool.get(request.param)
    subject_pool.drop(request.param)


@pytest.fixture(scope="session")
def other_model(request: pytest.FixtureRequest, subject_pool: SubjectPool) -> Iterator[Subject]:
    """A second model; `model` and `other_model` run over all pairs of --lab-models."""
    yield subject_pool.get(request.param)
    subject_pool.drop(request.param)


@pytest.fixture(scope="session")
def panel(request: pytest.FixtureRequest, subject_pool: SubjectPool) -> dict[str, Subject]:
    """Every subject of this run by name, loaded together; those studied by default fill it up to three."""
    chosen = list(subjects(request.config.stash[SETTINGS]))
    chosen += [name for name in default_models() if name not in chosen][: max(0, 3 - len(chosen))]
    return {name: subject_pool.get(name) for name in chosen}
