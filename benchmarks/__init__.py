"""How fast is `lab.subjects` beside its peers? Everything here runs by `python -m benchmarks`; nothing imports it."""
