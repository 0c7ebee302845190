"""The paper's three figures: the main result, what it depends on (ablation), and further analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.record import CellRecord
from lab.record.fold import called, estimates
from lab.studies.plan003.directions import DIRECTIONS, Direction
from lab.studies.plan003.figures import FIGURES
from lab.views.drawing import GREY, Drawing, Styles
from lab.views.panels import grid_of, size_of
from lab.views.record import Missing, Record, one_setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def paper_figures(record: Record, direction: Direction) -> tuple[dict[str, Drawing], list[str]]:
    """The drawings main_result, ablation and analysis, and a line for each that cannot be drawn."""
    made: dict[str, Drawing] = {}
    missing = []
    for name, make in (("main_result", main_result), ("ablation", ablation), ("analysis", analysis)):
        try:
            made[name] = make(record, direction)
        except Missing as why:
            missing.append(f"{name}: {why}")
    return made, missing


def main_result(record: Record, direction: Direction) -> Drawing:
    """The direction's own figure; where its rows were not kept, the estimates of its pre-mortem."""
    try:
        return FIGURES[direction.figure](record)
    except Missing:
        return forest(record, [direction], controls=False)


def ablation(record: Record, direction: Direction) -> Drawing:
    """The main measure under every setting, model and seed that ran, and what is left of it in negative controls."""
    return forest(record, [direction], controls=True)


def analysis(record: Record, direction: Direction) -> Drawing:
    """What the direction's second phase looked into; where its rows were not kept, the other directions' measures:
    what else was asked of the same models, whatever it came to."""
    try:
        return _ANALYSES[direction.letter](record)
    except Missing:
        return forest(record, [other for other in DIRECTIONS if other != direction], controls=True)


def layer_similarity(record: Record) -> Drawing:
    """2A1: how alike each pair of layers is, one panel a pair of models; what chance allows is at the scale's start."""
    shown = _kept(record, "2A1", "similarity by layer")

    def draw(figure: Figure) -> None:
        highest = max(row["score"] for panel in shown for row in panel["rows"])
        axes = grid_of(figure, len(shown), _PAIR)
        for ax, panel in zip(axes, shown, strict=True):
            rows = panel["rows"]
            size = [max(row[name] for row in rows) + 1 for name in ("layer", "other_layer")]
            scores = [[float("nan")] * size[1] for _ in range(size[0])]
            for row in rows:
                scores[row["layer"]][row["other_layer"]] = row["score"]
            image = ax.imshow(scores, cmap="cividis", origin="lower", aspect="auto", vmin=0, vmax=highest)
            one, _, other = panel["subject"].partition(" x ")
            title = f"{one} and {other}\n95 % of the null: {rows[0]['null_95']:.2f}"
            ax.set(xlabel=f"layer of {other}", ylabel=f"layer of {one}", title=title)
            ax.grid(False)
        figure.colorbar(image, ax=axes, label="similarity", shrink=0.8)

    return Drawing(
        data={"panels": shown},
        size=size_of(len(shown), _PAIR, 2.7),
        caption="Similarity of every pair of layers; above each panel the 95 % of the null of the whole search.",
        cells=tuple(panel["cell"] for panel in shown),
        draw=draw,
    )


def risk_coverage(record: Record) -> Drawing:
    """2B3: the share of wrong answers among those that are given, as the probe lets fewer be given."""
    shown = _kept(record, "2B3", "risk coverage")
    styles = Styles([panel["subject"] for panel in shown])

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        for panel in shown:
            subject = panel["subject"]
            x, y = ([row[name] for row in panel["rows"]] for name in ("coverage", "risk"))
            own: Any = {"color": styles.colour(subject), "marker": styles.marker(subject), "label": subject}
            ax.plot(x, y, markevery=0.12, markersize=4, **own)
        ax.set(
            xlabel="coverage (share of questions answered)",
            ylabel="risk (share of answers wrong)",
            title=_title(shown, "2B3", "task"),
        )
        ax.legend()

    return Drawing(
        data={"panels": shown},
        size=(5.0, 3.6),
        caption="Risk against coverage where the questions most likely to be answered wrongly are left out first.",
        cells=tuple(panel["cell"] for panel in shown),
        draw=draw,
    )


def ways_compared(record: Record) -> Drawing:
    """2C4: what an edit of activations and what a prompt changes, on the same tasks."""
    shown = _kept(record, "2C4", "patching against prompting")
    ways = list(dict.fromkeys(row["way"] for panel in shown for row in panel["rows"] if "change" in row))
    styles = Styles(ways)

    def draw(figure: Figure) -> None:
        ax = figure.add_subplot()
        for i, way in enumerate(ways):
            there = [(at, row) for at, p in enumerate(shown) for row in p["rows"] if row["way"] == way]
            values = [row["change"] for _, row in there]
            errors = [
                [row["change"] - row["change_low"] for _, row in there],
                [row["change_high"] - row["change"] for _, row in there],
            ]
            x = [at + 0.16 * (i - (len(ways) - 1) / 2) for at, _ in there]
            own: Any = {"color": styles.colour(way), "fmt": styles.marker(way), "label": way}
            ax.errorbar(x, values, yerr=errors, capsize=3, markersize=5, **own)
        ax.axhline(0, color=GREY, linewidth=0.8)
        ax.set_xticks(range(len(shown)), [panel["subject"] for panel in shown])
        ax.set(ylabel="change in mean score", title=_title(shown, "2C4", "behaviour"))
        ax.margins(x=0.12)
        ax.legend()

    return Drawing(
        data={"panels": shown},
        size=(max(4.2, 1.0 + 1.25 * len(shown)), 3.4),
        caption="Change of behaviour by an edit of activations and by asking in the prompt, with 95\u00a0% intervals.",
        cells=tuple(panel["cell"] for panel in shown),
        draw=draw,
    )


_PAIR = 3.2
"""Inches of one panel."""


def _title(shown: list[dict[str, Any]], experiment: str, knob: str) -> str:
    """The experiment with the data set or behaviour that its knob names."""
    return ", ".join([experiment, *dict.fromkeys(str(p["knobs"][knob]) for p in shown if knob in p["knobs"])])


_ANALYSES = {"A": layer_similarity, "B": risk_coverage, "C": ways_compared}


def _kept(record: Record, experiment: str, rows: str) -> list[dict[str, Any]]:
    """The rows of that name in each cell of the most frequent setting. Raises Missing."""
    cells, _ = one_setting([cell for cell in record.of(experiment) if cell.rows.get(rows)])
    if not cells:
        raise Missing(f"{experiment} has kept no rows {rows!r}; pytest hypotheses/ -k {experiment}")
    return [{"cell": c.cell, "subject": c.subject, "knobs": c.knobs, "rows": c.rows[rows]} for c in cells]


_LINES = 5.5
"""Inches of one panel: labels of cells are long."""


def forest(record: Record, directions: list[Direction], *, controls: bool) -> Drawing:
    """Estimates with their intervals, one line a cell, and the bar they were held against. Raises Missing."""
    panels: list[dict[str, Any]] = []
    for direction in directions:
        cells = record.of(direction.premortem) + (record.controls(direction.premortem) if controls else [])
        known = [(cell, estimates(cell)[direction.measure]) for cell in cells if direction.measure in estimates(cell)]
        told = called([cell for cell, _ in known]).values()
        lines = [
            {
                "cell": cell.cell,
                "label": label,
                "negative": cell.negative is not None,
                "value": e.value,
                "low": e.low,
                "high": e.high,
            }
            for (cell, e), label in zip(known, told, strict=True)
        ]
        if lines:
            title = f"{direction.title}: {direction.measure}"
            panels.append({"title": title, "bar": _bar(cells, direction.measure), "lines": lines})
    if not panels:
        names = " or ".join(direction.premortem for direction in directions)
        raise Missing(f"nothing was measured by {names}; pytest hypotheses/ -k '{names}'")
    most = max(len(panel["lines"]) for panel in panels)

    def draw(figure: Figure) -> None:
        for ax, panel in zip(grid_of(figure, len(panels), _LINES), panels, strict=True):
            _draw(ax, panel)

    named = ", ".join(f"{panel['title'].split(': ')[1]}" for panel in panels)
    ran = "models, settings, seeds and negative controls (hollow, grey)" if controls else "models"
    return Drawing(
        data={"panels": panels},
        size=size_of(len(panels), _LINES, 0.9 + 0.23 * most),
        caption=f"{named[0].upper()}{named[1:]} with 95\u00a0% intervals, for all {ran} that ran. "
        "Dashed: the bar, fixed before the data.",
        cells=tuple(line["cell"] for panel in panels for line in panel["lines"]),
        draw=draw,
    )


def _bar(cells: list[CellRecord], measure: str) -> float | None:
    claims = (
        c for cell in cells for m in cell.measures if m.estimate.name == measure for c in m.claims if "against" in c
    )
    return next((claim["against"][1] for claim in claims if "against" in claim), None)


def _draw(ax: Axes, panel: dict[str, Any]) -> None:
    lines = panel["lines"]
    for i, line in enumerate(lines):
        colour, fill = (GREY, "white") if line["negative"] else ("#0072B2", "#0072B2")
        ax.plot([line["low"], line["high"]], [i, i], color=colour, linewidth=1.5)
        ax.plot(line["value"], i, "o", color=colour, markerfacecolor=fill, markersize=4)
    if panel["bar"] is not None:
        ax.axvline(panel["bar"], color="#D55E00", linestyle="--", linewidth=1)
    ax.set_yticks(range(len(lines)), [line["label"] for line in lines], fontsize=7.5)
    bar = "" if panel["bar"] is None else f" (dashed: the bar, {panel['bar']:g})"
    ax.set(ylim=(len(lines) - 0.5, -0.5), title=panel["title"] + bar)
