"""Which job of a cluster runs which tests? Dealt out once, where a run is submitted, into one file that all jobs read.

A *share* is what one job runs: the tests of one shard in one wave. A wave begins when the one before has ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.files.whole import write_whole
from lab.plugin.scheduler import LEAST_LOAD, Work, estimates, load_seconds, tail


@dataclass(frozen=True)
class Share:
    """Node ids of the tests of one job, in the order in which they run; their models, and estimated seconds."""

    shard: int
    wave: int
    tests: tuple[str, ...]
    models: tuple[str, ...]
    seconds: float

    @property
    def name(self) -> str:
        return f"{self.wave}.{self.shard}"


@dataclass(frozen=True)
class Shards:
    """A run that was dealt out: pytest's own arguments, the folder they are given in, the results, and the shares."""

    run: str
    results: str
    shares: tuple[Share, ...]
    arguments: tuple[str, ...] = ()
    folder: str = "."

    @classmethod
    def read(cls, path: Path) -> Shards:
        """Raises OSError where there is no such file, ValueError for one that does not hold shards."""
        told = json.loads(path.read_text())
        try:
            shares = [Share(**s | {name: tuple(s[name]) for name in ("tests", "models")}) for s in told["shares"]]
            return cls(**told | {"shares": tuple(shares), "arguments": tuple(told["arguments"])})
        except (TypeError, LookupError, AttributeError):
            raise ValueError(f"{path} does not hold shards; `lab submit` writes them") from None

    def write(self, path: Path) -> Path:
        return write_whole(path, (json.dumps(asdict(self), indent=1) + "\n").encode())

    def share(self, name: str) -> Share:
        """Raises LookupError where there is none of this name."""
        return {share.name: share for share in self.shares}[name]

    @property
    def waves(self) -> list[list[Share]]:
        numbers = sorted({share.wave for share in self.shares})
        return [[share for share in self.shares if share.wave == number] for number in numbers]


def journal_stem(share: Share | None) -> str:
    """What the journals of a share's processes are called within the run; None is who merges."""
    return "merged" if share is None else f"shard{share.name}"


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
