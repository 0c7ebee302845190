"""What did cells come to before, and how long did they take? The journal's answer, for gates and for the scheduler."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What a cell came to in one run.

    `seconds` is what it took once its fixtures were made, without loading models; None where its result was taken
    from an earlier run. `loading` is what it spent on loading them.
    """

    id: str
    experiment: str
    params: Mapping[str, str]
    negative: str | None
    verdict: str
    seconds: float | None
    loading: float = 0.0


def outcomes(events: Iterable[Mapping[str, Any]]) -> dict[str, Outcome]:
    """The newest outcome of every cell that came to one. A run that was interrupted hides no earlier outcome."""
    begun: dict[tuple[str, str], Mapping[str, Any]] = {}
    ready: dict[tuple[str, str], str] = {}
    found: dict[str, Outcome] = {}
    for event in sorted(events, key=lambda event: str(event["time"])):
        at = event["run"], event["cell"]
        if event["event"] == "started":
            begun[at], ready[at] = event, event["time"]
        elif event["event"] == "keyed":
            ready[at] = event["time"]
        elif event["event"] in ("finished", "failed") and at in begun:
            start = begun[at]
            took = datetime.fromisoformat(event["time"]) - datetime.fromisoformat(ready[at])
            loading = event.get("effort", {}).get("load_seconds", 0.0)
            found[event["cell"]] = Outcome(
                id=event["cell"],
                experiment=start["experiment"],
                params=start["params"],
                negative=start["negative"],
                verdict=event["verdict"],
                seconds=None if event.get("replayed") else max(0.0, took.total_seconds() - loading),
                loading=loading,
            )
    return found


def seconds(events: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """How long each cell took when it last ran to a verdict."""
    ran = outcomes(filter(_ran, events))
    return {cell: outcome.seconds for cell, outcome in ran.items() if outcome.seconds is not None}


def loads(events: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The longest that a cell of each `model` spent on loading when it last ran to a verdict; of those that did."""
    found: dict[str, float] = {}
    for outcome in outcomes(filter(_ran, events)).values():
        if "model" in outcome.params and outcome.loading:
            found[outcome.params["model"]] = max(outcome.loading, found.get(outcome.params["model"], 0.0))
    return found


def _ran(event: Mapping[str, Any]) -> bool:
    return event.get("verdict") not in ("SKIPPED", "INVALID") and not event.get("replayed")
