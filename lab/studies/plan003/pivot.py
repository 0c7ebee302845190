"""The plan's four options when a line of research is given up, and the new plan that each begins."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.files.digest import digest
from lab.files.whole import write_whole
from lab.studies.plan003.planning import verdicts
from lab.views.record import Missing, Record

PLAN = "plan.json"
LADDERS = (
    tuple(f"openai-community/{name}" for name in ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl")),
    tuple(f"EleutherAI/pythia-{size}" for size in ("70m", "160m", "410m", "1b", "1.4b", "2.8b", "6.9b", "12b")),
    tuple(f"facebook/opt-{size}" for size in ("125m", "350m", "1.3b", "2.7b", "6.7b", "13b")),
)
"""Families of models on the hub, each from small to large."""


@dataclass(frozen=True)
class Option:
    """A direction after an abort: its name, what it means, and the first command of its plan ("" where it has none)."""

    name: str
    title: str
    about: str
    command: Callable[[Record, str], str]


def larger(models: list[str]) -> list[str]:
    """The next larger model of each one's family; the smallest of every family where none is known.

    >>> larger(["gpt2-large", "EleutherAI/pythia-70m"])
    ['openai-community/gpt2-xl', 'EleutherAI/pythia-160m']
    """
    found = []
    for name in models:
        for ladder in LADDERS:
            at = next((i for i, known in enumerate(ladder) if name in (known, known.partition("/")[2])), None)
            if at is not None and at + 1 < len(ladder):
                found.append(ladder[at + 1])
    return list(dict.fromkeys(found)) or [ladder[0] for ladder in LADDERS]


def _pytest(folder: str, *arguments: str) -> str:
    return shlex.join(["pytest", *arguments, "--lab-results", folder])


OPTIONS = (
    Option(
        "scale-up",
        "Scale up",
        "the same experiments on larger models (requires more compute)",
        lambda record, folder: _pytest(folder, "hypotheses/", "--lab-models", ",".join(larger(record.models))),
    ),
    Option(
        "different-approach",
        "Different approach",
        "prompt-based methods, fine-tuning, distillation; those that ask models by prompts are there, the others are "
        "new hypotheses",
        lambda record, folder: _pytest(folder, "hypotheses/preferences", "--lab-models", ",".join(record.models)),
    ),
    Option(
        "different-task",
        "Different task",
        "focus on where small models do work (sentiment, NLI): write the task as hypotheses/new_task/test_....py",
        lambda record, folder: _pytest(folder, "hypotheses/new_task", "--lab-models", ",".join(record.models)),
    ),
    Option("stop", "Stop", "accept that this line of research is unfruitful", lambda record, folder: ""),
)


def plan_id(results: Path, record: Record) -> str:
    """The plan that a results folder belongs to: as its plan.json says, else named by its claims, bars and models."""
    if told := read_plan(results):
        return str(told["id"])
    claims = sorted(
        {(cell.experiment, cell.claim, m.estimate.name, m.bar) for cell in record.cells for m in cell.measures}
    )
    return f"plan-{digest([claims, record.models])[:8]}"


def read_plan(results: Path) -> dict[str, Any]:
    """The plan.json of a results folder; nothing where there is none. Raises Missing where it cannot be read."""
    path = results / PLAN
    if not path.is_file():
        return {}
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return {"id": told["id"], "follows": told["follows"], **told}
    except (ValueError, KeyError, TypeError):
        raise Missing(f"{path} cannot be read as a plan; take it away, or make it anew by lab report pivot") from None


def pivot(record: Record, name: str, folder: Path) -> tuple[Path, str]:
    """Begins a new plan in a results folder of its own, which tells whose successor it is; returns file and command.

    Raises Missing for an option that does not exist, and for a folder that already holds results or a plan.
    """
    option = next((option for option in OPTIONS if option.name == name), None)
    if option is None:
        raise Missing(f"there is no pivot {name!r}; choose one of {', '.join(option.name for option in OPTIONS)}")
    if (folder / "journal").exists() or (folder / PLAN).exists():
        raise Missing(f"{folder} holds a plan already; a new plan needs a folder of its own: --output DIR")
    command = option.command(record, str(folder))
    old = {
        "id": plan_id(record.results, record),
        "results": os.path.relpath(record.results, folder),
        "verdicts": verdicts(record),
    }
    new = f"plan-{digest([old['id'], option.name, option.command(record, '')])[:8]}"
    told = {"id": new, "follows": old, "option": option.name, "about": option.about, "command": command}
    return write_whole(folder / PLAN, (json.dumps(told, indent=1) + "\n").encode()), command
