"""One job of the campaign, as a process of its own runs it; and what is known of jobs that are done."""

from __future__ import annotations

import ast
import hashlib
import json
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from lab.files.plain import plain
from lab.files.whole import file_name, write_whole
from tests.calibration.power import CURVES, run
from tests.calibration.rules import RULES
from tests.calibration.simulate import Count, Rule, simulate

SLOW = 0.2
"""Rules of a smaller share take long: their experiments are parted into eight jobs."""


def parts(rule: Rule, runs: int) -> list[tuple[int, int]]:
    """The experiments of a rule, [start, stop), as one job each."""
    n = 1 if rule.share >= SLOW else 8
    ends = [runs * rule.more * i // n for i in range(n + 1)]
    return list(pairwise(ends))


def one_rule(index: int, start: int, stop: int) -> dict[str, Any]:
    told: dict[str, Any] = plain(
        simulate(RULES[index], stop - start, start=start).as_json()
    )  # numpy's own ints are no JSON
    return told


def one_curve(index: int, runs: int) -> list[dict[str, float]]:
    return run(CURVES[index], round(runs * CURVES[index].share))


def together(found: list[dict[str, Any]]) -> Count:
    """The counts of a rule's jobs as one."""
    counts = [Count(**told) for told in found]
    runs, over, under = (sum(getattr(count, name) for count in counts) for name in ("runs", "over", "under"))
    return Count(counts[0].rule, runs, over, under, counts[0].interval)


@cache
def key(root: Path, module: str) -> str:
    """A hash of what a module's simulations run: itself, and all of lab and of this folder that it imports.

    A change elsewhere leaves what is known true.
    """
    made = hashlib.sha256()
    for path in sorted(files(root, module)):
        made.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return made.hexdigest()[:16]


def files(root: Path, module: str) -> set[Path]:
    """The files of a module and of all that it imports, by way of others too, as far as they are ours."""
    seen: set[Path] = set()
    waiting = [root / f"{module.replace('.', '/')}.py"]
    while waiting:
        path = waiting.pop()
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            else:
                continue
            ours = [root / name.replace(".", "/") for name in names if name.split(".")[0] in ("lab", "tests")]
            waiting += [found for place in ours for found in (place.with_suffix(".py"), place / "__init__.py")]
    return seen


class Kept:
    """What is known already: one JSON file a job, named by the job and by the sources that it ran."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _path(self, job: tuple[str, str]) -> Path:
        name, sources = job
        return self.folder / f"{file_name(name)}.{sources}.json"

    def __contains__(self, job: tuple[str, str]) -> bool:
        return self._path(job).is_file()

    def __getitem__(self, job: tuple[str, str]) -> Any:
        return json.loads(self._path(job).read_text())

    def __setitem__(self, job: tuple[str, str], value: Any) -> None:
        write_whole(self._path(job), json.dumps(value).encode())
