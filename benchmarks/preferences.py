"""`python -m benchmarks.preferences`: how fast are utilities fitted beside choix and Adam, and how large may they be?

500 items and 7,164 comparisons, one thread, all contenders in one run and in turn; then 10,000 items with 500,000
comparisons and the next 1,000 pairs to ask, in a process of its own, with its time and the memory that it took.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
ITEMS, COMPARISONS = 500, 7164
EPOCHS, RATE = 1000, 0.01
"""Of Adam, as Utility Engineering (Mazeika et al. 2025) publishes its Thurstonian fit."""


def drawn(n_items: int, n_comparisons: int, seed: int = 0) -> tuple[Any, tuple[Any, Any, Any]]:
    """True utilities, and as many single answers between random pairs: first, second, whether the first was chosen."""
    import numpy as np
    from scipy.special import ndtr

    rng = np.random.default_rng(seed)
    mu = rng.normal(0, 1, n_items)
    first = rng.integers(n_items, size=n_comparisons)
    second = (first + rng.integers(1, n_items, size=n_comparisons)) % n_items
    return mu, (first, second, (rng.random(n_comparisons) < ndtr((mu[first] - mu[second]) / 2**0.5)).astype(float))


def by_adam(first: Any, second: Any, chosen: Any, n_items: int) -> Any:
    """mu and log variance of each item by Adam on the cross entropy, all comparisons in every step."""
    import torch

    i, j, y = (torch.as_tensor(side) for side in (first, second, chosen))
    mu = torch.randn(n_items, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    log_variance = torch.zeros(n_items, dtype=torch.float64, requires_grad=True)
    steps = torch.optim.Adam([mu, log_variance], lr=RATE)
    unit = torch.distributions.Normal(0.0, 1.0)
    for _ in range(EPOCHS):
        steps.zero_grad()
        centred = (mu - mu.mean()) / mu.std()
        variance = log_variance.exp()
        p = unit.cdf((centred[i] - centred[j]) / (variance[i] + variance[j]).sqrt()).clamp(1e-6, 1 - 1e-6)
        torch.nn.functional.binary_cross_entropy(p, y).backward()
        steps.step()
    return mu.detach().numpy()


def contenders(told: tuple[Any, Any, Any]) -> dict[str, Callable[[], Any]]:
    """Ways to fit the same answers, ours first."""
    import choix
    import numpy as np

    from lab.studies.preferences import thurstone

    first, second, chosen = told
    winner, loser = np.where(chosen > 0, (first, second), (second, first))
    pairs = list(zip(winner.tolist(), loser.tolist(), strict=True))
    return {
        "ours, sigma free (l2=1)": lambda: thurstone.fit(*told, ITEMS, l2=1.0, l2_mu=0.1).mu,
        "ours, case V": lambda: thurstone.fit(*told, ITEMS, l2=float("inf"), l2_mu=0.1).mu,
        "ours, Bradley and Terry": lambda: thurstone.bradley_terry(*told, ITEMS, l2_mu=0.1).mu,
        "choix, opt_pairwise by Newton": lambda: choix.opt_pairwise(ITEMS, pairs, alpha=0.1, method="Newton-CG"),
        "choix, opt_pairwise by BFGS": lambda: choix.opt_pairwise(ITEMS, pairs, alpha=0.1, method="BFGS"),
        "choix, ilsr_pairwise": lambda: choix.ilsr_pairwise(ITEMS, pairs, alpha=0.1),
        f"Adam, {EPOCHS} steps": lambda: by_adam(*told, ITEMS),
    }


def beside(rounds: int, repeats: int) -> list[str]:
    """A line a contender: median and range of its time, how many times ours, and rank agreement with the truth."""
    import torch
    from scipy.stats import spearmanr

    torch.set_num_threads(1)
    mu, told = drawn(ITEMS, COMPARISONS)
    ways = contenders(told)
    took: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, float] = {}
    for turn in range(rounds + 1):  # the first warms up
        for name, fit in ways.items():
            begun = time.perf_counter()
            times = repeats if name.startswith("ours") else 1
            for _ in range(times):
                values = fit()
            if turn:
                took[name].append((time.perf_counter() - begun) / times)
            found[name] = float(spearmanr(values, mu).statistic)
    ours = median(took["ours, sigma free (l2=1)"])
    lines = [
        "| fit | ms, median (range) | times ours with sigma | rank correlation with the truth |",
        "| --- | --- | --- | --- |",
    ]
    for name, times in took.items():
        ms = [1000 * each for each in times]
        lines.append(
            f"| {name} | {median(ms):.1f} ({min(ms):.1f} to {max(ms):.1f}) | {median(times) / ours:.2f} "
            f"| {found[name]:.3f} |"
        )
    return lines


def large(n_items: int, n_comparisons: int) -> dict[str, Any]:
    """Seconds of one large fit and of the choice of the next pairs, and the memory that they took at most (MB)."""
    import resource

    from scipy.stats import spearmanr

    from lab.studies.preferences import active, thurstone

    mu, told = drawn(n_items, n_comparisons)
    begun = time.perf_counter()
    found = thurstone.fit(*told, n_items, l2=1.0, l2_mu=0.1, position=True)
    fitted = time.perf_counter()
    pairs = active.next_pairs(found.mu, list(zip(told[0].tolist(), told[1].tolist(), strict=True)), 1000, seed=0)
    return {
        "fit": fitted - begun,
        "next": time.perf_counter() - fitted,
        "pairs": len(pairs),
        "converged": found.converged,
        "iterations": found.iterations,
        "rho": float(spearmanr(found.mu, mu).statistic),
        "MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.preferences", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round, and a large fit of 2,000 items: does it run?")
    parser.add_argument("--measure", nargs=2, type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if any(os.environ.get(name) != "1" for name in THREADS):  # before numpy is loaded
        done = subprocess.run([sys.executable, "-m", "benchmarks.preferences", *sys.argv[1:]], cwd=ROOT,
                              env={**os.environ, **dict.fromkeys(THREADS, "1")})  # fmt: skip
        raise SystemExit(done.returncode)
    if given.measure:
        print(json.dumps(large(*given.measure)))
        return
    print(
        f"{ITEMS} items, {COMPARISONS:,} comparisons, one thread, {1 if given.quick else given.rounds} rounds in turn\n"
    )
    print("\n".join(beside(1 if given.quick else given.rounds, 1 if given.quick else 10)), flush=True)
    size = (2000, 50_000) if given.quick else (10_000, 500_000)
    command = [sys.executable, "-m", "benchmarks.preferences", "--measure", *map(str, size)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    f = json.loads(done.stdout.splitlines()[-1])
    print(f"\n{size[0]:,} items, {size[1]:,} comparisons with sigma and position: {f['fit']:.1f} s, {f['iterations']} "
          f"iterations, {'converged' if f['converged'] else 'not converged'}, rank correlation with the truth "
          f"{f['rho']:.3f}; the next {f['pairs']:,} pairs: {f['next']:.1f} s; {f['MB']:.0f} MB at most")  # fmt: skip


if __name__ == "__main__":
    main()
