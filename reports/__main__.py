"""The place of a command that has moved: `python -m reports` is `lab report` now."""

import sys

sys.exit("`python -m reports` is now `lab report`; what followed it is the same")
