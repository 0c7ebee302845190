"""A plan in words: a table of its cells, one of its models, and the sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lab.record import Cell
from lab.subjects.effort import Effort
from lab.subjects.names import resolve

if TYPE_CHECKING:
    from lab.subjects.hook_points import Outline


@dataclass(frozen=True)
class Row:
    """One cell, and what it would do; `bound` stands before its numbers.

    `free` says why nothing is to be done, where that is so; `remark` what else is to be known.
    """

    cell: Cell
    effort: Effort = field(default_factory=Effort)
    bound: str = ""
    free: str = ""
    remark: str = ""


BOUNDS = {
    "≤": "at most: a model may end its texts sooner, and what is asked about them is then shorter; of texts that come "
    "out alike it is asked once",
    "≥": "at least: the test broke on made-up results, and may ask more of real ones",
    "~": "about: tokens of a server are taken to be four characters, and its texts as long as they may be",
}
"""How a cell's numbers stand to the truth where they are not exact."""


@dataclass(frozen=True)
class PlannedModel:
    """A model that cells ask: how often it would be loaded, and its outline where the cache knows it."""

    name: str
    loads: int
    outline: Outline | None


def plan_lines(
    rows: Sequence[Row], models: Sequence[PlannedModel], took: Mapping[str, float], others: int
) -> list[str]:
    """The plan as text. `took` are the seconds of cells that ran before, `others` counts tests that are no cells."""
    lines = _table(
        ["cell", "passes", "tokens", "requests", "cached", ""],
        [[row.cell.id, *_numbers(row.bound, row.effort), row.free or row.remark] for row in rows],
        numbers=4,
    )
    if models:
        lines += ["", *_table(["model", "parameters", "from", ""], [_model(model) for model in models], numbers=1)]
    return [*lines, "", *_sums(rows, took, others)]


def _model(model: PlannedModel) -> list[str]:
    """Its name, its size, where it comes from, and whether it is needed."""
    need = "" if model.loads == 1 else f"loaded {model.loads} times" if model.loads else "not needed: all is cached"
    size = f"{model.outline.n_parameters:,}" if model.outline else ""
    return [model.name, size, _place(model.name), need]


def _sums(rows: Sequence[Row], took: Mapping[str, float], others: int) -> list[str]:
    """All cells together, how long they took before, and what the marks mean."""
    todo = [row for row in rows if not row.free]
    total = Effort(**{name: sum(getattr(row.effort, name) for row in todo) for name in asdict(Effort())})
    bounds = list(dict.fromkeys(row.bound for row in todo if row.bound))
    passes, tokens, requests, hits = _numbers(bounds[0] if len(bounds) == 1 else "~" * bool(bounds), total)
    parts = [f"{len(todo)} of {_count(len(rows), 'cell')} to run"]
    parts += [f"{_count(total.loads, 'model')} to load"] if total.loads else ["no model to load"]
    parts += [f"{passes} passes over {tokens} tokens"] if passes else []
    parts += [f"{requests} requests"] if requests else []
    parts += [f"{hits} result{'s' * (total.hits != 1)} in the cache by then"] if hits else []
    known = [took[row.cell.id] for row in todo if row.cell.id in took]
    lines = [", ".join(parts)]
    if known:
        which = "they" if len(known) == len(todo) else f"{len(known)} of them"
        lines.append(f"when {which} last ran, it took {_span(sum(known))}")
    if others:
        lines.append(f"{_count(others, 'test')} beside them that {'is' if others == 1 else 'are'} no cell")
    return [*lines, *(f"{mark} {BOUNDS[mark]}" for mark in bounds)]


def _place(name: str) -> str:
    if name.startswith("openai:"):
        return "a server"
    folder = Path(resolve(name).source).expanduser()
    if not folder.is_dir():
        return "the hub"
    here = Path.cwd()
    return str(folder.relative_to(here) if folder.is_relative_to(here) else folder)


def _numbers(bound: str, effort: Effort) -> list[str]:
    """Passes, tokens, requests and hits; none where there are none."""
    mark = f"{bound} " if bound else ""
    counted = [f"{mark}{n:,}" if n else "" for n in (effort.passes, effort.tokens, effort.requests)]
    least = "≥ " if bound == "≤" else ""
    return [*counted, f"{least}{effort.hits:,}" if effort.hits else ""]


def _table(head: list[str], rows: list[list[str]], *, numbers: int) -> list[str]:
    """Lines of columns; `numbers` of them after the first stand to the right, and empty ones are left out."""
    kept = [i for i in range(len(head)) if i == 0 or any(row[i] for row in rows)]
    widths = {i: max(len(row[i]) for row in [head, *rows]) for i in kept}
    return [
        "  ".join(row[i].rjust(widths[i]) if 0 < i <= numbers else row[i].ljust(widths[i]) for i in kept).rstrip()
        for row in [head, *rows]
    ]


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
