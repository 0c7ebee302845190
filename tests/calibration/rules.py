"""All rules that can give PASS, each with data on which it must not."""

from tests.calibration import (
    asked,
    effects,
    intervals,
    methods,
    preferences,
    probes,
    reliability,
    similarities,
    suite,
    told,
)

RULES = (
    *intervals.RULES,
    *effects.RULES,
    *reliability.RULES,
    *similarities.RULES,
    *probes.RULES,
    *methods.RULES,
    *asked.RULES,
    *told.RULES,
    *preferences.RULES,
    *suite.RULES,
)
