"""Held-out NLL, sigma and accuracy over the penalty on sigma: synthetic studies and real data.

The two synthetic studies are the same every time, and are computed here; those of real comparisons are in the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lab.studies.preferences import regularisation, thurstone
from lab.studies.preferences.regularisation import Study
from lab.studies.preferences.reports.ranks import titled
from lab.studies.preferences.reports.stale import KEPT, guarded
from lab.studies.shared.seed_reports import counted, runs_of
from lab.views.drawing import COLOURS, GREY, MARKERS, Drawing
from lab.views.record import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEGREE = 5
"""Of the sparse study's graph."""
MOST_SIZES = 2
"""Of studies, told one by one."""
MOST = 1500
"""Iterations of a fit: without a penalty a sparse one never converges, and its rows say so."""


@lru_cache
def _synthetic(degree: int | None) -> Study:
    _, counted = regularisation.synthetic(degree=degree)
    return regularisation.study(
        counted, name="dense" if degree is None else f"sparse (d = {degree})", max_iterations=MOST
    )


def regularisation_dense(record: Record) -> Drawing:
    """100 synthetic tasks, every pair compared ten times."""
    return drawing_now([_synthetic(None)])


def regularisation_sparse(record: Record) -> Drawing:
    """100 synthetic tasks, each compared with five others ten times."""
    return drawing_now([_synthetic(DEGREE)])


def regularisation_real(record: Record) -> Drawing:
    """Every model's own comparisons."""
    cells, _, remark = runs_of(record, "UTILITIES", "regularisation")
    studies = [regularisation.of_rows(cell.rows["regularisation"], position=True) for cell in cells]
    return drawing_of(studies, tuple(cell.cell for cell in cells), remark)


def drawing_now(studies: Sequence[Study], what: str = "model") -> Drawing:
    """As `drawing_of`, of studies that today's code has just fitted: that, and what each fit minimised, is kept too."""
    drawing, code = drawing_of(studies, (), "", what), thurstone.version()
    fits = [
        {"study": study.name, KEPT: {"objective": row.objective, "l2": row.l2, "code": code}}
        for study in studies
        for row in study.by_l2
    ]
    return replace(drawing, data=drawing.data | {"fits": fits, "stale": []})


def drawing_of(studies: Sequence[Study], cells: tuple[str, ...], remark: str, what: str = "model") -> Drawing:
    """Studies over one grid of penalties side by side; `what` says of what each of several is."""
    first = studies[0]
    told = "; ".join(_sizes(studies))
    title = f"Regularisation of sigma, {first.name if len(studies) == 1 else counted(len(studies), what)}: {told}"
    advice = {
        study.name: {"l2": study.recommended[0], "why": study.recommended[1], "best": study.best} for study in studies
    }

    def draw(figure: Figure) -> None:
        nll, sigma, accuracy = figure.subplots(1, 3)
        for k, study in enumerate(studies):
            x = [row.l2 for row in study.by_l2]
            style: dict[str, Any] = {"color": COLOURS[k % 7], "marker": MARKERS[k % 7], "markersize": 3.5}
            test, error = [r.test_nll for r in study.by_l2], [r.test_nll_sd for r in study.by_l2]
            nll.errorbar(x, test, yerr=error, capsize=2, label=study.name, **style)
            sigma.plot(x, [r.max_sigma for r in study.by_l2], label="largest" if not k else None, **style)
            sigma.plot(x, [r.mean_sigma for r in study.by_l2], linestyle="--", label=None if k else "mean", **style)
            share, spread = [r.accuracy for r in study.by_l2], [r.accuracy_sd for r in study.by_l2]
            accuracy.errorbar(x, share, yerr=spread, capsize=2, label=study.name, **style)
        least = min(row.l2 for study in studies for row in study.by_l2 if row.l2 > 0)
        for ax in (nll, sigma, accuracy):
            ax.set_xscale("symlog", linthresh=least)
            ax.set_xlabel(r"penalty $\lambda$ of $\lambda\,\Sigma(\log\sigma)^2$")
        nll.set(ylabel="held-out NLL per answer (nats)")
        sigma.set(ylabel="sigma (solid: largest, dashed: mean)", yscale="log")
        sigma.yaxis.set_major_formatter("{x:g}")
        sigma.yaxis.set_minor_formatter("{x:g}")
        sigma.tick_params(which="both", labelsize=7)
        sigma.axhline(1, color=GREY, linestyle=":")
        accuracy.set(ylabel="held-out accuracy", ylim=(0.45, 1.02))
        accuracy.axhline(0.5, color=GREY, linestyle=":")
        if len(studies) > 1:
            accuracy.legend(fontsize=6, loc="lower right")
        figure.suptitle(titled(title, remark), fontsize=9)

    return Drawing(
        data={"studies": [row for study in studies for row in study.rows()], "advice": advice, "title": title},
        size=(10.0, 3.2),
        caption="Held-out negative log-likelihood, sigma, and held-out accuracy over the penalty; lines: standard "
        "deviation over folds of whole pairs.",
        cells=cells,
        draw=draw,
    )


def _sizes(studies: Sequence[Study]) -> list[str]:
    """How large they are: each by itself where these are few, else from the smallest to the largest."""
    sizes = sorted({(s.n_items, s.n_pairs, round(s.n_answers)) for s in studies})
    if len(sizes) > MOST_SIZES:
        ends = [" to ".join(f"{n}" for n in dict.fromkeys((min(each), max(each)))) for each in zip(*sizes, strict=True)]
        return [f"{ends[0]} tasks, {ends[1]} pairs, {ends[2]} answers"]
    return [f"{items} tasks, {pairs} pairs, {answers} answers" for items, pairs, answers in sizes]


FIGURES: dict[str, Callable[[Record], Drawing]] = {
    "regularisation_dense": regularisation_dense,
    "regularisation_sparse": regularisation_sparse,
    "regularisation_real": guarded(regularisation_real),
}
FILES: dict[str, Callable[[Record], Any]] = {}
