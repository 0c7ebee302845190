"""`python -m benchmarks.runs`: what a cell costs over a bare test; a first run, a second, and one with workers."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
CELLS = """
import pytest
from lab.estimate import Estimate
from lab.plugin import experiment

@pytest.mark.parametrize("i", range({n}))
def test_bare(i):
    assert 0.6 > 0.55

@experiment(id="A", claim="c", phase="p")
@pytest.mark.parametrize("i", range({n}))
def test_cell(evidence, i):
    evidence.control("sound", True)
    assert evidence.measure("x", Estimate(0.65, 0.6, 0.7, n=100, method="made")) > 0.55
"""


def seconds(folder: Path, *arguments: str) -> float:
    """How long pytest takes, from the start of Python to its end. Raises SystemExit where it fails."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return time.perf_counter() - begun


def effort(results: Path) -> dict[str, float]:
    """What the newest run did with its subjects, all its processes together."""
    journals = sorted((results / "journal").glob("*.jsonl"))
    newest = journals[-1].name.rpartition("-")[0]
    total: dict[str, float] = {}
    for path in journals:
        for line in path.read_text().splitlines() if path.name.startswith(newest) else ():
            for name, count in json.loads(line).get("effort", {}).items():
                total[name] = total.get(name, 0) + count
    return total


def cells(n: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_cells.py").write_text(CELLS.format(n=n))
        (folder / "pytest.ini").write_text("[pytest]\n")
        took: dict[str, list[float]] = {"bare": [], "cell": []}
        for _ in range(rounds):
            for kind, times in took.items():
                times.append(seconds(folder, "-k", f"test_{kind}", "--lab-cache=off"))
        extra = [1000 * (cell - bare) / n for bare, cell in zip(took["bare"], took["cell"], strict=True)]
        print(f"a cell costs {median(extra):.1f} ms more than a bare test ({n} of each, median of {rounds} rounds)")


def suite(arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        one, two = Path(name, "one"), Path(name, "two")
        first = 0.0
        for what, results, more in (
            ("first run", one, []),
            ("second run", one, []),
            ("first run, -n 2", two, ["-n", "2"]),
        ):
            took = seconds(ROOT, "hypotheses", "--lab-results", str(results), *more, *arguments)
            first = first or took
            done = ", ".join(f"{count:,.0f} {name}" for name, count in effort(results).items() if count)
            print(f"{what}: {took:.1f} s, {first / took:.1f} times as fast as the first; {done or 'nothing computed'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runs", description=__doc__)
    parser.add_argument("--cells", type=int, default=300, help="cells to time (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each (default: %(default)s)")
    parser.add_argument("--suite", action="store_true", help="also run hypotheses/ three times, ten minutes")
    given, rest = parser.parse_known_args()
    cells(given.cells, given.rounds)
    if given.suite:
        suite(rest)
