"""The pytest side of the laboratory: options, knobs, fixtures, verdicts, tables, Allure. One concern a file.

Hooks stand in `lifecycle` alone, which calls the steps of the other files in order.

An experiment needs one name from here:

    from lab.plugin import experiment
"""

from lab.plugin.experiment import experiment

__all__ = ["experiment"]
