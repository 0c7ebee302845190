"""The side of `--lab-plan` that pytest sees: what the run would do, cell by cell, without running anything.

Each cell goes its usual way, with a notebook that nobody keeps and subjects that count what they are asked (see
`lab.forecast.dry`). The first of an experiment's cells goes to its end; of the others, which ask the same of other
subjects, the analysis after the last call is left out.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pytest

from lab.forecast.planned import Calls, Enough, PlannedCache, PlannedSpeaker, PlannedSubject
from lab.forecast.text import PlannedModel, Row, plan_lines
from lab.plugin.cells import cell_of
from lab.plugin.gates import PLAN, closed
from lab.plugin.models import POOL, SubjectPool
from lab.plugin.notebook import NOTEBOOK, history
from lab.plugin.options import SETTINGS, Settings
from lab.record import Cell, CellRecord
from lab.subjects.effort import DONE, Effort
from lab.subjects.identity import identity

if TYPE_CHECKING:
    from lab.subjects.hook_points import Outline


class PlannedPool(SubjectPool):
    """Subjects that only count; each is kept, to be told of at the end."""

    def __init__(self, options: dict[str, Any], cache: PlannedCache, calls: Calls) -> None:
        super().__init__(options, cache)
        self.cache, self.calls = cache, calls
        self.known: dict[str, PlannedSpeaker] = {}
        self.loads: dict[str, int] = {}

    def made(self, name: str, options: dict[str, Any]) -> PlannedSpeaker:
        found = identity(name, options)

        def load() -> Any:
            from lab.forecast import dry  # torch, which is slow to import, and not needed where all is cached

            given = {key: value for key, value in options.items() if key != "device"}
            loaded = dry.load(name, found.get("device", "cpu"), _outline(subject), **given)
            self.loads[name] = self.loads.get(name, 0) + 1
            return loaded

        kind = PlannedSpeaker if "api" in found else PlannedSubject
        subject = self.known[name] = kind(name, found, load, self.cache, self.calls)
        return subject

    @property
    def models(self) -> list[PlannedModel]:
        return [PlannedModel(name, self.loads.get(name, 0), _outline(model)) for name, model in self.known.items()]


class Planner:
    """Takes each test's place in the run, and tells what it saw at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self.config, self.settings = config, config.stash[SETTINGS]
        self.rows: list[Row] = []
        self.others = 0
        self.came: dict[str, CellRecord] = {}
        """What cells come to that nobody has to run, by id; of the others it is hoped that they PASS."""
        self.firsts: dict[Any, tuple[int, str]] = {}
        """How many calls the first of each kind of cell made, and what went wrong with it."""
        self.calls = Calls()
        self.fault: BaseException | None = None
        self.pool: PlannedPool | None = None
        config.stash[POOL] = self.make_pool

    def make_pool(self, settings: Settings) -> SubjectPool:
        cache = PlannedCache(settings.results / "cache", settings.cache)
        self.pool = PlannedPool(settings.load, cache, self.calls)
        return self.pool

    def visit(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Finds out what a test would do; True, for pytest is not to run it."""
        cell = cell_of(item)
        if cell is None:
            self.others += 1
            return True
        shut, unsure = self.gate(item, cell)
        if shut:
            row = Row(cell, free=f"gate closed: {shut}")
            self.came[cell.id] = _outcome(cell, "SKIPPED")
        else:
            row = self.row(item, cell)
            _phase(lambda: item.ihook.pytest_runtest_teardown(item=item, nextitem=nextitem))
            if unsure and not row.free:
                row = replace(row, remark="; ".join(filter(None, [row.remark, f"if its gate opens: {unsure}"])))
        self.rows.append(row)
        return True

    def gate(self, item: pytest.Item, cell: Cell) -> tuple[str | None, str | None]:
        """What keeps a cell's gate closed whatever this run finds, and what keeps it closed as yet."""
        plan = self.config.stash[PLAN]
        planned = plan[item.nodeid]
        if not planned.needs or self.settings.force:
            return None, None
        hoped = {row.cell.id: _outcome(row.cell, "PASS") for row in self.rows} | self.came
        return closed(self.config, planned, plan, hoped), closed(self.config, planned, plan, self.came)

    def row(self, item: pytest.Item, cell: Cell) -> Row:
        """What a cell would do, found by letting it ask subjects that only count."""
        others = {name: value for name, value in cell.params.items() if name not in ("model", "other_model")}
        kind = repr((cell.experiment, sorted(others.items()), sorted(cell.knobs.items())))
        before = asdict(DONE)
        error = _phase(lambda: item.ihook.pytest_runtest_setup(item=item))
        if error is not None:
            return Row(cell, free=_why(error))
        self.calls.made, self.calls.last, self.fault = 0, self.firsts.get(kind, (None,))[0], None
        if self.pool is not None:
            self.pool.cache.guessed = False
        _phase(lambda: item.ihook.pytest_runtest_call(item=item))
        notebook = item.stash[NOTEBOOK]
        if notebook.replayed:
            self.came[cell.id] = _outcome(cell, "PASS" if notebook.asked is None else notebook.asked.outcome)
            return Row(cell, free=f"unchanged since run {notebook.replayed}")
        fault = "" if self.fault is None else _why(self.fault)
        if self.fault is not None and not isinstance(self.fault, pytest.skip.Exception):
            fault = f"made-up results broke it: {fault}"
        fault = self.firsts.setdefault(kind, (self.calls.made, fault))[1] or fault
        effort = Effort(**DONE.since(before))
        guessed = self.pool is not None and self.pool.cache.guessed and effort.passes > 0
        bound = "~" if effort.requests or (guessed and fault) else "≥" if fault else "≤" * guessed
        return Row(cell, effort, bound, remark=fault)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Within it a test function may break, or end early; what it raised is kept."""
        try:
            with warnings.catch_warnings(action="ignore"):  # of made-up numbers they mean nothing
                yield
        except Enough:
            pass
        except (KeyboardInterrupt, pytest.exit.Exception):
            raise
        except BaseException as fault:
            self.fault = fault

    def write(self, reporter: Any) -> None:
        """Prints the plan."""
        if self.rows:
            reporter.section("plan: nothing was run")
            models = self.pool.models if self.pool else []
            for line in plan_lines(self.rows, models, history(self.config).seconds(), self.others):
                reporter.write_line(line)


def _phase(run: Callable[[], object]) -> BaseException | None:
    """What a phase of a test raised; what a user asked for goes on."""
    call = pytest.CallInfo.from_call(run, "call", reraise=(KeyboardInterrupt, pytest.exit.Exception))
    return call.excinfo.value if call.excinfo else None


def _why(error: BaseException) -> str:
    if isinstance(error, pytest.skip.Exception):
        return f"skipped: {error.msg}"
    said = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _outcome(cell: Cell, verdict: str) -> CellRecord:
    told = {name: value for name, value in vars(cell).items() if name != "id"}
    return CellRecord(cell.id, **told, verdict=verdict)


def _outline(subject: PlannedSpeaker) -> Outline | None:
    """What the cache knows of a model; of one behind an API there is nothing to know."""
    return subject.kept_outline if hasattr(type(subject), "kept_outline") else None
