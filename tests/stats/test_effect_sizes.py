"""An effect size says which it is, and is what its formula gives."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from lab.estimate import Estimate
from lab.stats.effect_sizes import ITSELF, effect_size
from lab.stats.effects import cohen_d
from lab.stats.means import student


def test_an_aurocs_d_is_that_of_two_normal_classes():
    for d in (-0.5, 0.0, 0.8, 2.0):
        area = float(norm.cdf(d / math.sqrt(2)))
        found = effect_size(Estimate(area, area, area, n=9, method="DeLong", name="AUROC of set 1"))
        assert found["value"] == pytest.approx(d)


def test_a_perfect_auroc_has_no_finite_d():
    found = effect_size(Estimate(1.0, 1.0, 1.0, n=9, method="DeLong", name="AUROC"))
    assert found == {"name": ITSELF, "value": 1.0}


def test_a_shares_h_is_against_its_bar():
    share = Estimate(0.75, 0.7, 0.8, n=90, method="Wilson", unit="%", bounds=(0.0, 1.0), name="change rate")
    found = effect_size(share, [{"against": [">", 0.25, 0.25]}])
    assert found["name"] == "Cohen's h against 0.25"
    assert found["value"] == pytest.approx(math.pi / 3)
    assert effect_size(share)["name"] == ITSELF  # no bar, nothing to compare with


def test_a_means_d_is_read_off_its_interval():
    values = np.random.default_rng(0).normal(0.4, 1.3, 50)
    found = effect_size(student(values))
    assert found["name"] == "Cohen's d of one sample, from the interval"
    assert found["value"] == pytest.approx(values.mean() / values.std(ddof=1))


def test_what_is_an_effect_size_is_its_own():
    rng = np.random.default_rng(0)
    d = cohen_d(rng.normal(1, 1, 40), rng.normal(0, 1, 40))
    found = effect_size(d)
    assert found["name"] == "Cohen's d"
    assert found["value"] == d.value
    r = Estimate(0.4, 0.3, 0.5, n=9, method="cluster bootstrap", name="mean r")
    assert effect_size(r) == {"name": "correlation", "value": 0.4}
    other = Estimate(0.4, 0.3, 0.5, n=9, method="Fieller", name="share restored")
    assert effect_size(other) == {"name": ITSELF, "value": 0.4}
