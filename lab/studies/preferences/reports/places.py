"""Position bias: win rates of origins in either place, pairs by what swapping does, and drift between runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.record import CellRecord
from lab.record.fold import estimates
from lab.studies.preferences.position_bias import contrast
from lab.studies.preferences.reports.ranks import panels, size_of, titled
from lab.studies.shared.seed_reports import counted, runs_of
from lab.views.drawing import COLOURS, GREY, Drawing
from lab.views.record import Missing, Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def win_rate_by_position(record: Record) -> Drawing:
    """Each two origins: how often the first wins when it is named first (A), and when it is named second (B)."""
    cells, rows, remark = runs_of(record, "POSITION", "win rates", negatives=True)
    models = list(dict.fromkeys(row["model"] for row in rows))
    sides = {model: [row for row in rows if row["model"] == model] for model in models}
    designs = sorted({f"{len(cell.rows['choices'])} pairs, {cell.reported.get('design')}" for cell in cells})
    title = f"Win rate by position: {counted(len(models), 'model')}, {'; '.join(designs)}"

    def draw(figure: Figure) -> None:
        for k, (ax, model) in enumerate(zip(panels(figure, len(models)), models, strict=True)):
            for i, row in enumerate(sides[model]):
                for key, marker, colour, up in (
                    ("in first", "o", COLOURS[0], -0.13),
                    ("in second", "s", COLOURS[1], 0.13),
                ):
                    e = row[key]
                    ax.plot(
                        e["value"], i + up, marker, color=colour, markersize=4, label=None if i else f"named {key[3:]}"
                    )
                    ax.plot([e["low"], e["high"]], [i + up] * 2, color=colour, linewidth=0.9)
                ax.plot(row["balanced"]["value"], i, "|", color="black", markersize=9, label=None if i else "balanced")
            ax.axvline(0.5, color=GREY, linewidth=0.8)
            names = [f"{row['origin']} / {row['against']} ({row['pairs']})" for row in sides[model]]
            ax.set_yticks(range(len(names)), names, fontsize=6.5)
            ax.set_ylim(len(names) - 0.5, -0.5)
            ax.set_xlim(-0.02, 1.02)
            ax.set_xlabel("win rate of the first of the two (pairs)")
            ax.set_title(model, loc="left")
            if k == 0:
                ax.legend(fontsize=6, loc="lower right")
        figure.suptitle(titled(title, remark), fontsize=9)

    most = max(len(side) for side in sides.values())
    return Drawing(
        data={"models": sides, "title": title, "remark": remark},
        size=size_of(len(models), 1.0 + 0.24 * most, width=3.9),
        caption="How often tasks of one origin win against those of another, when named first and when named second, "
        "with 95 % intervals; balanced is the mean of both.",
        cells=tuple(cell.cell for cell in cells),
        draw=draw,
    )


def position_bias(record: Record) -> Drawing:
    """Every model's b with its interval, and its pairs by what swapping them does."""
    cells, _, remark = runs_of(record, "POSITION", "choices", negatives=True)
    models = [_told(cell) for cell in cells]
    title = f"Position bias: {counted(len(models), 'model')}, " + "; ".join(
        sorted({f"{each['pairs']} pairs, {each['design']}" for each in models})
    )
    kinds = list(models[0]["classes"])

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, sharey=True)
        for i, each in enumerate(models):
            left.plot(each["b"], i, "o", color=COLOURS[0])
            left.plot([each["low"], each["high"]], [i, i], color=COLOURS[0])
            begin = 0.0
            total = sum(each["classes"].values())
            for k, kind in enumerate(kinds):
                share = each["classes"][kind] / total
                right.barh(i, share, left=begin, height=0.7, color=COLOURS[(2, 5, 1)[k]], label=None if i else kind)
                if share > 0.06:
                    right.text(begin + share / 2, i, each["classes"][kind], ha="center", va="center", fontsize=6.5)
                begin += share
        left.axvline(0, color=GREY, linewidth=0.8)
        left.set_yticks(range(len(models)), [each["model"] for each in models])
        left.set_ylim(len(models) - 0.4, -0.6)
        reach = 1.1 * max(0.5, *(abs(each[end]) for each in models for end in ("low", "high")))
        left.set_xlim(-reach, reach)
        left.set_xlabel("b in logits (positive: the first-named)")
        right.set_xlabel("share of pairs")
        right.legend(fontsize=6.5, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
        right.grid(False)
        figure.suptitle(titled(title, remark), fontsize=9)

    return Drawing(
        data={"models": models, "title": title, "remark": remark},
        size=(7.6, 1.4 + 0.34 * len(models)),
        caption="b = 1/2 ln(n_FF / n_SS) with 95 % intervals. Robust: the same task is clearly preferred in both "
        "orders; order-flipping: the same place is; fragile: neither.",
        cells=tuple(cell.cell for cell in cells),
        draw=draw,
    )


def _told(cell: CellRecord) -> dict[str, Any]:
    b = estimates(cell)["position bias b"]
    return {
        "model": cell.subject,
        "design": cell.reported.get("design"),
        "pairs": len(cell.rows["choices"]),
        "b": b.value,
        "low": b.low,
        "high": b.high,
        "classes": cell.reported["class_counts"],
        "swap consistency": cell.reported["swap_consistency"],
        "repeat consistency": cell.reported["repeat_consistency"],
    }


def drift(record: Record) -> dict[str, Any]:
    """P(B) of the same model and wording in two runs, on the pairs that both have asked: newer less older.

    Raises Missing where no two runs of POSITION have asked a model the same pairs.
    """
    cells = sorted(
        (
            cell
            for cell in [*record.others, *record.cells]
            if cell.experiment == "POSITION" and cell.rows.get("choices")
        ),
        key=lambda cell: cell.started,
    )
    found = []
    for i, old in enumerate(cells):
        for new in cells[i + 1 :]:
            same = (old.subject, old.knobs.get("wording")) == (new.subject, new.knobs.get("wording"))
            if same and old.run != new.run and (row := _moved(old, new)):
                found.append(row)
    if not found:
        raise Missing("no two runs of POSITION asked a model the same pairs; run it again later, or see -k DRIFT")
    return {"schema": 1, "rows": found}


def _moved(old: CellRecord, new: CellRecord) -> dict[str, Any] | None:
    """How far P(B) has moved on the ordered pairs that both cells have."""
    then = {tuple(row["tasks"]): row["p first"] for row in old.rows["choices"]}
    both = [(then[pair], row["p first"]) for row in new.rows["choices"] if (pair := tuple(row["tasks"])) in then]
    if len(both) < 2:
        return None
    p = np.array(both, dtype=float)
    try:
        e = contrast(p[:, 1], p[:, 0], seed=0).share_second
    except ValueError:
        return None
    told = {"model": new.subject, "wording": new.knobs.get("wording"), "runs": [old.run, new.run], "pairs": e.n}
    return told | {"P(B), newer less older": e.value, "low": e.low, "high": e.high}


FIGURES: dict[str, Callable[[Record], Drawing]] = {
    "win_rate_by_position": win_rate_by_position,
    "position_bias": position_bias,
}
FILES: dict[str, Callable[[Record], Any]] = {"drift": drift}
