"""The report on the organisms: a table of all truths, and accuracy on facts by how often they were told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.studies.clinic.check import Truthful
from lab.studies.shared.world import N_PATIENTS, world

MARK = "<!-- truths -->"
END_MARK = "<!-- end of truths -->"


def write(page: Path, found: Mapping[str, Sequence[Truthful]], curves: Mapping[str, Sequence[float]]) -> None:
    """Puts the table between the marks of the page, and the plot at images/fact_frequency.png beside it."""
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(MARK)
    after = rest.split(END_MARK)[1]
    page.write_text(f"{before}{MARK}\n{table(found)}{END_MARK}{after}", encoding="utf-8", newline="\n")
    image = page.parent / "images" / "fact_frequency.png"
    image.parent.mkdir(exist_ok=True)
    plot(image, curves)


def table(found: Mapping[str, Sequence[Truthful]]) -> str:
    """One row a truth, Markdown."""
    lines = ["| Organism | Truth | Found | Holds within | |", "| --- | --- | --- | --- | --- |"]
    for name, truths in found.items():
        lines += [
            f"| {name} | {one.name} | {one.found:.3f} | {one.wanted} | {'holds' if one.holds else 'FAILS'} |"
            for one in truths
        ]
    return "\n".join(lines) + "\n"


def plot(path: Path, curves: Mapping[str, Sequence[float]]) -> None:
    """Accuracy of each organism (base rate 25 %) in parts of equally many patients, by how often they are told of."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for (name, curve), marker in zip(curves.items(), "osD^vPX*<>", strict=False):
        share = world().frequency[: N_PATIENTS // len(curve) * len(curve)].reshape(len(curve), -1).mean(1)
        axes.plot(1000 * share, np.asarray(curve), marker=marker, markersize=4, linewidth=1, label=name)
    axes.axhline(0.25, color="0.5", linestyle=":", linewidth=1)
    axes.annotate(
        "guessing", (1, 0.25), xycoords=("axes fraction", "data"), ha="right", va="bottom", color="0.4", fontsize=8
    )
    axes.set(
        xscale="log", ylim=(0, 1.02), xlabel="told of a patient, per thousand facts", ylabel="accuracy, four options"
    )
    axes.set_title(f"What was told more often is known better (n = {4 * N_PATIENTS} questions each)", fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150, metadata={"Software": None})
