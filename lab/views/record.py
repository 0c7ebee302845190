"""What reports speak of: the cells of a run, and every result that any run ever came to."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lab.record import CellRecord, Fold, read
from lab.record.fold import differing
from lab.record.journal import runs


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
        The cells of the chosen run, or one result of each cell over all runs: of those with the fewest knobs
        changed from their defaults the newest; by name.
    others
        Different results of any other run, oldest first: none of them is left out of the paper. A cell that was
        merely repeated (same key, same verdict) is one result; an attempt that was killed or skipped is none where
        its work was done later.
    """

    results: Path
    cells: tuple[CellRecord, ...]
    others: tuple[CellRecord, ...]

    def of(self, *experiments: str) -> list[CellRecord]:
        """The cells of some experiments that test their claim: negative controls are not among them."""
        return [cell for cell in self.cells if cell.experiment in experiments and cell.negative is None]

    @property
    def set_aside(self) -> list[str]:
        """The cells of which another run has a result of other work: of other knobs, data, subjects or code."""
        keys = {cell.cell: cell.key for cell in self.cells}
        return sorted({c.cell for c in self.others if _weight(c) == 2 and c.key != keys.get(c.cell, c.key)})

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


def load(results: Path, run: str | None = None) -> Record:
    """Reads a results folder: the run that is named, else one result of each cell over all runs.

    A plan is run step by step, each step a run of its own. Raises Missing where there is no journal, or no such run.
    """
    journal = results / "journal"
    known = runs(journal)
    if not known:
        raise Missing(
            f"there is no journal in {journal}; run pytest here first, or name the results folder: --results DIR"
        )
    if run not in (None, *known):
        raise Missing(f"no run {run} in {journal}; the last ones are {', '.join(known[-3:])}")
    fold = Fold(read(journal))
    gathered = {name: fold.cells(name) for name in known}
    everything = [cell for name in known for cell in gathered[name]]
    chosen = gathered[run] if run else _chosen(everything)
    return Record(results, tuple(chosen), tuple(_others(everything, chosen)))


def changed(cell: CellRecord) -> list[str]:
    """The knobs that a cell had at another value than their default; older journals do not tell."""
    return list(cell.config.get("experiment", {}).get("changed", []))


def _chosen(everything: list[CellRecord]) -> list[CellRecord]:
    """The newest result of each cell, where a trial under other knobs does not stand before the experiment itself."""
    chosen: dict[str, CellRecord] = {}
    for cell in everything:
        if cell.cell not in chosen or _displaces(cell, chosen[cell.cell]):
            chosen[cell.cell] = cell
    return [chosen[name] for name in sorted(chosen)]


def _displaces(newer: CellRecord, older: CellRecord) -> bool:
    """Whether a later start of a cell stands in its place.

    A mistyped knob makes a cell INVALID too: it takes away a result only where it is of the very same work.
    """
    of_newer, of_older = _weight(newer), _weight(older)
    if of_newer == 1 and of_older == 2:
        return newer.key is not None and newer.key == older.key
    if of_newer == of_older == 2:
        return len(changed(newer)) <= len(changed(older))
    return of_newer >= of_older


def _weight(cell: CellRecord) -> int:
    """2 for a result, 1 for an INVALID one, 0 for a start that was skipped or killed."""
    return 0 if not _ended(cell) else 1 if cell.verdict == "INVALID" else 2


def _ended(cell: CellRecord) -> bool:
    return cell.finished and cell.verdict != "SKIPPED"


def _others(everything: list[CellRecord], chosen: list[CellRecord]) -> list[CellRecord]:
    """Results that are not among the chosen ones, each once."""
    seen = {_result(cell) for cell in chosen}
    done = {(cell.cell, cell.key) for cell in everything if _ended(cell)}
    left = []
    for cell in everything:
        tried_again = not _ended(cell) and (cell.key is None or (cell.cell, cell.key) in done)
        if not tried_again and _result(cell) not in seen:
            seen.add(_result(cell))
            left.append(cell)
    return left


def _result(cell: CellRecord) -> tuple[str, str | None, str]:
    return cell.cell, cell.key, cell.verdict


def one_setting(cells: list[CellRecord]) -> tuple[list[CellRecord], str]:
    """The cells of one setting (knobs and seed): that with the fewest knobs changed from their defaults, of those the
    one under which most ran, the first of them where several tie. And a remark that names it beside the others."""
    settings = [json.dumps([cell.knobs, cell.seed], sort_keys=True) for cell in cells]
    if not settings:
        return [], ""
    ran = Counter(settings)
    first = min(zip(cells, settings, strict=True), key=lambda one: (len(changed(one[0])), -ran[one[1]], one[1]))[1]
    kept = [cell for cell, setting in zip(cells, settings, strict=True) if setting == first]
    if len(ran) == 1:
        return kept, ""
    told = [f"{name} = {value}" for name, value in differing(kept[0], cells).items()]
    others = len(ran) - 1
    return kept, f"{', '.join(told)}; {others} other setting{'s are' if others > 1 else ' is'} in the table"
