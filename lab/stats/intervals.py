"""All intervals by name, gathered from the modules that compute them."""

from lab.stats.auroc import delong, delong_difference
from lab.stats.bootstrap import bootstrap, reweighted
from lab.stats.correlations import correlation, correlation_difference, fisher_z
from lab.stats.means import ratio, student, welch
from lab.stats.shares import clopper_pearson, paired_difference, unpaired_difference, wilson

__all__ = [
    "bootstrap",
    "clopper_pearson",
    "correlation",
    "correlation_difference",
    "delong",
    "delong_difference",
    "fisher_z",
    "paired_difference",
    "ratio",
    "reweighted",
    "student",
    "unpaired_difference",
    "welch",
    "wilson",
]
