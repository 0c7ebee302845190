"""Estimates from data: intervals, differences, AUROC. Arrays in, `Estimate`s out; no models, no files, no pytest."""

from lab.stats.auroc import auroc
from lab.stats.intervals import bootstrap, mean, paired_difference, proportion

__all__ = ["auroc", "bootstrap", "mean", "paired_difference", "proportion"]
