"""Figures of how templates tell tasks apart and use their scale: KL from uniform against reliability."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.record import CellRecord
from lab.stats.consistency import Rated, by_model, by_template
from lab.studies.ratings.discrimination import RULE, pooled_icc, pooled_kl
from lab.studies.shared.seed_reports import counted, runs_of, sizes
from lab.views.drawing import COLOURS, GREY, MARKERS, Drawing, lines
from lab.views.panels import grid_of, size_of
from lab.views.record import Missing, Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = 3.3
"""Inches of one panel."""
_LISTED = 14
"""More names than this have no legend beside their points."""


def aggregates(record: Record) -> dict[str, list[dict[str, Any]]]:
    """KL over ln K and ICC(2,1) by run, model, template and origin; best first where they are ranked.

    By template two aggregates over models, both named: of the pooled answers, and the mean of the models' own. By model
    scales differ between templates: ratings are pooled as shares of the declared scale for the ICC, and the KL is that
    of template and answer jointly, which is the mean. By origin it is the mean over runs. Points and ranks
    are by means.
    """
    cells, rows, _ = runs_of(record, "TEMPLATES", "templates")
    rated = [each for cell in cells for each in _ratings(cell)]
    runs = [
        {"name": f"{row['model']}, {row['template']}", "kl": row["kl share"], "icc": row["icc"], "n": row["tasks"]}
        for row in rows
    ]
    of_models, of_templates = by_model(rated), by_template(rated)
    models = []
    for name in dict.fromkeys(row["model"] for row in rows):
        icc = pooled_icc(of_models[name])
        kl = float(np.mean([row["kl share"] for row in rows if row["model"] == name]))
        models.append({"name": name, "kl": kl, "kl mean": kl, "icc": icc["icc mean"], **icc})
    forms = []
    for name in dict.fromkeys(row["template"] for row in rows):
        icc = pooled_icc(of_templates[name])
        kl_of = pooled_kl([_whole(row["distribution"]) for row in rows if row["template"] == name])
        forms.append({"name": name, "kl": kl_of["kl mean"], "icc": icc["icc mean"], **kl_of, **icc})
    return {
        "origin": _by_origin(cells),
        "model": _ranked(models),
        "run": _ranked(runs),
        "template": _ranked(forms),
    }


def _whole(shares: list[float]) -> list[float]:
    """Shares that were rounded, to sum to 1 again."""
    return [share / sum(shares) for share in shares]


def _ratings(cell: CellRecord) -> list[Rated]:
    return [
        Rated(task, seed, cell.subject, row["template"], value, (row["scale"][0], row["scale"][1]))
        for row in cell.rows["scores"]
        for task, given in zip(row["tasks"], row["values"], strict=True)
        for seed, value in zip(row["seeds"], given, strict=True)
        if value is not None
    ]


def _by_origin(cells: list[CellRecord]) -> list[dict[str, Any]]:
    rows = [row for cell in cells for row in cell.rows["templates by origin"]]
    found = []
    for name in dict.fromkeys(row["origin"] for row in rows):
        of = [row for row in rows if row["origin"] == name]
        kl, icc = ([row[key] for row in of if row[key] is not None] for key in ("kl share", "icc"))
        found.append(
            {
                "name": name,
                "kl": float(np.mean(kl)) if kl else None,
                "icc": float(np.mean(icc)) if icc else None,
                "runs": len(of),
            }
        )
    return _ranked(found)


def _ranked(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With the goodness of each, best first."""
    for point in points:
        point["goodness"] = max(point["icc"] or 0.0, 0.0) * (1 - (1 if point["kl"] is None else point["kl"]))
    return [{"rank": i, **point} for i, point in enumerate(sorted(points, key=lambda each: -each["goodness"]), 1)]


def kl_and_icc(record: Record) -> Drawing:
    """Scale use against reliability: four scatter plots, and the templates ranked.

    The reference lines are those of the experiment's knob `lines`.
    """
    cells, rows, remark = runs_of(record, "TEMPLATES", "templates")
    points = aggregates(record)
    marked = [float(at) for at in cells[0].knobs.get("lines", ())]
    title = (
        f"{counted(len(points['model']), 'model')}, {counted(len(points['template']), 'template')}, {sizes(rows)} each"
    )

    def draw(figure: Figure) -> None:
        parts: Any = figure.subfigures(2, 1, height_ratios=[2 * PANEL, _table_height(points)])
        scatters, table = parts
        for ax, (name, these) in zip(scatters.subplots(2, 2).flat, points.items(), strict=True):
            _scatter(ax, name, these, marked)
        _table(table.add_subplot(), points)
        figure.suptitle(title + (f"\n({remark})" if remark else ""), fontsize=9)

    return Drawing(
        data={"points": points, "lines": marked, "rule": RULE, "title": title, "remark": remark},
        size=(9.4, 2 * PANEL + _table_height(points) + 0.4),
        caption=f"Divergence from an even use of the declared scale, over its greatest, against ICC(2,1). {RULE}.",
        cells=tuple(cell.cell for cell in cells),
        draw=draw,
    )


def _scatter(ax: Axes, name: str, points: list[dict[str, Any]], marked: list[float]) -> None:
    for at in marked:
        ax.axhline(at, color=GREY, linewidth=0.8, linestyle="--")
        ax.text(1.01, at, f"{at:g}", fontsize=6, va="center", color="0.4")
    least = 0.0
    for i, point in enumerate(points):
        if point["kl"] is None:
            continue
        icc = point["icc"]
        style: Any = {"color": COLOURS[i % 7], "marker": MARKERS[(i + i // 7) % 7]}
        label = lines(point["name"], 30) + (" (ICC undefined)" if icc is None else "")
        if len(points) > _LISTED:
            style = {"color": COLOURS[0], "marker": "o", "alpha": 0.6}
        ax.plot(
            point["kl"],
            icc or 0.0,
            linestyle="",
            markersize=5,
            mfc=None if icc is not None else "none",
            **style,
            label=label,
        )
        least = min(least, icc or 0.0)
    if len(points) <= _LISTED:
        ax.legend(fontsize=6, loc="upper left", bbox_to_anchor=(1.04, 1.0), borderaxespad=0)
    ax.set(
        xlim=(-0.03, 1.03),
        ylim=(least - 0.05, 1.04),
        xlabel="KL from uniform / ln K",
        ylabel="ICC(2,1)",
        title=f"by {name} ({len(points)})",
    )


def _table_height(points: dict[str, list[dict[str, Any]]]) -> float:
    return 0.5 + 0.19 * (2 + len(points["template"]) + len(points["model"]))


def _table(ax: Axes, points: dict[str, list[dict[str, Any]]]) -> None:
    """Templates and models, best first, with both aggregates."""
    ax.set_axis_off()
    said = [
        [f"{what} {p['rank']}", _cut(p["name"]), *(_shown(p.get(key)) for key in _COLUMNS), f"{p['goodness']:.2f}"]
        for what in ("template", "model")
        for p in points[what]
    ]
    head = ["rank", "name", *_COLUMNS, "goodness"]
    table = ax.table(said, colLabels=head, loc="center", cellLoc="left", colWidths=[0.1, 0.42, *[0.096] * 5])
    table.auto_set_font_size(False)
    table.set_fontsize(7)
    for cell in table.get_celld().values():
        cell.set_linewidth(0.3)


_COLUMNS = ("kl mean", "kl pooled", "icc mean", "icc pooled")


def _cut(name: str) -> str:
    """The end of a long name, which tells it from its neighbours."""
    return name if len(name) <= 44 else f"…{name[-43:]}"


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


# Distributions -------------------------------------------------------------------------------------------


def scores(record: Record, template: str) -> Drawing:
    """How often each model gives each point of one template's scale."""
    cells, rows, remark = runs_of(record, "TEMPLATES", "templates")
    these = [row for row in rows if row["template"] == template]
    if not these:
        raise Missing(f"no cell of TEMPLATES asked {template}; name it in --lab-set TEMPLATES.templates=...")
    panels = [
        {key: row[key] for key in ("model", "points", "distribution", "kl", "icc", "tasks", "seeds")} for row in these
    ]

    def draw(figure: Figure) -> None:
        for ax, panel in zip(grid_of(figure, len(panels), 2.2, sharey=True), panels, strict=True):
            points, shares = panel["points"], panel["distribution"]
            width = 0.8 * float(np.min(np.diff(points))) if len(points) < 40 else 1.0
            ax.bar(points, shares, width=width, color=COLOURS[0])
            if len(points) <= 11:
                ax.set_xticks(points, [f"{point:g}" for point in points])
            icc = "undefined" if panel["icc"] is None else f"{panel['icc']:.2f}"
            ax.set_title(f"{lines(panel['model'])}\nKL {panel['kl']:.2f} nats, ICC {icc}", fontsize=7.5)
            ax.set(xlabel="rating", ylabel="share of ratings")
        figure.suptitle(f"{template}: {sizes(these)} each" + (f"\n({remark})" if remark else ""), fontsize=9)

    width, height = size_of(len(panels), 2.2, 2.2)
    return Drawing(
        data={"template": template, "panels": panels, "remark": remark},
        size=(max(width, 4.4), height + 0.4),
        caption=f"Distribution of ratings on {template}, over all tasks; exact where probabilities are known.",
        cells=tuple(cell.cell for cell in cells),
        draw=draw,
    )


def of_templates(record: Record) -> dict[str, Callable[[Record], Drawing]]:
    """A figure of scores for each template that was asked, embedded or of one's own, by name."""
    try:
        _, rows, _ = runs_of(record, "TEMPLATES", "templates")
    except Missing:  # which `kl_and_icc` says
        return {}
    names = dict.fromkeys(row["template"] for row in rows)
    return {f"scores_{re.sub(r'[^A-Za-z0-9_.-]+', '_', name)}": partial(scores, template=name) for name in names}


FIGURES: dict[str, Callable[[Record], Drawing]] = {
    "kl_and_icc": kl_and_icc,
}
FILES: dict[str, Callable[[Record], Any]] = {"kl_and_icc_by_origin_model_run_template": aggregates}
