"""How fast are the statistics beside the libraries? Run by `python -m benchmarks.statistics`; nothing imports it."""
