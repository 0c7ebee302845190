"""The GPUs and threads of each worker: workers share a machine, so each is given its part of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
VISIBLE = "CUDA_VISIBLE_DEVICES"


def deal_out(config: pytest.Config, specs: list[Any]) -> None:
    """Deals GPUs and cores out to the workers on this machine. What the user set stays as it is."""
    local = [spec for spec in specs if spec.popen]
    found = gpus()
    threads = str(max(1, cores() // max(1, len(local))))
    without = []
    for number, spec in enumerate(local):
        for name in THREADS:
            if name not in os.environ:
                spec.env.setdefault(name, threads)
        if found and VISIBLE not in spec.env:
            mine = found[number :: len(local)]
            spec.env[VISIBLE] = ",".join(mine)
            if not mine:
                without.append(str(spec.id))
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if without and reporter:
        one = "1 GPU" if len(found) == 1 else f"{len(found)} GPUs"
        reporter.write_line(f"{len(local)} workers share {one}, one each: {', '.join(without)} run without")


def gpus() -> list[str]:
    """Names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES takes them. Does not import torch."""
    chosen = os.environ.get(VISIBLE)
    if chosen is not None:
        return [name for part in chosen.split(",") if (name := part.strip()) and name != "-1"]
    tool = shutil.which("nvidia-smi")
    if tool is not None:
        try:
            listed = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            return []
        return [str(n) for n in range(sum(line.startswith("GPU ") for line in listed.stdout.splitlines()))]
    return [str(n) for n in range(len(list(Path("/proc/driver/nvidia/gpus").glob("*"))))]


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
