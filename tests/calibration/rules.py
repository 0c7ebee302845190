"""All rules that can give PASS, each with data on which it must not."""

from tests.calibration import effects, intervals, methods, similarities

RULES = (*intervals.RULES, *effects.RULES, *similarities.RULES, *methods.RULES)
