"""What would this run do? `--lab-plan` says it, cell by cell, and runs nothing.

Each cell goes its usual way, with a notebook that nobody keeps and subjects that count what they are asked (see
`lab.forecast.dry`). The first of an experiment's cells goes to its end; of the others, which ask the same of other
subjects, the analysis after the last call is left out.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lab.forecast.calls import Calls, Enough
from lab.plugin.gates import PLAN, closed
from lab.plugin.models import POOL, SubjectPool
from lab.plugin.notebook import NOTEBOOK, cell_of, history
from lab.plugin.options import SETTINGS, Settings
from lab.record import Cell, CellRecord
from lab.subjects.effort import DONE, Effort
from lab.subjects.names import resolve

if TYPE_CHECKING:
    from lab.forecast.planned import PlannedCache, PlannedSpeaker
    from lab.subjects.hook_points import Outline


def pytest_configure(config: pytest.Config) -> None:
    if config.stash[SETTINGS].plan:
        # Workers are for work, and Allure is for results; both look here when they are configured.
        vars(config.option).update(dist="no", allure_report_dir=None)
        config.pluginmanager.register(Planner(config), "lab-planner")


@dataclass(frozen=True)
class Row:
    """One cell, and what it would do; `bound` stands before its numbers.

    `free` says why nothing is to be done, where that is so; `remark` what else is to be known.
    """

    cell: Cell
    effort: Effort = field(default_factory=Effort)
    bound: str = ""
    free: str = ""
    remark: str = ""


BOUNDS = {
    "≤": "at most: a model may end its texts sooner, and what is asked about them is then shorter; of texts that come "
    "out alike it is asked once",
    "≥": "at least: the test broke on made-up results, and may ask more of real ones",
    "~": "about: tokens of a server are taken to be four characters, and its texts as long as they may be",
}
"""How a cell's numbers stand to the truth where they are not exact."""


class PlannedPool(SubjectPool):
    """Subjects that only count; each is kept, to be told of at the end."""

    def __init__(self, options: dict[str, Any], cache: PlannedCache, calls: Calls) -> None:
        super().__init__(options, cache)
        self.cache, self.calls = cache, calls
        self.known: dict[str, PlannedSpeaker] = {}
        self.loads: dict[str, int] = {}

    def made(self, name: str, options: dict[str, Any]) -> PlannedSpeaker:
        from lab.forecast.planned import PlannedSpeaker, PlannedSubject
        from lab.subjects.identity import identity

        found = identity(name, options)

        def load() -> Any:
            from lab.forecast import dry

            given = {key: value for key, value in options.items() if key != "device"}
            loaded = dry.load(name, found.get("device", "cpu"), _outline(subject), **given)
            self.loads[name] = self.loads.get(name, 0) + 1
            return loaded

        kind = PlannedSpeaker if "api" in found else PlannedSubject
        subject = self.known[name] = kind(name, found, load, self.cache, self.calls)
        return subject


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
        from lab.forecast.planned import PlannedCache

        cache = PlannedCache(settings.results / "cache", settings.cache)
        self.pool = PlannedPool(settings.load, cache, self.calls)
        return self.pool

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
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

    @pytest.hookimpl(wrapper=True, trylast=True)  # innermost: what the test itself raised
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        try:
            with warnings.catch_warnings(action="ignore"):  # of made-up numbers they mean nothing
                return (yield)
        except Enough:
            return None
        except (KeyboardInterrupt, pytest.exit.Exception):
            raise
        except BaseException as fault:
            self.fault = fault
            return None

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.rows:
            terminalreporter.section("plan: nothing was run")
            for line in self.told():
                terminalreporter.write_line(line)

    # In words -----------------------------------------------------------------------------------------

    def told(self) -> list[str]:
        """The plan as text: its cells, its models, its sums."""
        lines = _table(
            ["cell", "passes", "tokens", "requests", "cached", ""],
            [[row.cell.id, *_numbers(row.bound, row.effort), row.free or row.remark] for row in self.rows],
            numbers=4,
        )
        models = self.models()
        if models:
            lines += ["", *_table(["model", "parameters", "from", ""], models, numbers=1)]
        return [*lines, "", *self.sums()]

    def models(self) -> list[list[str]]:
        """Each subject: its name, its size, where it comes from, and whether it is needed."""
        if self.pool is None:
            return []
        rows = []
        for name, subject in self.pool.known.items():
            loads, outline = self.pool.loads.get(name, 0), _outline(subject)
            need = "not needed: all is cached" if not loads else "" if loads == 1 else f"loaded {loads} times"
            rows.append([name, f"{outline.n_parameters:,}" if outline else "", _place(name), need])
        return rows

    def sums(self) -> list[str]:
        """All cells together, how long they took before, and what the marks mean."""
        todo = [row for row in self.rows if not row.free]
        total = Effort(**{name: sum(getattr(row.effort, name) for row in todo) for name in asdict(Effort())})
        bounds = list(dict.fromkeys(row.bound for row in todo if row.bound))
        passes, tokens, requests, hits = _numbers(bounds[0] if len(bounds) == 1 else "~" * bool(bounds), total)
        parts = [f"{len(todo)} of {_count(len(self.rows), 'cell')} to run"]
        parts += [f"{_count(total.loads, 'model')} to load"] if total.loads else ["no model to load"]
        parts += [f"{passes} passes over {tokens} tokens"] if passes else []
        parts += [f"{requests} requests"] if requests else []
        parts += [f"{hits} result{'s' * (total.hits != 1)} in the cache by then"] if hits else []
        took = history(self.config).seconds()
        known = [took[row.cell.id] for row in todo if row.cell.id in took]
        lines = [", ".join(parts)]
        if known:
            which = "they" if len(known) == len(todo) else f"{len(known)} of them"
            lines.append(f"when {which} last ran, it took {_span(sum(known))}")
        if self.others:
            lines.append(
                f"{_count(self.others, 'test')} beside them that {'is' if self.others == 1 else 'are'} no cell"
            )
        return [*lines, *(f"{mark} {BOUNDS[mark]}" for mark in bounds)]


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


def _place(name: str) -> str:
    if name.startswith("openai:"):
        return "a server"
    folder = Path(resolve(name).source).expanduser()
    if not folder.is_dir():
        return "the hub"
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)


def _numbers(bound: str, effort: Effort) -> list[str]:
    """Passes, tokens, requests and hits; none where there are none."""
    mark = f"{bound} " if bound else ""
    counted = [f"{mark}{n:,}" if n else "" for n in (effort.passes, effort.tokens, effort.requests)]
    least = "≥ " if bound == "≤" else ""
    return [*counted, f"{least}{effort.hits:,}" if effort.hits else ""]


def _table(head: list[str], rows: list[list[str]], *, numbers: int) -> list[str]:
    """Lines of columns; `numbers` of them after the first stand to the right, and empty ones are left out."""
    kept = [i for i in range(len(head)) if i == 0 or any(row[i] for row in rows)]
    widths = {i: max(len(row[i]) for row in [head, *rows]) for i in kept}
    return [
        "  ".join(row[i].rjust(widths[i]) if 0 < i <= numbers else row[i].ljust(widths[i]) for i in kept).rstrip()
        for row in [head, *rows]
    ]


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
