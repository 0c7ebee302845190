"""Every pytest hook of the plugin, each once, calling steps of the other modules in an order that is given here.

Two hooks have two implementations, because one step has to come before those of other plugins and one after them; their
names say which is which. Of ordinary hooks pytest calls `tryfirst` ones first and `trylast` ones last; of wrappers,
`tryfirst` ones are outermost and `trylast` ones innermost.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from lab.plugin import (
    allure,
    card_files,
    cells,
    claims,
    devices,
    folder,
    gates,
    judges,
    knobs,
    models,
    notebook,
    resume,
    shares,
    status_line,
    summary,
    verdicts,
    workers,
)
from lab.plugin.options import SETTINGS
from lab.study import studies

if TYPE_CHECKING:
    from lab.plugin.forecasting import Planner


def register_studies(config: pytest.Config) -> None:
    """Registers the plugins of all studies with pytest, each once. Raises UsageError for one that is not there."""
    for study in studies():
        for name in study.plugins:
            if config.pluginmanager.hasplugin(name):  # a conftest may name it, too
                continue
            try:
                config.pluginmanager.register(import_module(name), name)
            except ImportError as error:
                raise pytest.UsageError(f"the study {study.name} cannot be loaded: {error}") from error


class Lifecycle:
    """The hooks of one pytest process. Outside of xdist, and on its controller, there is a `controller`."""

    def __init__(self, config: pytest.Config) -> None:
        self.config, self.settings = config, config.stash[SETTINGS]
        self.controller = None if self.settings.is_worker else workers.Controller(config)
        self.planner: Planner | None = None
        self.line: status_line.StatusLine | None = None
        if self.settings.plan:
            from lab.plugin.forecasting import Planner  # numpy, which is slow to import

            self.planner = Planner(config)
        self.allure = allure.is_on(config)
        notebook.open_journal(config)
        claims.read_lock(config)

    # Collection ---------------------------------------------------------------------------------------

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        register_studies(session.config)  # those that a conftest has brought since
        models.check(self.settings)
        shares.require_ended(session.config)
        self.line = status_line.on_terminal(session.config)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        cells.over_subjects(metafunc)
        cells.over_sweep(metafunc)

    @pytest.hookimpl(specname="pytest_generate_tests", trylast=True)
    def pytest_generate_tests_last(self, metafunc: pytest.Metafunc) -> None:
        cells.over_seeds(metafunc)  # after the test's own `parametrize` marks: the seed ends the id

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None, object, object]:
        with cells.usage_errors(config, items):
            cells.declare(items, self.settings)  # before -k, which knows experiments by their ids
        result = yield
        with cells.usage_errors(config, items):
            judges.check_all(items, self.settings)  # of what -k and -m left
            gates.order(config, items)
            shares.keep_own(config, items)  # last: the order and the gates of all cells are known by then
        return result

    @pytest.hookimpl(tryfirst=True)  # before xdist's own, by which a worker's controller goes on
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if self.settings.is_worker:
            workers.tell_plan(session.config)
            folder.tell(session)
        shares.deal_out(session)
        if self.line:
            self.line.begin(len(session.items))

    # A test -------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        shares.wait_for_earlier(session.config)
        if self.controller:
            folder.take(session)
        else:
            workers.pass_over_hints(session)
        result = yield
        if self.controller:
            self.controller.fail_never_run()
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        return self.planner.visit(item, nextitem) if self.planner else None

    @pytest.hookimpl(tryfirst=True)  # before any fixture is made
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if self.line:
            self.line.begin_test(item)
        notebook.open_cell(item)  # first, so that whatever goes wrong from here on is written down
        card_files.begin_cell(item)  # before the gate: a cell that is skipped has its card, too
        gates.require_open(item)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        with knobs.supplied(fixturedef, request):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # outermost: the verdict is on what all others made of the test
    def pytest_runtest_call(self, item: pytest.Function) -> Generator[None, object, object]:
        with verdicts.decided(item), models.noted(item):
            return (yield)

    @pytest.hookimpl(tryfirst=True)  # in place of pytest's own
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        with self.planner.watching() if self.planner else nullcontext():
            # Replay comes before the call: what is known is not computed again.
            return resume.replay(pyfuncitem) or knobs.call(pyfuncitem) or None
        return True

    @pytest.hookimpl(specname="pytest_runtest_makereport", wrapper=True, trylast=True)
    def pytest_runtest_makereport_innermost(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        verdicts.settle(item, call, report)  # before pytest's own wrapper of skips and xfails: it sees the verdict
        return report

    @pytest.hookimpl(specname="pytest_runtest_makereport", wrapper=True, tryfirst=True)
    def pytest_runtest_makereport_outermost(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        card_files.end_cell(item)  # the verdict is in the journal by now
        verdicts.as_error(report)  # allure-pytest has read the report by now: it knows no other phase than "call"
        if self.allure and call.when == "teardown":
            allure.show(item)  # after the card, which may have left a note in the journal
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> Any:
        return verdicts.status(report)

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> list[str] | None:
        return verdicts.explained(op, left, right)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        verdicts.count(report, self.config)
        if self.controller:
            self.controller.count_loading(report)

    def pytest_runtest_logfinish(self) -> None:
        if self.line:
            self.line.end_test()

    def pytest_enter_pdb(self) -> None:
        if self.line:
            self.line.pause()

    def pytest_leave_pdb(self) -> None:
        if self.line:
            self.line.go_on()

    # xdist, on its controller -------------------------------------------------------------------------

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, config: pytest.Config, specs: list[Any]) -> None:
        devices.deal_out(config, specs)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        workers.tell_worker(node)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        folder.take_if_told(node.config)
        if self.line:
            self.line.begin(len(ids))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        return self.controller.make_scheduler(config, log) if self.controller else None

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        if self.controller:
            self.controller.take_leave(node, error)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport, sched: Any) -> None:
        if self.controller:
            self.controller.fail_crashed(crashitem, report, sched)

    # The end ------------------------------------------------------------------------------------------

    @pytest.hookimpl(trylast=True)  # xdist has sent its workers home by then, so all journals are complete
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.line:
            self.line.end()
        shares.take_status(session)  # the exit status is settled first,
        verdicts.set_status(session)
        if self.controller and self.controller.problem:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        claims.freeze(session)
        summary.gather_cells(session)  # for the tables keep it,
        shares.tell_status(session)  # and so does the journal of a share
        if self.allure:
            allure.show_all(session)  # the cells are gathered, and the registry knows this run

    def pytest_terminal_summary(self, terminalreporter: Any, config: pytest.Config) -> None:
        if self.planner:
            self.planner.write(terminalreporter)
        if self.controller:
            self.controller.write_run_again(terminalreporter)
        summary.write(terminalreporter, config)
        claims.write(terminalreporter, config)
        gates.write_forced(terminalreporter, config)

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        config.stash[notebook.JOURNAL].close()
        card_files.end_abandoned(config)
        if self.controller:
            self.controller.close()
