"""The place of a command that has moved: `python -m lab.organisms` is `lab organisms` now."""

import sys

sys.exit("`python -m lab.organisms` is now `lab organisms`; what followed it is the same")
