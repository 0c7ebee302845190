"""The place of a command that has moved: `python -m reports` is `lab report` now."""

import shlex
import sys

given = sys.argv[1:]
if "--direction" in given:  # of a direction there is a report of its own
    at = given.index("--direction")
    given = ["direction", *given[at + 1 : at + 2], *given[:at], *given[at + 2 :]]
sys.exit(f"`python -m reports` is now `lab report`: {shlex.join(['lab', 'report', *given])}")
