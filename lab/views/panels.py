"""Figures of several panels, and how a group of figures is drawn from a record."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from lab.files.whole import write_whole
from lab.views.drawing import Drawing, keep
from lab.views.record import Missing, Record

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PAGE = 6.6
"""Inches that panels may take beside each other: a page of the paper, so that none is shrunk with its text."""


def draw_all(
    figures: Mapping[str, Callable[[Record], Drawing]], record: Record, folder: Path, papers: Path | None = None
) -> tuple[list[Path], list[str]]:
    """Draws what can be drawn, as PNG with its JSON into `folder`, and where it is named as PDF into `papers`.

    Returns the files, and a line for each figure whose inputs are missing; an earlier picture of that name is removed,
    so that no figure tells of another run than its neighbours.
    """
    written: list[Path] = []
    missing: list[str] = []
    for name, make in figures.items():
        files = [folder / f"{name}.png", folder / f"{name}.json", *([papers / f"{name}.pdf"] if papers else [])]
        try:
            drawing = make(record)
        except Missing as why:
            missing.append(f"{name}: {why}")
            for stale in files:
                stale.unlink(missing_ok=True)
            continue
        data = json.dumps(drawing.data, indent=1, sort_keys=True, allow_nan=False) + "\n"
        written += [keep(drawing, files[0]), write_whole(files[1], data.encode())]
        written += [keep(drawing, path) for path in files[2:]]
    return written, missing


def _columns(n: int, width: float) -> int:
    return max(1, min(n, int(_PAGE / width)))


def size_of(n: int, width: float, height: float) -> tuple[float, float]:
    """Inches of n panels in the rows of `grid_of`."""
    columns = _columns(n, width)
    return width * columns, height * -(-n // columns)


def grid_of(figure: Figure, n: int, width: float, *, sharey: bool = False) -> list[Axes]:
    """n axes of a width, as many beside each other as a page holds."""
    columns = _columns(n, width)
    grid = figure.subplots(-(-n // columns), columns, squeeze=False, sharey=sharey)
    axes = list(grid.flat)
    for empty in axes[n:]:
        empty.set_axis_off()
    return axes[:n]
