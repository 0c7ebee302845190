"""The full campaign, as `make calibration`: writes docs/calibration.md, its plots, and the counts behind them.

What is done is kept in results/calibration and is not done again: an interrupted campaign goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tests.calibration import page, planted
from tests.calibration.jobs import Kept, one_curve, one_rule, sources
from tests.calibration.power import CURVES
from tests.calibration.rules import RULES

ROOT = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.calibration", description=__doc__)
    parser.add_argument("--runs", type=int, default=2000, help="simulated experiments a rule (default 2000)")
    parser.add_argument("--points", type=int, default=400, help="experiments a point of a power curve (default 400)")
    parser.add_argument("--seeds", type=int, default=40, help="runs of each hypothesis on organisms (default 40)")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--kept", type=Path, default=ROOT / "results" / "calibration")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    args = parser.parse_args()

    kept = Kept(args.kept / sources(ROOT) / f"{args.runs}-{args.points}-{args.seeds}")
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
    page.write(kept, args.docs, sources(ROOT))


if __name__ == "__main__":
    main()
