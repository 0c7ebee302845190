"""May a cell run yet? Only when the experiments that it needs came to PASS on its subjects. And those come first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import pytest

from lab.plugin.cells import EXPERIMENT, usage_errors
from lab.plugin.notebook import JOURNAL, NOTEBOOK, cell_of, history
from lab.plugin.options import SETTINGS
from lab.plugin.summary import CELLS
from lab.record import Cell, CellRecord

FORCED = "gate forced open"
"""Under this name a cell reports what would have closed its gate."""


class Asked(Protocol):
    """A cell, planned or finished: of whom it asks what."""

    @property
    def id(self) -> str: ...
    @property
    def experiment(self) -> str: ...
    @property
    def params(self) -> Mapping[str, str]: ...
    @property
    def negative(self) -> str | None: ...


AnyCell = TypeVar("AnyCell", bound=Asked)


@dataclass(frozen=True)
class Planned:
    """A cell of this run, and the ids of the experiments that it needs."""

    cell: Cell
    needs: tuple[str, ...] = ()


PLAN = pytest.StashKey[dict[str, Planned]]()
"""All cells of this run by node id, as collected in this process."""


def decisive(cell: Asked, needed: str, among: Iterable[AnyCell]) -> list[AnyCell]:
    """The cells of the experiment `needed` on which `cell` depends: those that share a subject with it, else all.

    Negative controls decide nothing.
    """
    cells = [other for other in among if other.experiment == needed and other.negative is None]
    return [other for other in cells if _subjects(cell) & _subjects(other)] or cells


def _subjects(cell: Asked) -> set[str]:
    return {cell.params[name] for name in ("model", "other_model") if name in cell.params}


def prerequisites(plan: Mapping[str, Planned]) -> dict[str, list[str]]:
    """For each node id with needs, the node ids that have to finish before it."""
    nodes = {planned.cell.id: nodeid for nodeid, planned in plan.items()}
    cells = [planned.cell for planned in plan.values()]
    return {
        nodeid: [nodes[c.id] for needed in planned.needs for c in decisive(planned.cell, needed, cells)]
        for nodeid, planned in plan.items()
        if planned.needs
    }


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Orders the run: what is needed comes before what needs it, and all else stays in its place."""
    with usage_errors(config, items):
        declared = [item.stash[EXPERIMENT] for item in items if EXPERIMENT in item.stash]
        refuse_cycles({experiment.id: experiment.needs for experiment in declared})
        cells = [(item, cell) for item in items if (cell := cell_of(item)) is not None]
        config.stash[PLAN] = plan = {i.nodeid: Planned(c, i.stash[EXPERIMENT].needs) for i, c in cells}
        before = prerequisites(plan)
        if before:
            places = {item.nodeid: item for item in items}
            ordered: dict[str, pytest.Item] = {}

            def place(nodeid: str) -> None:
                if nodeid not in ordered:
                    for needed in before.get(nodeid, ()):
                        place(needed)
                    ordered[nodeid] = places[nodeid]

            for item in items:
                place(item.nodeid)
            items[:] = ordered.values()


def refuse_cycles(needs: Mapping[str, tuple[str, ...]]) -> None:
    """Raises UsageError, naming the experiments, where one needs itself by way of others."""
    fine: set[str] = set()

    def follow(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            cycle = " -> ".join([*path[path.index(name) :], name])
            raise pytest.UsageError(f"experiments need each other in a circle: {cycle}; drop one of these `needs`")
        if name not in fine:
            for needed in needs.get(name, ()):
                follow(needed, (*path, name))
            fine.add(name)

    for name in needs:
        follow(name, ())


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips a cell whose gate is closed, before any fixture of it is made."""
    plan, settings = item.config.stash.get(PLAN, {}), item.config.stash[SETTINGS]
    planned = plan.get(item.nodeid)
    if planned is None or not planned.needs or settings.plan:  # `lab.plugin.plan` asks for itself
        return
    why = closed(item.config, planned, plan, item.config.stash[JOURNAL].so_far().outcomes())
    if why is None:
        return
    if not settings.force:
        raise pytest.skip.Exception(f"gate closed: {why}; --lab-force opens it", _use_item_location=True)
    notebook = item.stash[NOTEBOOK]
    notebook.note(f"{FORCED}: {why}")
    notebook.report(**{FORCED: why})


def closed(
    config: pytest.Config, planned: Planned, plan: Mapping[str, Planned], ran: Mapping[str, CellRecord]
) -> str | None:
    """What keeps a cell's gate closed, or None. `ran` are the cells of this run that came to something."""
    here = {other.cell.id: other.cell for other in plan.values()}
    earlier = history(config).outcomes(but=config.stash[SETTINGS].run)
    asked: dict[str, Asked] = {**earlier, **here}
    asked |= ran
    for needed in planned.needs:
        deciding = decisive(planned.cell, needed, asked.values())
        if not deciding:
            return f"{needed} did not run"
        for cell in deciding:
            if not isinstance(cell, CellRecord):
                return f"{cell.id} has not finished"
            if cell.verdict != "PASS":
                return f"{cell.id} came to {cell.verdict}"
    return None


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Says which gates were forced open."""
    if not config.stash[SETTINGS].force:
        return
    for cell in config.stash.get(CELLS, []):
        if FORCED in cell.reported:
            terminalreporter.write_line(f"{FORCED}: {cell.cell}, though {cell.reported[FORCED]}", yellow=True)
