"""The pytest side: options, knobs, fixtures, verdicts, gates. No other room imports pytest, but fixtures of studies do.

Hooks stand in `lifecycle` alone, which calls the steps of the other files in order.

An experiment needs one name from here:

    from lab.plugin import experiment
"""

from lab.plugin.experiment import experiment

__all__ = ["experiment"]
