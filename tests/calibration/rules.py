"""All rules that can give PASS, each with data on which it must not."""

from tests.calibration import effects, intervals, methods, probes, reliability, similarities, suite

RULES = (
    *intervals.RULES,
    *effects.RULES,
    *reliability.RULES,
    *similarities.RULES,
    *probes.RULES,
    *methods.RULES,
    *suite.RULES,
)
