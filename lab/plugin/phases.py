"""Which phase comes next? Said at the end of a run that held pre-mortems, and kept as summary.json."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from lab.evidence.files import write_whole
from lab.methods.planning import NOT_RUN, PHASES, Decision, decide, overall
from lab.plugin.options import SETTINGS
from lab.plugin.summary import CELLS

_DECIDED = pytest.StashKey[tuple[dict[str, str], Decision]]()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    settings = session.config.stash[SETTINGS]
    cells = [cell for cell in session.config.stash.get(CELLS, []) if cell.negative is None]
    verdicts = {name: overall(cell.verdict for cell in cells if cell.experiment == name) for name in PHASES}
    if set(verdicts.values()) == {NOT_RUN}:
        return
    decision = decide(verdicts)
    session.config.stash[_DECIDED] = verdicts, decision
    summary = {"verdicts": verdicts, **dataclasses.asdict(decision)}
    write_whole(settings.results / "summary.json", (json.dumps(summary, indent=1) + "\n").encode())


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if _DECIDED not in config.stash:
        return
    verdicts, decision = config.stash[_DECIDED]
    terminalreporter.section("pre-mortems")
    terminalreporter.write_line(", ".join(f"{name} {verdict}" for name, verdict in verdicts.items()))
    if decision.phase is not None:
        terminalreporter.write_line(f"next: phase {decision.phase} ({', '.join(decision.following)})", bold=True)
    for note in decision.notes:
        terminalreporter.write_line(f"note: {note}")
