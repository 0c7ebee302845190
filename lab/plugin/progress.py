"""What is the run doing, and for how long still? One line below pytest's own output, on a real terminal alone."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

from lab.plugin.cells import EXPERIMENT
from lab.plugin.options import SETTINGS
from lab.subjects import operations

PAUSE = 0.1
"""Seconds between two drawings, at least."""
_NAMES = {
    "passed": "PASS",
    "failed": "FAIL",
    "inconclusive": "INCONCLUSIVE",
    "error": "INVALID",
    "xfailed": "known negative",
    "skipped": "skipped",
}


def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if config.stash[SETTINGS].is_worker or reporter is None or not reporter.isatty() or config.option.verbose <= -2:
        return
    if os.environ.get("TERM", "dumb") == "dumb" or os.environ.get("CI") or config.option.capture == "no":
        return
    config.pluginmanager.register(_Line(config, reporter), "lab-status-line")


class _Line:
    """Draws from a thread of its own, so that it moves while a long pass does not."""

    def __init__(self, config: pytest.Config, reporter: Any) -> None:
        self.stats: dict[str, list[Any]] = reporter.stats
        self.terminal = os.dup(sys.stdout.fileno())  # while a test runs, pytest captures the usual one
        self.writer: Any = config.get_terminal_writer()
        self.plain_write = self.writer.write
        self.writer.write = self.write  # type: ignore[method-assign]
        self.lock, self.ended, self.paused = threading.RLock(), threading.Event(), False
        self.shown = self.cell = ""
        self.total = self.done = 0
        self.begun = self.ticked = self.cell_begun = time.monotonic()
        self.spread = bool(getattr(config.option, "dist", "no") != "no")
        self.thread = threading.Thread(target=self.run, name="lab-status-line", daemon=True)
        self.thread.start()

    # What is known ------------------------------------------------------------------------------------

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.begin(len(session.items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        if not self.total:
            self.begin(len(ids))

    def begin(self, total: int) -> None:
        self.total, self.begun = total, time.monotonic()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        declared, callspec = item.stash.get(EXPERIMENT, None), getattr(item, "callspec", None)
        self.cell_begun = time.monotonic()
        self.cell = item.name if declared is None else f"{declared.id}[{callspec.id}]" if callspec else declared.id

    def pytest_runtest_logfinish(self) -> None:
        self.done, self.cell, self.ticked = self.done + 1, "", time.monotonic()

    def pytest_enter_pdb(self) -> None:
        self.paused = True
        self.draw("")

    def pytest_leave_pdb(self) -> None:
        self.paused = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        self.ended.set()
        self.thread.join()
        self.draw("")
        self.writer.write = self.plain_write
        os.close(self.terminal)

    def text(self) -> str:
        """The line, "" while nothing runs."""
        if self.paused or not (self.cell or (self.spread and self.done < self.total)):
            return ""
        from tqdm import tqdm

        now = time.monotonic()
        parts = [f"{self.done} of {self.total} done in {tqdm.format_interval(now - self.begun)}"]
        parts += [f"{len(found)} {name}" for kind, name in _NAMES.items() if (found := self.stats.get(kind))]
        if self.done:
            left = (self.ticked - self.begun) / self.done * (self.total - self.done) - (now - self.ticked)
            parts.append(f"{tqdm.format_interval(max(left, 0))} left")
        return ", ".join(parts) + (f" | {self.cell} {_meter(now, self.cell_begun)}" if self.cell else "")

    # The terminal -------------------------------------------------------------------------------------

    def run(self) -> None:
        while not self.ended.wait(PAUSE):
            with self.lock:
                text = self.text()
                if text != self.shown:
                    self.draw(text)

    def draw(self, text: str) -> None:
        """Puts text, or nothing, into the line below the cursor, which stays where it is."""
        with self.lock, suppress(OSError):
            if text or self.shown:
                room = "\x1bD\x1bM" if text else ""  # down, which may scroll, and up again
                width = os.get_terminal_size(self.terminal).columns - 1
                line = text.encode("ascii", "replace")[:width]
                os.write(self.terminal, f"{room}\x1b7\x1b[1E\x1b[2K".encode() + line + b"\x1b8")
            self.shown = text

    def write(self, msg: str, *, flush: bool = False, **markup: bool) -> None:
        """pytest's own `TerminalWriter.write`, with the line out of the way where the cursor will leave its row."""
        with self.lock:
            if "\n" in msg or self.writer.width_of_current_line + len(msg) >= self.writer.fullwidth:
                self.draw("")
            self.plain_write(msg, flush=True, **markup)


def _meter(now: float, cell_begun: float) -> str:
    """The operation under way with count, time and rate; where there is none, how long the cell has run."""
    from tqdm import tqdm

    operation = operations.current()
    if operation is None:
        return f"[{tqdm.format_interval(now - cell_begun)}]"
    form = "{n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}]" if operation.total else "[{elapsed}]"
    done = min(operation.done, operation.total or operation.done)
    elapsed, unit = now - operation.started, f" {operation.unit}"
    return f"{operation.label} {tqdm.format_meter(done, operation.total, elapsed, unit=unit, bar_format=form)}"
