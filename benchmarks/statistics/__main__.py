"""`python -m benchmarks.statistics`: ours beside pingouin, scipy, statsmodels and scikit-learn, in one process."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
IMPORTS = {
    "lab.stats.reliability": "import lab.stats.reliability",
    "the same, and a first ICC": "import lab.stats.reliability as r; r.icc([[9, 2, 5], [6, 1, 3], [8, 4, 6]])",
    "lab.stats.intervals, and a first mean": "from lab.stats.intervals import student; student([1, 2, 4])",
    **{name: f"import {name}" for name in ("scipy.stats", "statsmodels.stats.api", "sklearn.linear_model", "pingouin")},
}
"""What is run in a fresh Python; parts of lab import a library with the first call that needs it."""
LIBRARIES = ("numpy", "scipy", "scikit-learn", "statsmodels", "pingouin")


def imports(rounds: int) -> dict[str, list[float]]:
    """Seconds from the start of a fresh Python to its end; "" does nothing in it."""
    took: dict[str, list[float]] = {name: [] for name in ("", *IMPORTS)}
    for _ in range(rounds):
        for name, times in took.items():
            begun = time.perf_counter()
            command = [sys.executable, "-W", "ignore", "-c", IMPORTS.get(name, "")]
            if not subprocess.run(command, capture_output=True).returncode:
                times.append(time.perf_counter() - begun)
    return took


def import_table(took: dict[str, list[float]]) -> str:
    bare = median(took[""])
    lines = [
        f"A bare Python starts and ends in {bare:.2f} s.",
        "",
        "| import | s more, median (range) |",
        "| --- | --- |",
    ]
    for name, times in took.items():
        more = [each - bare for each in times]
        said = f"{median(more):.2f} ({min(more):.2f} to {max(more):.2f})" if more else "not installed"
        lines += [f"| {name} | {said} |"] * bool(name)
    return "\n".join(lines) + "\n"


def version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def main(given: argparse.Namespace) -> None:
    import warnings

    from benchmarks.statistics import compare, representations, samples

    warnings.simplefilter("ignore")  # what sklearn says of its own defaults, thousands of times
    cases = {**samples.CASES, **representations.CASES}
    names = given.only.split(",") if given.only else [*cases, "imports"]
    unknown = sorted(set(names) - {*cases, "imports"})
    if unknown:
        raise SystemExit(f"no statistic {', '.join(unknown)}; there are {', '.join(cases)}, imports")
    rounds = given.rounds or (3 if given.quick else 7)
    libraries = {library: version(library) for library in LIBRARIES}
    size = "small" if given.quick else "full"
    heading = [
        "# The statistics beside the libraries",
        f"{', '.join(' '.join(each) for each in libraries.items())}; Python {sys.version.split()[0]}; one thread. "
        f"{rounds} rounds (three where a round takes over ten seconds), {size} sizes.",
        compare.LEGEND,
    ]
    given.out.mkdir(parents=True, exist_ok=True)
    results: list[compare.Result] = []
    raw: dict[str, Any] = {"libraries": libraries, "sizes": size, "cases": {}}

    def write(*more: str) -> None:
        parts = [*heading, compare.table(results), *more]
        (given.out / "statistics.md").write_text("\n\n".join(part.strip() for part in parts) + "\n")
        (given.out / "statistics.json").write_text(json.dumps(raw, indent=1) + "\n")

    for name in names:
        if name == "imports":
            continue
        result = compare.measure(cases[name](given.quick), rounds, 0.003 if given.quick else 0.02)
        print("\n".join(result.rows()), flush=True)
        results.append(result)
        raw["cases"][name] = result.raw()
        write()
    if "imports" in names:
        raw["imports"] = imports(2 if given.quick else 5)
        write("## What an import costs", import_table(raw["imports"]))
    print("\n" + (given.out / "statistics.md").read_text())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.statistics", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small inputs and three rounds, about a minute")
    parser.add_argument("--only", default="", metavar="NAMES", help="statistics to measure, with commas between")
    parser.add_argument("--rounds", type=int, default=0, help="rounds of each (7; 3 with --quick)")
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks"), help="folder (default: %(default)s)")
    arguments = parser.parse_args()
    if any(os.environ.get(name) != "1" for name in THREADS):  # read when numpy is loaded, so before this process
        fresh = {**os.environ, **dict.fromkeys(THREADS, "1")}
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.statistics", *sys.argv[1:]], fresh)
    main(arguments)
