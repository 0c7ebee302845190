"""The pytest side of the laboratory: options, knobs, fixtures, verdicts, tables, Allure. One concern a file.

An experiment needs one name from here:

    from lab.plugin import experiment
"""

from lab.plugin.experiment import experiment

__all__ = ["experiment"]
