"""Which part of a run is this process's? One share of it; or the merging, which runs nothing and makes the tables.

`lab submit` calls pytest for each: to deal the tests out, to run a share, and to merge.
"""

from __future__ import annotations

import time
from collections.abc import Generator

import pytest

from lab.plugin.cells import usage_errors
from lab.plugin.gates import PLAN
from lab.plugin.notebook import JOURNAL, history
from lab.plugin.options import SETTINGS
from lab.plugin.shards import Shards, shares
from lab.plugin.verdicts import EXIT_INCONCLUSIVE
from lab.plugin.workers import arranged, group_of
from lab.record.events import Share

SEEN_AFTER = 60.0
"""Seconds after which a network folder shows what another machine wrote: so long NFS keeps what is in a folder."""
ENDED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, EXIT_INCONCLUSIVE)
"""Exit statuses of a run that came to its end."""


def pytest_sessionstart(session: pytest.Session) -> None:
    """Half a run has no tables."""
    settings = session.config.stash[SETTINGS]
    if settings.shards is not None and settings.share is None:
        missing = {share.name for share in settings.shards.shares} - _ended(session.config).keys()
        if missing:
            told = ", ".join(sorted(missing))
            raise pytest.UsageError(f"{told} of run {settings.run} did not end, so nothing is merged")


@pytest.hookimpl(wrapper=True)  # when all others have chosen and ordered; what a share needs stays in PLAN
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None, None, None]:
    """Leaves the tests of this share; none where the run is merged."""
    yield
    settings = config.stash[SETTINGS]
    if settings.shards is None:
        return
    with usage_errors(config, items):
        tests = set(settings.share.tests if settings.share else ())
        changed = tests - {item.nodeid for item in items}
        if changed:
            raise pytest.UsageError(
                f"{min(changed)} was dealt out and is not there now: the tests have changed since; submit them anew"
            )
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in tests])
        items[:] = [item for item in items if item.nodeid in tests]


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Before a later wave, waits until it is seen how the earlier ones ended; a job that was lost never tells."""
    settings = session.config.stash[SETTINGS]
    if settings.shards is None or settings.share is None:
        return
    before = {share.name for share in settings.shards.shares if share.wave < settings.share.wave}
    until = time.monotonic() + SEEN_AFTER
    while before - _ended(session.config).keys() and time.monotonic() < until:
        time.sleep(1)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Deals the tests out, where that was asked for."""
    settings = session.config.stash[SETTINGS]
    if settings.deal is None:
        return
    number, file = settings.deal
    nodeids = [item.nodeid for item in session.items]
    plan, before = session.config.stash.get(PLAN, {}), history(session.config)
    models = [plan[nodeid].cell.params.get("model", "") if nodeid in plan else "" for nodeid in nodeids]
    known = {group_of(model): seconds for model, seconds in before.loads().items()}
    dealt = shares(nodeids, arranged(nodeids, plan, before.seconds()), models, number, known)
    Shards(settings.run, str(settings.results), dealt).write(file)


def _ended(config: pytest.Config) -> dict[str, int]:
    return config.stash[JOURNAL].so_far().shares(config.stash[SETTINGS].run)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Who merges ends as the shares did: with a failure where one has failed."""
    settings = session.config.stash[SETTINGS]
    if settings.merges and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        found = _ended(session.config).values()
        session.testsfailed = sum(status == pytest.ExitCode.TESTS_FAILED for status in found)
        session.exitstatus = min((status for status in found if status), default=pytest.ExitCode.OK)


class _Last:
    """Writes how a share ended once all others have said what its exit status is."""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        settings = session.config.stash[SETTINGS]
        if settings.share is not None and not settings.is_worker and session.exitstatus in ENDED:
            journal = session.config.stash[JOURNAL]
            journal.write("", Share(settings.share.name, int(session.exitstatus)))


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Last())
