"""Agreement of wordings: their correlations as heat maps, plain and weighted, and origins by wording."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lab.studies.preferences.reports.ranks import panels, size_of, titled
from lab.studies.preferences.reports.stale import guarded
from lab.studies.preferences.wordings import square
from lab.studies.shared.seed_reports import counted, runs_of
from lab.views.drawing import COLOURS, GREY, Drawing
from lab.views.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DARK = 0.35
"""Of the colour's range: below it numbers are white."""


def _heat_maps(record: Record, key: str, called: str, how: str) -> Drawing:
    cells, rows, remark = runs_of(record, "WORDINGS", "correlations")
    models = list(dict.fromkeys(row["model"] for row in rows))
    wordings = list(dict.fromkeys(name for row in rows for name in (row["first"], row["second"])))
    tables = {model: square([row for row in rows if row["model"] == model], wordings, key) for model in models}
    n = sorted({row["n"] for row in rows})
    title = f"{called} of utilities: {counted(len(models), 'model')}, {'/'.join(map(str, n))} tasks, " + "; ".join(
        sorted({str(cell.reported.get("design")) for cell in cells})
    )

    def draw(figure: Figure) -> None:
        for ax, model in zip(panels(figure, len(models)), models, strict=True):
            _square(ax, tables[model], wordings)
            ax.set_title(model, loc="left")
        figure.suptitle(titled(title, remark), fontsize=9)

    return Drawing(
        data={"wordings": wordings, "tables": tables, "n": n, "title": title, "remark": remark},
        size=size_of(len(models), 1.6 + 0.42 * len(wordings), width=1.7 + 0.52 * len(wordings)),
        caption=f"{called} of the utilities of the same tasks under two wordings{how}.",
        cells=tuple(cell.cell for cell in cells),
        draw=draw,
    )


def _square(ax: Axes, table: list[list[float | None]], names: list[str]) -> None:
    shown = [[float("nan") if value is None else value for value in row] for row in table]
    ax.set_facecolor("0.9")
    ax.imshow(shown, cmap="cividis", vmin=-1, vmax=1)
    for i, row in enumerate(table):
        for j, value in enumerate(row):
            text = "-" if value is None else f"{value:.2f}"
            dark = value is not None and (value + 1) / 2 < DARK
            ax.text(j, i, text, ha="center", va="center", fontsize=7.5, color="white" if dark else "black")
    ax.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor", fontsize=7)
    ax.set_yticks(range(len(names)), names, fontsize=7)
    ax.grid(False)


def wording_correlation_pearson(record: Record) -> Drawing:
    """Pearson's correlations of every two wordings, a square a model."""
    return _heat_maps(record, "pearson", "Pearson correlation", "")


def wording_correlation_weighted(record: Record) -> Drawing:
    """Correlations weighted by 1 / (sigma_1^2 + sigma_2^2), a square a model."""
    return _heat_maps(record, "weighted", "Weighted correlation", ", each task weighted by 1 / (sigma_1^2 + sigma_2^2)")


def mu_by_origin_and_wording(record: Record) -> Drawing:
    """Mean utility by origin under each wording: lines that cross are origins that change places."""
    cells, rows, remark = runs_of(record, "WORDINGS", "utility by origin")
    models = list(dict.fromkeys(row["model"] for row in rows))
    wordings = list(dict.fromkeys(row["wording"] for row in rows))
    origins = list(dict.fromkeys(row["origin"] for row in sorted(rows, key=lambda row: row["origin"])))
    known = {(row["model"], row["wording"], row["origin"]): row for row in rows}
    flips = {cell.subject: cell.reported["flips"] for cell in cells}
    title = f"Mean utility by origin and wording: {counted(len(models), 'model')}"

    def draw(figure: Figure) -> None:
        for ax, model in zip(panels(figure, len(models)), models, strict=True):
            for i, origin in enumerate(origins):
                at = [
                    (j + (i - len(origins) / 2) * 0.05, known.get((model, w, origin))) for j, w in enumerate(wordings)
                ]
                there = [(x, row) for x, row in at if row is not None]
                ax.plot([x for x, _ in there], [row["mean"] for _, row in there], "o-", color=COLOURS[i % 7],
                        markersize=3.5, label=origin)  # fmt: skip
                for x, row in there:
                    if row["low"] is not None:
                        ax.plot([x, x], [row["low"], row["high"]], color=COLOURS[i % 7], linewidth=0.8)
            ax.axhline(0, color=GREY, linewidth=0.8)
            ax.set_xticks(range(len(wordings)), wordings, rotation=30, ha="right", rotation_mode="anchor", fontsize=7)
            ax.set_ylabel("mean utility")
            ax.set_title(f"{model} ({counted(len(flips[model]), 'flip')})", loc="left")
        figure.legend(
            *figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=min(6, len(origins))
        )
        figure.suptitle(titled(title, remark), fontsize=9)

    return Drawing(
        data={"rows": rows, "flips": flips, "title": title, "remark": remark},
        size=size_of(len(models), 3.0),
        caption="Mean utility of each origin's tasks under each wording, with 95 % intervals over tasks.",
        cells=tuple(cell.cell for cell in cells),
        draw=draw,
    )


def correlations(record: Record) -> dict[str, Any]:
    """Every two wordings of every model: r, its p and interval, and the weighted one."""
    cells, rows, remark = runs_of(record, "WORDINGS", "correlations")
    return {
        "schema": 1,
        "rows": rows,
        "flips": {cell.subject: cell.reported["flips"] for cell in cells},
        "remark": remark,
    }


FIGURES: dict[str, Callable[[Record], Drawing]] = {
    "wording_correlation_pearson": guarded(wording_correlation_pearson),
    "wording_correlation_weighted": guarded(wording_correlation_weighted),
    "mu_by_origin_and_wording": guarded(mu_by_origin_and_wording),
}
FILES: dict[str, Callable[[Record], Any]] = {"wording_correlations": correlations}
