"""What Allure needs beside single results: categories, environment, history, numbers over time, configuration.

All of it is made from the journal and the registry, so a folder that is written again holds the same.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from allure_commons.utils import md5

from lab.files.whole import write_whole
from lab.record.fold import CellRecord
from lab.record.journal import header
from lab.record.registry import RunRecord, register
from lab.views.shown import STATUS, keep, shown
from lab.views.templates import settings

CONFIGURATION, CATEGORIES, HISTORY = "allurerc.json", "categories.json", "history.jsonl"
METRICS = "numbers-perf.json"
"""Allure 3 reads numbers from any file whose name ends so."""
MOST_RUNS = 30
"""Earlier runs in the history: each is about a kilobyte a cell in the report."""
OLDER, EXECUTOR = "history", "executor.json"
"""Where Allure 2 looks for earlier runs, a folder, and for what made this one."""


def write_allure(folder: Path, results: Path, cells: Iterable[CellRecord]) -> None:
    """Writes what Allure shows of some cells of a results folder, and of earlier starts that were cut off.

    What ordinary tests wrote there stays.
    """
    cells = list(cells)
    headers = {run: header(results / "journal", run) for run in {cell.run for cell in cells}}
    for cell in cells:
        for record in (*cell.abandoned, cell):
            keep(folder, shown(record, headers[record.run], results))
    here = {(cell.run, cell.cell) for cell in cells}
    runs = register(results)  # by when they began: two names may be of one second
    last = max((i for i, run in enumerate(runs) if run.run in headers), default=-1)
    points = [point(run, here) for run in runs[: last + 1]]
    before = [one for one in points if one["testResults"]][-MOST_RUNS:]
    texts = {
        CATEGORIES: json.dumps(settings(CATEGORIES), indent=1),
        "environment.properties": environment(headers, cells),
        METRICS: json.dumps(metrics(cells), indent=1),
        HISTORY: "\n".join(map(json.dumps, before)),
        CONFIGURATION: json.dumps(configuration(folder), indent=1),
        EXECUTOR: json.dumps(executor(headers, len(before) + 1), indent=1),
        **{f"{OLDER}/{name}": json.dumps(told) for name, told in older(before).items()},
    }
    for name, text in texts.items():
        write_whole(folder / name, f"{text}\n".encode() if text else b"")


def configuration(folder: Path) -> dict[str, Any]:
    """Of Allure 3: that of `reports/`, with our categories, and the history that is written into this folder."""
    own: dict[str, Any] = settings(CONFIGURATION)
    return own | {
        "categories": {"rules": settings(CATEGORIES)},
        "historyPath": str((folder / HISTORY).absolute()),
        "appendHistory": False,  # the journal knows every run; a report that is made twice adds none
    }


def environment(headers: Mapping[str, Mapping[str, Any]], cells: Iterable[CellRecord]) -> str:
    """environment.properties: where the newest of these runs was made, with what, and which models it studied."""
    newest = headers.get(max(headers, default=""), {})
    machine = newest.get("machine", {})
    models = sorted({name for cell in cells for part, name in cell.params.items() if part in ("model", "other_model")})
    told = {
        "runs": ", ".join(sorted(headers)),
        "models": ", ".join(models),
        "commit": newest.get("commit"),
        "GPU": ", ".join(machine.get("gpus") or ()) or "none",
        "machine": machine.get("name"),
        "system": machine.get("system"),
        "cores": machine.get("cores"),
        "python": machine.get("python"),
        **newest.get("versions", {}),
        "command": newest.get("command"),
    }
    # A backslash or a line's end would be read as the file's own grammar.
    plain = {name: str(value).replace("\\", "/").replace("\n", " ") for name, value in told.items() if value}
    return "\n".join(f"{name}={value}" for name, value in plain.items())


def metrics(cells: Iterable[CellRecord]) -> list[dict[str, Any]]:
    """Numbers for Allure 3's page of metrics: the value of every measure of a cell that came to a verdict."""
    found = []
    for cell in cells:
        at = _milliseconds(cell.started)
        for measure in cell.measures:
            e = measure.estimate
            better = {">": "higher", "<": "lower"}.get(next((c["claim"][0] for c in measure.claims), ""), "neutral")
            key, unit = _key(cell.cell, e.name), "" if e.unit == "%" else e.unit  # a share stays a fraction
            told = {"id": key, "key": key, "title": key, "value": e.value, "start": at, "stop": at, "unit": unit}
            found.append({**told, "group": cell.phase, "better": better})
    return found


def point(run: RunRecord, here: Container[tuple[str, str]] = ()) -> dict[str, Any]:
    """A run as a line of Allure 3's history: what each of its cells came to, and its numbers.

    Without the cells `here`, as (run, cell): those that the report itself shows.
    """
    cells = {name: cell for name, cell in run.cells.items() if (run.run, name) not in here}
    at = _milliseconds(run.begun)
    results: dict[str, dict[str, Any]] = {}
    for name, cell in cells.items():
        key = f"{md5(md5(name))}.{md5('')}"  # Allure's id of a test case, and its history id, where no parameter counts
        status = STATUS[cell["verdict"]]
        told = {"id": md5(f"{run.run}/{name}"), "name": name, "fullName": name}
        results[key] = {**told, "status": status, "start": at, "stop": at, "historyId": key, "url": "", "labels": []}
    numbers = {_key(name, measure): v for name, cell in cells.items() for measure, v in cell["measures"].items()}
    return {
        "uuid": run.run,
        "name": run.run,
        "timestamp": at,
        "knownTestCaseIds": [key.partition(".")[0] for key in results],
        "testResults": results,
        "metrics": numbers,
        "url": "",
    }


def older(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Earlier runs, the oldest first, as the files of Allure 2's history: each cell's, and the trend of all."""
    cells: dict[str, dict[str, Any]] = {}
    trend = []
    for order, one in reversed(list(enumerate(points, start=1))):  # Allure 2 wants the newest first
        results = list(one["testResults"].values())
        counts = Counter(result["status"] for result in results)
        trend.append({"buildOrder": order, "reportName": one["name"], "data": {**counts, "total": len(results)}})
        for result in results:
            case = md5(result["name"])
            known = cells.setdefault(case, {"statistic": Counter(), "items": []})
            known["statistic"].update((result["status"], "total"))
            at = {"start": result["start"], "stop": result["stop"], "duration": result["stop"] - result["start"]}
            known["items"].append({"uid": result["id"], "status": result["status"], "time": at})
    return {"history.json": cells, "history-trend.json": trend}


def executor(headers: Mapping[str, Mapping[str, Any]], order: int) -> dict[str, Any]:
    """executor.json: which machine made the newest of these runs, and which one in the trend it is."""
    newest = max(headers, default="")
    machine = headers.get(newest, {}).get("machine", {})
    return {
        "name": machine.get("name") or "pytest",
        "type": "pytest",
        "buildName": newest,
        "buildOrder": order,
        "reportName": settings(CONFIGURATION).get("name", ""),
    }


def _key(cell: str, measure: str) -> str:
    return f"{cell}: {measure}"


def _milliseconds(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp() * 1000)
