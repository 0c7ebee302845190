"""A pytest plugin that reports the next phase after a run of the plan's experiments, and keeps it as summary.json."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from lab.files.whole import write_whole
from lab.plugin.notebook import history
from lab.plugin.options import SETTINGS
from lab.plugin.summary import CELLS
from lab.record import CellRecord
from lab.record.fold import NOT_RUN, overall
from lab.studies.plan003.planning import PHASES, decide, following

_SAID = pytest.StashKey[list[str]]()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    settings = session.config.stash[SETTINGS]
    cells = [cell for cell in session.config.stash.get(CELLS, []) if cell.negative is None]
    if not any(cell.experiment in PHASES or re.fullmatch(r"2[ABC]\d+", cell.experiment) for cell in cells):
        return
    verdicts = _verdicts(history(session.config).outcomes(), cells)
    summary: dict[str, Any] = {}
    said: list[str] = []
    if PHASES.keys() & verdicts.keys():
        told, said = _pre_mortems(verdicts)
        summary |= told
    after, lines = _phase_2(verdicts)
    if after:
        summary["after_phase_2"] = after
    session.config.stash[_SAID] = [*said, *lines]
    write_whole(settings.results / "summary.json", (json.dumps(summary, indent=1) + "\n").encode())


def _verdicts(before: Mapping[str, CellRecord], cells: list[CellRecord]) -> dict[str, str]:
    """The verdict of each experiment of the plan: of this run, else the newest one of each cell in earlier runs.

    A plan is run step by step, each step a run of its own.
    """
    found: dict[str, list[str]] = {}
    for cell in cells:
        found.setdefault(cell.experiment, []).append(cell.verdict)
    earlier: dict[str, list[str]] = {}
    for outcome in before.values():
        if outcome.negative is None and outcome.experiment not in found:
            earlier.setdefault(outcome.experiment, []).append(outcome.verdict)
    verdicts = {name: overall(these) for name, these in {**earlier, **found}.items()}
    return {name: verdict for name, verdict in verdicts.items() if verdict != NOT_RUN}


def _pre_mortems(found: dict[str, str]) -> tuple[dict[str, Any], list[str]]:
    """The decision of step 1.4."""
    verdicts = {name: found.get(name, NOT_RUN) for name in PHASES}
    decision = decide(verdicts)
    said = [", ".join(f"{name} {verdict}" for name, verdict in verdicts.items())]
    if decision.phase is not None:
        said.append(f"next: phase {decision.phase} ({', '.join(decision.following)})")
    return {"verdicts": verdicts, **dataclasses.asdict(decision)}, [*said, *(f"note: {n}" for n in decision.notes)]


def _phase_2(found: dict[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Where each direction goes after phase 2."""
    after, said = {}, []
    for letter, _ in PHASES.values():
        own = {name: verdict for name, verdict in sorted(found.items()) if re.fullmatch(rf"2{letter}\d+", name)}
        if own:
            next_one = following(letter, own)
            after[letter] = dataclasses.asdict(next_one)
            said.append(f"2{letter}: {next_one.note or f'next: phase {next_one.phase}'}")
    return after, said


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if _SAID not in config.stash:
        return
    terminalreporter.section("plan")
    for line in config.stash[_SAID]:
        terminalreporter.write_line(line, bold=line.startswith("next:"))
