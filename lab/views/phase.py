"""Figures and files of one phase: each from the journal, or a line that says what is missing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from lab.files.whole import write_whole
from lab.views.panels import draw_all
from lab.views.record import Missing, Record


def write_phase(
    record: Record, folder: Path, phase: str, modules: Sequence[ModuleType], why: str
) -> tuple[list[Path], list[str]]:
    """The `FIGURES` and `FILES` of all modules into `folder`; returns them, and a line for each that lacks its inputs.

    `why` is said where the phase was not run at all. A file that can no longer be made is removed.
    """
    if not any(cell.phase == phase for cell in record.cells):
        return [], [why]
    written, missing = draw_all({name: make for each in modules for name, make in each.FIGURES.items()}, record, folder)
    for name, make in ((name, make) for each in modules for name, make in each.FILES.items()):
        path = folder / f"{name}.json"
        try:
            text = json.dumps(make(record), indent=1, allow_nan=False) + "\n"
        except Missing as lacking:
            missing.append(f"{name}: {lacking}")
            path.unlink(missing_ok=True)
            continue
        written.append(write_whole(path, text.encode()))
    return written, missing
