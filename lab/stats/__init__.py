"""Estimates from data: intervals, effect sizes, families, reliability.

Arrays in, `Estimate`s out; no models, no files, no pytest.
"""
