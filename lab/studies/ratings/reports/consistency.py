"""Figures and tables of how consistently tasks are rated: ranked tasks, by model, with the outliers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.record import CellRecord
from lab.record.fold import estimates
from lab.stats.consistency import extremes, ranked
from lab.studies.shared.seed_reports import counted, runs_of
from lab.views.drawing import COLOURS, MARKERS, Drawing, lines
from lab.views.panels import grid_of, size_of
from lab.views.record import Missing, Record, one_setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = 3.2
"""Inches of one panel."""
EXTREMES = 10
"""Tasks that are listed at either end."""
OUTLYING = 3.5
"""Robust deviations (Iglewicz and Hoaglin 1993) below the median from which on a task is an outlier."""


def tasks_over_models(record: Record) -> list[dict[str, Any]]:
    """Each task with the means of all models' consistencies and ratings, ranked; as the rows of one model are."""
    _, rows, _ = runs_of(record, "CONSISTENCY", "task consistency")
    by_task: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_task.setdefault(row["task"], []).append(row)
    about, scores = {}, {}
    for task, these in by_task.items():
        known = [row["score"] for row in these if row["score"] is not None]
        means = [row["mean rating"] for row in these if row["mean rating"] is not None]
        scores[task] = float(np.mean(known)) if known else float("nan")
        about[task] = {
            "origin": these[0]["origin"],
            "prompt": these[0]["prompt"],
            "mean rating": float(np.mean(means)) if means else None,
            "models": len(known),
            "reason": "; ".join(f"{row['model']}: {row['reason']}" for row in these if row["reason"]),
        }
    return ranked(scores, about)


def consistency_ranked(record: Record) -> dict[str, Any]:
    """The tasks of all models together and of each, from the most consistent down, with both ends and outliers."""
    cells, _, remark = runs_of(record, "CONSISTENCY", "task consistency")
    every = tasks_over_models(record)
    return {
        "remark": remark,
        "all": _with_ends(every),
        "by model": {cell.subject: _with_ends(cell.rows["task consistency"]) for cell in cells},
    }


def _with_ends(rows: list[dict[str, Any]]) -> dict[str, Any]:
    top, bottom = extremes(rows, EXTREMES)
    return {"tasks": rows, "most consistent": top, "least consistent": bottom, "outliers": outliers(rows)}


def outliers(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tasks that are far less consistent than the others, or have no score at all; the least consistent first."""
    known = [row for row in rows if row["score"] is not None]
    scores = np.array([row["score"] for row in known])
    spread = float(np.median(np.abs(scores - np.median(scores)))) / 0.6745 if known else 0.0
    far = [row for row in known if spread and (np.median(scores) - row["score"]) / spread > OUTLYING]
    return [row for row in rows if row["score"] is None] + far[::-1]


def consistency_metrics(record: Record) -> dict[str, Any]:
    """What each model's consistency comes to: mean, counts, ceiling, percentiles 5 to 95, and what a filter keeps."""
    cells, _, remark = runs_of(record, "CONSISTENCY", "task consistency")
    return {"remark": remark, "by model": {cell.subject: cell.reported for cell in cells}}


def consistency_between(record: Record) -> dict[str, Any]:
    """Each pair of models: Pearson's and Spearman's r of their consistencies with p, n, and the conclusion."""
    cells, remark = one_setting([cell for cell in record.of("CONSISTENCY2") if "conclusion" in cell.reported])
    if not cells:
        raise Missing("no pair of models was compared; pytest hypotheses/ratings -k CONSISTENCY2")
    return {"remark": remark, "rule": RULE, "pairs": [_pair(cell) for cell in cells]}


RULE = (
    "intrinsic to the tasks where the whole 95 % interval of Pearson's r lies above 0.5, specific to the model where "
    "it lies below 0.3, else undecided"
)


def _pair(cell: CellRecord) -> dict[str, Any]:
    known = estimates(cell)
    told: dict[str, Any] = {"first": cell.params["model"], "second": cell.params["other_model"]}
    for name in ("pearson", "spearman"):
        e = known[name]
        there = not e.doubt
        told[name] = {"r": e.value, "low": e.low, "high": e.high, "p": e.p} if there else {"undefined": e.doubt}
    ceiling = cell.reported["at_ceiling"]
    return told | {
        "n": cell.reported["tasks"],
        "at ceiling": ceiling,
        "conclusion": cell.reported["conclusion"],
    }


def consistency_and_mean(record: Record) -> Drawing:
    """One point a task: its consistency against its mean rating, over all models, coloured by origin."""
    cells, _, remark = runs_of(record, "CONSISTENCY", "task consistency")
    points = [_point(row) for row in tasks_over_models(record) if row["score"] is not None]
    title = f"{counted(len(points), 'task')}, means of {counted(len(cells), 'model')}{_asked(cells)}"

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        _points(ax, points, sorted({point["origin"] for point in points}))
        ax.legend(loc="best", title="origin", title_fontsize=7.5)
        ax.set(xlabel="mean rating, share of the scale", ylabel="consistency (v3)")
        ax.set_title(title + (f"\n({remark})" if remark else ""))

    return Drawing(
        data={"points": points, "title": title, "remark": remark},
        size=(5.2, 4.0),
        caption="Consistency between seeds (v3: 1 is no deviation, 0 the greatest possible) and mean rating by task.",
        cells=tuple(cell.cell for cell in cells),
        draw=draw,
    )


def consistency_by_model(record: Record) -> Drawing:
    """The same with a panel for each model."""
    cells, _, remark = runs_of(record, "CONSISTENCY", "task consistency")
    panels = [
        {
            "model": cell.subject,
            "mean": cell.reported["mean"],
            "reached": cell.reported["reached"],
            "points": [_point(row) for row in cell.rows["task consistency"] if row["score"] is not None],
        }
        for cell in cells
    ]
    origins = sorted({point["origin"] for panel in panels for point in panel["points"]})

    def draw(figure: Figure) -> None:
        axes = grid_of(figure, len(panels), PANEL, sharey=True)
        for ax, panel in zip(axes, panels, strict=True):
            _points(ax, panel["points"], origins)
            counts = ", ".join(f"{share:.0%} at {at}" for at, share in panel["reached"].items())
            n = counted(len(panel["points"]), "task")
            ax.set_title(f"{lines(panel['model'], 30)}\n{n}, mean {panel['mean']:.2f}\n{counts}", fontsize=7.5)
            ax.set(xlabel="mean rating, share of the scale", ylabel="consistency (v3)")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 6))
        if remark:
            figure.suptitle(f"({remark})", fontsize=9)

    width, height = size_of(len(panels), PANEL, 2.8)
    return Drawing(
        data={"panels": panels, "remark": remark},
        size=(max(width, 4.6), height + 0.4),
        caption="Consistency and mean rating by task and model; the titles say how many tasks reach each threshold.",
        cells=tuple(cell.cell for cell in cells),
        draw=draw,
    )


def _asked(cells: list[CellRecord]) -> str:
    templates, seeds = len(cells[0].reported["templates"]), cells[0].reported["seeds"]
    return f", {counted(templates, 'template')}, {counted(seeds, 'seed')}"


def _point(row: dict[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("task", "origin", "mean rating", "score")}


def _points(ax: Axes, points: list[dict[str, Any]], origins: list[str]) -> None:
    for i, origin in enumerate(origins):
        these = [point for point in points if point["origin"] == origin]
        x, y = [point["mean rating"] for point in these], [point["score"] for point in these]
        style: Any = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}
        ax.scatter(x, y, s=11, alpha=0.7, linewidth=0, label=origin, **style)
    ax.set(xlim=(-0.03, 1.03))


FIGURES: dict[str, Callable[[Record], Drawing]] = {
    "consistency_and_mean_rating": consistency_and_mean,
    "consistency_by_model": consistency_by_model,
}
FILES: dict[str, Callable[[Record], Any]] = {
    "consistency_ranked": consistency_ranked,
    "consistency_metrics": consistency_metrics,
    "consistency_between_models": consistency_between,
}
