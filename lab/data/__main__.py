"""The place of a command that has moved: `python -m lab.data` is `lab data` now."""

import sys

sys.exit("`python -m lab.data` is now `lab data`; what followed it is the same")
