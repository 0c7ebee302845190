"""A pytest-native laboratory for research on language models: hypotheses are tests, estimates meet bars.

Two halves: the laboratory, which knows no hypothesis, and `studies`, a folder each. Parts import downwards only:
studies, commands, plugin, views, forecast, record, judging, subjects, data, stats, files, estimate, study.
"""

__version__ = "0.1.0"
