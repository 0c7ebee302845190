"""Figures and tables of what a system prompt does to ratings, given while working or while rating."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.record import CellRecord
from lab.record.fold import differing
from lab.studies.ratings import systems
from lab.views.drawing import GREY, Drawing, lines
from lab.views.panels import grid_of, size_of
from lab.views.record import Missing, Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def three_by_three(record: Record) -> Drawing:
    """Nine violins a cell of SYSTEM33: what was told while working, and within it what was told while rating."""
    cells = _with(record, "SYSTEM33", "3x3")
    panels = [
        {
            "cell": cell.cell,
            "subject": _named(cell, cells),
            "author": cell.knobs["author"],
            "template": cell.knobs["template"],
            "tasks": len(cell.rows["3x3"][0]["ratings"]),
            "seeds": len(cell.knobs["seeds"]),
            "violins": cell.rows["3x3"],
            "measurement": cell.reported["measurement"],
            "completion": cell.reported["completion"],
        }
        for cell in cells
    ]

    def draw(figure: Figure) -> None:
        axes = grid_of(figure, len(panels), _WIDE, sharey=True)
        for ax, panel in zip(axes, panels, strict=True):
            systems.violins(ax, np.array([list(row["ratings"].values()) for row in panel["violins"]]).reshape(3, 3, -1))
            effects = ", ".join(f"{k} {panel[k]['value']:+.2f}" for k in ("measurement", "completion"))
            n = f"{panel['tasks']} tasks in each cell, works by {panel['author']}"
            ax.set_title(f"{lines(panel['subject'], 40)}\n{n}\n{effects}", fontsize=8)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, title="told while rating", loc="outside lower center", ncols=3)

    width, height = size_of(len(panels), _WIDE, 2.9)
    return Drawing(
        data={"panels": panels},
        size=(width, height + 0.5),
        caption="Mean rating of each task under three system prompts while the work was done and three while it was "
        "rated; the line is the median. The same tasks are in all nine cells of a panel.",
        cells=tuple(cell.cell for cell in cells),
        draw=draw,
    )


def effect_grid(record: Record) -> Drawing:
    """What every prompt of a cell of SYSTEM12 did to ratings, on all tasks and by origin."""
    cells = _with(record, "SYSTEM12", "effects")
    panels = [
        {
            "cell": cell.cell,
            "subject": _named(cell, cells),
            "told": cell.knobs["told"],
            "tasks": cell.reported["tasks"],
            "seeds": len(cell.knobs["seeds"]),
            "effects": cell.rows["effects"],
        }
        for cell in cells
    ]
    prompts = max(len({row["prompt"] for row in panel["effects"]}) for panel in panels)
    most = max(0.1, *(abs(row["delta"]) for panel in panels for row in panel["effects"]))
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)

    def draw(figure: Figure) -> None:
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for ax in axes[len(panels) :]:
            ax.set_axis_off()
        for ax, panel in zip(axes[: len(panels)], panels, strict=True):
            systems.grid(ax, panel["effects"], most)
            kept = sorted({row["n"] for row in panel["effects"] if row["origin"] == "all"})
            n = f"{kept[0]} to {kept[-1]}" if len(kept) > 1 else str(kept[0])
            ax.set_title(f"{lines(panel['subject'], 50)}\ntold at {panel['told']}, n = {n} tasks, paired", fontsize=8)

    return Drawing(
        data={"panels": panels},
        size=(_GRID * columns, rows * (1.3 + 0.24 * prompts)),
        caption="Points by which ratings under a system prompt differ from those of the same tasks under none.",
        cells=tuple(cell.cell for cell in cells),
        draw=draw,
    )


def affective_vs_trend(record: Record) -> Drawing:
    """The deltas of the affective and the trend prompts with their intervals, by subject."""
    cells = _with(record, "SYSTEM12", "effects")
    points = [
        {"cell": cell.cell, "subject": _named(cell, cells), "told": cell.knobs["told"]}
        | {k: row[k] for k in ("prompt", "category", "sign", "delta", "low", "high", "higher", "n")}
        for cell in cells
        for row in cell.rows["effects"]
        if row["origin"] == "all" and row["category"] in _SHOWN
    ]
    if not points:
        raise Missing("no cell of SYSTEM12 had affective or trend prompts; pytest hypotheses -k SYSTEM12")
    subjects = list(dict.fromkeys(point["subject"] for point in points))
    bars = [(category, sign) for category in _SHOWN for sign in (1, -1)]

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        ax.axhline(0, color=GREY, linewidth=0.8)
        for b, (category, sign) in enumerate(bars):
            mine = [p for p in points if (p["category"], p["sign"]) == (category, sign)]
            at = [subjects.index(p["subject"]) + 0.18 * (b - 1.5) for p in mine]
            value = [p["delta"] for p in mine]
            reach = [[p["delta"] - p["low"] for p in mine], [p["high"] - p["delta"] for p in mine]]
            word = "positive" if sign > 0 else "negative"
            colour = _SHOWN[category]
            face: Any = {"fmt": "o" if sign > 0 else "s", "mfc": colour if sign > 0 else "white", "markersize": 4}
            ax.errorbar(at, value, yerr=reach, color=colour, capsize=2, label=f"{category}, {word}", **face)
        n = sorted({p["n"] for p in points})
        tasks = str(n[0]) if len(n) == 1 else f"{n[0]} to {n[-1]}"
        names = [lines(subject, 30) for subject in subjects]
        ax.set_xticks(range(len(subjects)), names, rotation=35, ha="right", rotation_mode="anchor", fontsize=7)
        ax.set(ylabel="points above no prompt", title=f"{tasks} tasks each, paired; bars are 95 % intervals")
        figure.legend(fontsize=7, ncols=4, loc="outside lower center")

    return Drawing(
        data={"points": points},
        size=(max(6.0, 2.2 + 0.75 * len(subjects)), 4.4),
        caption="Affective system prompts against those that tell how conversations are going.",
        cells=tuple(cell.cell for cell in cells),
        draw=draw,
    )


def prompt_table(record: Record) -> list[dict[str, Any]]:
    """One row a cell, origin and category: the deltas of its positive and its negative prompt."""
    return [
        {"cell": cell.cell, "subject": cell.subject, "told": cell.knobs["told"], "prompts": cell.knobs["prompts"]}
        | {"origin": origin}
        | row
        for cell in _with(record, "SYSTEM12", "effects")
        for origin in dict.fromkeys(row["origin"] for row in cell.rows["effects"])
        for row in systems.by_sign(cell.rows["effects"], origin)
    ]


def _with(record: Record, experiment: str, rows: str) -> list[CellRecord]:
    """The cells of an experiment that kept these rows; known negatives too, behind the others."""
    cells = [c for c in record.of(experiment) + record.controls(experiment) if c.rows.get(rows) and c.reported]
    if not cells:
        raise Missing(f"no cell of {experiment} has kept rows {rows!r}; pytest hypotheses -k {experiment}")
    return cells


def _named(cell: CellRecord, cells: list[CellRecord]) -> str:
    """The subject, with the knobs in which its cell differs from others of the same subject."""
    own = differing(cell, [other for other in cells if other.subject == cell.subject])
    told = [f"{knob} = {value}" for knob, value in own.items()]
    return ", ".join([cell.subject + (" (known negative)" if cell.negative else ""), *told])


_WIDE, _GRID = 3.3, 4.6
"""Inches of one panel."""
_SHOWN = {"affective": "#D55E00", "trend": "#0072B2"}

FIGURES: dict[str, Callable[[Record], Drawing]] = {
    "system_prompts_3x3": three_by_three,
    "system_prompt_effects": effect_grid,
    "affective_vs_trend": affective_vs_trend,
}
FILES: dict[str, Callable[[Record], Any]] = {"system_prompt_table": prompt_table}
