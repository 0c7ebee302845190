"""`python -m benchmarks.ratings`: how long does a square of raters by authors take, and how much memory?

16 cells x 200 tasks on organisms, exact and written; ratings of a local server that answers after a given time, with
many requests in flight; and the memory that ratings of few and of many seeds need.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RATERS = ("clinic-gpt2", "clinic-neox", "clinic-opt", "clinic-gemma")
TEMPLATE = "anchored_precise_1_5"


def asking(folder: Path) -> tuple[Any, Any]:
    """What the fixture `asking` gives, with a cell's notebook: raw answers are written as in a run."""
    from fixtures.ratings import Asking
    from lab.evidence import Cell, Journal, Notebook
    from lab.evidence.cache import Cache
    from lab.plugin.models import SubjectPool

    pool = SubjectPool({}, Cache(folder / "cache", "off"))
    cell = Cell("BENCH", "BENCH", "c", "p", "m", {}, {}, 0)
    return Asking(pool, Notebook(cell, Journal(folder / "journal", "bench", "main"), folder), None), pool


def square(n_tasks: int, seeds: int, exact: bool) -> dict[str, float]:
    """Seconds and peak memory (MB) of one 4 x 4 square on organisms, works included, models loaded before."""
    import resource

    import lab.data
    from lab.methods import authors

    with tempfile.TemporaryDirectory() as name:
        ask, pool = asking(Path(name))
        tasks = lab.data.load("clinic/tasks").sample(n_tasks, seed=0)
        models = {rater: pool.get(rater) for rater in RATERS}
        for model in models.values():
            model.chat(["warm up"], max_new_tokens=2)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begun, computed = time.perf_counter(), time.process_time()
        works = {author: ask.works(model, tasks, seed=0, max_new_tokens=24) for author, model in models.items()}
        written = time.perf_counter()
        runs = [
            ask.rate(model, tasks, TEMPLATE, works=done, seeds=range(seeds), exact=exact, max_new_tokens=4)
            for model in models.values()
            for done in works.values()
        ]
        found = authors.square(runs, RATERS)
        took, computed = time.perf_counter() - begun, time.process_time() - computed
    assert not found.missing
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {
        "seconds": took,
        "cpu": computed,
        "works": written - begun,
        "ratings": sum(run.values.size for run in runs),
        "MB": grown,
    }


def served(n_tasks: int, seeds: int, flight: int, latency: float) -> dict[str, float]:
    """Seconds of one rater's ratings behind a server that answers each request after `latency` seconds."""
    import lab.data
    from lab.subjects import api
    from tests.subjects.api_server import Answer, Server, completion

    said: Any = completion
    serve: Any = Server
    server = serve(lambda i, request: Answer(said("4").body, after=latency))
    os.environ.setdefault("OPENAI_API_KEY", "none")
    try:
        with tempfile.TemporaryDirectory() as name:
            ask, _ = asking(Path(name))
            rater = api.connect("openai:bench", base_url=server.url, concurrency=flight)
            tasks = lab.data.load("clinic/tasks").sample(n_tasks, seed=0)
            begun = time.perf_counter()
            ask.rate(rater, tasks, TEMPLATE, seeds=range(seeds), exact=False)
            took = time.perf_counter() - begun
        return {"seconds": took, "requests": len(server.requests), "peak": server.peak}
    finally:
        server.stop()


def alone(*arguments: str) -> dict[str, float]:
    """One measurement in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.ratings", "--measure", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ratings", description=__doc__)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--flight", type=int, default=64, help="requests in flight (default: %(default)s)")
    parser.add_argument("--only", choices=("square", "server", "memory"))
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        kind, n, seeds, how, *more = given.measure
        one = square if kind == "square" else served
        left = (how == "exact",) if kind == "square" else (int(how), float(more[0]))
        print(json.dumps(one(int(n), int(seeds), *left)))
        return
    n = str(given.tasks)
    if given.only in (None, "square"):
        for seeds, how in (("4", "exact"), ("4", "written")):
            f = alone("square", n, seeds, how)
            print(f"16 cells x {n} tasks x {seeds} seeds, {how}: {f['seconds']:.1f} s ({f['cpu']:.1f} s CPU) for "
                  f"{f['ratings']:.0f} ratings, "
                  f"of which {f['works']:.1f} s are the 4 x {n} works")  # fmt: skip
    if given.only in (None, "server"):
        for latency in (0.1, 0.4):
            f = alone("server", n, "16", str(given.flight), str(latency))
            rate, most = f["requests"] / f["seconds"], given.flight / latency
            print(f"server answering after {latency:g} s, {given.flight} in flight (seen: {f['peak']:.0f}): "
                  f"{rate:.0f} of at most {most:.0f} requests a second, {rate / most:.0%}")  # fmt: skip
    if given.only in (None, "memory"):
        for how in ("exact", "written"):
            for seeds in ("4", "40"):
                f = alone("square", "40", seeds, how)
                print(f"{how}, {seeds} seeds: {f['ratings']:.0f} ratings, {f['MB']:.0f} MB above the loaded models")


if __name__ == "__main__":
    main()
