"""Figures of raters by authors: matrices, and self against cross."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lab.record import CellRecord
from lab.record.fold import estimates
from lab.studies.ratings import authors
from lab.views.drawing import COLOURS, GREY, Drawing, lines
from lab.views.record import Missing, Record, one_setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLES = {"icc": "ICC(2,1)", "mean": "mean rating", "kl_from_uniform": "KL from uniform (nats)"}


def heatmaps(record: Record) -> Drawing:
    """ICC, mean and divergence of every rater by author; one row of three a template."""
    cell, remark = _cell(record)
    panels = _squares(cell)
    k = max(len(panel["models"]) for panel in panels)
    side = 1.9 + 0.36 * k

    def draw(figure: Figure) -> None:
        grid = figure.subplots(len(panels), len(TITLES), squeeze=False)
        for row, panel in zip(grid, panels, strict=True):
            for ax, (measure, title) in zip(row, TITLES.items(), strict=True):
                authors.heat(ax, panel["models"], panel["rows"], measure)
                ax.set_title(f"{panel['template']}: {title}", fontsize=8)
        figure.suptitle(_n(panels, cell) + remark, fontsize=9)

    return Drawing(
        data={"panels": panels, "cell": cell.cell},
        size=(len(TITLES) * side, len(panels) * (side - 0.2) + 0.3),
        caption="Every rater's ratings of every author's works; own works are framed. The ICC has works as targets and "
        "rating seeds as raters.",
        cells=(cell.cell,),
        draw=draw,
    )


def bars(record: Record) -> Drawing:
    """Each rater's mean rating and ICC of its own works beside the average over the others' works; a row a template."""
    cell, remark = _cell(record)
    panels = [panel | {"by_rater": authors.breakdown(panel["rows"])} for panel in _squares(cell)]
    measures = ("mean", "icc")

    def draw(figure: Figure) -> None:
        grid = figure.subplots(len(panels), len(measures), squeeze=False)
        for row, panel in zip(grid, panels, strict=True):
            for ax, measure in zip(row, measures, strict=True):
                for is_self, colour, name, shift in ((True, COLOURS[1], "self", -0.2), (False, GREY, "others", 0.2)):
                    mine = [r for r in panel["by_rater"] if r["is_self"] is is_self and r[measure] is not None]
                    at = [panel["models"].index(r["rating_model"]) + shift for r in mine]
                    ax.bar(at, [r[measure] for r in mine], width=0.38, color=colour, label=name)
                names = [lines(name, 30) for name in panel["models"]]
                ax.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor", fontsize=6.5)
                ax.set(ylabel=TITLES[measure], title=panel["template"])
        handles, labels = grid[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, title="works rated")
        figure.suptitle(_n(panels, cell) + remark, fontsize=9)

    k = max(len(panel["models"]) for panel in panels)
    longest = max(min(len(name), 30) for panel in panels for name in panel["models"])
    return Drawing(
        data={"panels": panels, "cell": cell.cell},
        size=(len(measures) * (2.0 + 0.4 * k), (2.4 + 0.035 * longest) * len(panels) + 0.8),
        caption="Each rater's ratings of its own works beside the average over all others'.",
        cells=(cell.cell,),
        draw=draw,
    )


def self_vs_cross(record: Record) -> list[dict[str, Any]]:
    """By template: self against cross over all cells, by rater, what is missing, and claims about both populations."""
    cell, _ = _cell(record)
    named = ("these models", "models in general", "p of permutations", "least p of so many models")
    return [
        {
            "template": panel["template"],
            "tasks": panel["tasks"],
            "missing": panel["missing"],
            "self and cross": authors.aggregate(panel["rows"]),
            "by rater": authors.breakdown(panel["rows"]),
            "population": {name: cell.reported[f"{panel['template']}: {name}"] for name in named},
            "by model": {
                other.subject: vars(found)
                for other in _cells(record)
                if (found := estimates(other).get(f"self-rating bias, {panel['template']}")) is not None
            },
        }
        for panel in _squares(cell)
    ]


def _cells(record: Record) -> list[CellRecord]:
    kept = [c for c in record.of("SELF") + record.controls("SELF") if any(k.startswith("matrix, ") for k in c.rows)]
    if not kept:
        raise Missing("SELF has kept no matrix; pytest hypotheses -k SELF")
    return kept


def _cell(record: Record) -> tuple[CellRecord, str]:
    """One cell: each holds the whole matrix of its run, from the same cache; and a remark on other settings."""
    kept, remark = one_setting(_cells(record))
    return max(kept, key=lambda c: sum(len(rows) for rows in c.rows.values())), f"\n({remark})" if remark else ""


def _squares(cell: CellRecord) -> list[dict[str, Any]]:
    made = []
    for name, rows in cell.rows.items():
        if name.startswith("matrix, "):
            template = name.removeprefix("matrix, ")
            missing = cell.reported[f"{template}: missing"]
            pairs = [(row["rating_model"], row["completion_model"]) for row in rows] + [tuple(pair) for pair in missing]
            made.append(
                {
                    "template": template,
                    "models": list(dict.fromkeys(rater for rater, _ in pairs)),
                    "tasks": cell.reported[f"{template}: tasks"],
                    "missing": missing,
                    "rows": rows,
                }
            )
    return made


def _n(panels: list[dict[str, Any]], cell: CellRecord) -> str:
    tasks = sorted({panel["tasks"] for panel in panels})
    span = str(tasks[0]) if len(tasks) == 1 else f"{tasks[0]} to {tasks[-1]}"
    return f"{len(panels[0]['models'])} models, {span} tasks, {len(cell.knobs['seeds'])} rating seeds"


FIGURES: dict[str, Callable[[Record], Drawing]] = {"self_vs_cross_heatmaps": heatmaps, "self_vs_cross_bars": bars}
FILES: dict[str, Callable[[Record], Any]] = {"self_vs_cross": self_vs_cross}
