"""What do earlier runs know of a cell? Finished cells and finished items, by the key of what determines them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lab.files.whole import checksum_of
from lab.record.journal import SCHEMA, read

DECIDED = ("PASS", "FAIL", "INCONCLUSIVE")
"""Verdicts that stand as long as their key does. What was INVALID or skipped is tried again."""


class Past:
    """Events of earlier runs. Two cells of one key are the same work, so the newest result stands for it."""

    def __init__(self, events: Iterable[Mapping[str, Any]] = ()) -> None:
        self._finished: dict[str, list[dict[str, Any]]] = {}
        self._items: dict[str, dict[str, dict[str, Any]]] = {}
        started: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for event in sorted(events, key=lambda event: str(event["time"])):
            if event["schema"] != SCHEMA:
                continue
            at = event["run"], event["cell"]
            if event["event"] == "started":
                started[at] = []
            if at not in started or event["key"] is None:
                continue
            started[at].append(dict(event))
            if event["event"] == "item":
                self._items.setdefault(event["key"], {}).setdefault(event["work"], {})[event["item"]] = event["result"]
            elif event["event"] == "finished" and event["verdict"] in DECIDED:
                self._finished[event["key"]] = started[at]

    @classmethod
    def of(cls, journals: Path, run: str | None = None) -> Past:
        """All that the journals of a folder hold, or those of one run."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torn lines are said where the tables are made
            return cls(read(journals, run))

    def finished(self, key: str, results: Path) -> list[dict[str, Any]] | None:
        """The events of a finished cell with this key, or None.

        None too where a plot, array or raw row in `results` is gone, damaged, or by now of another run of the cell.
        """
        events = self._finished.get(key)
        if events is None:
            return None
        files = [event for event in events if event["event"] in ("plot", "arrays", "raw")]
        same = all(event.get("sha256") == checksum_of(results / event["file"]) for event in files)
        return events if same else None

    def items(self, key: str, work: str) -> dict[str, Any]:
        """Results of the items that a cell with this key finished, by their keys."""
        return self._items.get(key, {}).get(work, {})
