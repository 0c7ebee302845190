"""The scheduler of xdist's workers: cells of one subject stay together, and none idles while another has much left.

Tests are handed out one at a time, so nothing is ever stuck behind a long cell. An xdist worker runs a test only once
it knows the next one, so each comes with a *hint*: a negative index, which names a test as Python does, and is not
run (see `lab.plugin.workers`).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xdist.scheduler import LoadScheduling
from xdist.workermanage import WorkerController

UNKNOWN_SECONDS = 1.0
"""What a cell, or a load, is taken to cost as long as none was ever measured."""
LEAST_LOAD = 0.5
"""Seconds: no queue is split to gain less."""


@dataclass(frozen=True)
class Work:
    """What the scheduler knows of one test.

    `group` holds what should run on one worker; `loads` says that a worker which takes it on has to load something.
    `needs` are the tests (indices) that have to finish before. `seconds` is what it took last, if known.
    """

    group: str
    loads: bool = False
    needs: frozenset[int] = frozenset()
    seconds: float | None = None


def estimates(works: Sequence[Work], took: Iterable[tuple[float, float | None]] = ()) -> list[float]:
    """Seconds that each test takes; a cell that never ran counts as the mean of the others.

    `took` are cells that were finished in this run: what each took, and what it was estimated to take. They correct the
    others: this machine may be faster, or results at hand.
    """
    took = list(took)
    known = [work.seconds for work in works if work.loads and work.seconds is not None]
    compared = [(spent, guess) for spent, guess in took if guess is not None]
    guessed = sum(guess for _, guess in compared)
    pace = sum(spent for spent, _ in compared) / guessed if guessed else 1.0
    seen = [spent for spent, _ in took] + [pace * seconds for seconds in known]
    mean = sum(seen) / len(seen) if seen else UNKNOWN_SECONDS
    return [mean if w.seconds is None else pace * w.seconds if w.loads else w.seconds for w in works]


def load_seconds(group: str, loads: Mapping[str, float]) -> float:
    """Seconds to load what a group needs, from what is known of groups; one that never was counts as the slowest."""
    return max(LEAST_LOAD, loads.get(group, max(loads.values(), default=UNKNOWN_SECONDS)))


def tail(items: Sequence[int], costs: Sequence[float], spent: float, left: float) -> list[int]:
    """The tests at the end of `items` that another would finish before their owner, who has `left` seconds to go.

    `spent` seconds pass before the other begins the first of them.
    """
    taken: list[int] = []
    for item in reversed(items):
        if spent + costs[item] >= left:
            break
        taken.insert(0, item)
        spent, left = spent + costs[item], left - costs[item]
    return taken


@dataclass(eq=False)
class _Queue:
    """Tests of one group that wait, in order, and the worker that runs them."""

    group: str
    items: list[int]
    owner: WorkerController | None = None


class SubjectScheduling(LoadScheduling):  # type: ignore[misc]  # xdist has no types
    """Whole groups to the worker that is free, longest first; the tail of the longest queue to one that has no other.

        scheduler = SubjectScheduling(config, log, arrange=works, stopping=lambda: False)

    `arrange` turns node ids into `Work`, one each; `stopping` says whether the run is to end early (-x). A test is
    never handed out before those that it needs are finished. The test that a worker ran when it died is run once
    more elsewhere; when it takes a second worker down, `remove_node` names it.
    """

    collection: list[str] | None
    node2pending: dict[WorkerController, list[int]]

    def __init__(
        self,
        config: Any,
        log: Any = None,
        *,
        arrange: Callable[[list[str]], list[Work]],
        stopping: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(config, log)
        self.crashes: dict[str, list[str]] = defaultdict(list)
        """The workers that died of a test, by its node id."""
        self._arrange, self._stopping, self._clock = arrange, stopping, clock
        self._index: dict[str, int] = {}
        self._works: list[Work] = []
        self._estimates: list[float] = []
        self._queues: list[_Queue] = []
        self._done: set[int] = set()
        self._current: dict[WorkerController, str] = {}
        self._begun: dict[WorkerController, float] = {}
        self._loaded: dict[WorkerController, set[str]] = defaultdict(set)
        self._setups: dict[int, float] = {}
        self._loads: dict[str, float] = {}
        self._took: list[tuple[float, float | None]] = []
        """Seconds that each finished cell took, and what it was estimated to take."""

    @property
    def nodes(self) -> list[WorkerController]:
        """Workers that xdist may shut down: while there is work, only those that leave anyway.

        xdist shuts down all of these when one more worker died than --max-worker-restart allows. Here the others
        take its work over.
        """
        busy = self.has_pending and not self._stopping()
        return [node for node in self.node2pending if node.shutting_down or not busy]

    @property
    def tests_finished(self) -> bool:
        return self.collection_is_completed and not self.unfinished

    @property
    def has_pending(self) -> bool:
        return bool(self.unfinished)

    @property
    def unfinished(self) -> int:
        """How many tests have not finished."""
        return len(self.collection or ()) - len(self._done)

    @property
    def missing(self) -> list[str]:
        """Node ids of the tests that have not finished."""
        return [nodeid for index, nodeid in enumerate(self.collection or ()) if index not in self._done]

    def schedule(self) -> None:
        if self.collection is None:
            if not self._check_nodes_have_same_collection():
                return
            self.collection = next(iter(self.node2collection.values()))
            self._index = {nodeid: index for index, nodeid in enumerate(self.collection)}
            self._works = self._arrange(self.collection)
            self._estimates = estimates(self._works)
            self._enqueue(range(len(self._works)))
        self._advance()

    def setup_took(self, nodeid: str, seconds: float) -> None:
        """Tells how long a test spent on its fixtures, or on loading subjects; what it tells adds up."""
        index = self._index[nodeid]
        self._setups[index] = took = self._setups.get(index, 0.0) + seconds
        group = self._works[index].group
        if self._works[index].loads:
            self._loads[group] = max(took, self._loads.get(group, 0.0))

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        self.node2pending[node].remove(item_index)
        self._done.add(item_index)
        if self._works[item_index].loads:
            took = max(0.0, duration - self._setups.get(item_index, 0.0))
            self._took.append((took, self._works[item_index].seconds))
            self._estimates = estimates(self._works, self._took)
        self._advance()

    def mark_test_pending(self, item: str) -> None:
        index = self._index[item]
        self._done.discard(index)
        self._enqueue([index])
        self._advance()

    def remove_node(self, node: WorkerController) -> str | None:
        """Takes a worker out; returns the test that took down two workers, if this is the second one."""
        running = self.node2pending.pop(node)
        for queue in self._queues:
            if queue.owner is node:
                queue.owner = None
        lost = None
        for item in running:
            assert self.collection is not None
            nodeid = self.collection[item]
            self.crashes[nodeid].append(node.gateway.id)
            if len(self.crashes[nodeid]) == 1:
                self._enqueue([item])
            else:
                self._done.add(item)
                lost = nodeid
        self._advance()
        return lost

    def _enqueue(self, items: Iterable[int]) -> None:
        queues: dict[str, _Queue] = {}
        for item in items:
            group = self._works[item].group
            queues.setdefault(group, _Queue(group, [])).items.append(item)
        self._queues += queues.values()

    def _advance(self) -> None:
        """Gives work to every worker that has none, and sends all home when nothing is left."""
        for node, running in self.node2pending.items():
            if running or node.shutting_down or node not in self.node2collection or self._stopping():
                continue
            queue = self._queue_for(node)
            if queue is not None:
                self._hand_out(node, queue)
        if self.collection is not None and self.tests_finished:
            for node in self.node2pending:
                if not node.shutting_down:
                    node.shutdown()

    def _queue_for(self, node: WorkerController) -> _Queue | None:
        """Where a worker goes on: in its own queue, in one that nobody has begun, or in the tail of another's."""
        open_queues = [queue for queue in self._queues if any(map(self._ready, queue.items))]
        own = [queue for queue in open_queues if queue.owner is node]
        if own:
            return max(own, key=lambda queue: queue.group == self._current.get(node))
        free = [queue for queue in open_queues if queue.owner is None]
        if free:
            chosen = max(free, key=lambda queue: (queue.group in self._loaded[node], self._cost(queue.items)))
            chosen.owner = node
            return chosen
        for queue in sorted(open_queues, key=self._left, reverse=True):
            items = self._tail(queue, node)
            if items:
                queue.items = [item for item in queue.items if item not in set(items)]
                taken = _Queue(queue.group, items, node)
                self._queues = [queue for queue in self._queues if queue.items] + [taken]
                return taken
        return None

    def _tail(self, queue: _Queue, node: WorkerController) -> list[int]:
        """The tests at a queue's end that `node` would finish before the owner could, its load included."""
        loads = self._works[queue.items[0]].loads and queue.group not in self._loaded[node]
        spent = load_seconds(queue.group, self._loads) if loads else 0.0
        return tail(list(filter(self._ready, queue.items)), self._estimates, spent, self._left(queue))

    def _left(self, queue: _Queue) -> float:
        """Seconds until a queue's owner has run all that it has."""
        assert queue.owner is not None
        running = self._cost(self.node2pending[queue.owner])
        passed = self._clock() - self._begun.get(queue.owner, 0.0)
        return max(0.0, running - passed) + sum(self._cost(q.items) for q in self._queues if q.owner is queue.owner)

    def _cost(self, items: Sequence[int]) -> float:
        """Estimated seconds."""
        return sum(self._estimates[item] for item in items)

    def _ready(self, item: int) -> bool:
        return self._works[item].needs <= self._done

    def _hand_out(self, node: WorkerController, queue: _Queue) -> None:
        item = next(filter(self._ready, queue.items))
        queue.items.remove(item)
        following = queue.items[0] if queue.items else (item + 1) % len(self._works)
        if not queue.items:
            self._queues.remove(queue)
        self._current[node], self._begun[node] = queue.group, self._clock()
        self._loaded[node].add(queue.group)
        self.node2pending[node] = [item]
        if following == item:
            node.send_runtest_some([item])
            node.shutdown()
        else:
            # xdist 3.8: `WorkerInteractor.run_one_test` (xdist/remote.py) waits for a second index before it runs the
            # first one, to know what to tear down in between. A second test sent for that would have to run on this
            # worker; a negative index names the same test and is passed over by `lab.plugin.workers.PassOver`.
            node.send_runtest_some([item, following - len(self._works)])
