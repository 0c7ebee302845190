"""`python -m benchmarks`: ours beside its peers, interleaved in one run, medians and ratios."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import venvs
from benchmarks.tables import LEGEND, Row, Table
from benchmarks.tasks import TASKS

ROOT = Path(__file__).parents[1]
LIMIT_SECONDS = 1800  # one measurement; whatever takes longer hangs


class Worker:
    """A contender's process. `ask` waits for its answer, so that one process computes at a time."""

    def __init__(self, contender: str, python: str, options: argparse.Namespace, log: Path) -> None:
        self.contender, self.log = contender, log
        env = {
            **os.environ,
            "OMP_NUM_THREADS": str(options.threads),
            "HF_HUB_OFFLINE": "1",  # every weight is random; no library may look for others
            "TOKENIZERS_PARALLELISM": "false",
        }
        command = [python, "-m", "benchmarks.worker", contender]
        command += ["--device", options.device, "--threads", str(options.threads)]
        with log.open("a") as stderr:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
            )

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        timer = threading.Timer(LIMIT_SECONDS, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        return json.loads(line) if line else {"error": f"its process ended; see {self.log.name}"}

    def ask(self, *, way: str | None = None, save: str | None = None, **request: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        request |= {"way": way, "save": save}
        try:
            print(json.dumps(request), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass  # `read` says so
        return self.read()

    def end(self) -> None:
        """May be called twice."""
        self.process.kill()
        self.process.wait()


class Bench:
    """The whole run: which contenders there are, and what they took."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.machine = describe_machine(options)
        self.pythons = {"ours": sys.executable, "plain": sys.executable}
        self.absent: dict[str, str] = {}
        self.hellos: dict[str, dict[str, Any]] = {}
        self.logs = options.out / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        for old in self.logs.glob("*.log"):
            old.unlink()
        for peer in options.peers:
            try:
                self.pythons[peer] = venvs.interpreter(peer)
            except venvs.InstallError as error:
                self.drop(peer, str(error))

    def drop(self, contender: str, why: str) -> None:
        say(f"{contender}: {why}")
        self.absent[contender] = why

    def start(self, contenders: Iterable[str]) -> list[Worker]:
        """Their processes, in this order, each ready to be asked or dropped."""
        workers = [Worker(name, self.pythons[name], self.options, self.logs / f"{name}.log") for name in contenders]
        for worker in workers:
            hello = worker.read()
            if "error" in hello:
                self.drop(worker.contender, hello["error"])
            else:
                self.hellos[worker.contender] = hello
        return workers

    def run(self) -> None:
        """Every table, written as soon as it is there."""
        tables: list[Table] = []
        say("starting " + ", ".join(self.pythons))
        workers = self.start(self.pythons)
        try:
            for task, setting in self.options.tasks:
                if task != "memory":
                    tables.append(self.compare_times(task, setting, {w.contender: w for w in workers}))
                    self.write(tables)
        finally:
            for worker in workers:
                worker.end()
        for task, setting in self.options.tasks:
            if task == "memory":
                tables.append(self.compare_memory(setting))
                self.write(tables)

    def table(self, task: str, setting: str) -> Table:
        """Without values: a row for each way, and one for each contender that is absent."""
        size = TASKS[task].settings[setting]
        size = size.quick() if self.options.quick else size
        rows = []
        every_way = size.every_way and not (self.options.quick and task == "memory")  # each is a process, and slow
        for contender, hello in self.hellos.items():
            ways = hello["ways"].get(task, [])
            if not every_way and contender in venvs.PEERS:
                ways = ways[:1]
            rows += [Row(contender, way, next(iter(hello["versions"].values()))) for way in ways]
        return Table(task, setting, size, rows + [Row(name, "", error=why) for name, why in self.absent.items()])

    def compare_times(self, task: str, setting: str, workers: dict[str, Worker]) -> Table:
        """Rounds over all ways of all contenders, each round starting one further on."""
        table = self.table(task, setting)
        ask = {"task": task, "setting": setting, "quick": self.options.quick}
        say(f"{task}/{setting}: loading and warming up")
        for row in table.rows:
            if not row.error:
                row.error = workers[row.contender].ask(**ask, way=row.way, measure="nothing").get("error", "")
        live = [row for row in table.rows if not row.error]
        rounds = min(self.options.rounds, table.size.rounds)
        forwards: dict[str, list[float]] = {row.contender: [] for row in live}
        with tempfile.TemporaryDirectory() as folder:
            results = [Path(folder) / f"{i}.npy" for i in range(len(live))]
            for r in range(rounds):
                turns, seen = [(r + i) % len(live) for i in range(len(live))], set[str]()
                for row, result in [(live[i], results[i]) for i in turns]:
                    if row.error:
                        continue
                    worker = workers[row.contender]
                    if row.contender not in seen:
                        seen.add(row.contender)
                        answer = worker.ask(**ask, measure="seconds")
                        forwards[row.contender] += [answer["value"]] if "value" in answer else []
                    answer = worker.ask(**ask, way=row.way, measure="seconds", save=str(result) if r == 0 else None)
                    row.add(answer)
                    say(f"{task}/{setting} {r + 1}/{rounds} {row.contender}, {row.way}: {shown(answer, 's')}")
            compare_results(live, results)
        for row in live:
            row.forwards = forwards[row.contender]
        return table

    def compare_memory(self, setting: str) -> Table:
        """A new process for every measurement: what an allocator keeps would make the next one look thrifty."""
        table = self.table("memory", setting)
        live = [row for row in table.rows if not row.error]
        ask = {"task": "memory", "setting": setting, "quick": self.options.quick}
        rounds = min(self.options.rounds, table.size.rounds)
        with tempfile.TemporaryDirectory() as folder:
            results = [Path(folder) / f"{i}.npy" for i in range(len(live))]
            for r in range(rounds):
                say(f"memory/{setting}: starting a process for each way")
                workers = self.start(row.contender for row in live)
                try:
                    for row, worker, result in zip(live, workers, results, strict=True):
                        answer = worker.ask(**ask, way=row.way, measure="nothing")
                        if "error" not in answer:
                            answer = worker.ask(**ask, way=row.way, measure="megabytes", save=str(result))
                        worker.end()
                        row.add(answer)
                        say(f"memory/{setting} {r + 1}/{rounds} {row.contender}, {row.way}: {shown(answer, 'MB')}")
                finally:
                    for worker in workers:
                        worker.end()
            compare_results(live, results)
        return table

    def write(self, tables: list[Table]) -> None:
        """`tables.md` and `raw.json`, as far as the run has come."""
        versions = {name: hello["versions"] for name, hello in self.hellos.items()}
        libraries = sorted({f"{package} {v}" for known in versions.values() for package, v in known.items()})
        facts = {
            **self.machine,
            "device": ", ".join(sorted({hello["device"] for hello in self.hellos.values()})),
            "libraries": ", ".join(libraries),
        }
        title = "# Benchmarks" + " (quick: tiny models; do all run and agree?)" * self.options.quick
        lines = [title, "", *(f"- {key}: {value}" for key, value in facts.items()), "", LEGEND]
        (self.options.out / "tables.md").write_text("\n".join([*lines, *(table.markdown() for table in tables)]))
        raw = {
            "machine": facts,
            "quick": self.options.quick,
            "versions": versions,
            "tables": [asdict(t) for t in tables],
        }
        (self.options.out / "raw.json").write_text(json.dumps(raw, indent=1) + "\n")


def compare_results(rows: list[Row], results: list[Path]) -> None:
    """Fills in each row's largest difference from plain's first result; for tokens, how many differ."""
    first = next((i for i, row in enumerate(rows) if row.contender == "plain" and results[i].exists()), None)
    if first is None:
        return
    reference = np.load(results[first])
    for i, row in enumerate(rows):
        if i == first:
            row.difference = "reference"
        elif results[i].exists():  # a bare forward has no result
            found = np.load(results[i])
            if found.shape != reference.shape:
                row.difference = f"shape {found.shape}, not {reference.shape}"
            elif np.issubdtype(reference.dtype, np.integer):
                row.difference = f"{int((found != reference).sum())} of {reference.size} tokens"
            else:
                row.difference = f"{float(np.abs(found.astype(np.float64) - reference).max()):.1e}"


def shown(answer: dict[str, Any], unit: str) -> str:
    return f"{answer['value']:.3g} {unit}" if "value" in answer else str(answer["error"])


def describe_machine(options: argparse.Namespace) -> dict[str, str]:
    """What a reader has to know about it; `load` is what others had it do before the run."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "CPU": f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, {options.threads} threads used",
        "load": f"{os.getloadavg()[0]:.1f} before the run" if hasattr(os, "getloadavg") else "unknown",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "arithmetic": "fp32, no gradients, random weights",
        "date": time.strftime("%Y-%m-%d"),
    }


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny models: does everything run and agree?")
    parser.add_argument("--peers", default=",".join(venvs.PEERS), help="beside ours and plain; default %(default)s")
    parser.add_argument("--tasks", default=",".join(TASKS), help="names, or name/setting; default %(default)s")
    parser.add_argument("--rounds", type=int, help="default 5, 1 with --quick; long settings have at most 3")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="auto", help="auto (the GPU where there is one), cpu, cuda, cuda:1")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "benchmarks")
    parser.add_argument("--baukit", help="where pip finds baukit, a folder or URL; default BAUKIT_SOURCE or GitHub")
    options = parser.parse_args()
    options.peers = [peer for peer in options.peers.split(",") if peer]
    settings = {f"{task}/{setting}": (task, setting) for task in TASKS for setting in TASKS[task].settings}
    wanted = options.tasks.split(",")
    options.tasks = [pair for name, pair in settings.items() if name in wanted or pair[0] in wanted]
    options.rounds = options.rounds or (1 if options.quick else 5)
    for given, known in ((options.peers, venvs.PEERS), (wanted, [*TASKS, *settings])):
        for name in given:
            if name not in known:
                parser.error(f"{name!r} is not one of {', '.join(known)}")
    if options.baukit:
        os.environ["BAUKIT_SOURCE"] = options.baukit
    Bench(options).run()
    print((options.out / "tables.md").read_text())


if __name__ == "__main__":
    main()
