"""The plan's three figures, drawn from the journal, with their values as JSON beside them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lab.estimate import Estimate
from lab.record import CellRecord
from lab.record.fold import estimates
from lab.studies.plan003.facts import units
from lab.views.drawing import GREY, Drawing, Styles
from lab.views.panels import draw_all, grid_of, size_of
from lab.views.record import Missing, Record, one_setting

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_ROC, _LAYERS = 3.2, 3.0
"""Inches of one panel."""
_WRAP = 38
"""Letters of a panel's title that stand on one line."""


def write_figures(record: Record, folder: Path, papers: Path) -> tuple[list[Path], list[str]]:
    """Draws the plan's figures as PNG with their JSON into `folder` and as PDF into `papers`; as `draw_all`."""
    return draw_all(FIGURES, record, folder, papers)


# Cross-model ---------------------------------------------------------------------------------------------


def cross_model_heatmap(record: Record) -> Drawing:
    """How well a linear map predicts one model's activations from another's, in both directions.

    One square for PM1 and one for 2A1: row the model that is mapped from, column the one that is mapped to. The
    diagonal is a model with itself, 1 by definition and not measured.
    """
    panels = [panel for name in ("PM1", "2A1") if (panel := _square(name, record.of(name)))]
    if not panels:
        raise Missing("neither PM1 nor 2A1 has reported r forward and backward; pytest hypotheses/ -k 'PM1 or 2A1'")

    def draw(figure: Figure) -> None:
        for ax, panel in zip(grid_of(figure, len(panels), side), panels, strict=True):
            _draw_square(figure, ax, panel)

    side = 2.0 + 0.62 * max(len(panel["models"]) for panel in panels)
    return Drawing(
        data={"panels": panels},
        size=size_of(len(panels), side, side - 0.4),
        caption="Correlation of activations predicted by a linear map with the true ones, on texts that the map was "
        "not learnt on; from the row's model to the column's. The diagonal is a model with itself, 1 by definition.",
        cells=tuple(cell for panel in panels for cell in panel["cells"]),
        draw=draw,
    )


def _square(experiment: str, cells: list[CellRecord]) -> dict[str, Any] | None:
    """r from each model to each other one, None where it was not measured."""
    kept, remark = one_setting([cell for cell in cells if {"forward", "backward"} <= estimates(cell).keys()])
    if not kept:
        return None
    models = sorted({cell.params[part] for cell in kept for part in ("model", "other_model")})
    found: dict[tuple[str, str], Estimate] = {}
    for cell in kept:
        one, other = cell.params["model"], cell.params["other_model"]
        known = estimates(cell)
        found.setdefault((other, one), known["backward"])
        found[one, other] = known["forward"]

    def table(part: str, own: float | None) -> list[list[float | None]]:
        return [
            [own if a == b else getattr(found[a, b], part) if (a, b) in found else None for b in models] for a in models
        ]

    return {
        "experiment": experiment,
        "models": models,
        "r": table("value", 1.0),
        "low": table("low", None),
        "high": table("high", None),
        "n": units(list(found.values())),
        "cells": [cell.cell for cell in kept],
        "remark": remark,
    }


def _draw_square(figure: Figure, ax: Axes, panel: dict[str, Any]) -> None:
    models, values = panel["models"], panel["r"]
    shown = [[float("nan") if value is None else value for value in row] for row in values]
    for i in range(len(models)):
        shown[i][i] = float("nan")  # 1 by definition: it would only flatten the colours of what was measured
    measured = [value for row in shown for value in row if value == value]
    low, high = min(0.0, *measured), max(measured)
    ax.set_facecolor("0.9")
    image = ax.imshow(shown, cmap="cividis", vmin=low, vmax=high)
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            text = "1\n(self)" if i == j else "not\nrun" if value is None else f"{value:.2f}"
            dark = i != j and value is not None and value - low < 0.55 * (high - low)
            ax.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")
    ax.set_xticks(range(len(models)), models, rotation=30, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(models)), models)
    ax.grid(False)
    ax.set(xlabel="to", ylabel="from", title=f"{panel['experiment']}, n = {panel['n']}" + _remark(panel))
    figure.colorbar(image, ax=ax, label="mean r", shrink=0.8)


# Error prediction ----------------------------------------------------------------------------------------


def error_prediction_roc(record: Record) -> Drawing:
    """ROC curves of the error probes: one panel for PM2, and one for each data set of 2B1.

    Negative controls are drawn grey. The AUC of the legend is the estimate of the same cell in statistics.json.
    """
    panels: dict[str, dict[str, Any]] = {}
    for name in ("PM2", "2B1"):
        kept, remark = one_setting([cell for cell in record.of(name) if cell.rows.get("roc")])
        for cell in kept + _controls_of(kept, record.controls(name)):
            for label, rows in _by_set(cell.rows["roc"]).items():
                title = f"{name}, {label}" if label else name
                panel = panels.setdefault(title, {"title": title, "remark": remark, "curves": [], "n": ""})
                panel["curves"].append(_curve(cell, label, rows))
    for title, panel in panels.items():
        label = title.partition(", ")[2]
        of_panel = {curve["cell"] for curve in panel["curves"]}
        known = [auc for cell in record.cells if cell.cell in of_panel and (auc := _auc(cell, label)) is not None]
        panel["n"] = units(known) if known else ""
    if not panels:
        raise Missing("neither PM2 nor 2B1 has kept rows 'roc'; pytest hypotheses/ -k 'PM2 or 2B1'")
    shown = list(panels.values())
    styles = Styles([curve["subject"] for panel in shown for curve in panel["curves"] if not curve["negative"]])

    def draw(figure: Figure) -> None:
        for ax, panel in zip(grid_of(figure, len(shown), _ROC), shown, strict=True):
            _draw_roc(ax, panel, styles)

    return Drawing(
        data={"panels": shown},
        size=size_of(len(shown), _ROC, 3.5),
        caption="ROC curves of linear probes that predict a model's own errors, out of fold. Grey: negative controls.",
        cells=tuple(dict.fromkeys(curve["cell"] for panel in shown for curve in panel["curves"])),
        draw=draw,
    )


def _controls_of(kept: list[CellRecord], controls: list[CellRecord]) -> list[CellRecord]:
    """The negative controls under the setting that is drawn."""
    return [
        cell
        for cell in controls
        if cell.rows.get("roc") and kept and (cell.knobs, cell.seed) == (kept[0].knobs, kept[0].seed)
    ]


def _by_set(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(str(row.get("set") or ""), []).append(row)
    return found


def _curve(cell: CellRecord, label: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    auc = _auc(cell, label)
    return {
        "cell": cell.cell,
        "subject": cell.subject,
        "negative": cell.negative is not None,
        "auc": None if auc is None else {"value": auc.value, "low": auc.low, "high": auc.high, "n": auc.n},
        "false_positive_rate": [row["false_positive_rate"] for row in rows],
        "true_positive_rate": [row["true_positive_rate"] for row in rows],
    }


def _auc(cell: CellRecord, label: str) -> Estimate | None:
    """The AUROC of one data set: the estimate that names it, or the only one there is."""
    known = estimates(cell)
    only = known.get("AUROC") if len(_by_set(cell.rows["roc"])) == 1 else None
    return known.get(f"AUROC, {label}", only)


def _draw_roc(ax: Axes, panel: dict[str, Any], styles: Styles) -> None:
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
    known = [curve for curve in panel["curves"] if curve["negative"]]
    for i, curve in enumerate(known):
        label = f"negative controls ({len(known)}): AUC {_span(known)}" if i == 0 else None
        ax.plot(curve["false_positive_rate"], curve["true_positive_rate"], color=GREY, linewidth=0.8, label=label)
    for curve in panel["curves"]:
        if not curve["negative"]:
            auc = curve["auc"]
            said = f"AUC {auc['value']:.3f} [{auc['low']:.3f}, {auc['high']:.3f}]" if auc else "AUC not measured"
            own: Any = {"color": styles.colour(curve["subject"]), "label": f"{curve['subject']}: {said}"}
            x, y = curve["false_positive_rate"], curve["true_positive_rate"]
            ax.plot(x, y, marker=styles.marker(curve["subject"]), markevery=0.15, markersize=4, linewidth=1.2, **own)
    n = f"\nn = {panel['n']}" if panel["n"] else ""
    named = re.sub(r"@\S*/", "@", panel["title"])  # of one's own file the name only
    ax.set(xlabel="false positive rate", ylabel="true positive rate", title=named + n + _remark(panel))
    ax.set_aspect("equal")
    ax.legend(loc="lower right", fontsize=6.5)


def _span(curves: list[dict[str, Any]]) -> str:
    values = [curve["auc"]["value"] for curve in curves if curve["auc"]]
    return " to ".join(dict.fromkeys(f"{end:.3f}" for end in (min(values), max(values)))) if values else "not measured"


# Patching ------------------------------------------------------------------------------------------------


def patching_effect_by_layer(record: Record) -> Drawing:
    """What patching each layer restores, with its band (2C1); else how often patching one layer changes the answer."""
    layered, remark = one_setting([cell for cell in record.of("2C1") if cell.rows.get("effect by layer")])
    if layered:
        return _by_layer(layered, remark)
    rates = [cell for cell in record.of("PM3") if "change rate" in estimates(cell)]
    if not rates:
        raise Missing("neither 2C1 nor PM3 has run; pytest hypotheses/ -k 'PM3 or 2C1'")
    return _by_depth(rates)


def _by_layer(cells: list[CellRecord], remark: str) -> Drawing:
    panels: list[dict[str, Any]] = [
        {
            "cell": cell.cell,
            "subject": cell.subject,
            "layers": cell.rows["effect by layer"],
            "n": units([measure.estimate for measure in cell.measures]),
        }
        for cell in cells
    ]
    styles = Styles([cell.subject for cell in cells])

    def draw(figure: Figure) -> None:
        from matplotlib.ticker import MaxNLocator

        axes = grid_of(figure, len(panels), _LAYERS, sharey=True)
        for ax, panel in zip(axes, panels, strict=True):
            rows, colour = panel["layers"], styles.colour(panel["subject"])
            layers = [row["layer"] for row in rows]
            low, high = [row["low"] for row in rows], [row["high"] for row in rows]
            ax.fill_between(layers, low, high, color=colour, alpha=0.25, linewidth=0, label="95 % band")
            ax.plot(layers, [row["effect"] for row in rows], color=colour, marker="o", markersize=3, label="patched")
            if all(row.get("identity") is not None for row in rows):
                own = [row["identity"] for row in rows]
                ax.plot(layers, own, color="black", linestyle=":", label="identity patch")
            ax.axhline(0, color=GREY, linewidth=0.8)
            ax.set(
                xlabel="layer",
                ylabel="share of the effect restored",
                title=f"2C1, {panel['subject']}\nn = {panel['n']}",
            )
            ax.label_outer()
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes[0].legend()
        if remark:
            figure.suptitle(remark, fontsize=9)

    return Drawing(
        data={"panels": panels, "measure": "effect by layer", "remark": remark},
        size=size_of(len(panels), _LAYERS, 2.9),
        caption="Share of the clean answer's logit difference that patching each layer restores, with its band.",
        cells=tuple(cell.cell for cell in cells),
        draw=draw,
    )


def _by_depth(cells: list[CellRecord]) -> Drawing:
    points = []
    for cell in sorted(cells, key=lambda cell: (cell.subject, cell.cell)):
        known = estimates(cell)
        point: dict[str, Any] = {"cell": cell.cell, "subject": cell.subject, "depth": cell.knobs.get("depth")}
        for name, measure in (("patched", "change rate"), ("random", "random_rate")):
            e = known.get(measure)
            point[name] = None if e is None else {"value": e.value, "low": e.low, "high": e.high, "n": e.n}
        points.append(point)
    labels = [f"{point['subject']}\ndepth {point['depth']}\nn = {point['patched']['n']}" for point in points]

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        for name, colour, marker, shift in (("patched", "#0072B2", "o", -0.12), ("random", "#D55E00", "s", 0.12)):
            there = [(i, point[name]) for i, point in enumerate(points) if point[name]]
            if there:
                values = [e["value"] for _, e in there]
                errors = [[e["value"] - e["low"] for _, e in there], [e["high"] - e["value"] for _, e in there]]
                label = "clean activation" if name == "patched" else "random activation at the same distance"
                at = [i + shift for i, _ in there]
                ax.errorbar(at, values, yerr=errors, fmt=marker, color=colour, capsize=3, markersize=5, label=label)
        ax.set_xticks(range(len(points)), labels)
        ax.margins(x=0.15)
        ax.set(ylim=(-0.04, 1.04), ylabel="share of answers changed", title="PM3: one layer patched")
        figure.legend(loc="outside lower center", ncols=2)

    return Drawing(
        data={"points": points, "measure": "change rate"},
        size=(max(4.2, 1.0 + 1.25 * len(points)), 3.4),
        caption="Share of answers that patching one layer changes, with 95\u00a0% intervals.",
        cells=tuple(cell.cell for cell in cells),
        draw=draw,
    )


def _remark(panel: dict[str, Any]) -> str:
    return "\n" + textwrap.fill(f"({panel['remark']})", _WRAP) if panel["remark"] else ""


FIGURES: dict[str, Callable[[Record], Drawing]] = {
    "cross_model_heatmap": cross_model_heatmap,
    "error_prediction_roc": error_prediction_roc,
    "patching_effect_by_layer": patching_effect_by_layer,
}
