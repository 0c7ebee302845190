"""One job of the campaign, as a process of its own runs it; and what is known of jobs that are done."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from lab.evidence.files import file_name, write_whole
from tests.calibration.power import CURVES, run
from tests.calibration.rules import RULES
from tests.calibration.simulate import simulate


def one_rule(index: int, runs: int) -> dict[str, Any]:
    return simulate(RULES[index], runs).as_json()


def one_curve(index: int, runs: int) -> list[dict[str, float]]:
    return run(CURVES[index], round(runs * CURVES[index].share))


def sources(root: Path) -> str:
    """A hash of what is simulated: the statistics, the methods, and this folder."""
    made = hashlib.sha256()
    for part in ("lab/estimate.py", "lab/stats", "lab/methods", "tests/calibration"):
        path = root / part
        for file in [path] if path.is_file() else sorted(path.glob("*.py")):
            made.update(file.read_bytes())
    return made.hexdigest()[:16]


class Kept:
    """What is known already: one JSON file a job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _path(self, name: str) -> Path:
        return self.folder / f"{file_name(name)}.json"

    def __contains__(self, name: str) -> bool:
        return self._path(name).is_file()

    def __getitem__(self, name: str) -> Any:
        return json.loads(self._path(name).read_text())

    def __setitem__(self, name: str, value: Any) -> None:
        write_whole(self._path(name), json.dumps(value).encode())
