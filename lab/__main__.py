"""python -m lab check | run: see that everything needed is here, and run a step of the plan by its name.

check        prints versions; each line is OK or says what to do
run STEP     runs a step of hypotheses/plan.yaml with the plan's own flags, and keeps what it printed as a text log
"""

from __future__ import annotations

import sys

from lab.commands import check, run

COMMANDS = {"check": check.main, "run": run.main}


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
