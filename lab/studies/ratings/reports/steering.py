"""Figures and tables of what a concept vector does to ratings and to what is said."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lab.record import CellRecord
from lab.views.drawing import COLOURS, GREY, Drawing, Styles
from lab.views.panels import grid_of, size_of
from lab.views.record import Missing, Record, one_setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOLD = ("love", "none", "hate")
ENDS = ("value", "low", "high")
_BLOCK = (4.4, 4.2)
"""Inches of one model's nine panels."""


# Ratings -------------------------------------------------------------------------------------------------


def concept_vector_steering(record: Record) -> Drawing:
    """Ratings by coefficient, in the nine cells of what the author and the rater were told; a block for each model."""
    cells, remark = _of(record, "VECTORS", "steered ratings")
    blocks = [_block(cell) for cell in cells]

    def draw(figure: Figure) -> None:
        columns = min(2, len(blocks))
        parts = figure.subfigures(-(-len(blocks) // columns), columns, squeeze=False).ravel()
        for part, block in zip(parts, blocks, strict=False):
            _draw_block(part, block)
        if remark:
            figure.suptitle(remark, fontsize=9)

    columns = min(2, len(blocks))
    return Drawing(
        data={"blocks": blocks, "remark": remark},
        size=(_BLOCK[0] * columns, _BLOCK[1] * -(-len(blocks) // columns)),
        caption="Exact mean ratings of the same tasks by steering coefficient, under what the author (rows) and the "
        "rater (columns) were told; the change from the smallest to the largest coefficient with its 95 % interval, "
        "and the largest change by a random direction of the same length.",
        cells=tuple(cell.cell for cell in cells),
        draw=draw,
    )


def _block(cell: CellRecord) -> dict[str, Any]:
    effects = {(row["author"], row["rater"]): row for row in cell.rows["steering"]}
    panels: list[dict[str, Any]] = []
    for author in TOLD:
        for rater in TOLD:
            rows = [r for r in cell.rows["steered ratings"] if (r["author"], r["rater"]) == (author, rater)]
            e = effects[author, rater]
            panels.append(
                {
                    "author": author,
                    "rater": rater,
                    "coefficients": [row["coefficient"] for row in rows],
                    "ratings": [row["ratings"] for row in rows],
                    "change": dict(zip(ENDS, (e["change"], e["change, low"], e["change, high"]), strict=True)),
                    "random": dict(zip(ENDS, (e["random"], e["random, low"], e["random, high"]), strict=True)),
                }
            )
    return {
        "cell": cell.cell,
        "subject": cell.subject,
        "remark": _remark(cell),
        "n": len(panels[0]["ratings"][0]),
        "layer": cell.reported["layer"],
        "selector": cell.knobs["selector"],
        "panels": panels,
    }


def _draw_block(part: Any, block: dict[str, Any]) -> None:
    from matplotlib.ticker import MaxNLocator

    axes = part.subplots(3, 3, sharex=True, sharey=True)
    for ax, panel in zip(axes.ravel(), block["panels"], strict=True):
        places = range(len(panel["coefficients"]))
        shapes = ax.violinplot(panel["ratings"], places, widths=0.85, showextrema=False)
        for shape, coefficient in zip(shapes["bodies"], panel["coefficients"], strict=True):
            shape.set(facecolor=COLOURS[1] if coefficient < 0 else COLOURS[0] if coefficient else GREY, alpha=0.6)
        means = [sum(ratings) / len(ratings) for ratings in panel["ratings"]]
        ax.plot(places, means, color="black", marker="o", markersize=3, linewidth=0.8)
        change, random = panel["change"], panel["random"]
        told = f"{change['value']:+.2f} [{change['low']:.2f}, {change['high']:.2f}]\nrandom {random['value']:+.2f}"
        ax.set_title(told, fontsize=6.5, pad=2)
        ax.set_xticks(places, [f"{c:+g}" if c else "0" for c in panel["coefficients"]], fontsize=7)
        ax.tick_params(axis="y", labelsize=7)
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    for ax, told in zip(axes[:, 0], TOLD, strict=True):
        ax.set_ylabel(f"author: {told}", fontsize=8)
    for ax, told in zip(axes[2], TOLD, strict=True):
        ax.set_xlabel(f"rater: {told}", fontsize=8)
    how = f"n = {block['n']} tasks, layer {block['layer']}, selector {block['selector']}"
    part.suptitle(f"{textwrap.fill(block['subject'] + block['remark'], 2 * _WRAP)}\n{how}", fontsize=9)


# What is said --------------------------------------------------------------------------------------------


def open_ended_steering(record: Record) -> Drawing:
    """Attitude of coherent answers by coefficient, a line for each selector; one panel a model."""
    cells, remark = _of(record, "ATTITUDE", "attitudes")
    panels: list[dict[str, Any]] = [
        {
            "cell": cell.cell,
            "subject": cell.subject,
            "remark": _remark(cell),
            "n": cell.rows["attitudes"][0]["questions"],
            "answers": cell.knobs["seeds"],
            "rows": cell.rows["attitudes"],
            "effects": cell.rows.get("attitude effects", []),  # earlier runs kept none
        }
        for cell in cells
    ]
    styles = Styles(list(dict.fromkeys(row["selector"] for row in panels[0]["rows"] if not _random(row))))

    def draw(figure: Figure) -> None:
        axes = grid_of(figure, len(panels), _PANEL, sharey=True)
        for ax, panel in zip(axes, panels, strict=True):
            for name in dict.fromkeys(row["selector"] for row in panel["rows"]):
                rows = [
                    row for row in panel["rows"] if row["selector"] == name and row["attitude, coherent"] is not None
                ]
                x, y = [row["coefficient"] for row in rows], [row["attitude, coherent"] for row in rows]
                if name.startswith("random"):
                    beside = name.partition(" for ")[2]
                    ax.plot(x, y, color=styles.colour(beside), linestyle=":", linewidth=0.8)
                    continue
                colour, marker = styles.colour(name), styles.marker(name)
                ax.plot(x, y, color=colour, linewidth=1.1, label=name)
                for row in rows:  # a hollow mark where half of the answers or more were left out
                    face = colour if 2 * row["coherent"] > row["n"] else "white"
                    ax.plot(row["coefficient"], row["attitude, coherent"], marker=marker, color=colour,
                            markerfacecolor=face, markersize=5)  # fmt: skip
            ax.axhline(0, color=GREY, linewidth=0.6)
            named = textwrap.fill(panel["subject"] + panel["remark"], _WRAP)
            told = f"{named}\nn = {panel['n']} questions x {panel['answers']} answers"
            shown = {row["selector"]: row for row in panel["effects"] if "beyond random" in row}
            for i, (name, row) in enumerate(shown.items()):
                text = f"{row['change']:+.2f}, random within ±{abs(row['random']):.2f}"
                place: Any = {"transform": ax.transAxes, "ha": "right", "fontsize": 6.5}
                place["bbox"] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}
                ax.text(0.98, 0.02 + 0.07 * i, text, color=styles.colour(name), **place)
            ax.set(title=told, xlabel="coefficient", ylabel="mean attitude")
        handles, labels = axes[0].get_legend_handles_labels()
        hollow = (
            "hollow: half of the answers or more were not coherent, and are left out\n"
            "dotted: random directions as long as the vector of their colour; below, changes from end to end"
        )
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), title=hollow, title_fontsize=7.5)
        if remark:
            figure.suptitle(remark, fontsize=9)

    width, height = size_of(len(panels), _PANEL, 2.7)
    return Drawing(
        data={"panels": panels, "remark": remark},
        size=(width, height + 0.3),
        caption="Mean attitude of coherent answers by steering coefficient and selector; hollow where half of the "
        "answers or more were not coherent; dotted: random directions as long as the vector of their colour.",
        cells=tuple(cell.cell for cell in cells),
        draw=draw,
    )


_PANEL = 2.6
"""Inches of one model's panel."""
_WRAP = 32
"""Letters of a panel's title that stand on one line."""


def _random(row: dict[str, Any]) -> bool:
    return bool(row["selector"].startswith("random"))


# Tables --------------------------------------------------------------------------------------------------


def steering_selectors(record: Record) -> list[dict[str, Any]]:
    """Selector by coefficient: mean attitude of coherent and of all answers, coherence and counts, for every cell."""
    return _rows(record, "ATTITUDE", "attitudes")


def steering_effects(record: Record) -> list[dict[str, Any]]:
    """Each selector's change from one end of its sweep to the other, beside random directions as long as its vector.

    `beyond random` with its interval takes the vector for one more of them. Of ratings there is a row for what the
    author and the rater were told.
    """
    of_ratings, said = (_known(record, *each) for each in (("VECTORS", "steering"), ("ATTITUDE", "attitude effects")))
    found = [
        {"cell": cell.cell, "subject": cell.subject, "selector": cell.knobs["selector"]} | row
        for cell in of_ratings
        for row in cell.rows["steering"]
    ]
    found += [
        {"cell": cell.cell, "subject": cell.subject} | row for cell in said for row in cell.rows["attitude effects"]
    ]
    if not found:
        raise Missing("nothing was steered; pytest hypotheses -k 'VECTORS or ATTITUDE'")
    return found


def steering_normalisation(record: Record) -> list[dict[str, Any]]:
    """How long every vector was and is beside the activations, and what share of them the sweep adds at most.

    Above 0.6 it is marked as too strong.
    """
    from lab.studies.ratings.concepts import MOST

    found = []
    for cell in _known(record, "VECTORS", "concept vectors") + _known(record, "ATTITUDE", "concept vectors"):
        largest = max(map(abs, cell.knobs["coefficients"]))
        for row in cell.rows["concept vectors"]:
            share = largest * row["perturbation"]
            about = {"cell": cell.cell, "subject": cell.subject, "normalised": cell.knobs["normalised"]}
            strong = share > MOST * (1 + 1e-6)
            found.append(about | row | {"largest coefficient": largest, "of activations": share, "too strong": strong})
    if not found:
        raise Missing("no concept vector was found; pytest hypotheses -k 'VECTORS or ATTITUDE'")
    return found


def _rows(record: Record, experiment: str, name: str) -> list[dict[str, Any]]:
    cells = _known(record, experiment, name)
    if not cells:
        raise Missing(f"{experiment} has not run; pytest hypotheses -k {experiment}")
    return [{"cell": cell.cell, "subject": cell.subject} | row for cell in cells for row in cell.rows[name]]


def _remark(cell: CellRecord) -> str:
    return " (known negative)" if cell.negative else ""


def _known(record: Record, experiment: str, name: str) -> list[CellRecord]:
    """The cells with these rows; known negatives too, for what does not shift is to be seen."""
    cells = [*record.of(experiment), *record.controls(experiment)]
    return sorted((cell for cell in cells if cell.rows.get(name)), key=lambda cell: cell.cell)


def _of(record: Record, experiment: str, name: str) -> tuple[list[CellRecord], str]:
    cells, remark = one_setting(_known(record, experiment, name))
    if not cells:
        raise Missing(f"{experiment} has not run; pytest hypotheses -k {experiment}")
    return cells, remark


FIGURES: dict[str, Callable[[Record], Drawing]] = {
    "concept_vector_steering_violins": concept_vector_steering,
    "open_ended_steering": open_ended_steering,
}
FILES: dict[str, Callable[[Record], Any]] = {
    "steering_selectors": steering_selectors,
    "steering_effects": steering_effects,
    "steering_normalisation": steering_normalisation,
}
