"""Writes docs/calibration.md and its plots from the counts."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mode
from typing import Any

from lab.files.whole import write_whole
from lab.stats.shares import clopper_pearson
from tests.calibration import planted
from tests.calibration.faults import FAULTS
from tests.calibration.power import CURVES
from tests.calibration.rules import RULES
from tests.calibration.simulate import CEILING, Count

HEAD = """# How often the verdicts are wrong

Every rule that can give PASS was run on simulated experiments whose truth is known, and which is put exactly on
the bar: there both PASS and FAIL are wrong. An interval has 95 %, so each side is due 2.5 %; a claim that is
decided by a test is due 5 %. "Surely below {ceiling:.1%}" is said of the one-sided 95 % upper bound
(Clopper-Pearson) of either rate. This page is written by `make calibration` ({runs} experiments a rule where
the table says nothing else); a part of
it runs in `make test`. All counts are in [calibration.json](calibration.json); sources {sources}.

![Rates of wrong verdicts](images/calibration.png)

*Each rule's rate of false PASS (dots) and false FAIL (triangles) of the claim "above the bar", with 95 %
intervals. The dashed line is what is due, the solid line what is tolerated.*

"""
POWER = """
## How large an effect must be to be found

The rules of the five hypotheses, on data with an effect of known size ({points} experiments a point; fewer where
one takes long). The bars are those of `hypotheses/`.

![Power curves](images/power.png)

*Share of experiments that came to PASS, INCONCLUSIVE and FAIL, by the size of the effect.*

"""
PLANTED = """
## What was planted is found

The suite itself on the embedded organisms, under {seeds} seeds, with half of its usual data, so that each seed
draws another half.

| Experiment | Subject | Planted | Wanted | Came to | Share (95 %) |
| --- | --- | --- | --- | --- | --- |
"""
FAULTY = """
## Faults of other systems, and what catches them

Each was built in a test as it was, and the test shows that it gives a false result there and none here.

| Fault | What went wrong | Caught by |
| --- | --- | --- |
"""


def write(
    counts: Sequence[Count], curves: Sequence[Any], found: Sequence[Mapping[str, Any]], docs: Path, made_from: str
) -> None:
    """The page, two PNGs beside it, and the counts of which they are made."""
    write_whole(docs / "images" / "calibration.png", _png(_draw_rates(counts)))
    write_whole(docs / "images" / "power.png", _png(_draw_power(curves)))
    figures = {
        "sources": made_from,
        "rules": [count.as_json() for count in counts],
        "power": {curve.id: points for curve, points in zip(CURVES, curves, strict=True)},
        "planted": found,
    }
    write_whole(docs / "calibration.json", (json.dumps(figures, indent=1) + "\n").encode())
    seeds = max(planted.as_wanted(row)[1] for row in found)
    usual = mode(count.runs for count in counts)
    text = HEAD.format(ceiling=CEILING, runs=f"{usual:,}", sources=made_from) + _table(counts)
    text += POWER.format(points=max(point["runs"] for curve in curves for point in curve))
    text += PLANTED.format(seeds=seeds) + "".join(map(_planted_row, found))
    text += FAULTY + "".join(f"| {fault.id} | {fault.what} | `{fault.test}` |\n" for fault in FAULTS)
    write_whole(docs / "calibration.md", text.encode())


def _table(counts: Sequence[Count]) -> str:
    rows = ["| Rule | Data | Runs | Coverage | False PASS | False FAIL | Surely below 6.5 % | Remark |\n"]
    rows.append("| --- | --- | --- | --- | --- | --- | --- | --- |\n")
    for rule, count in zip(RULES, counts, strict=True):
        coverage = "" if count.coverage is None else f"{count.coverage.shown} {count.coverage.interval}"
        fails = "" if count.false_fail is None else count.false_fail.shown
        sound = "yes" if count.sound else "**no**"
        cells = (rule.name, rule.setting, f"{count.runs:,}", coverage, count.false_pass.shown, fails, sound)
        rows.append(f"| {' | '.join(cells)} | {rule.admits} |\n")
    return "".join(rows)


def _planted_row(row: Mapping[str, Any]) -> str:
    came_to = ", ".join(f"{n} {verdict}" for verdict, n in sorted(row["verdicts"].items()))
    share = clopper_pearson(*planted.as_wanted(row))
    told = (row["experiment"], row["subject"], row["planted"], row["wanted"])
    return f"| {' | '.join(told)} | {came_to} | {share.shown} {share.interval} |\n"


def _draw_rates(counts: Sequence[Count]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 0.9 + 0.19 * len(counts)), layout="constrained")
    ax = figure.add_subplot()
    for y, count in enumerate(counts):
        sides = [(count.false_pass, "o", "#0072B2", -0.15), (count.false_fail, "^", "#D55E00", 0.15)]
        for rate, marker, colour, shift in sides:
            if rate is not None:
                low, high = 100 * (rate.value - rate.low), 100 * (rate.high - rate.value)
                ax.errorbar(
                    100 * rate.value,
                    y + shift,
                    xerr=[[low], [high]],
                    fmt=marker,
                    color=colour,
                    markersize=4,
                    linewidth=1,
                )
        due = 2.5 if count.interval else 5.0
        ax.plot([due, due], [y - 0.45, y + 0.45], color="0.5", linestyle="--", linewidth=1)
    ax.axvline(100 * CEILING, color="black", linewidth=1)
    ax.set_yticks(range(len(counts)), [count.rule for count in counts], fontsize=7)
    ax.set_ylim(len(counts) - 0.4, -0.6)
    ax.set_xlim(left=0)
    ax.set_xlabel("% of experiments that came to a wrong verdict")
    ax.set_title("Wrong verdicts with the truth on the bar", fontsize=9)
    for label, marker, colour in (("false PASS", "o", "#0072B2"), ("false FAIL", "^", "#D55E00")):
        ax.plot([], [], marker, color=colour, label=label, markersize=4)
    ax.plot([], [], color="0.5", linestyle="--", label="due")
    ax.plot([], [], color="black", label="tolerated")
    ax.legend(fontsize=7, loc="lower right")
    return figure


def _draw_power(curves: Sequence[Sequence[Mapping[str, float]]]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5.4), layout="constrained")
    axes = figure.subplots(2, 3)
    colours = {"PASS": "#0072B2", "INCONCLUSIVE": "#999999", "FAIL": "#D55E00"}
    for ax, curve, points in zip(axes.flat, CURVES, curves, strict=False):
        x = [point["effect"] for point in points]
        for name, marker in (("PASS", "o"), ("INCONCLUSIVE", "s"), ("FAIL", "^")):
            ax.plot(x, [100 * p[name] for p in points], marker=marker, color=colours[name], label=name, markersize=4)
        ax.set_title(f"{curve.id}: {curve.setting}\n{points[0]['runs']:.0f} runs a point", fontsize=8)
        ax.set_xlabel(curve.effect, fontsize=8)
        ax.set_ylabel("% of experiments", fontsize=8)
        ax.set_ylim(-3, 103)
        ax.axhline(90, color="0.6", linewidth=0.8, linestyle=":", zorder=0, label="90 %")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    axes.flat[-1].axis("off")
    axes.flat[-1].legend(handles, labels, loc="center", fontsize=9)
    return figure


def _png(figure: Any) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    picture = io.BytesIO()
    FigureCanvasAgg(figure).print_png(picture, metadata={"Software": None})
    return picture.getvalue()
