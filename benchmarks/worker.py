"""How does one contender run? A process that waits for a line of JSON, runs once, and answers with a line.

`python -m benchmarks.worker CONTENDER` in that contender's own environment. It first says who it is:
    {"versions": {...}, "device": "cpu", "ways": {"capture": ["hooks", ...], ...}}
and then answers requests, one at a time; between them it does nothing:
    {"task": "capture", "setting": "small", "quick": false, "way": "hooks", "measure": "seconds", "save": "a.npy"}
    -> {"value": 1.62, "wall": 1.63, "others": 0.05} or {"error": "..."}
`way` null is a plain forward of a model that no library has touched; `measure` is "seconds", "megabytes" or "nothing"
(a warm-up on one short prompt); `save` keeps the result for comparison. `others` is the processor time, in seconds,
that other processes took meanwhile.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib
import json
import os
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from benchmarks.tasks import TASKS, Setting
from benchmarks.work import Work, build_model, inputs, twin


class Bench:
    """One contender with at most one model loaded, the one that was last asked for."""

    def __init__(self, contender: ModuleType, device: str) -> None:
        self.contender, self.device = contender, device
        self.loaded: tuple[int, int, int, int] | None = None
        self.handle: Any = None
        self.untouched: Any = None

    def load(self, setting: Setting) -> None:
        if self.loaded == setting.model:
            return
        self.loaded = self.handle = self.untouched = None
        gc.collect()
        model = build_model(setting, self.device)
        self.untouched = twin(model)
        self.handle = self.contender.wrap(model)
        self.loaded = setting.model

    def answer(self, request: dict[str, Any]) -> dict[str, float]:
        """Runs one request."""
        setting = TASKS[request["task"]].settings[request["setting"]]
        setting = setting.quick() if request["quick"] else setting
        self.load(setting)
        work = inputs(setting, self.device)
        if request["measure"] == "nothing":
            self.runner(request, work.warm_up())()
            return {"value": 0.0}
        run = self.runner(request, work)
        gc.collect()
        before = busy_seconds()
        start, own = time.perf_counter(), time.process_time()
        if request["measure"] == "megabytes":
            value, result = peak_megabytes(run, self.device)
        else:
            value, result = seconds(run, setting.repeats, self.device)
        wall, own = time.perf_counter() - start, time.process_time() - own
        others = max(0.0, busy_seconds() - before - own)
        if request["save"] and result is not None:
            np.save(request["save"], result)
        return {"value": value, "wall": wall, "others": others}

    def runner(self, request: dict[str, Any], work: Work) -> Callable[[], Any]:
        if request["way"] is None:
            return lambda: self.untouched(work.ids)
        way = self.contender.WAYS[request["task"]][request["way"]]
        return lambda: way(self.handle, work)


def seconds(run: Callable[[], Any], repeats: int, device: str) -> tuple[float, Any]:
    """Median seconds of some calls, and the last one's result."""
    times = []
    for _ in range(repeats):
        result = None  # the one before must not count as memory in use
        synchronise(device)
        start = time.perf_counter()
        result = run()
        synchronise(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times), result


def busy_seconds() -> float:
    """Processor time that the machine has spent on anything since it started (stolen time too); 0 where not known."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, stat.read_text().split(maxsplit=9)[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def synchronise(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def peak_megabytes(run: Callable[[], Any], device: str) -> tuple[float, Any]:
    """Peak memory of one call above what was in use before it: resident memory, or the GPU allocator's own count."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = run()
        return (torch.cuda.max_memory_allocated() - before) / 1e6, result
    if not Path("/proc/self/clear_refs").exists():
        raise OSError("peak memory is read from /proc, which this system does not have")
    ctypes.CDLL(None).malloc_trim(0)  # what building the model left free would hide what the call takes
    Path("/proc/self/clear_refs").write_text("5")  # 5 sets the high-water mark back
    before = _status_kilobytes("VmRSS")
    result = run()
    return (_status_kilobytes("VmHWM") - before) * 1024 / 1e6, result


def _status_kilobytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("contender")
    parser.add_argument("--device", required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get among the answers

    def say(message: dict[str, Any]) -> None:
        print(json.dumps(message), file=answers, flush=True)

    try:
        torch.set_num_threads(options.threads)
        device = options.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        contender = importlib.import_module(f"benchmarks.contenders.{options.contender}")
        bench = Bench(contender, device)
        say(
            {
                "versions": {name: version(name) for name in (*contender.PACKAGES, "torch", "transformers")},
                "device": f"{device} ({torch.cuda.get_device_name()})" if device.startswith("cuda") else device,
                "ways": {task: list(ways) for task, ways in contender.WAYS.items()},
            }
        )
    except Exception as error:
        say({"error": one_line(error)})
        return
    for line in sys.stdin:
        try:
            with torch.no_grad():
                say(bench.answer(json.loads(line)))
        except Exception as error:  # whatever a library raises is one line of the table
            traceback.print_exc()
            say({"error": one_line(error)})


def one_line(error: BaseException) -> str:
    text = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text.strip()}"


if __name__ == "__main__":
    main()
