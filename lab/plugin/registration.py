"""What does a cell claim, before its data? `--lab-freeze` writes it down; later runs say what became of it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from lab.estimate import Bar
from lab.files.digest import digest
from lab.files.plain import plain
from lab.plugin.cells import EXPERIMENT, KNOBS
from lab.plugin.notebook import JOURNAL
from lab.plugin.options import SETTINGS
from lab.record import Notebook, lock, machine
from lab.record.lock import Registered

_LOCK = pytest.StashKey[dict[str, Registered] | None]()


def pytest_configure(config: pytest.Config) -> None:
    """Reads the lock. One that was changed by hand ends the run, unless it is about to be made anew."""
    settings = config.stash[SETTINGS]
    path = config.rootpath / lock.LOCK
    try:
        config.stash[_LOCK] = None if settings.freeze else lock.read_lock(path)
    except lock.BrokenLock as error:
        raise pytest.UsageError(str(error)) from None


def settle(item: pytest.Function, notebook: Notebook, data: Mapping[str, str]) -> None:
    """Under --lab-freeze, writes down what the cell claims and skips it; else says how it stands to the lock."""
    locked = item.config.stash[_LOCK]
    if item.config.stash[SETTINGS].freeze:
        notebook.registered(claims(item, notebook, data))
        pytest.skip("registered; --lab-freeze runs nothing")
    if locked is not None:
        notebook.registration(lock.compare(locked, notebook.cell.id, claims(item, notebook, data)))


def claims(item: pytest.Function, notebook: Notebook, data: Mapping[str, str]) -> Registered:
    """What is fixed of a cell, from its source and its knobs."""
    bars, controls = written(item.function, item.stash[KNOBS])
    return Registered(
        claim=item.stash[EXPERIMENT].claim,
        bars=bars,
        controls=controls,
        knobs=plain(item.stash[KNOBS]),
        data=digest(dict(data)),
        seed=notebook.seed,
    )


def written(function: Callable[..., Any], knobs: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Assertions and controls of a test as they are written, with the values of knobs and constants in them."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    constants = {k: v for k, v in function.__globals__.items() if isinstance(v, int | float | str | Bar)}
    filled = _Values({**constants, **knobs}).visit(tree)
    bars = tuple(ast.unparse(node.test) for node in ast.walk(filled) if isinstance(node, ast.Assert))
    controls = tuple(
        ast.unparse(node)
        for node in ast.walk(filled)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "control"
    )
    return bars, controls


class _Values(ast.NodeTransformer):
    """Puts values in place of the names that stand for them."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.values and isinstance(node.ctx, ast.Load):
            return ast.parse(repr(self.values[node.id]), mode="eval").body
        return node


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    settings = session.config.stash[SETTINGS]
    if not settings.freeze or settings.is_worker:
        return
    starts = session.config.stash[JOURNAL].so_far().starts
    cells = {start.cell: start.registered for start in starts if start.registered is not None}
    if cells:
        root = session.config.rootpath
        lock.freeze(root / lock.LOCK, cells, machine.commit(root))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    path = config.rootpath / lock.LOCK
    if config.stash[SETTINGS].freeze and path.exists():
        cells = lock.read_lock(path) or {}
        terminalreporter.write_line(f"registered: {len(cells)} cells in {path.name}; commit it before you run them")
