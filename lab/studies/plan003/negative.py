"""The plan's negative results, with thresholds and figures of the runs, and where to go next."""

from __future__ import annotations

import json
from typing import Any

from lab.record import CellRecord
from lab.studies.plan003 import HEADLINES, facts
from lab.studies.plan003.directions import DIRECTIONS, Direction
from lab.studies.plan003.facts import NOT_MEASURED
from lab.studies.plan003.pivot import OPTIONS, plan_id
from lab.studies.plan003.planning import decision, verdicts
from lab.views.record import Record
from lab.views.templates import template

NEGATIVE_RESULT = ("tried", "numbers", "likely_reason")
"""What the row of a documented negative result tells."""
_INTERPRETATION = {
    "PM1": "Activations are model-specific on these models and texts",
    "PM2": "These activations do not encode a correctness signal that a linear probe finds",
    "PM3": "Causal structure is not localized enough for one layer to decide the answer",
}


def negative_results(record: Record) -> str:
    """The negative results as Markdown: of all three pre-mortems where none passed, else of each cell that failed.

    INCONCLUSIVE is never told as a refutation.
    """
    failed = failures(record)
    tested = [cell for cell in record.cells if not cell.negative]
    controls = [cell for cell in record.cells if cell.negative]
    aborted = decision(record).phase == "X"
    text = template(
        "negative_results.md",
        plan=plan_id(record.results, record),
        aborted=aborted,
        models=", ".join(record.models) or NOT_MEASURED,
        n_models=len(record.models),
        n_cells=len(tested),
        verdicts=", ".join(f"{name} {verdict}" for name, verdict in verdicts(record).items()),
        came_to=facts.came_to(tested),
        findings=[_finding(record, direction) for direction in DIRECTIONS] if aborted else [],
        failed=[_told(cell) for cell in failed],
        failed_claims=sum(cell.verdict == "FAIL" for cell in failed),
        refuted=sum(cell.verdict == "FAIL" for cell in controls),
        controls=len(controls),
        options=[
            {"name": o.name, "title": o.title, "about": o.about, "command": o.command(record, "NEW_FOLDER")}
            for o in OPTIONS
        ],
        results=record.results.name,
    )
    return text.rstrip("\n") + "\n"


def failures(record: Record) -> list[CellRecord]:
    """The cells that tested a claim and did not come to PASS; a closed gate is no failure."""
    return [cell for cell in record.cells if not cell.negative and cell.verdict not in ("PASS", "SKIPPED")]


def documented(cell: CellRecord) -> list[str]:
    """What a cell wrote down about its own failure: what was tried, the numbers, the likely reason of a refutation."""
    return [
        f"{name.replace('_', ' ').capitalize()}: {_text(row[name])}"
        for row in cell.rows.get("negative result", [])
        for name in NEGATIVE_RESULT
        if name in row and (name != "likely_reason" or cell.verdict == "FAIL")
    ]


def _text(value: Any) -> str:
    """A value as it is read: names with their numbers, to four digits."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(one)}" for name, one in value.items())
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)


def _finding(record: Record, direction: Direction) -> dict[str, Any]:
    values = facts.found(record, direction.premortem, direction.measure)
    verdict = verdicts(record)[direction.premortem]
    bars = [m.bar for cell, _ in values for m in cell.measures if m.estimate.name == direction.measure and m.bar]
    headline = HEADLINES[direction.premortem]
    others = facts.found(record, direction.premortem, headline.estimate)
    beside = [] if headline.estimate == direction.measure else [f"{headline.label}: {_ends(others)}"]
    return {
        "title": direction.title,
        "metric": direction.metric,
        "value": _ends(values),
        "threshold": bars[0] if bars else NOT_MEASURED,
        "beside": beside,
        "verdict": verdict,
        "interpretation": _INTERPRETATION[direction.premortem]
        if verdict == "FAIL"
        else f"none: {verdict} is no refutation; more data may decide it",
    }


def _ends(values: list[Any]) -> str:
    if not values:
        return NOT_MEASURED
    ends = (values[0], values[-1])
    return " to ".join(dict.fromkeys(f"{e.shown} {e.interval}" for _, e in ends))


def _told(cell: CellRecord) -> dict[str, Any]:
    return {
        "name": cell.cell,
        "verdict": cell.verdict,
        "claim": cell.claim,
        "measures": [
            f"{m.estimate.name}: {m.estimate.shown} {m.estimate.interval} (bar: {m.bar or 'none'})"
            for m in cell.measures
        ],
        "reason": cell.reason,
        "documented": documented(cell),
    }
