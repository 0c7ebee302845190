"""`python -m benchmarks.ratings`: how long does a square of raters by authors take, and how much memory?

16 cells x 200 tasks x 4 seeds on organisms, exact and written; the same of a local server in a process of its own that
answers after a given time, with many requests in flight, beside what a bare client gets of it; and the memory that
ratings of few and of many seeds need.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
RATERS = ("clinic-gpt2", "clinic-neox", "clinic-opt", "clinic-gemma")
TEMPLATE = "anchored_precise_1_5"


def asking(folder: Path) -> tuple[Any, Any]:
    """What the fixture `asking` gives, with a cell's notebook: raw answers are written as in a run."""
    from lab.plugin.models import SubjectPool
    from lab.record import Cell, Journal, Notebook
    from lab.studies.shared.asking import Asking
    from lab.subjects.cache.store import Cache

    pool = SubjectPool({}, Cache(folder / "cache", "off"))
    cell = Cell("BENCH", "BENCH", "c", "p", "m", {}, {}, 0)
    return Asking(pool, Notebook(cell, Journal(folder / "journal", "bench", "main"), folder), None), pool


def square(n_tasks: int, seeds: int, exact: bool) -> dict[str, float]:
    """Seconds and peak memory (MB) of one 4 x 4 square on organisms, works included, models loaded before."""
    import resource

    import lab.data
    from lab.studies.ratings import authors

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


def serve(latency: float) -> None:
    """Answers each request with a rating after `latency` seconds, until its input ends.

    Says its address first, and at the end how many requests came, and how many were open at once.
    """
    from tests.subjects.api_server import Answer, Server, completion

    said: Any = completion
    make: Any = Server
    server = make(lambda i, request: Answer(said("4").body, after=latency))
    print(server.url, flush=True)
    sys.stdin.read()
    print(len(server.requests), server.peak)
    server.stop()


@contextmanager
def serving(latency: float) -> Iterator[tuple[str, list[int]]]:
    """Such a server in a process of its own, which shares no interpreter with who asks it: its address, and what it
    says at the end."""
    command = [sys.executable, "-m", "benchmarks.ratings", "--serve", str(latency)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        seen: list[int] = []
        yield server.stdout.readline().strip(), seen
        seen += map(int, server.communicate()[0].split())  # its input ends


def possible(url: str, flight: int, requests: int, body: dict[str, Any]) -> float:
    """Requests a second that a bare client gets of a server: threads that send bytes, and read what comes."""
    import http.client
    from concurrent.futures import ThreadPoolExecutor
    from urllib.parse import urlsplit

    at, sent = urlsplit(url), json.dumps(body).encode()
    headers = {"content-type": "application/json", "authorization": "Bearer none"}

    def ask(n: int) -> None:
        connection = http.client.HTTPConnection(str(at.hostname), at.port)
        for _ in range(n):
            connection.request("POST", f"{at.path}/chat/completions", sent, headers)
            connection.getresponse().read()

    with ThreadPoolExecutor(flight) as threads:
        begun = time.perf_counter()
        list(threads.map(ask, [requests // flight] * flight))
    return requests // flight * flight / (time.perf_counter() - begun)


def served(n_tasks: int, seeds: int, flight: int, latency: float) -> dict[str, float]:
    """Four raters behind a server rate the works of four authors, each answer written: seconds, requests, and CPU."""
    import lab.data
    from lab.studies.ratings import authors
    from lab.studies.shared.asking import Works
    from lab.studies.shared.prompts import template
    from lab.subjects import api

    os.environ["OPENAI_API_KEY"] = "none"
    names = [f"openai:rater-{i}" for i in range(4)]
    with tempfile.TemporaryDirectory() as folder, serving(latency) as (url, seen):
        ask, _ = asking(Path(folder))
        raters = [api.connect(name, base_url=url, concurrency=flight) for name in names]
        tasks = lab.data.load("clinic/tasks").sample(n_tasks, seed=0)
        works = [
            Works(name, 0, None, tuple(f"{name}: {text}" for text in tasks.texts), np.ones(n_tasks, dtype=bool))
            for name in names
        ]
        messages, bare = template(TEMPLATE).after(tasks.texts[0], works[0].texts[0]), 1920
        most = possible(url, flight, bare, {"model": "rater-0", "messages": messages, "max_tokens": 16})
        for rater in raters:  # imports and first connections
            rater.chat([[{"role": "user", "content": "warm up"}]], max_new_tokens=1)
        begun, computed = time.perf_counter(), time.process_time()
        runs = [
            ask.rate(rater, tasks, TEMPLATE, works=done_by, seeds=range(seeds), exact=False)
            for rater in raters
            for done_by in works
        ]
        found = authors.square(runs, names)
        took, computed = time.perf_counter() - begun, time.process_time() - computed
    assert not found.missing
    requests, peak = seen[0] - bare // flight * flight - len(raters), seen[1]
    assert requests == sum(run.values.size for run in runs), "every rating was asked for"
    told = {"seconds": took, "cpu": computed, "requests": requests, "peak": peak}
    return told | {"rate": requests / took, "possible": most}


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
    parser.add_argument("--serve", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve is not None:
        serve(given.serve)
        return
    if given.measure:
        kind, n, seeds, how, *more = given.measure
        measured = (
            square(int(n), int(seeds), how == "exact")
            if kind == "square"
            else served(int(n), int(seeds), int(how), float(more[0]))
        )
        print(json.dumps(measured))
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
            f = alone("server", n, "4", str(given.flight), str(latency))
            print(f"16 cells x {n} tasks x 4 seeds, server answering after {latency:g} s, {given.flight} in flight: "
                  f"{f['seconds']:.0f} s ({f['cpu']:.0f} s CPU) for {f['requests']:.0f} requests, {f['rate']:.0f} a "
                  f"second, {f['peak']:.0f} open at once; "
                  f"a bare client gets {f['possible']:.0f} ({f['rate'] / f['possible']:.0%}), "
                  f"{given.flight / latency:.0f} are the most there can be")  # fmt: skip
    if given.only in (None, "memory"):
        for how in ("exact", "written"):
            for seeds in ("4", "40"):
                f = alone("square", "40", seeds, how)
                print(f"{how}, {seeds} seeds: {f['ratings']:.0f} ratings, {f['MB']:.0f} MB above the loaded models")


if __name__ == "__main__":
    main()
