"""The interval of a difference, from the intervals of two independent estimates."""

import numpy as np
import pytest

from lab.estimate import Estimate
from lab.stats.independent import difference
from lab.stats.means import student, welch
from lab.stats.shares import unpaired_difference, wilson


def test_of_two_wilson_intervals_it_is_newcombes():
    rng = np.random.default_rng(0)
    for n, m, p, q in [(70, 80, 0.8, 0.6), (30, 300, 0.02, 0.5), (50, 50, 1.0, 0.9)]:
        one, two = rng.random(n) < p, rng.random(m) < q
        ours, theirs = difference(wilson(two), wilson(one)), unpaired_difference(one, two)
        assert [ours.value, ours.low, ours.high, ours.n] == pytest.approx(
            [theirs.value, theirs.low, theirs.high, theirs.n]
        )


@pytest.mark.parametrize(("n", "m"), [(15, 15), (20, 200)])
def test_it_covers_as_often_as_it_says(n, m):
    rng = np.random.default_rng(1)
    x, y = rng.normal(0, 1, (2000, n)), rng.normal(0.5, 3, (2000, m))
    found = [difference(student(a), student(b)) for a, b in zip(x, y, strict=True)]
    covered = np.mean([e.low < 0.5 < e.high for e in found])
    assert 0.94 <= covered <= 0.97
    wider = np.mean([e.high - e.low for e in found]) / np.mean([w.high - w.low for w in (welch(b, a) for a, b in zip(x, y, strict=True))])  # fmt: skip
    assert 0.97 <= wider <= 1.05


def test_what_cannot_be_subtracted_is_refused_and_a_doubt_goes_on():
    a = Estimate(0.5, 0.4, 0.6, 10, "made")
    for other, what in ((Estimate(0.5, 0.4, 0.6, 10, "made", level=0.9), "levels"), (Estimate(0.5, 0.4, 0.6, 10, "made", unit="%"), "units")):  # fmt: skip
        with pytest.raises(ValueError, match=f"different {what}"):
            difference(a, other)
    assert difference(a, Estimate(0.5, 0.4, 0.6, 10, "made", doubt="too few")).doubt == "too few"
