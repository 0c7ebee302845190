"""Measures of whether repeated ratings of the same things agree and tell the things apart.

    icc                     intraclass correlations of targets by raters (Shrout and Fleiss 1979)
    variance_ratio          a simpler share of variance between tasks, which is not an ICC
    cross_seed              correlations between all pairs of seeds
    informative_correlation the correlation without the tasks that both seeds rate at the mode, and its null
    kl_from_uniform         how far the answers are from using the whole scale evenly

Gathered from the modules that compute them. Scores of single tasks, and their pooling over templates and
models, are in `lab.stats.consistency`.
"""

from lab.stats.icc import icc, icc_batch, icc_bootstrap, icc_generalized
from lab.stats.scale_use import kl_bias, kl_from_uniform, kl_observed_range, kl_plugin
from lab.stats.seeds import (
    CrossSeed,
    Informative,
    cross_seed,
    discrimination_rate,
    informative_correlation,
    informative_correlation_by_third,
    variance_ratio,
)

__all__ = [
    "CrossSeed",
    "Informative",
    "cross_seed",
    "discrimination_rate",
    "icc",
    "icc_batch",
    "icc_bootstrap",
    "icc_generalized",
    "informative_correlation",
    "informative_correlation_by_third",
    "kl_bias",
    "kl_from_uniform",
    "kl_observed_range",
    "kl_plugin",
    "variance_ratio",
]
