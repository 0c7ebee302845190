"""Refusals beside preferences: four panels a model, and the rate of refusals by origin."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.files.whole import file_name, write_whole
from lab.studies.preferences.reports.ranks import panels, size_of, table_of, titled
from lab.studies.preferences.reports.stale import guarded
from lab.studies.preferences.wordings import origin_means
from lab.studies.shared.seed_reports import counted, runs_of
from lab.views.drawing import COLOURS, GREY, Drawing
from lab.views.record import Missing, Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DONE, REFUSED = COLOURS[0], COLOURS[1]
ALL = "all"
EXCLUDED = "with and without refused tasks"
"""Rows of a cell of REFUSALS: every analysis twice."""
SIDES, ENDS = ("all", "without"), ("value", "low", "high", "n")
SHOWN = ("mean utility", "position", "content", "new pairs", "stated and revealed", "r of wordings")
"""Analyses in the figure; its JSON has all."""


def refusal_and_preference(record: Record) -> Drawing:
    """Utilities of refused and other tasks: violins and means by origin, every task by rank, rate by quartile."""
    cells, rows, remark = runs_of(record, "REFUSALS", "refusals", negatives=True)
    models = list(dict.fromkeys(row["model"] for row in rows))
    told = [_told(cell) for cell in cells]
    title = f"Refusal and preference: {counted(len(models), 'model')}, " + "; ".join(
        sorted({f"{len(each['tasks'])} tasks, {each['design']}" for each in told})
    )

    def draw(figure: Figure) -> None:
        axes = figure.subplots(len(told), 4, squeeze=False)
        for row, each in zip(axes, told, strict=True):
            _violins(row[0], each)
            _means(row[1], each)
            _ranks(row[2], each)
            _quartiles(row[3], each)
        named = [axes[0][0].plot([], [], "s", color=colour)[0] for colour in (DONE, REFUSED)]
        figure.legend(named, ["done", "refused"], loc="upper left", ncols=2)
        figure.suptitle(titled(title, remark), fontsize=9)

    return Drawing(
        data={"models": told, "title": title, "remark": remark},
        size=(12.0, 0.5 + 2.7 * len(told)),
        caption="Utilities of tasks that were refused and of those that were done; means with their number of tasks; "
        "every task by rank; share refused by quartile of utility with Wilson's intervals.",
        cells=tuple(cell.cell for cell in cells),
        draw=draw,
    )


def _told(cell: Any) -> dict[str, Any]:
    """What one model's panels show."""
    score = cell.knobs["asked_as"][0]
    return {
        "model": cell.subject,
        "score": score,
        "design": cell.reported.get("design"),
        "tasks": [
            {"origin": row["origin"], "utility": row["scores"][score], "refusal rate": row["refusal rate"]}
            for row in cell.rows["refusals"]
            if row["scores"][score] is not None and row["refusal rate"] is not None
        ],
        "links": [row for row in cell.rows["links"] if row["score"] == score],
        "quartiles": cell.rows["quartiles"],
    }


def _groups(each: dict[str, Any]) -> list[tuple[str, list[float], list[float]]]:
    """Each origin with the utilities of its tasks that were done, and of those refused."""
    found = []
    for origin in dict.fromkeys(task["origin"] for task in each["tasks"]):
        mine = [task for task in each["tasks"] if task["origin"] == origin]
        split = [[t["utility"] for t in mine if (t["refusal rate"] > 0.5) == said] for said in (False, True)]
        found.append((origin, split[0], split[1]))
    return found


def _violins(ax: Axes, each: dict[str, Any]) -> None:
    for i, (_, done, refused) in enumerate(_groups(each)):
        for values, shift, colour in ((done, -0.2, DONE), (refused, 0.2, REFUSED)):
            if len(values) > 1 and max(values) > min(values):
                parts: Any = ax.violinplot([values], [i + shift], widths=0.38, showextrema=False)
                parts["bodies"][0].set(facecolor=colour, alpha=0.35)
            ax.plot([i + shift] * len(values), values, "_", color=colour, markersize=4, alpha=0.7)
    groups = _groups(each)
    ax.set_xticks(
        range(len(groups)), [f"{o}\n{len(d)}+{len(r)}" for o, d, r in groups], fontsize=6.5, rotation=30, ha="right"
    )
    ax.set_ylabel("utility")
    ax.set_title(each["model"], loc="left")


def _means(ax: Axes, each: dict[str, Any]) -> None:
    shown = [row for row in each["links"] if row["n"]]
    for i, row in enumerate(shown):
        for key, shift, colour in (("mean other", -0.2, DONE), ("mean refused", 0.2, REFUSED)):
            n = row["refused"] if key == "mean refused" else row["n"] - row["refused"]
            if row[key] is None:
                ax.text(0, i + shift, " none", va="center", fontsize=6, color=colour)
                continue
            ax.barh(i + shift, row[key], height=0.36, color=colour)
            end = "left" if row[key] >= 0 else "right"
            ax.text(row[key], i + shift, f" {n} ", va="center", ha=end, fontsize=6, color="0.2")
    ax.axvline(0, color=GREY, linewidth=0.8)
    said = ["r undefined" if row["r"] is None else f"r = {row['r']:+.2f}" for row in shown]
    ax.set_yticks(
        range(len(shown)), [f"{row['origin']}\n{r}" for row, r in zip(shown, said, strict=True)], fontsize=6.5
    )
    ax.set_ylim(len(shown) - 0.5, -0.5)
    low, high = ax.get_xlim()
    ax.set_xlim(low - 0.12 * (high - low), high + 0.12 * (high - low))
    ax.set_xlabel("mean utility (tasks)")
    ax.grid(False, axis="y")


def _ranks(ax: Axes, each: dict[str, Any]) -> None:
    order = sorted(each["tasks"], key=lambda task: -task["utility"])
    for said, colour, marker, size in ((False, DONE, ".", 3), (True, REFUSED, "^", 4)):
        at = [(rank, t["utility"]) for rank, t in enumerate(order, 1) if (t["refusal rate"] > 0.5) == said]
        if at:
            ax.plot(*zip(*at, strict=True), marker, markersize=size, color=colour, label="refused" if said else "done")
    overall = next(row for row in each["links"] if row["origin"] == ALL)
    r = (
        "undefined"
        if overall["r"] is None
        else f"{overall['r']:+.2f} [{overall['r low']:.2f}, {overall['r high']:.2f}]"
    )
    ax.set(xlabel="rank", ylabel="utility")
    ax.set_title(f"all tasks: r {r}", loc="left")


def _quartiles(ax: Axes, each: dict[str, Any]) -> None:
    for row in each["quartiles"]:
        ax.bar(row["quartile"], row["rate"], color=COLOURS[2], width=0.7)
        ax.plot([row["quartile"]] * 2, [row["low"], row["high"]], color="black", linewidth=1.0)
        ax.text(row["quartile"], row["high"] + 0.01, f"{row['rate']:.0%}\n({row['n']})", ha="center", fontsize=6.5)
    ax.set_xticks(range(1, 5), ["least", "2nd", "3rd", "most"])
    ax.set_ylim(0, min(1.3, max(row["high"] for row in each["quartiles"]) + 0.15))
    ax.set(xlabel="preferred: quartile", ylabel="share refused")
    ax.grid(False, axis="x")


def refusal_rate_by_origin(record: Record) -> Drawing:
    """Share of tasks refused by origin, with Wilson's intervals, for each model."""
    cells, rows, remark = runs_of(record, "REFUSALS", "links", negatives=True)
    rows = [row for row in rows if row["score"] == next(r["score"] for r in rows if r["model"] == row["model"])]
    models = list(dict.fromkeys(row["model"] for row in rows))
    title = f"Share of tasks refused: {counted(len(models), 'model')}"

    def draw(figure: Figure) -> None:
        for ax, model in zip(panels(figure, len(models)), models, strict=True):
            mine = [row for row in rows if row["model"] == model]
            for i, row in enumerate(mine):
                ax.barh(i, row["rate"], height=0.7, color=COLOURS[1] if row["origin"] != ALL else GREY)
                ax.plot([row["rate low"], row["rate high"]], [i, i], color="black", linewidth=1.0)
                ax.text(row["rate high"] + 0.02, i, f"{row['rate']:.0%} ({row['n']})", va="center", fontsize=6.5)
            ax.set_yticks(range(len(mine)), [row["origin"] for row in mine])
            ax.set_ylim(len(mine) - 0.5, -0.5)
            ax.set_xlim(0, 1.35)
            ax.set_xticks([0, 0.5, 1])
            ax.set_xlabel("share refused (tasks)")
            ax.set_title(model, loc="left")
            ax.grid(False, axis="y")
        figure.suptitle(titled(title, remark), fontsize=9)

    most = max(sum(row["model"] == model for row in rows) for model in models)
    return Drawing(
        data={"rows": rows, "title": title, "remark": remark},
        size=size_of(len(models), 1.0 + 0.26 * most),
        caption="Share of tasks of which more than half of the completions refused. Lines: Wilson's 95 % intervals.",
        cells=tuple(cell.cell for cell in cells),
        draw=draw,
    )


def refusal_correlations(record: Record) -> dict[str, Any]:
    """One row for each model, score (wording or rating template) and origin: r, p, means, rank test, and warnings."""
    _, rows, remark = runs_of(record, "REFUSALS", "links", negatives=True)
    return {"schema": 1, "rows": rows, "remark": remark}


def without_refused_tasks(record: Record) -> Drawing:
    """The main analyses with all tasks, and with the refused ones left out and everything fitted anew."""
    cells, rows, remark = runs_of(record, "REFUSALS", EXCLUDED, negatives=True)
    models = list(dict.fromkeys(row["model"] for row in rows))
    first = {cell.subject: cell.knobs["asked_as"][0] for cell in cells}
    shown = {
        model: [
            row
            for row in rows
            if row["model"] == model and row["wording"] in ("", first[model]) and row["analysis"] in SHOWN
        ]
        for model in models
    }
    sizes = {
        cell.subject: f"{len(told)} tasks, {sum((row['refusal rate'] or 0) > 0.5 for row in told)} refused"
        for cell in cells
        for told in [cell.rows["refusals"]]
    }
    title = f"With and without refused tasks: {counted(len(models), 'model')}"

    def draw(figure: Figure) -> None:
        for k, (ax, model) in enumerate(zip(panels(figure, len(models)), models, strict=True)):
            for i, row in enumerate(shown[model]):
                for key, marker, colour, up in (("all", "o", DONE, -0.15), ("without", "^", REFUSED, 0.15)):
                    if (e := row[key]) is not None:
                        ax.plot(e["value"], i + up, marker, color=colour, markersize=3.5)
                        ax.plot([e["low"], e["high"]], [i + up] * 2, color=colour, linewidth=0.9)
            names = [f"{row['analysis']}: {row['of']}" for row in shown[model]]
            ax.set_yticks(range(len(names)), names, fontsize=6)
            ax.set_ylim(len(names) - 0.5, -0.5)
            ax.axvline(0, color=GREY, linewidth=0.8)
            ax.set_title(f"{model} ({sizes[model]})", loc="right")  # over the names, which take half of the width
            if k == 0:
                for key, marker, colour in (("all tasks", "o", DONE), ("without refused", "^", REFUSED)):
                    ax.plot([], [], marker, color=colour, label=key)
        figure.legend(loc="outside lower center", ncols=2)
        figure.suptitle(titled(title, remark), fontsize=9)

    most = max(len(side) for side in shown.values())
    return Drawing(
        data={"rows": rows, "title": title, "remark": remark},
        size=size_of(len(models), 1.0 + 0.2 * most, width=4.4),
        caption="Utilities in their own unit, b in logits, all else shares and correlations; 95 % intervals. A task is "
        "refused where more than half of its completions are.",
        cells=tuple(cell.cell for cell in cells),
        draw=draw,
    )


def by_template(record: Record) -> dict[str, list[dict[str, Any]]]:
    """One table a wording: each model and origin ("all" first) with mean utility, and refusals against it.

    Raises Missing where REFUSALS has not been run.
    """
    cells, _, _ = runs_of(record, "REFUSALS", "links", negatives=True)
    found: dict[str, list[dict[str, Any]]] = {}
    for cell in cells:
        for wording in cell.knobs["asked_as"]:
            tasks = [(row["scores"][wording], row["origin"]) for row in cell.rows["refusals"]]
            means = {row["origin"]: row for row in origin_means(*zip(*tasks, strict=True))}
            for row in cell.rows["links"]:
                if row["score"] == wording:
                    mean = means.get(row["origin"], {"mean": 0.0, "low": None, "high": None, "std": None})
                    own = {f"utility {key}": mean[key] for key in ("mean", "low", "high", "std")}
                    rest = {key: value for key, value in row.items() if key not in ("score", "origin")}
                    found.setdefault(wording, []).append(
                        {"model": cell.subject, "origin": row["origin"], **own, **rest}
                    )
    return found


def _of_templates(record: Record) -> dict[str, list[dict[str, Any]]]:
    return {f"templates/{file_name(name)}": rows for name, rows in by_template(record).items()}


def _of_all_and_without(record: Record) -> dict[str, list[dict[str, Any]]]:
    _, rows, _ = runs_of(record, "REFUSALS", EXCLUDED, negatives=True)
    table = [
        {key: row[key] for key in ("model", "wording", "analysis", "of")}
        | {f"{side} {end}": None if row[side] is None else row[side][end] for side in SIDES for end in ENDS}
        for row in rows
    ]
    return {"without_refused_tasks": table}


def write_tables(record: Record, folder: Path) -> list[Path]:
    """A CSV file for each wording, templates/NAME.csv, and one of all analyses with and without refused tasks.

    What a run has not kept is left out, and the rest is written.
    """
    tables: dict[str, list[dict[str, Any]]] = {}
    for make in (_of_templates, _of_all_and_without):
        with suppress(Missing):
            tables |= make(record)
    return [write_whole(folder / f"{name}.csv", table_of(rows).encode()) for name, rows in tables.items()]


FIGURES: dict[str, Callable[[Record], Drawing]] = {
    "refusal_and_preference": guarded(refusal_and_preference),
    "without_refused_tasks": guarded(without_refused_tasks),
    "refusal_rate_by_origin": refusal_rate_by_origin,
}
FILES: dict[str, Callable[[Record], Any]] = {"refusal_correlations": refusal_correlations}
