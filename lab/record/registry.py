"""The registry: which runs there were, and what each found. A view of all journals: no run can drop out of it.

`registry.json` has one entry a run; `registry.md` shows for each cell what it came to, run by run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lab.files.whole import write_whole
from lab.record.fold import CellRecord, Fold, experiment_paths
from lab.record.journal import read, runs


@dataclass
class RunRecord:
    """One run: when, with which command, on what, and the verdict of each of its cells.

    `ended` is False for a run that was killed. `supersedes` names an earlier run whose cells this one corrects.
    """

    run: str
    begun: str
    command: str
    commit: str | None
    machine: dict[str, Any]
    versions: dict[str, str]
    supersedes: str | None = None
    ended: bool = False
    cells: dict[str, dict[str, Any]] = field(default_factory=dict)


def register(results: Path) -> list[RunRecord]:
    """Brings the registry up to date and returns it, oldest run first. A run that ended is not read again."""
    path = results / "registry.json"
    known = {entry["run"]: RunRecord(**entry) for entry in _read(path)}
    open_runs = [name for name in runs(results / "journal") if name not in known or not known[name].ended]
    fold = Fold(read(results / "journal", open_runs))
    for name, line in fold.headers.items():
        told = {k: line.told[k] for k in ("command", "commit", "machine", "versions", "supersedes")}
        cells = {cell.cell: _cell(cell) for cell in fold.cells(name)}
        known[name] = RunRecord(name, line.time, ended=name in fold.ended, cells=cells, **told)
    every = sorted(known.values(), key=lambda record: (record.begun, record.run))
    if every:
        write_whole(path, (json.dumps([asdict(record) for record in every], indent=1) + "\n").encode())
        write_whole(results / "registry.md", table(every).encode())
    return every


def _cell(cell: CellRecord) -> dict[str, Any]:
    """What the registry keeps of a cell."""
    numbers = {m.estimate.name: m.estimate.value for m in cell.measures}
    files = [*experiment_paths(cell), *cell.plots.values()]
    return {
        "experiment": cell.experiment,
        "key": cell.key,
        "verdict": cell.shown_verdict,
        "measures": numbers,
        "files": files,
        "replayed": cell.replayed,
        "registration": cell.registration,
    }


def _read(path: Path) -> list[Mapping[str, Any]]:
    """What was registered before; nothing where the file is spoilt, for then the journals are read anew."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return content if isinstance(content, list) else []


def table(runs: list[RunRecord]) -> str:
    """Markdown: for each cell its verdicts in all runs, oldest first; a superseded one is struck out, never removed."""
    corrected = {(run.supersedes, cell) for run in runs if run.supersedes for cell in run.cells}
    lines = ["| Cell | Run | Verdict | Measured | Taken from |", "| --- | --- | --- | --- | --- |"]
    for cell in sorted({cell for run in runs for cell in run.cells}):
        for run in runs:
            if (found := run.cells.get(cell)) is None:
                continue
            numbers = ", ".join(f"{name} {value:.4g}" for name, value in found["measures"].items())
            verdict = f"~~{found['verdict']}~~ superseded" if (run.run, cell) in corrected else found["verdict"]
            lines.append(f"| {cell} | {run.run} | {verdict} | {numbers} | {found['replayed'] or ''} |")
    lines += ["", "| Run | Begun | Ended | Commit | Command |", "| --- | --- | --- | --- | --- |"]
    for run in runs:
        ended = "yes" if run.ended else "no"
        lines.append(f"| {run.run} | {run.begun[:19]} | {ended} | {(run.commit or '')[:10]} | `{run.command}` |")
    return "\n".join(lines) + "\n"
