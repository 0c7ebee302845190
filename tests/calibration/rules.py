"""All rules that can give PASS, each with data on which it must not."""

from tests.calibration import intervals, similarities

RULES = (*intervals.RULES, *similarities.RULES)
