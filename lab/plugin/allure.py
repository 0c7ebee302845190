"""What does Allure show of a cell? Claim, verdict, numbers, controls and plots. Registered only where Allure is on."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import allure
import pytest
from allure_commons.logger import AllureFileLogger
from allure_commons.model2 import Label, Status, StatusDetails, TestResult
from allure_commons.utils import md5, now, uuid4

from lab.evidence import Cell, Notebook, gather
from lab.evidence.tables import entry, summary_table
from lab.plugin.notebook import NOTEBOOK
from lab.plugin.options import SETTINGS

CATEGORIES = [
    {"name": "Refuted", "matchedStatuses": ["failed"]},
    {"name": "Inconclusive", "matchedStatuses": ["unknown"]},
    {"name": "Invalid", "matchedStatuses": ["broken"], "messageRegex": r"lab\.Invalid:[\s\S]*"},
    {"name": "Infrastructure", "matchedStatuses": ["broken"]},
]


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outermost: runs after Allure has set its own status
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    listener: Any = item.config.pluginmanager.get_plugin("allure_listener")
    if listener is None:
        return report
    if getattr(report, "verdict", None) == "inconclusive" and report.skipped:
        listener.allure_logger.get_test(None).status = "unknown"  # there is no public way
    notebook = item.stash.get(NOTEBOOK, None)
    if notebook and (call.when == "call" or (call.when == "setup" and call.excinfo)):
        _show(notebook)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Writes the categories beside the results, where Allure 2 looks; Allure 3 reads reports/allurerc.mjs."""
    folder = Path(session.config.option.allure_report_dir or "")
    if folder.is_dir() and not session.config.stash[SETTINGS].is_worker:
        (folder / "categories.json").write_text(json.dumps(CATEGORIES, indent=1) + "\n")


def show_lost(config: pytest.Config, cell: Cell, nodeid: str, reason: str) -> None:
    """Writes the result of a cell whose workers died, which no worker could write; where Allure is on."""
    folder = getattr(config.option, "allure_report_dir", None)
    if not folder:
        return
    labels = [("epic", cell.phase), ("feature", cell.experiment), ("story", cell.claim), ("verdict", "INVALID")]
    result = TestResult(
        uuid=uuid4(),
        name=f"{cell.id}: {cell.claim}",
        fullName=nodeid,
        historyId=md5(nodeid),
        status=Status.BROKEN,
        statusDetails=StatusDetails(message=f"lab.Invalid: {reason}"),
        labels=[Label(name, value) for name, value in labels],
        start=now(),
        stop=now(),
    )
    AllureFileLogger(folder).report_result(result)


def _show(notebook: Notebook) -> None:
    cell, (record,) = notebook.cell, gather(notebook.events)
    allure.dynamic.title(f"{cell.id}: {cell.claim}")
    allure.dynamic.epic(cell.phase)
    allure.dynamic.feature(cell.experiment)
    allure.dynamic.story(cell.claim)
    allure.dynamic.label("verdict", record.verdict)
    bars = ", ".join(f"{m.read.name} {m.bar}" for m in record.measures if m.claims) or "none was reached"
    controls = "\n".join(f"- {c['outcome']}: {c['name']} ({c['reason']})" for c in record.controls) or "- none"
    notes = "".join(f"\n**Note**: {text}\n" for text in record.notes)
    allure.dynamic.description(
        f"**Claim**: {cell.claim}\n\n**Bar**: {bars}\n\n**Verdict**: {record.shown_verdict}. {record.reason}\n\n"
        f"{summary_table([record])}\n**Controls**\n\n{controls}\n{notes}"
    )
    numbers = json.dumps(entry(record), indent=1, sort_keys=True)
    allure.attach(numbers, name="numbers", attachment_type=allure.attachment_type.JSON)
    for name, path in notebook.plots.items():
        allure.attach.file(str(path), name=name, attachment_type=allure.attachment_type.PNG)
