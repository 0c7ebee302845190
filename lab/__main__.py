"""python -m lab check | run | todo | submit | compare | vectors: surroundings, steps of a plan, a cluster, two runs.

check        prints versions; each line is OK or says what to do
run STEP     runs a step of hypotheses/plan.yaml with the plan's own flags, and keeps what it printed as a text log
todo PLAN    shows what is to be done in a plan, and does it in the order in which it depends on one another
submit       runs hypotheses as several jobs of a Slurm cluster, or of this machine
compare A B  what changed between two runs: verdicts, estimates with the interval of their difference, settings
vectors DIR  shows how long kept concept vectors are beside the activations, and normalises them once
"""

from __future__ import annotations

import sys

from lab.commands import check, compare, run, submit, todo, vectors

COMMANDS = {
    "check": check.main,
    "run": run.main,
    "todo": todo.main,
    "submit": submit.main,
    "compare": compare.main,
    "vectors": vectors.main,
}


def main(arguments: list[str] | None = None) -> int:
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in ("-h", "--help"):
        print(__doc__)
        return 0
    if name not in COMMANDS:
        print(f"python -m lab: there is no command {name!r}; there are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    return COMMANDS[name](rest)


if __name__ == "__main__":
    sys.exit(main())
