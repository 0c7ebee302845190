"""lab COMMAND: everything of the laboratory that is not a test run. `lab COMMAND --help` tells the options of one.

check        prints versions; each line is OK or says what to do
report       makes tables, figures and pages from the journal; `lab report NAME` makes one of them
compare A B  what changed between two runs: verdicts, estimates with the interval of their difference, settings
submit       runs hypotheses as several jobs of a Slurm cluster, or of this machine
data         lists the data sets; with names, loads them and says how many rows there are
describe     prints where a model's hook points are, as found by running it
new DIR      writes a starter project, or copies the pages of a study
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lab.study import INI, BrokenStudy, merged, named, of_project, register_named

COMMANDS = {
    "check": "lab.commands.check:main",
    "report": "lab.commands.report:main",
    "compare": "lab.commands.compare:main",
    "submit": "lab.commands.submit:main",
    "data": "lab.commands.data:main",
    "describe": "lab.commands.describe:main",
    "new": "lab.commands.new:main",
}


def main(arguments: list[str] | None = None) -> int:
    try:
        register_named(of_project(Path.cwd()), Path.cwd())
    except (BrokenStudy, ValueError) as error:
        print(f"lab: {INI} of this folder: {error}", file=sys.stderr)
        return 2
    commands = COMMANDS | merged("commands")
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in ("-h", "--help"):
        own = ", ".join(name for name in commands if name not in COMMANDS)
        print(f"{__doc__}\nCommands of the studies, each with --help: {own}.")
        return 0
    if name not in commands:
        print(f"lab: there is no command {name!r}; there are {', '.join(commands)}", file=sys.stderr)
        return 2
    try:
        status: int = named(commands[name])(rest)
        sys.stdout.flush()
    except BrokenStudy as error:
        print(f"lab {name}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # as of `lab data | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
