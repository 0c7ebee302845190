"""How do xdist's workers and their controller work together? The plan goes one way, tests one by one the other.

The controller collects nothing: the workers tell it by a file which node id is which cell. What a worker that died
left behind is run elsewhere, or is INVALID.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from _pytest.junitxml import xml_key

from lab.files.plain import plain
from lab.files.whole import write_whole
from lab.plugin.gates import PLAN, Planned, prerequisites
from lab.plugin.notebook import JOURNAL, history
from lab.plugin.options import SETTINGS, Settings
from lab.plugin.scheduler import SubjectScheduling, Work
from lab.record import Cell, Notebook
from lab.record.events import Failed

ORDINARY_SECONDS = 0.1
"""What a test that is no experiment is taken to cost."""


def plan_file(settings: Settings) -> Path:
    """Where the workers say what they collected; the controller removes it."""
    return settings.results / "journal" / f"{settings.session}.plan.json"


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Worker(config) if config.stash[SETTINGS].is_worker else Controller(config))


class Worker:
    """A worker tells what it collected, and passes over hints."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    @pytest.hookimpl(tryfirst=True)  # xdist's own hook tells the controller that it may go on
    def pytest_collection_finish(self) -> None:
        plan = self.config.stash.get(PLAN, {})
        if plan:
            text = json.dumps({nodeid: plain(dataclasses.asdict(planned)) for nodeid, planned in plan.items()})
            with suppress(OSError):  # the cells themselves will say that nothing can be written
                write_whole(plan_file(self.config.stash[SETTINGS]), text.encode())

    def pytest_runtestloop(self, session: pytest.Session) -> None:
        plugins = self.config.pluginmanager.get_plugins()
        interactor = next(plugin for plugin in plugins if type(plugin).__name__ == "WorkerInteractor")
        interactor.run_one_test = PassOver(interactor, session)


class PassOver:
    """xdist's `run_one_test`, but for hints, which are negative indices (see `lab.plugin.scheduler`).

    A hint only told what may come next. When that is known, what the hint's own test would have shared with the
    last one, and the next one does not, is torn down.
    """

    def __init__(self, interactor: Any, session: pytest.Session) -> None:
        self.interactor, self.session = interactor, session
        self.run_one_test = interactor.run_one_test

    def __call__(self) -> None:
        held = self.interactor.nextitem_index
        if held >= 0:
            self.run_one_test()
            return
        self.interactor.nextitem_index = following = self.interactor.torun.get()
        last = self.session.items[self.interactor.item_index]
        nextitem = self.session.items[following] if isinstance(following, int) else None
        torn_down = pytest.CallInfo.from_call(lambda: self.session._setupstate.teardown_exact(nextitem), "teardown")
        if torn_down.excinfo is not None:
            report = last.ihook.pytest_runtest_makereport(item=last, call=torn_down)
            last.ihook.pytest_runtest_logreport(report=report)


class Controller:
    """The controller arranges what the workers collected, and answers for those that died."""

    def __init__(self, config: pytest.Config) -> None:
        self.config, self.settings = config, config.stash[SETTINGS]
        self.scheduler: SubjectScheduling | None = None
        self.plan: dict[str, Planned] = {}
        self.ended: dict[str, str] = {}
        """How each worker that died ended, by its id."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> SubjectScheduling | None:
        """Schedules what `--dist load` would, which is the default; other modes stay as they are."""
        if config.getvalue("dist") == "load":
            self.scheduler = SubjectScheduling(config, log, arrange=self.arrange, stopping=self.stopping)
        return self.scheduler

    def arrange(self, nodeids: list[str]) -> list[Work]:
        """What is known of each test; of cells what the workers told, where there are cells."""
        file = plan_file(self.settings)
        if file.exists():
            self.plan = {
                nodeid: Planned(Cell(**planned["cell"]), tuple(planned["needs"]))
                for nodeid, planned in json.loads(file.read_text()).items()
            }
        return arranged(nodeids, self.plan, history(self.config).seconds(but=self.settings.run) if self.plan else {})

    def stopping(self) -> bool:
        """Whether xdist is to end the run early."""
        return bool(getattr(self.config.pluginmanager.get_plugin("dsession"), "shouldstop", False))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self.scheduler is not None:
            loading = getattr(report, "loading", 0.0)  # most subjects are loaded when a test first needs them
            self.scheduler.setup_took(report.nodeid, report.duration if report.when == "setup" else loading)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        if error:
            self.ended[node.gateway.id] = f"its worker {node.gateway.id} ended{_how(node)}"
            junit: Any = self.config.stash.get(xml_key, None)
            for key in [key for key in junit.node_reporters if key[1] is node] if junit else ():
                # Begun by the report of its setup, and without a name: it would stay as an empty testcase.
                junit.node_reporters_ordered.remove(junit.node_reporters.pop(key))

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport, sched: Any) -> None:
        """Says why a cell that took two workers down is INVALID."""
        if sched is self.scheduler:
            self.fail(crashitem, report, "; run again, ".join(self.died(crashitem)))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Names what was never run because no worker was left."""
        result = yield
        if not self.stopping():
            for nodeid in self.scheduler.missing if self.scheduler else ():
                report = pytest.TestReport(nodeid, ("", None, ""), {}, "failed", None, "call")
                self.fail(nodeid, report, "; ".join([*self.died(nodeid), "no worker was left to run it"]))
                self.config.hook.pytest_runtest_logreport(report=report)
        return result

    def died(self, nodeid: str) -> list[str]:
        """How each of the workers ended that died while it ran this test."""
        workers = self.scheduler.crashes.get(nodeid, []) if self.scheduler else []
        return [self.ended.get(worker, f"its worker {worker} ended") for worker in workers]

    def fail(self, nodeid: str, report: pytest.TestReport, reason: str) -> None:
        """Makes a test's report an error that gives the reason; a cell is INVALID, here and in the journal."""
        file, _, name = nodeid.partition("::")
        report.location, report.longrepr = (file, None, name), reason
        if nodeid not in self.plan:
            return
        report.when, report.longrepr = "experiment", f"INVALID: {reason}"  # type: ignore[assignment]
        report.verdict = "invalid"  # type: ignore[attr-defined]
        cell, journal = self.plan[nodeid].cell, self.config.stash[JOURNAL]
        if any(start.cell == cell.id for start in journal.so_far().starts):
            journal.write(cell.id, Failed("INVALID", reason, seconds=0.0, effort={}))
        else:
            Notebook(cell, journal, self.settings.results).finish("INVALID", reason)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Names the tests that took a worker down once, and were run again."""
        for nodeid in list(self.scheduler.crashes) if self.scheduler else ():
            why = self.died(nodeid)
            if len(why) == 1:
                terminalreporter.write_line(f"run again: {nodeid}; {why[0]}", yellow=True)

    def pytest_unconfigure(self) -> None:
        with suppress(OSError):
            plan_file(self.settings).unlink()


def arranged(nodeids: Sequence[str], plan: Mapping[str, Planned], took: Mapping[str, float]) -> list[Work]:
    """What is known of each test. Cells of one `model` belong together, others by file; `took` are seconds by cell."""
    before = prerequisites(plan)
    places = {nodeid: index for index, nodeid in enumerate(nodeids)}
    return [
        Work(
            group=group_of(plan[nodeid].cell.params.get("model", "")),
            loads="model" in plan[nodeid].cell.params,
            needs=frozenset(places[other] for other in before.get(nodeid, ()) if other in places),
            seconds=took.get(plan[nodeid].cell.id),
        )
        if nodeid in plan
        else Work(group=f"file {nodeid.partition('::')[0]}", seconds=ORDINARY_SECONDS)
        for nodeid in nodeids
    ]


def group_of(model: str) -> str:
    """The group of the cells that ask this model, "" for those that ask none."""
    return f"model {model}"


def _how(node: Any) -> str:
    """How a worker's process ended, as " (signal 9)", where it is a child of ours."""
    process = getattr(getattr(node.gateway, "_io", None), "popen", None)
    if process is None:
        return ""
    try:
        code = process.wait(timeout=5)
    except Exception:
        return ""
    return f" (signal {-code})" if code < 0 else f" (exit code {code})"
