"""Figures of ratings under other seeds: cross-seed correlations, spread, and the informative correlations."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.record import CellRecord
from lab.views.drawing import COLOURS, GREY, MARKERS, Drawing, lines
from lab.views.record import Missing, Record, one_setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAR = 0.32
"""Inches of one bar."""


def runs_of(
    record: Record, experiment: str, name: str, *, negatives: bool = False
) -> tuple[list[CellRecord], list[dict[str, Any]], str]:
    """The cells of one setting, the rows `name` that they kept, each with its model, and a remark on other settings.

    With `negatives` also those of models of whom the claim is known to be false. Raises Missing where none has any.
    """
    asked = record.of(experiment) + (record.controls(experiment) if negatives else [])
    cells, remark = one_setting([cell for cell in asked if cell.rows.get(name)])
    if not cells:
        raise Missing(f"no cell of {experiment} has kept rows {name!r}; pytest hypotheses -k {experiment}")
    rows = [{"model": cell.subject, **row} for cell in cells for row in cell.rows[name]]
    return cells, rows, remark


def sizes(rows: list[dict[str, Any]]) -> str:
    """How many tasks and seeds stand behind each run: "150 tasks, 4 seeds"."""
    parts = []
    for what in ("tasks", "seeds"):
        ends = sorted({row[what] for row in rows})
        parts.append(f"{' to '.join(str(n) for n in dict.fromkeys((ends[0], ends[-1])))} {what}")
    return ", ".join(parts)


def counted(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


# Sensitivity to the seed ---------------------------------------------------------------------------------


def seed_sensitivity(record: Record) -> Drawing:
    """Mean correlation between seeds by model, template, origin and run: each bar is the mean of stored pairs.

    The bars of models and templates take all pairs of their runs together; an origin's is the mean over runs. A run
    has its own interval, all others the standard deviation. Pairs without a correlation are counted and enter no mean.
    """
    cells, rows, remark = runs_of(record, "SEEDS", "stability")
    panels = {
        "model": [_bar(name, of) for name, of in _grouped(rows, "model")],
        "template": [_bar(name, of) for name, of in _grouped(rows, "template")],
        "origin": _origins(rows),
        "run": [
            _bar(row["model"], [row]) | {"template": row["template"], "low": row["low"], "high": row["high"]}
            for row in rows
        ],
    }
    overall = _bar("all", rows)
    seen = f"{counted(len(panels['model']), 'model')}, {counted(len(panels['template']), 'template')}, {sizes(rows)}"
    shown = "undefined" if overall["r"] is None else f"{overall['r']:.2f}"
    title = f"Mean r between seeds: {shown} over {counted(overall['pairs'], 'pair')} ({seen})"

    def draw(figure: Figure) -> None:
        axes = figure.subplots(2, 2, squeeze=False)
        for i, (ax, (name, bars)) in enumerate(zip(axes.flat, panels.items(), strict=True)):
            if name == "run":
                _dots(ax, bars)
            else:
                _bars(ax, bars, COLOURS[i])
            ax.set_title(f"by {name} ({len(bars)})", loc="left")
        figure.suptitle(title + (f"\n({remark})" if remark else ""), fontsize=9)

    most = max(len(panels[name]) for name in ("model", "template", "origin"))
    return Drawing(
        data={"overall": overall, "panels": panels, "title": title, "remark": remark},
        size=(9.4, 0.5 + 2 * (1.1 + BAR * max(most, 5))),
        caption="Mean Pearson correlation of ratings between seeds. Lines: standard deviation over pairs (by origin "
        "over runs); for a run the 95 % interval, drawn by task.",
        cells=tuple(cell.cell for cell in cells),
        draw=draw,
    )


def _grouped(rows: list[dict[str, Any]], key: str) -> list[tuple[str, list[dict[str, Any]]]]:
    return [(name, [row for row in rows if row[key] == name]) for name in dict.fromkeys(row[key] for row in rows)]


def _bar(name: str, rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The mean of the defined pairs of some runs, their standard deviation, and how many there are."""
    return _mean(name, [pair["r"] for row in rows for pair in row["pairs"]])


def _mean(name: str, values: list[float | None]) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    return {
        "name": name,
        "r": float(np.mean(known)) if known else None,
        "std": float(np.std(known, ddof=1)) if len(known) > 1 else None,
        "pairs": len(known),
        "undefined": len(values) - len(known),
    }


def _origins(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = dict.fromkeys(origin for row in rows for origin in row["by origin"])
    found = []
    for name in names:
        of = [row["by origin"][name] for row in rows if name in row["by origin"]]
        bar = _mean(name, [each["r"] for each in of])
        bar["runs"] = bar["pairs"]
        bar["pairs"] = sum(each["n pairs"] - each["undefined"] for each in of)
        bar["undefined"] = sum(each["undefined"] for each in of)
        found.append(bar)
    return found


def _dots(ax: Axes, runs: list[dict[str, Any]]) -> None:
    """A row for each model, with a mark for each template and its interval; runs without a correlation are left out."""
    models, forms = (list(dict.fromkeys(run[key] for run in runs)) for key in ("name", "template"))
    for i, form in enumerate(forms):
        there = [run for run in runs if run["template"] == form and run["r"] is not None]
        at = [models.index(run["name"]) + (i - (len(forms) - 1) / 2) * 0.7 / len(forms) for run in there]
        lost = sum(run["r"] is None for run in runs if run["template"] == form)
        style: Any = {"color": COLOURS[i % 7], "marker": MARKERS[(i + i // 7) % 7]}
        label = form + (f" ({lost} undefined)" if lost else "")
        ax.plot([run["r"] for run in there], at, linestyle="", markersize=3.5, label=label, **style)
        ax.hlines(
            at, [run["low"] for run in there], [run["high"] for run in there], color=style["color"], linewidth=0.9
        )
    _rows(ax, models, min((run["low"] for run in runs if run["r"] is not None), default=0.0))
    ax.set_xlabel("mean r between seeds, 95 % interval")
    ax.legend(fontsize=6, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _rows(ax: Axes, names: list[str], least: float) -> None:
    """Names from the top down, and an axis of correlations."""
    ax.axvline(0, color=GREY, linewidth=0.8)
    ax.set_yticks(range(len(names)), [lines(name) for name in names], fontsize=6.5)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlim(min(-0.02, least - 0.02), 1.04)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1])
    ax.grid(False, axis="y")


def _bars(ax: Axes, bars: list[dict[str, Any]], colour: str) -> None:
    least = 0.0
    for i, bar in enumerate(bars):
        r = bar["r"]
        if r is None:
            ax.text(0.01, i, f"undefined ({counted(bar['undefined'], 'pair')})", va="center", fontsize=6.5, color="0.3")
            continue
        low, high = r - (bar["std"] or 0), r + (bar["std"] or 0)
        ax.barh(i, r, height=0.72, color=colour)
        ax.plot([low, high], [i, i], color="black", linewidth=0.9)
        least = min(least, low)
        lost = f", {bar['undefined']} undefined" if bar["undefined"] else ""
        ax.text(max(high, r, 0) + 0.02, i, f"{r:.2f} ({bar['pairs']}{lost})", va="center", fontsize=6.5)
    _rows(ax, [bar["name"] for bar in bars], least)
    ax.set_xlim(right=1.4)
    ax.set_xlabel("mean r between seeds (pairs)")


# Spread --------------------------------------------------------------------------------------------------


def rating_variance(record: Record) -> Drawing:
    """How each model's ratings spread on the first template, most varied first: violins, and bars of the variance."""
    cells, rows, remark = runs_of(record, "SEEDS", "stability")
    first = cells[0].knobs["templates"][0]
    models = [
        {
            "model": row["model"],
            "variance": row["variance"],
            "mode": row["mode"],
            "modal share": row["modal share"],
            "points": row["points"],
            "counts": row["counts"],
        }
        for row in rows
        if row["template"] == first
    ]
    models.sort(key=lambda each: -(each["variance"] or 0.0))
    title = f"{first}: {counted(len(models), 'model')}, {sizes([row for row in rows if row['template'] == first])}"

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, sharey=True)
        for i, each in enumerate(models):
            given = np.repeat(each["points"], each["counts"])
            parts: Any = left.violinplot([given], [i], orientation="horizontal", widths=0.8, showmeans=True)
            for body in parts["bodies"]:
                body.set(facecolor=COLOURS[0], alpha=0.5)
            for line in ("cmeans", "cmins", "cmaxes", "cbars"):
                parts[line].set(color=COLOURS[0], linewidth=0.9)
            variance = each["variance"] or 0.0
            right.barh(i, variance, height=0.7, color=COLOURS[1])
            said = f" {variance:.2f}; {each['modal share']:.0%} at {each['mode']:g}"
            right.text(variance, i, said, va="center", fontsize=7)
        left.set_yticks(range(len(models)), [lines(each["model"]) for each in models])
        left.set_ylim(len(models) - 0.4, -0.6)
        left.set_xlabel("rating")
        right.set_xlabel("variance (share of the mode)")
        right.set_xlim(0, 1.6 * max((each["variance"] or 0.0 for each in models), default=1.0) or 1.0)
        figure.suptitle(title + (f"\n({remark})" if remark else ""), fontsize=9)

    return Drawing(
        data={"template": first, "models": models, "title": title, "remark": remark},
        size=(8.0, 1.2 + 0.42 * len(models)),
        caption="Ratings of each model over all tasks and seeds, and their variance.",
        cells=tuple(cell.cell for cell in cells),
        draw=draw,
    )


def informative_correlation(record: Record) -> Drawing:
    """Mean r between seeds beside that over tasks not both at the mode; d is the share of such tasks."""
    cells, rows, remark = runs_of(record, "SEEDS", "stability")
    bars = [
        {
            "run": f"{row['model']}, {row['template']}",
            "r": row["r"],
            "informative r": row["informative r"],
            "d": row["d"],
            "label": "d undefined" if row["d"] is None else f"d = {row['d']:.0%}",
        }
        for row in rows
    ]
    title = f"{counted(len(bars), 'run')}, {sizes(rows)} each"

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        for i, bar in enumerate(bars):
            for name, shift, colour in (("r", -0.2, COLOURS[0]), ("informative r", 0.2, COLOURS[1])):
                if bar[name] is not None:
                    ax.barh(i + shift, bar[name], height=0.38, color=colour, label=None if i else name)
            ax.text(max(bar["r"] or 0, bar["informative r"] or 0, 0) + 0.02, i, bar["label"], va="center", fontsize=7)
        named = [ax.barh(-9, 0, color=COLOURS[i]) for i in (0, 1)]
        figure.legend(
            handles=named, labels=["all tasks", "tasks not both at the mode"], loc="outside lower center", ncols=2
        )
        ax.axvline(0, color=GREY, linewidth=0.8)
        ax.set_yticks(range(len(bars)), [lines(bar["run"], 40) for bar in bars], fontsize=6.5)
        ax.set_ylim(len(bars) - 0.4, -0.6)
        ax.set_xlim(min(-0.05, *(min(bar["r"] or 0, bar["informative r"] or 0) - 0.05 for bar in bars)), 1.2)
        ax.grid(False, axis="y")
        ax.set(xlabel="mean r between seeds", title=title + (f"\n({remark})" if remark else ""))

    return Drawing(
        data={"bars": bars, "title": title, "remark": remark},
        size=(7.4, 1.6 + 0.3 * len(bars)),
        caption="Correlation between seeds over all tasks, and over those that not both seeds rate at the mode, of "
        "which d is the share. Of independent seeds the latter is below 0, for both ratings choose the tasks.",
        cells=tuple(cell.cell for cell in cells),
        draw=draw,
    )


FIGURES: dict[str, Callable[[Record], Drawing]] = {
    "seed_sensitivity": seed_sensitivity,
    "rating_variance": rating_variance,
    "informative_correlation": informative_correlation,
}
FILES: dict[str, Callable[[Record], Any]] = {}
