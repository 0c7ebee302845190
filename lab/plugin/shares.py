"""The shares of a run that several jobs of a cluster have: dealt out once, into one file that all jobs read.

A *share* is what one job runs: the tests of one shard in one wave. A wave begins when the one before has ended.
`lab submit` calls pytest to deal the tests out, to run each share, and to merge: to make the tables, and run nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

import pytest

from lab.plugin.gates import PLAN
from lab.plugin.notebook import JOURNAL, history
from lab.plugin.options import SETTINGS
from lab.plugin.scheduler import LEAST_LOAD, Work, estimates, load_seconds, tail
from lab.plugin.share_file import Shards, Share
from lab.plugin.verdicts import EXIT_INCONCLUSIVE
from lab.plugin.workers import arranged, group_of
from lab.record import events

SEEN_AFTER = 60.0
"""Seconds after which a network folder shows what another machine wrote: so long NFS keeps what is in a folder."""
ENDED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, EXIT_INCONCLUSIVE)
"""Exit statuses of a run that came to its end."""


def deal(works: Sequence[Work], shards: int, loads: Mapping[str, float]) -> list[int]:
    """For each test the shard that runs it, so that the last one ends soon and few of them load the same model.

    Whole groups, the longest first, go to the shard that has least to do. Then the shard that ends last hands the end
    of a group to the one that ends first, as long as the last then ends sooner by more than a second load takes.

    Parameters
    ----------
    works
        What is known of each test.
    shards
        How many there are; some get nothing where there are fewer tests.
    loads
        Seconds that loading takes, by group; of groups that are not named the longest of these.
    """
    costs = estimates(works)
    held: list[dict[str, list[int]]] = [{} for _ in range(shards)]
    groups: dict[str, list[int]] = {}
    for index, work in enumerate(works):
        groups.setdefault(work.group, []).append(index)

    def load(group: str) -> float:
        return load_seconds(group, loads) if any(works[index].loads for index in groups[group]) else 0.0

    def seconds(group: str, items: Iterable[int]) -> float:
        return load(group) + sum(costs[item] for item in items)

    def ends(shard: dict[str, list[int]]) -> float:
        return sum(seconds(group, items) for group, items in shard.items())

    for group in sorted(groups, key=lambda group: -seconds(group, groups[group])):
        min(held, key=ends)[group] = groups[group]
    while True:
        first, last = min(held, key=ends), max(held, key=ends)
        moves = []
        for group, items in last.items():
            begins = ends(first) + (0.0 if group in first else load(group))
            moved = tail(items, costs, begins, ends(last))
            spent, whole = sum(costs[item] for item in moved), moved == items
            then = max(begins + spent, ends(last) - spent - (load(group) if whole else 0.0))
            price = 0.0 if whole or group in first else load(group)
            moves.append((ends(last) - then - max(price, LEAST_LOAD), group, moved))
        saved, group, moved = max(moves, default=(-1.0, "", []))
        if not moved or saved < 0:
            break
        last[group] = last[group][: -len(moved)]
        if not last[group]:
            del last[group]
        first[group] = sorted([*first.get(group, []), *moved])
    shard_of = {item: number for number, shard in enumerate(held) for items in shard.values() for item in items}
    return [shard_of[index] for index in range(len(works))]


def waves(works: Sequence[Work], shard_of: Sequence[int]) -> list[int]:
    """For each test the wave in which it runs: a later one than that of each test that it needs on another shard.

    What a test needs stands before it.
    """
    found: list[int] = []
    for index, work in enumerate(works):
        after = [found[needed] + (shard_of[needed] != shard_of[index]) for needed in work.needs]
        found.append(max(after, default=0))
    return found


def shares(
    nodeids: Sequence[str], works: Sequence[Work], models: Sequence[str], shards: int, loads: Mapping[str, float]
) -> tuple[Share, ...]:
    """Deals tests out, wave by wave; `models` has each test's model, "" where it asks none."""
    shard_of, costs = deal(works, shards, loads), estimates(works)
    wave_of = waves(works, shard_of)
    dealt = []
    for wave, shard in sorted(set(zip(wave_of, shard_of, strict=True))):
        own = [i for i in range(len(works)) if (wave_of[i], shard_of[i]) == (wave, shard)]
        groups = {works[i].group for i in own if works[i].loads}
        dealt.append(
            Share(
                shard=shard,
                wave=wave,
                tests=tuple(nodeids[i] for i in own),
                models=tuple(dict.fromkeys(models[i] for i in own if models[i])),
                seconds=round(sum(costs[i] for i in own) + sum(load_seconds(g, loads) for g in groups), 1),
            )
        )
    return tuple(dealt)


# A job's part in pytest's life ----------------------------------------------------------------------------


def require_ended(config: pytest.Config) -> None:
    """Raises UsageError where a share of the run that is to be merged did not end: half a run has no tables."""
    settings = config.stash[SETTINGS]
    if settings.shards is not None and settings.share is None:
        missing = {share.name for share in settings.shards.shares} - _ended(config).keys()
        if missing:
            told = ", ".join(sorted(missing))
            raise pytest.UsageError(f"{told} of run {settings.run} did not end, so nothing is merged")


def keep_own(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves the tests of this share; none where the run is merged. What a share needs stays in `gates.PLAN`."""
    settings = config.stash[SETTINGS]
    if settings.shards is None:
        return
    tests = set(settings.share.tests if settings.share else ())
    changed = tests - {item.nodeid for item in items}
    if changed:
        raise pytest.UsageError(
            f"{min(changed)} was dealt out and is not there now: the tests have changed since; submit them anew"
        )
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in tests])
    items[:] = [item for item in items if item.nodeid in tests]


def wait_for_earlier(config: pytest.Config) -> None:
    """Before a later wave, waits until it is seen how the earlier ones ended; a job that was lost never tells."""
    settings = config.stash[SETTINGS]
    if settings.shards is None or settings.share is None:
        return
    before = {share.name for share in settings.shards.shares if share.wave < settings.share.wave}
    until = time.monotonic() + SEEN_AFTER
    while before - _ended(config).keys() and time.monotonic() < until:
        time.sleep(1)


def deal_out(session: pytest.Session) -> None:
    """Writes the file of shares, where that was asked for."""
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


def take_status(session: pytest.Session) -> None:
    """Who merges ends as the shares did: with a failure where one has failed."""
    if session.config.stash[SETTINGS].merges and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        found = _ended(session.config).values()
        session.testsfailed = sum(status == pytest.ExitCode.TESTS_FAILED for status in found)
        session.exitstatus = min((status for status in found if status), default=pytest.ExitCode.OK)


def tell_status(session: pytest.Session) -> None:
    """Writes into the journal how a share ended."""
    settings = session.config.stash[SETTINGS]
    if settings.share is not None and not settings.is_worker and session.exitstatus in ENDED:
        told = events.Share(settings.share.name, int(session.exitstatus))
        session.config.stash[JOURNAL].write("", told)
