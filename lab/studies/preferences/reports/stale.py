"""A check that the fits behind a figure have today's objective and code; a figure with others says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any
from warnings import warn

from lab.record import CellRecord
from lab.studies.preferences import thurstone, utilities
from lab.views.drawing import Drawing
from lab.views.record import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEPT = "fitted_with"
"""What a cell that fitted utilities reports: `utilities.Utilities.fitted_with`."""

OLD = "(fitted by other code or to another objective than today's: run it again)"


def reasons(cells: Sequence[CellRecord]) -> list[str]:
    """Why the utilities of some cells are not those that today's code would give; none where they are."""
    found = []
    for cell in cells:
        told = cell.reported.get(KEPT)
        if told is None:
            found.append(f"{cell.cell} does not say what its fit minimised")
        elif told["objective"] != (due := utilities.objective(told["l2"], told["exact"])):
            found.append(f"{cell.cell} minimised {told['objective']}, and fits of today minimise {due}")
        elif told["code"] != thurstone.version():
            found.append(f"{cell.cell} was fitted by code {told['code']}, and today's is {thurstone.version()}")
    return found


def guarded(make: Callable[[Record], Drawing]) -> Callable[[Record], Drawing]:
    """A figure of utilities that keeps with its values what was minimised and by which code.

    Where either is not today's a warning says so, and so does the figure itself.
    """

    @wraps(make)
    def made(record: Record) -> Drawing:
        drawing = make(record)
        cells = [cell for cell in record.cells if cell.cell in drawing.cells]
        told = [cell.reported.get(KEPT) for cell in cells]
        old = reasons(cells)
        data = drawing.data | {
            "fits": [{"cell": cell.cell, KEPT: one} for cell, one in zip(cells, told, strict=True)],
            "stale": old,
        }
        if not old:
            return replace(drawing, data=data)
        warn(f"{make.__name__}: {old[0]}; run the experiment again", stacklevel=2)

        def draw(figure: Figure) -> Any:
            drawing.draw(figure)
            figure.suptitle(f"{figure.get_suptitle()}\n{OLD}", fontsize=9)

        return replace(drawing, data=data, draw=draw)

    return made
