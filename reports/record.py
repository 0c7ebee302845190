"""What is there to report? The cells of a run, and every result that any run ever came to."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lab.evidence import CellRecord, gather, read
from lab.methods.planning import PHASES, Decision, decide, overall


class Missing(ValueError):
    """Something that a report needs was not run. Its text is one line: what is missing, and how to get it."""


@dataclass(frozen=True)
class Record:
    """What the reports speak of.

    Attributes
    ----------
    results
        The results folder.
    cells
        The cells of the chosen run, or the newest result of each cell over all runs; by name.
    others
        Different results of any other run, oldest first: none of them is left out of the paper. A cell that was
        merely repeated (same key, same verdict) is one result; an attempt that was killed or skipped is none where
        its work was done later.
    """

    results: Path
    cells: tuple[CellRecord, ...]
    others: tuple[CellRecord, ...]

    @cached_property
    def verdicts(self) -> dict[str, str]:
        """What each pre-mortem came to, negative controls left out."""
        return {name: overall(cell.verdict for cell in self.of(name)) for name in PHASES}

    @cached_property
    def decision(self) -> Decision:
        return decide(self.verdicts)

    def of(self, *experiments: str) -> list[CellRecord]:
        """The cells of some experiments that test their claim: negative controls are not among them."""
        return [cell for cell in self.cells if cell.experiment in experiments and cell.negative is None]

    def controls(self, *experiments: str) -> list[CellRecord]:
        """The negative controls of some experiments."""
        return [cell for cell in self.cells if cell.experiment in experiments and cell.negative is not None]

    @property
    def models(self) -> list[str]:
        """The models that claims were tested on."""
        named = (
            cell.params[part] for cell in self.cells if not cell.negative for part in MODELS if part in cell.params
        )
        return sorted(set(named))


MODELS = ("model", "other_model")


def runs(journal: Path) -> list[str]:
    """The runs of a journal folder, oldest first."""
    return sorted({path.stem.rpartition("-")[0] for path in journal.glob("*.jsonl")})


def load(results: Path, run: str | None = None) -> Record:
    """Reads a results folder: the run that is named, else the newest result of each cell over all runs.

    A plan is run step by step, each step a run of its own. Raises Missing where there is no journal, or no such run.
    """
    journal = results / "journal"
    known = runs(journal)
    if not known:
        raise Missing(
            f"there is no journal in {journal}; run pytest hypotheses/ first, or name the folder: --results DIR"
        )
    if run not in (None, *known):
        raise Missing(f"no run {run} in {journal}; the last ones are {', '.join(known[-3:])}")
    gathered = {name: gather(read(journal, name)) for name in known}
    everything = [cell for name in known for cell in gathered[name]]
    chosen = gathered[run] if run else _newest(everything)
    return Record(results, tuple(chosen), tuple(_others(everything, chosen)))


def _newest(everything: list[CellRecord]) -> list[CellRecord]:
    """The newest result of each cell; an attempt that came to none stands only where there is nothing else."""
    newest: dict[str, CellRecord] = {}
    for cell in everything:
        if _decided(cell) or not (cell.cell in newest and _decided(newest[cell.cell])):
            newest[cell.cell] = cell
    return [newest[name] for name in sorted(newest)]


def _decided(cell: CellRecord) -> bool:
    return cell.finished and cell.verdict != "SKIPPED"


def _others(everything: list[CellRecord], chosen: list[CellRecord]) -> list[CellRecord]:
    """Results that are not among the chosen ones, each once."""
    seen = {_result(cell) for cell in chosen}
    done = {(cell.cell, cell.key) for cell in everything if _decided(cell)}
    left = []
    for cell in everything:
        tried_again = not _decided(cell) and (cell.key is None or (cell.cell, cell.key) in done)
        if not tried_again and _result(cell) not in seen:
            seen.add(_result(cell))
            left.append(cell)
    return left


def _result(cell: CellRecord) -> tuple[str, str | None, str]:
    return cell.cell, cell.key, cell.verdict


def one_setting(cells: list[CellRecord]) -> tuple[list[CellRecord], str]:
    """The cells of the setting (knobs and seed) under which most ran, the first of them where several tie; and a
    remark on how many other settings there are."""
    settings = [json.dumps([cell.knobs, cell.seed], sort_keys=True) for cell in cells]
    if not settings:
        return [], ""
    (first, _), *others = Counter(sorted(settings)).most_common()
    kept = [cell for cell, setting in zip(cells, settings, strict=True) if setting == first]
    remark = f"{len(others)} other settings are in the table" if others else ""
    return kept, remark
