"""lab submit: runs hypotheses as several jobs of a Slurm cluster, or of this machine; the tables are those of one run.

submitit submits them, and requeues what was preempted or ran out of time. How the work is shared out stands in
`lab.plugin.shares`; each job is an ordinary run of pytest on its share, and a last one merges.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from lab.plugin.devices import THREADS, cores, gpus
from lab.plugin.share_file import Shards, Share, journal_stem
from lab.record import Fold, read

if TYPE_CHECKING:
    from submitit import Executor
    from submitit import Job as Submitted
    from submitit.helpers import DelayedSubmission

MINUTES = 60
"""What a job of the cluster may take where nothing is said; submitit's own default is 5."""
WEEK = 7 * 24 * 60
"""Minutes that a job on this machine may take: nobody waits for its place."""
ATTEMPTS = 2
"""How often a job starts pytest, when a signal ended it."""
FILE = "shards.json"
_ENDED = 0, 1, 6
"""Exit statuses of pytest that are results."""
_GPUS = ("gpus_per_node", "slurm_gpus_per_task", "slurm_gres", "slurm_mem_per_gpu", "slurm_cpus_per_gpu")
"""What merging does without."""


class SubmitError(ValueError):
    """Nothing can be submitted. Its text is one line: what is wrong, what to do."""


@dataclass(frozen=True)
class Job:
    """One share of a run, or its merging where `share` is None, as submitit calls it.

    It is called again, as it is, after a timeout, a preemption or the loss of a node, and then goes on.
    """

    file: str
    share: str | None

    def __call__(self) -> int:
        """The exit status of pytest. Raises RuntimeError where it did not come to its end."""
        shards = Shards.read(Path(self.file))
        for _ in range(ATTEMPTS):
            # In a process of its own: submitit's signals raise SystemExit, which pytest takes for a test's failure.
            status = subprocess.run(command(shards, self), cwd=shards.folder).returncode
            if status >= 0:
                break
        if status not in _ENDED:
            how = f"by signal {-status}, {ATTEMPTS} times" if status < 0 else f"with exit status {status}"
            raise RuntimeError(f"pytest ended {how}")
        return status

    def checkpoint(self) -> DelayedSubmission:
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def command(shards: Shards, job: Job) -> list[str]:
    """How pytest is called for a job; where it was called before, so that it goes on."""
    given = [sys.executable, "-m", "pytest", *shards.arguments, "--lab-shards", job.file]
    if job.share is None:
        return given
    journals = Path(shards.results) / "journal"
    begun = any(journals.glob(f"{shards.run}-{journal_stem(shards.share(job.share))}.*"))
    return [*given, "--lab-share", job.share, *["--lab-resume"] * begun]


def main(arguments: list[str]) -> int:
    """`lab submit --shards N [options] [--PARAMETER VALUE ...] -- hypotheses/ [pytest options]`."""
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    given, others = _parser().parse_known_args(arguments[:cut])
    try:
        asked = parameters(others, given.local)
        if given.resume is not None:
            file = _file(given.resume)
            shards = Shards.read(file)
        else:
            shards, file = _dealt(given, arguments[cut + 1 :])
        return _submit(shards, file, given, asked)
    except (SubmitError, OSError, ValueError) as error:
        print(f"lab submit: {error}", file=sys.stderr)
        return 2


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="lab submit",
        usage="%(prog)s (--shards N | --resume DIR) [--local] [--wait] [--PARAMETER VALUE ...] -- PYTEST ARGUMENTS",
        description=__doc__,
        epilog="Any other --PARAMETER VALUE is submitit's or Slurm's, as --timeout_min 120 --gpus_per_node 1 "
        "--cpus_per_task 8 --partition gpu --account lab --setup '[\"module load cuda\"]': docs/clusters.md",
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--shards", type=int, metavar="N", help="on how many jobs at a time the tests are shared out")
    what.add_argument(
        "--resume", type=Path, metavar="DIR", help="go on with what did not end of the run in this folder"
    )
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="of logs and shares, seen by all nodes (default: RESULTS/shards/RUN)"
    )
    parser.add_argument("--local", action="store_true", help="run the jobs on this machine, and wait for them")
    parser.add_argument("--wait", action="store_true", help="wait for the jobs; the exit status is that of the run")
    return parser


def parameters(given: Sequence[str], local: bool) -> dict[str, Any]:
    """What is asked of submitit or Slurm, under the names that submitit's AutoExecutor takes.

    Raises SubmitError for what is no --NAME VALUE.
    """
    if not _installed():
        raise SubmitError('submitit is missing: pip install "lab-hypotheses[cluster]"')
    from submitit import AutoExecutor

    found: dict[str, Any] = {"timeout_min": WEEK if local else MINUTES}
    words = [part for word in given for part in (word.split("=", 1) if word.startswith("--") else [word])]
    for name, value in zip_longest(words[::2], words[1::2]):
        if not name.startswith("--") or value is None:
            raise SubmitError(f"{name}: write --NAME VALUE for submitit, and what is for pytest after --")
        key = name[2:].replace("-", "_")
        try:
            told = json.loads(value)
        except ValueError:
            told = value
        general = key in AutoExecutor._typed_parameters() or key.startswith(("slurm_", "local_"))
        found[key if general else f"slurm_{key}"] = told
    return found


def _installed() -> bool:
    from importlib.util import find_spec

    return find_spec("submitit") is not None


def _file(place: Path) -> Path:
    return (place / FILE if place.is_dir() else place).absolute()


def _dealt(given: Namespace, arguments: list[str]) -> tuple[Shards, Path]:
    """Collects the tests, deals them out and writes that down."""
    if given.shards < 1:
        raise SubmitError("--shards is 1 or more")
    if not arguments:
        raise SubmitError("after -- comes what pytest is to run, as -- hypotheses/")
    with TemporaryDirectory() as folder:
        made = Path(folder) / FILE
        deal = ["--lab-deal", str(given.shards), "--lab-shards", str(made), "--collect-only", "-q"]
        done = subprocess.run([sys.executable, "-m", "pytest", *arguments, *deal], capture_output=True, text=True)
        if done.returncode or not made.exists():
            raise SubmitError(f"nothing was submitted, pytest says:\n{done.stdout}{done.stderr}".strip())
        shards = replace(Shards.read(made), arguments=tuple(arguments), folder=str(Path.cwd()))
    place = given.folder or Path(shards.results) / "shards" / shards.run
    return shards, shards.write(place.absolute() / FILE)


def _submit(shards: Shards, file: Path, given: Namespace, asked: dict[str, Any]) -> int:
    left = _left(shards)
    print(f"run {shards.run}: {_tell(shards, left)}")
    executor = _executor(file.parent, given.local, asked)
    if given.local:
        return _here(shards, file, left, executor, asked)
    return _there(shards, file, left, executor, asked, given.wait)


def _left(shards: Shards) -> list[list[Share]]:
    """The shares that did not end, and all of later waves, wave by wave: what those need may have been missing."""
    done = Fold(read(Path(shards.results) / "journal", shards.run)).shares(shards.run)
    open_waves = [number for number, wave in enumerate(shards.waves) if any(s.name not in done for s in wave)]
    if not open_waves:
        return []
    first = open_waves[0]
    again = [share for share in shards.waves[first] if share.name not in done]
    return [again, *shards.waves[first + 1 :]]


def _tell(shards: Shards, left: list[list[Share]]) -> str:
    count = sum(len(share.tests) for wave in left for share in wave)
    lines = [f"{_count(count, 'test')} in {_count(sum(map(len, left)), 'job')}"]
    for share in (share for wave in left for share in wave):
        models = f", {', '.join(share.models)}" if share.models else ""
        tests = _count(len(share.tests), "test")
        lines.append(f"  shard {share.shard}, wave {share.wave}: {tests}, {share.seconds:g} s{models}")
    return "\n".join(lines)


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _executor(folder: Path, local: bool, asked: dict[str, Any]) -> Executor:
    """Raises SubmitError where there is no Slurm, or for a parameter that submitit does not know."""
    from submitit import AutoExecutor, LocalExecutor

    if local:
        executor: Executor = LocalExecutor(folder)
        asked = {name.removeprefix("local_"): v for name, v in asked.items() if not name.startswith("slurm_")}
    elif shutil.which("srun") is None:
        raise SubmitError("there is no Slurm here: srun was not found; --local runs the jobs on this machine")
    else:
        executor = AutoExecutor(folder, cluster="slurm")
    try:
        executor.update_parameters(**{"name": "lab"} | asked)
    except (NameError, AssertionError, ValueError) as error:
        raise SubmitError(str(error).partition("\n")[0]) from None
    return executor


def _here(shards: Shards, file: Path, left: list[list[Share]], executor: Executor, asked: dict[str, Any]) -> int:
    """Runs the jobs as processes of this machine, wave by wave, and merges. Returns the exit status of the run."""
    found = gpus()
    for wave in left:
        jobs = []
        for number, share in enumerate(wave):
            mine = [int(name) for name in found[number :: len(wave)] if name.isdigit()]
            if "gpus_per_node" not in asked and mine:  # submitit's own part for each job is the first GPUs
                executor.update_parameters(gpus_per_node=len(mine), visible_gpus=mine)
            for name in THREADS:
                os.environ.setdefault(name, str(max(1, cores() // len(wave))))
            jobs.append((share, executor.submit(Job(str(file), share.name))))
        try:
            for _, job in jobs:
                job.wait()
        except KeyboardInterrupt:  # which the jobs were sent too
            return _unfinished(file, "--local")
        if _failed(shards, jobs):
            return _unfinished(file, "--local")
    return subprocess.run(command(shards, Job(str(file), None)), cwd=shards.folder).returncode


def _there(
    shards: Shards, file: Path, left: list[list[Share]], executor: Executor, asked: dict[str, Any], wait: bool
) -> int:
    """Queues the jobs on the cluster, each wave after the one before, and last the one that merges."""
    jobs: list[tuple[Share, Submitted[int]]] = []
    after: str | None = asked.get("slurm_dependency")
    for wave in left:
        executor.update_parameters(slurm_dependency=after)
        with executor.batch():  # one array
            queued = [(share, executor.submit(Job(str(file), share.name))) for share in wave]
        jobs += queued
        after = "afterany:" + queued[0][1].job_id.partition("_")[0]
    merging = _executor(file.parent, False, {k: v for k, v in asked.items() if k not in _GPUS})
    merging.update_parameters(slurm_dependency=after)
    last = merging.submit(Job(str(file), None))
    numbers = ", ".join(dict.fromkeys(job.job_id.partition("_")[0] for job in [*(job for _, job in jobs), last]))
    print(f"jobs {numbers}, of which the last one merges; squeue --me shows them, their logs are in")
    print(file.parent)
    if not wait:
        print(f"should one of them be lost: lab submit --resume {file.parent}")
        return 0
    last.wait()
    if _failed(shards, jobs):
        return _unfinished(file)
    print(last.stdout() or "", end="")
    return 1 if last.exception() else int(last.result())


def _failed(shards: Shards, jobs: Sequence[tuple[Share, Submitted[int]]]) -> bool:
    """Says in a line which of the jobs did not come to their end."""
    done = Fold(read(Path(shards.results) / "journal", shards.run)).shares(shards.run)
    failed = [(share, job) for share, job in jobs if share.name not in done]
    for share, job in failed:
        print(f"shard {share.shard}, wave {share.wave}, did not end: {job.paths.stdout} says why", file=sys.stderr)
    return bool(failed)


def _unfinished(file: Path, *options: str) -> int:
    again = " ".join(["lab submit --resume", str(file.parent), *options])
    print(f"nothing is merged; {again} goes on", file=sys.stderr)
    return 1
