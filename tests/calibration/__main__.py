"""The full campaign, as `make calibration`: writes docs/calibration.md, its plots, and the counts behind them.

What is done is kept in results/calibration and is not done again while its sources are the same: an interrupted
campaign goes on, and a change of one method has its own rules simulated anew.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tests.calibration import page, planted
from tests.calibration.jobs import Kept, key, one_curve, one_rule, parts, together
from tests.calibration.power import CURVES
from tests.calibration.rules import RULES

ROOT = Path(__file__).parents[2]
Job = tuple[str, str]
"""What it is called, and the hash of its sources."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.calibration", description=__doc__)
    parser.add_argument("--runs", type=int, default=2000, help="simulated experiments a rule (default 2000)")
    parser.add_argument("--points", type=int, default=400, help="experiments a point of a power curve (default 400)")
    parser.add_argument("--seeds", type=int, default=40, help="runs of each hypothesis on organisms (default 40)")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--so-far", action="store_true", help="simulate nothing; write the page from what is known")
    parser.add_argument("--kept", type=Path, default=ROOT / "results" / "calibration")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    args = parser.parse_args()

    kept = Kept(args.kept)
    of_rules = [
        {(f"rule {rule.name} {start}-{stop}", key(ROOT, rule.draw.__module__)): (one_rule, i, start, stop)
         for start, stop in parts(rule, args.runs)}
        for i, rule in enumerate(RULES)
    ]  # fmt: skip
    of_curves = [(f"power {curve.id} {args.points}", key(ROOT, "tests.calibration.power")) for curve in CURVES]
    suite = (f"planted {args.seeds}", "suite")
    jobs: dict[Job, tuple[Callable[..., Any], ...]] = {}
    for of_rule in of_rules:
        jobs |= of_rule
    jobs |= {job: (one_curve, i, args.points) for i, job in enumerate(of_curves)}
    if not args.so_far:
        _simulate({job: work for job, work in jobs.items() if job not in kept}, kept, args.processes)
        kept[suite] = planted.found(args.seeds, args.kept / "planted", args.processes)  # replays what is unchanged
    missing = [job[0] for job in (*of_curves, suite) if job not in kept]
    missing += [next(iter(of_rule))[0] for of_rule in of_rules if not any(job in kept for job in of_rule)]
    if missing:
        parser.error(f"nothing is known of {', '.join(missing)}; run it without --so-far")
    counts = [together([kept[job] for job in of_rule if job in kept]) for of_rule in of_rules]
    sources = hashlib.sha256("".join(sorted({job[1] for job in (*jobs, suite)})).encode()).hexdigest()[:16]
    page.write(counts, [kept[job] for job in of_curves], kept[suite], args.docs, sources)


def _simulate(jobs: dict[Job, tuple[Callable[..., Any], ...]], kept: Kept, processes: int) -> None:
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(*work): job for job, work in jobs.items()}
        for number, future in enumerate(as_completed(waiting), 1):
            kept[waiting[future]] = future.result()
            print(f"{number}/{len(waiting)} {waiting[future][0]}", flush=True)


if __name__ == "__main__":
    main()
