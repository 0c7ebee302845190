"""The place of a command that has moved: `python -m lab.subjects describe` is `lab describe` now."""

import sys

sys.exit("`python -m lab.subjects describe` is now `lab describe`; what followed it is the same")
