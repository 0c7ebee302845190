"""What Allure is given of a cell while the suite runs, and when it has ended. Used only where Allure is on.

What is shown is made by `lab.views.shown` from the journal: by the process that ran the cell, as soon as it has
ended, and once more for all cells at the end, so that a killed worker's cells are there too.
"""

from __future__ import annotations

import warnings
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


def is_on(config: pytest.Config) -> bool:
    """Whether allure-pytest writes results, or is about to: its listener is made when it is configured."""
    return config.pluginmanager.hasplugin("allure_listener") or bool(getattr(config.option, "allure_report_dir", None))


def show(item: pytest.Item) -> None:
    """Puts what the journal says of a cell that has ended in the place of allure-pytest's own result."""
    listener: Any = item.config.pluginmanager.get_plugin("allure_listener")
    notebook = item.stash.get(NOTEBOOK, None)
    if listener is None or notebook is None:
        return
    settings = item.config.stash[SETTINGS]
    (record,) = gather(notebook.events)
    ours = shown(record, header(settings.results / "journal", settings.run), settings.results)
    # allure-pytest's own result of this test makes room for ours, which a later run of the same writer replaces.
    their = listener.allure_logger.get_test(listener._cache.pop(item.nodeid))
    listener.allure_logger.drop_test(their.uuid)
    with suppress(OSError):  # the end of the session writes it again, and says what hinders it
        keep(_folder(item.config), Shown(beside(ours.result, as_json(their)), ours.files))


def _folder(config: pytest.Config) -> Path:
    return Path(config.option.allure_report_dir)


def show_all(session: pytest.Session) -> None:
    """Writes the results of all cells anew, from the journal, with categories, environment and history."""
    settings, cells = session.config.stash[SETTINGS], session.config.stash.get(CELLS, [])
    if cells and not settings.is_worker and _folder(session.config).is_dir():
        try:
            write_allure(_folder(session.config), settings.results, cells)
        except (OSError, Missing) as error:
            told = f"Allure's results cannot be written: {error}; mend that, and run `lab report allure`"
            warnings.warn(told, stacklevel=1)
