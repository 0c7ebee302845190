"""python -m lab."""
