"""Estimates from data: arrays in, `Estimate`s out; no models, no files and no pytest."""
