"""A pytest-native laboratory for research on language models: a hypothesis is a test, and an estimate meets a bar.

`lab.studies` says what is asked. All else runs, judges, keeps and shows it, and knows no study. Imports go downwards
only: commands, plugin, views, forecast, record, judging, subjects, data, stats, files, estimate.
"""

__version__ = "0.1.0"
