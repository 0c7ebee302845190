"""The full campaign, as `make calibration`: writes docs/calibration.md, its plots, and the counts behind them.

What is done is kept in results/calibration and is not done again: an interrupted campaign goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from lab.evidence.files import write_whole
from tests.calibration import page, planted
from tests.calibration.power import CURVES, run
from tests.calibration.rules import RULES
from tests.calibration.simulate import simulate

ROOT = Path(__file__).parents[2]


def one_rule(index: int, runs: int) -> dict[str, Any]:
    return simulate(RULES[index], runs).as_json()


def one_curve(index: int, runs: int) -> list[dict[str, float]]:
    return run(CURVES[index], round(runs * CURVES[index].share))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.calibration", description=__doc__)
    parser.add_argument("--runs", type=int, default=2000, help="simulated experiments a rule (default 2000)")
    parser.add_argument("--points", type=int, default=400, help="experiments a point of a power curve (default 400)")
    parser.add_argument("--seeds", type=int, default=40, help="runs of each hypothesis on organisms (default 40)")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--kept", type=Path, default=ROOT / "results" / "calibration")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    args = parser.parse_args()

    kept = Kept(args.kept / sources() / f"{args.runs}-{args.points}-{args.seeds}")
    with ProcessPoolExecutor(args.processes, mp_context=get_context("spawn")) as pool:
        jobs: dict[str, tuple[Callable[..., Any], int, int]] = {
            **{f"rule: {rule.name}": (one_rule, i, args.runs) for i, rule in enumerate(RULES)},
            **{f"power: {curve.id}": (one_curve, i, args.points) for i, curve in enumerate(CURVES)},
        }
        waiting = {pool.submit(*job): name for name, job in jobs.items() if name not in kept}
        for number, future in enumerate(as_completed(waiting), 1):
            name = waiting[future]
            kept[name] = future.result()
            print(f"{number}/{len(waiting)} {name}", flush=True)
    if "planted" not in kept:
        kept["planted"] = planted.found(args.seeds, args.kept / "planted", args.processes)
    page.write(kept, args.docs)


def sources() -> str:
    """A hash of what is simulated: the statistics, the methods, and this folder."""
    made = hashlib.sha256()
    for part in ("lab/estimate.py", "lab/stats", "lab/methods", "tests/calibration"):
        path = ROOT / part
        for file in [path] if path.is_file() else sorted(path.glob("*.py")):
            made.update(file.read_bytes())
    return made.hexdigest()[:16]


class Kept:
    """What is known already: one JSON file a job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _path(self, name: str) -> Path:
        return self.folder / (name.replace(": ", "-").replace(" ", "_").replace(",", "").replace("/", "-") + ".json")

    def __contains__(self, name: str) -> bool:
        return self._path(name).is_file()

    def __getitem__(self, name: str) -> Any:
        return json.loads(self._path(name).read_text())

    def __setitem__(self, name: str, value: Any) -> None:
        write_whole(self._path(name), json.dumps(value).encode())


if __name__ == "__main__":
    main()
