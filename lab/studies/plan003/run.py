"""Runs a step of the plan, in pytest or as a report; what it prints is kept as a text log, its exit code is ours."""

from __future__ import annotations

import shlex
import subprocess
import sys
from itertools import chain
from pathlib import Path

from lab.studies.plan003.steps import FOLDERS, PLAN, PlanError, steps


def main(arguments: list[str]) -> int:
    """`lab run [--plan FILE] STEP [flags] [-- pytest options]`."""
    plan, told = PLAN, shlex.join(["lab", "run", *arguments])
    if arguments[:1] == ["--plan"] and len(arguments) > 1:
        plan, arguments = Path(arguments[1]), arguments[2:]
    try:
        known = steps(plan)
        if not arguments or arguments[0] in ("-h", "--help"):
            print("usage: lab run [--plan FILE] STEP [flags] [-- pytest options]\n\nsteps:")
            print("".join(f"  {step.name:32}{step.does}\n" for step in known.values()), end="")
            return 0 if arguments else 2
        name, *rest = arguments
        if name not in known:
            raise PlanError(f"{plan} has no step {name!r}; it has {', '.join(known)}")
        cut = rest.index("--") if "--" in rest else len(rest)
        given = known[name].parser().parse_args(rest[:cut])
        asked = [*known[name].arguments(given), *rest[cut + 1 :]]
    except PlanError as error:
        print(f"lab run: {error}", file=sys.stderr)
        return 2
    results = known[name].results_of(given)
    for folder in FOLDERS:
        (results / folder).mkdir(parents=True, exist_ok=True)
    return tee([sys.executable, "-m", *asked], results / known[name].log_of(given), f"$ {told}\n".encode())


def tee(command: list[str], log: Path, told: bytes = b"") -> int:
    """Runs a command whose output, after `told`, goes to the console and, the same bytes, to `log`.

    Returns its exit code.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as kept, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as running:
        assert running.stdout is not None
        try:
            for part in chain([told], iter(running.stdout.read1, b"")):  # type: ignore[attr-defined]
                kept.write(part)
                sys.stdout.buffer.write(part)
                sys.stdout.buffer.flush()
        except KeyboardInterrupt:
            running.wait()  # it was interrupted too, and writes down what it has
    return running.returncode
