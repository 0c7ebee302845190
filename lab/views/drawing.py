"""How figures look and are kept: one look for all, readable by the colour-blind, equal bytes each time."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.files.whole import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito (2008), which the colour-blind can tell apart; yellow is left out, for it is hard to see on white."""
MARKERS = "osD^vPX"
GREY = "0.6"

_LOOK: Any = {
    "figure.dpi": 150,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "pdf.fonttype": 42,
}


@dataclass(frozen=True)
class Drawing:
    """A figure that can be drawn: its values as plain JSON, its size in inches, its caption, and how to draw it.

    `cells` are the names of the cells that its numbers come from.
    """

    data: dict[str, Any]
    size: tuple[float, float]
    caption: str
    cells: tuple[str, ...]
    draw: Callable[[Figure], object]


def render(drawing: Drawing, form: str) -> bytes:
    """The picture as "png" or "pdf", without date and name of the program: equal data give equal bytes."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_LOOK):
        figure = Figure(figsize=drawing.size, layout="constrained")
        FigureCanvasAgg(figure)
        drawing.draw(figure)
        picture = io.BytesIO()
        nothing = {"Software": None} if form == "png" else {"CreationDate": None, "Creator": None, "Producer": None}
        figure.savefig(picture, format=form, metadata=nothing)
    return picture.getvalue()


def keep(drawing: Drawing, path: Path) -> Path:
    """Writes the picture whole, in the form that the name of `path` ends with."""
    return write_whole(path, render(drawing, path.suffix[1:]))


def lines(name: str, width: int = 22) -> str:
    """A long name on several lines, broken behind its own marks, so that neighbours do not run into one another.

    >>> lines("organisation/some-long-model-70b").splitlines()
    ['organisation/some-', 'long-model-70b']
    """
    said = [""]
    for part in re.split(r"(?<=[-_/:+, ])", name):
        if said[-1] and len(said[-1] + part) > width:
            said.append("")
        said[-1] += part
    return "\n".join(said)


class Styles:
    """Gives each name a colour and a marker, always the same one."""

    def __init__(self, names: list[str]) -> None:
        self._at = {name: i for i, name in enumerate(dict.fromkeys(names))}

    def colour(self, name: str) -> str:
        return COLOURS[self._at[name] % len(COLOURS)]

    def marker(self, name: str) -> str:
        return MARKERS[self._at[name] % len(MARKERS)]
