"""What an experiment comes to in pytest's terms: PASS, FAIL, INCONCLUSIVE, INVALID.

The verdict is decided where the test ran and travels to the controller as a plain attribute of the report.
"""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lab import estimate
from lab.estimate import Estimate
from lab.plugin.knobs import EXPERIMENT
from lab.plugin.notebook import NOTEBOOK, open_notebook
from lab.plugin.options import SETTINGS
from lab.record import Notebook

EXIT_INCONCLUSIVE = 6
"""pytest itself uses 0 to 5."""
_COUNT = pytest.StashKey[int]()
_KNOWN = pytest.StashKey[int]()


class Inconclusive(pytest.skip.Exception):  # type: ignore[name-defined,misc]
    """The evidence supports neither the claim nor its denial. A skip to pytest, and then shown as what it is."""

    __module__ = "lab"

    def __init__(self, reason: str) -> None:
        super().__init__(reason, _use_item_location=True)


class Invalid(Exception):
    """The experiment was not sound, so it says nothing of its claim."""

    __module__ = "lab"


@contextmanager
def decided(item: pytest.Item) -> Iterator[None]:
    """Turns how the test within it ended, and what its notebook holds, into one outcome."""
    notebook = item.stash.get(NOTEBOOK, None)
    declared = item.stash.get(EXPERIMENT, None)
    try:
        yield
    except estimate.Inconclusive as undecided:
        _sound(notebook)
        if declared and not _asserted(notebook, "INCONCLUSIVE"):
            raise Invalid(
                f"an estimate was held against a bar, but not measured: {undecided}; write "
                "`assert evidence.measure(name, estimate) > bar`"
            ) from None
        raise Inconclusive(str(undecided)) from None
    except AssertionError as failed:
        _sound(notebook)
        if declared and not _asserted(notebook, "FAIL"):
            raise Invalid(f"an assertion that is no verdict failed: {failed or 'assert'}") from failed
        raise
    except (pytest.skip.Exception, pytest.xfail.Exception):
        _sound(notebook)
        raise
    _sound(notebook)
    if declared:
        _complete(notebook)


def _sound(notebook: Notebook | None) -> None:
    if notebook and notebook.broken:
        listed = "; ".join(f"{control.name!r}: {control.reason}" for control in notebook.broken)
        raise Invalid(f"broken control: {listed}")


def _complete(notebook: Notebook | None) -> None:
    outcomes = [verdict.outcome for verdict in notebook.judged] if notebook else []
    if not outcomes:
        raise Invalid(
            "nothing was held against a bar; end the experiment with `assert evidence.measure(name, estimate) > bar`"
        )
    if set(outcomes) != {"PASS"}:
        raise Invalid("a claim came to FAIL or INCONCLUSIVE but was not asserted; write `assert` before it")


def _asserted(notebook: Notebook | None, outcome: str) -> bool:
    """Whether the last verdict that was asked for its truth, as `assert` asks, came to this."""
    return notebook is not None and notebook.asked is not None and notebook.asked.outcome == outcome


def settle(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Puts the verdict on the report of a phase, and into the journal."""
    error = call.excinfo.value if call.excinfo else None
    declared = item.stash.get(EXPERIMENT, None)
    refuted = call.when == "call" and isinstance(error, AssertionError)
    if isinstance(error, Inconclusive):
        report.verdict = "inconclusive"  # type: ignore[attr-defined]
        if item.config.stash[SETTINGS].inconclusive == "fail":
            report.outcome, report.longrepr = "failed", f"INCONCLUSIVE: {error.msg}"
    elif report.failed and declared and not refuted:
        report.verdict = "invalid"  # type: ignore[attr-defined]
        if isinstance(error, Invalid):
            report.longrepr = f"INVALID: {error}"
        elif error is not None and _is_told(error):
            report.longrepr = f"ERROR: {error}"
    elif refuted and NOTEBOOK in item.stash and item.stash[NOTEBOOK].cell.id in item.config.stash[SETTINGS].refuted:
        report.verdict = "refuted as known"  # type: ignore[attr-defined]
    if declared:
        try:
            _record(item, report, error)
        except OSError as fault:  # a full disk, most likely: what cannot be kept was not found
            report.verdict = "invalid"  # type: ignore[attr-defined]
            if not report.failed:
                report.outcome, report.longrepr = "failed", f"INVALID: its verdict cannot be written: {fault}"
        if call.when == "call" and NOTEBOOK in item.stash:  # for the scheduler
            report.loading = item.stash[NOTEBOOK].effort.get("load_seconds", 0.0)  # type: ignore[attr-defined]


def _record(item: pytest.Item, report: pytest.TestReport, error: BaseException | None) -> None:
    """Writes what the cell came to. One whose fixtures failed, before or after it ran, is INVALID."""
    when = report.when
    if error is None and when != "call":
        return
    notebook = item.stash.get(NOTEBOOK, None) or open_notebook(item)
    asked = "" if notebook.asked is None else notebook.asked.reason
    if error is None:
        notebook.finish("PASS", asked)
    elif isinstance(error, Inconclusive):
        notebook.finish("INCONCLUSIVE", asked)
    elif isinstance(error, pytest.skip.Exception | pytest.xfail.Exception):
        notebook.finish("SKIPPED", str(error.msg))
    elif when == "call" and isinstance(error, AssertionError):
        if notebook.replayed:
            report.longrepr = notebook.shown
        notebook.finish("FAIL", asked, shown=report.longreprtext)
    else:
        text = str(error).partition("\n")[0] or type(error).__name__
        told = text if when == "call" else f"in its {when}: {text}"
        notebook.finish("INVALID", told, shown=report.longreprtext)


def _is_told(error: BaseException) -> bool:
    """Whether our own code refused something with a sentence, which says more than the lines that led there."""
    if not isinstance(error, ValueError) or error.__traceback__ is None:
        return False
    *_, raised = traceback.walk_tb(error.__traceback__)
    return str(raised[0].f_globals.get("__name__", "")).partition(".")[0] in ("lab", "fixtures")


def status(report: pytest.TestReport) -> Any:
    """Category, letter and word of a verdict that pytest has none for; None for other reports."""
    verdict = getattr(report, "verdict", None)
    if verdict == "inconclusive" and not report.failed:
        return "inconclusive", "I", ("INCONCLUSIVE", {"purple": True})
    if verdict == "invalid" and report.failed:
        return "error", "E", ("INVALID", {"red": True})
    return None


def explained(op: str, left: object, right: object) -> list[str] | None:
    """`assert estimate > 0.55` explains itself with the verdict's own sentence."""
    if isinstance(left, Estimate) and op in ("<", ">") and isinstance(right, int | float | estimate.Bar):
        plain = Estimate.__gt__ if op == ">" else Estimate.__lt__
        return [plain(_unbound(left), right).reason]
    return None


def _unbound(measured: Estimate) -> Estimate:
    """A copy that tells no notebook: explaining a verdict is not another verdict."""
    return Estimate(**{f.name: getattr(measured, f.name) for f in dataclasses.fields(Estimate)})


def as_error(report: pytest.TestReport) -> None:
    """Makes INVALID an error: JUnit writes <failure> for the call phase and <error> for any other.

    Last of all, for Allure knows only "call".
    """
    if getattr(report, "verdict", None) == "invalid" and report.when == "call":
        report.when = "experiment"  # type: ignore[assignment]


def count(report: pytest.TestReport, config: pytest.Config) -> None:
    """Counts the verdicts that the exit status depends on."""
    verdict = getattr(report, "verdict", None)
    config.stash[_COUNT] = config.stash.get(_COUNT, 0) + (verdict == "inconclusive")
    config.stash[_KNOWN] = config.stash.get(_KNOWN, 0) + (verdict == "refuted as known" and report.failed)


def set_status(session: pytest.Session) -> None:
    """What is known to be refuted fails no run, unless `-x` cut it short; then INCONCLUSIVE has its say."""
    settings = session.config.stash[SETTINGS]
    if settings.is_worker:
        return
    known = session.config.stash.get(_KNOWN, 0)
    failed = session.exitstatus == pytest.ExitCode.TESTS_FAILED and not session.shouldfail
    if failed and known == session.testsfailed:
        session.exitstatus = pytest.ExitCode.OK
    if session.exitstatus == 0 and settings.inconclusive == "exit6" and session.config.stash.get(_COUNT, 0):
        session.exitstatus = EXIT_INCONCLUSIVE
