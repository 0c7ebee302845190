"""A pytest-native laboratory for research on language models: hypotheses are tests, estimates meet bars.

Parts import downwards only: plugin, organisms, evidence, subjects, methods, stats, estimate.
"""

__version__ = "0.1.0"
