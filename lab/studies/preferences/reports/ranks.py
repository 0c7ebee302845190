"""Rankings of tasks by preference: utilities by origin, the tasks at both ends, and tables of all of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

from lab.files.whole import file_name, write_whole
from lab.studies.preferences.reports.stale import guarded
from lab.studies.shared.seed_reports import counted, runs_of
from lab.views.drawing import COLOURS, GREY, MARKERS, Drawing
from lab.views.record import Missing, Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 8
"""Tasks at either end."""
LONGEST = 46
"""Characters of a task in a figure."""
COLUMNS = ("task_id", "mu", "sigma")
CURVES = (
    ("successive", "o--", "successive fits"),
    ("split_half", "s-", "split halves"),
    ("split_half_low", "v:", "lower end of these"),
)
"""What is said round by round: its name in a row, its marker, and its label."""
SOURCES = ("UTILITIES", "REFUSALS")
"""Experiments that rank all tasks; the second tells of refusals too."""


def mu_by_origin(record: Record) -> Drawing:
    """Mean utility by origin for each model, the models' mean most preferred first, with 95 % intervals over tasks."""
    cells, rows, remark = runs_of(record, "UTILITIES", "utility by origin")
    models = list(dict.fromkeys(row["model"] for row in rows))
    bars = {
        origin: [row for row in rows if row["origin"] == origin] for origin in dict.fromkeys(r["origin"] for r in rows)
    }
    order = sorted(bars, key=lambda origin: -sum(row["mean"] for row in bars[origin]) / len(bars[origin]))
    known = {(row["model"], row["origin"]): row for row in rows}
    n = sorted({row["n"] for row in rows})
    per = f"{n[0]} to {n[-1]}" if len(n) > 1 else f"{n[0]}"
    designs = sorted({str(cell.reported.get("design")) for cell in cells})
    title = f"Mean utility by origin: {counted(len(models), 'model')}, {per} tasks an origin, {'; '.join(designs)}"

    def draw(figure: Figure) -> None:
        for ax, model in zip(panels(figure, len(models)), models, strict=True):
            for i, origin in enumerate(order):
                row = known.get((model, origin))
                if row is None:
                    continue
                ax.barh(i, row["mean"], height=0.7, color=COLOURS[0])
                if row["low"] is not None:
                    ax.plot([row["low"], row["high"]], [i, i], color="black", linewidth=1.0)
                ax.text(1.0, i, f"{row['mean']:+.2f} (sd {_said(row['std'])})", va="center", ha="right", fontsize=6.5,
                        transform=ax.get_yaxis_transform())  # fmt: skip
            ax.axvline(0, color=GREY, linewidth=0.8)
            ax.set_yticks(range(len(order)), order)
            ax.set_ylim(len(order) - 0.5, -0.5)
            ends = [row[end] for row in rows for end in ("low", "high", "mean") if row[end] is not None]
            low, high = min(0.0, *ends), max(0.0, *ends)
            ax.set_xlim(low - 0.05 * (high - low), high + 0.75 * (high - low))
            ax.set_title(model, loc="left")
            ax.grid(False, axis="y")
            ax.set_xlabel("mean utility (all tasks: 0)")
        figure.suptitle(titled(title, remark), fontsize=9)

    return Drawing(
        data={"models": models, "rows": rows, "order": order, "title": title, "remark": remark},
        size=size_of(len(models), 1.0 + 0.26 * len(order)),
        caption="Mean utility of the tasks of each origin, centred on all tasks, with its deviation. Lines: 95 % "
        "intervals over tasks (Student).",
        cells=tuple(cell.cell for cell in cells),
        draw=draw,
    )


def _said(std: float | None) -> str:
    return "-" if std is None else f"{std:.2f}"


def most_and_least_preferred(record: Record) -> Drawing:
    """The tasks at both ends of each model's ranking with intervals, those left out that are known badly."""
    cells, rows, remark = runs_of(record, "UTILITIES", "most and least preferred")
    models = list(dict.fromkeys(row["model"] for row in rows))
    shown = {
        model: [
            row
            for end in ("top", "bottom")
            for row in [r for r in rows if r["model"] == model and r["end"] == end][:SHOWN]
        ]
        for model in models
    }
    for model in models:
        ends = shown[model]
        half = [row for row in ends if row["end"] == "bottom"]
        shown[model] = [row for row in ends if row["end"] == "top"] + half[::-1]
    origins = sorted({row["origin"] for row in rows})
    tasks = {cell.subject: len(cell.rows["utilities"]) for cell in cells}
    title = f"Most and least preferred tasks: {counted(len(models), 'model')}"

    def draw(figure: Figure) -> None:
        for ax, model in zip(panels(figure, len(models), columns=1), models, strict=True):
            for i, row in enumerate(shown[model]):
                k = origins.index(row["origin"])
                style: dict[str, Any] = {"color": COLOURS[k % 7], "marker": MARKERS[k % 7]}
                ax.plot(row["mu"], i, linestyle="", markersize=4, **style)
                ax.plot([row["low"], row["high"]], [i, i], color=style["color"], linewidth=1.0)
            names = [f"{row['rank']}. {_short(row['text'])} ({row['origin']})" for row in shown[model]]
            ax.set_yticks(range(len(names)), names, fontsize=6.5)
            ax.set_ylim(len(names) - 0.5, -0.5)
            ax.axvline(0, color=GREY, linewidth=0.8)
            ax.set_title(f"{model} ({tasks[model]} tasks)", loc="left")
            ax.set_xlabel("utility, 95 % interval")
        figure.suptitle(titled(title, remark), fontsize=9)

    return Drawing(
        data={"models": shown, "tasks": tasks, "title": title, "remark": remark},
        size=(7.4, 0.7 + len(models) * (0.75 + 0.19 * 2 * SHOWN)),
        caption="Tasks at both ends of the ranking whose interval is at most twice as wide as that of half of all.",
        cells=tuple(cell.cell for cell in cells),
        draw=draw,
    )


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "\u2026"


def learning(record: Record) -> Drawing:
    """What both rules of stopping said round by round, for each model that learnt actively."""
    cells, rows, remark = runs_of(record, "ACTIVE", "rounds")
    models = list(dict.fromkeys(row["model"] for row in rows))
    curves = {model: [row for row in rows if row["model"] == model] for model in models}
    ends = {cell.subject: {k: cell.reported[k] for k in ("ended", "n_tasks", "total_comparisons")} for cell in cells}
    title = f"Active learning: {counted(len(models), 'model')}"

    def draw(figure: Figure) -> None:
        for ax, model in zip(panels(figure, len(models)), models, strict=True):
            for k, (key, marker, label) in enumerate(CURVES):
                known = [(row["pairs"], row[key]) for row in curves[model] if row[key] is not None]
                if known:
                    ax.plot(*zip(*known, strict=True), marker, color=COLOURS[k], markersize=4, label=label)
            end = ends[model]
            ax.set_title(f"{model}, {end['n_tasks']} tasks", loc="left")
            ax.set(
                xlabel=f"pairs asked ({end['total_comparisons']} answers; {end['ended']})", ylabel="rank correlation"
            )
            ax.legend(fontsize=6.5)
        figure.suptitle(titled(title, remark), fontsize=9)

    return Drawing(
        data={"rounds": curves, "ends": ends, "title": title, "remark": remark},
        size=size_of(len(models), 2.4),
        caption="Rank correlation of the utilities of two successive rounds, which says little of the truth, and the "
        "root of the split-half reliability, whose lower end is what stops.",
        cells=tuple(cell.cell for cell in cells),
        draw=draw,
    )


class RankedTask(TypedDict):
    """One task of a model."""

    rank: Annotated[int, {"minimum": 1}]
    task_id: str
    origin: str
    mu: float
    low: float
    high: float
    sigma: Annotated[float, {"exclusiveMinimum": 0}]
    doubt: str
    refusal_rate: Annotated[float | None, {"minimum": 0, "maximum": 1}]
    is_refusal: bool | None
    text: str


class RankedModel(TypedDict):
    """A model's tasks, and where they are from."""

    experiment: Literal["UTILITIES", "REFUSALS"]
    cell: str
    run: str
    design: Literal["both orders", "one order, position not balanced"]
    tasks: list[Annotated[RankedTask, {"additionalProperties": True}]]


class RankedTasks(TypedDict):
    """ranked_tasks.json."""

    schema: Literal[1]
    models: dict[str, RankedModel]


def ranked_tasks(record: Record) -> RankedTasks:
    """Every model's tasks by rank, with refusals where they were looked at; the newest of both experiments."""
    found: dict[str, Any] = {}
    for experiment, name in zip(SOURCES, ("utilities", "ranked"), strict=True):
        for cell in record.of(experiment) + record.controls(experiment):
            if cell.rows.get(name):
                found[cell.subject] = {
                    "experiment": experiment,
                    "cell": cell.cell,
                    "run": cell.run,
                    "design": cell.reported.get("design"),
                    "tasks": cell.rows[name],
                }
    if not found:
        raise Missing("no cell has ranked tasks; pytest hypotheses -k 'UTILITIES or REFUSALS'")
    return {"schema": 1, "models": found}


def consolidated(record: Record) -> dict[str, Any]:
    """Utilities of all runs together, each with its own experiment, run and wording; no task is averaged over runs."""
    runs = []
    for cell in record.cells:
        rows = cell.rows.get("utilities") if cell.experiment in ("UTILITIES", "ACTIVE", "WORDINGS") else None
        for wording in dict.fromkeys(row.get("wording") for row in rows or ()):
            mine = [row for row in rows or () if row.get("wording") == wording]
            runs.append(
                {
                    "experiment": cell.experiment,
                    "cell": cell.cell,
                    "run": cell.run,
                    "model": cell.subject,
                    "wording": wording or cell.reported.get("wording") or cell.knobs.get("wording"),
                    "utilities": [{key: row[key] for key in COLUMNS} for row in mine],
                }
            )
    if not runs:
        raise Missing("no cell has utilities; pytest hypotheses -k 'UTILITIES or WORDINGS'")
    return {"schema": 1, "runs": runs}


def write_tables(record: Record, folder: Path) -> list[Path]:
    """A CSV and a YAML file of utilities for each run that has any, and one of each active learner's figures.

    Numbers are written so that they come back exactly.
    """
    import yaml

    written = []
    try:
        runs = consolidated(record)["runs"]
    except Missing:
        return []
    for run in runs:
        name = f"{file_name(run['cell'])}_{file_name(run['wording'] or 'utilities')}"
        written += utilities_files(folder / "utilities" / name, run)
    keys = ("n_tasks", "converged", "ended", "n_iterations", "unique_pairs_queried", "total_comparisons",
            "rank_correlations", "split_half", "split_half_low", "final_split_half",
            "final_split_half_low")  # fmt: skip
    for cell in record.of("ACTIVE"):
        if "rank_correlations" in cell.reported:
            told = {key: cell.reported[key] for key in keys}
            path = folder / "utilities" / f"{file_name(cell.cell)}_active_learning.yaml"
            written.append(write_whole(path, yaml.safe_dump(told, sort_keys=False).encode()))
    return written


def utilities_files(path: Path, run: dict[str, Any]) -> list[Path]:
    """A run's utilities as PATH.csv, and all that is told of the run as PATH.yaml; numbers come back exactly."""
    import yaml

    table = table_of([{key: row[key] for key in COLUMNS} for row in run["utilities"]])
    text = yaml.safe_dump(run, sort_keys=False, allow_unicode=True)
    return [
        write_whole(path.with_name(f"{path.name}{suffix}"), said.encode())
        for suffix, said in ((".csv", table), (".yaml", text))
    ]


def table_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of the same columns as CSV; numbers come back exactly, None is empty."""
    lines = io.StringIO()
    table = csv.DictWriter(lines, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return lines.getvalue()


def panels(figure: Figure, n: int, *, columns: int = 3) -> list[Axes]:
    """n axes in rows of at most so many."""
    across = min(columns, n)
    down = -(-n // across)
    axes = figure.subplots(down, across, squeeze=False).ravel().tolist()
    for ax in axes[n:]:
        ax.axis("off")
    return axes[:n]


def size_of(n: int, height: float, *, width: float = 3.3) -> tuple[float, float]:
    """Of a figure with n panels in rows of three."""
    return max(4.4, width * min(3, n)), 0.5 + height * -(-n // 3)


def titled(title: str, remark: str) -> str:
    return title + (f"\n({remark})" if remark else "")


FIGURES: dict[str, Callable[[Record], Drawing]] = {
    "mu_by_origin": guarded(mu_by_origin),
    "most_and_least_preferred": guarded(most_and_least_preferred),
    "active_learning": guarded(learning),
}
FILES: dict[str, Callable[[Record], Any]] = {"ranked_tasks": ranked_tasks, "utilities": consolidated}
