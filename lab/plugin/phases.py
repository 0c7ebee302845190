"""Which phase comes next? Said at the end of a run that held experiments of the plan, and kept as summary.json."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.evidence import CellRecord
from lab.evidence.files import write_whole
from lab.methods.planning import NOT_RUN, PHASES, decide, following, overall
from lab.plugin.options import SETTINGS
from lab.plugin.summary import CELLS

_SAID = pytest.StashKey[list[str]]()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    settings = session.config.stash[SETTINGS]
    cells = [cell for cell in session.config.stash.get(CELLS, []) if cell.negative is None]
    summary, said = _known(settings.results / "summary.json"), []
    for part in (_pre_mortems, _phase_2):
        told, lines = part(cells, summary)
        summary |= told
        said += lines
    if said:
        session.config.stash[_SAID] = said
        write_whole(settings.results / "summary.json", (json.dumps(summary, indent=1) + "\n").encode())


def _known(path: Path) -> dict[str, Any]:
    """What earlier runs decided: a plan is run step by step."""
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return {}


Part = Callable[[list[CellRecord], dict[str, Any]], tuple[dict[str, Any], list[str]]]


def _pre_mortems(cells: list[CellRecord], _summary: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The decision of step 1.4, where this run held pre-mortems."""
    verdicts = {name: overall(cell.verdict for cell in cells if cell.experiment == name) for name in PHASES}
    if set(verdicts.values()) == {NOT_RUN}:
        return {}, []
    decision = decide(verdicts)
    said = [", ".join(f"{name} {verdict}" for name, verdict in verdicts.items())]
    if decision.phase is not None:
        said.append(f"next: phase {decision.phase} ({', '.join(decision.following)})")
    return {"verdicts": verdicts, **dataclasses.asdict(decision)}, [*said, *(f"note: {n}" for n in decision.notes)]


def _phase_2(cells: list[CellRecord], summary: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Where each direction goes whose phase 2 experiments were in this run; those of earlier runs stay."""
    after, said = dict(summary.get("after_phase_2", {})), []
    for letter, _ in PHASES.values():
        names = sorted({cell.experiment for cell in cells if cell.phase == f"phase-2{letter.lower()}"})
        now = {name: overall(cell.verdict for cell in cells if cell.experiment == name) for name in names}
        now = {name: verdict for name, verdict in now.items() if verdict != NOT_RUN}
        if now:
            found = following(letter, {**after.get(letter, {}).get("verdicts", {}), **now})
            after[letter] = dataclasses.asdict(found)
            said.append(f"2{letter}: {found.note or f'next: phase {found.phase}'}")
    return ({"after_phase_2": after}, said) if said else ({}, [])


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if _SAID not in config.stash:
        return
    terminalreporter.section("plan")
    for line in config.stash[_SAID]:
        terminalreporter.write_line(line, bold=line.startswith("next:"))
