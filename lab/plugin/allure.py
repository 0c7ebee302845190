"""How does Allure see a cell while the suite runs, and when it has ended? Registered only where Allure is on.

What is shown is made by `lab.views.shown` from the journal: by the process that ran the cell, as soon as it has
ended, and once more for all cells at the end, so that a killed worker's cells are there too.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lab.plugin.notebook import NOTEBOOK
from lab.plugin.options import SETTINGS
from lab.plugin.summary import CELLS
from lab.record import gather
from lab.record.journal import header
from lab.views.allure import write_allure
from lab.views.record import Missing
from lab.views.shown import Shown, as_json, beside, keep, shown


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outermost: the journal has the verdict by then
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    listener: Any = item.config.pluginmanager.get_plugin("allure_listener")
    notebook = item.stash.get(NOTEBOOK, None)
    if call.when != "teardown" or listener is None or notebook is None:
        return report
    settings = item.config.stash[SETTINGS]
    (record,) = gather(notebook.events)
    ours = shown(record, header(settings.results / "journal", settings.run), settings.results)
    # allure-pytest's own result of this test makes room for ours, which a later run of the same writer replaces.
    their = listener.allure_logger.get_test(listener._cache.pop(item.nodeid))
    listener.allure_logger.drop_test(their.uuid)
    with suppress(OSError):  # the end of the session writes it again, and says what hinders it
        keep(_folder(item.config), Shown(beside(ours.result, as_json(their)), ours.files))
    return report


def _folder(config: pytest.Config) -> Path:
    return Path(config.option.allure_report_dir)


@pytest.hookimpl(trylast=True)  # the cells have been gathered, and the registry knows this run
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Writes the results of all cells anew, from the journal, with categories, environment and history."""
    settings, cells = session.config.stash[SETTINGS], session.config.stash.get(CELLS, [])
    if cells and not settings.is_worker and _folder(session.config).is_dir():
        try:
            write_allure(_folder(session.config), settings.results, cells)
        except (OSError, Missing) as error:
            told = f"Allure's results cannot be written: {error}; mend that, and run `lab report allure`"
            warnings.warn(told, stacklevel=1)
