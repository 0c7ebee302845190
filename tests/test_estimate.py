"""Every way a number can stand to its bar."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.estimate import Bar, Estimate, Inconclusive, Verdict, worst


def made(value, low, high, **more):
    return Estimate(value, low, high, **({"n": 100, "method": "made"} | more))


@pytest.mark.parametrize(
    ("low", "value", "high", "above", "below"),
    [
        (0.56, 0.6, 0.7, "PASS", "FAIL"),
        (0.3, 0.4, 0.5, "FAIL", "PASS"),
        (0.5, 0.6, 0.7, "INCONCLUSIVE", "INCONCLUSIVE"),
        (0.55, 0.6, 0.7, "INCONCLUSIVE", "INCONCLUSIVE"),  # touches the bar from above
        (0.4, 0.5, 0.55, "INCONCLUSIVE", "INCONCLUSIVE"),  # touches it from below
        (0.55, 0.55, 0.7, "INCONCLUSIVE", "INCONCLUSIVE"),
    ],
)
def test_the_whole_interval_decides(low, value, high, above, below):
    assert (made(value, low, high) > 0.55).outcome == above
    assert (made(value, low, high) < 0.55).outcome == below


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (-0.2, 0.2, "PASS"),
        (-0.25, 0.1, "INCONCLUSIVE"),  # touches the bound
        (-0.3, 0.1, "INCONCLUSIVE"),
        (-0.4, 0.4, "INCONCLUSIVE"),
        (0.25, 0.4, "INCONCLUSIVE"),
        (0.26, 0.4, "FAIL"),
        (-0.9, -0.3, "FAIL"),
    ],
)
def test_equivalence_needs_the_whole_interval_inside(low, high, outcome):
    assert made((low + high) / 2, low, high).within(-0.25, 0.25).outcome == outcome


def test_truth_of_a_verdict():
    assert bool(made(0.6, 0.56, 0.7) > 0.55) is True
    assert bool(made(0.4, 0.3, 0.5) > 0.55) is False
    with pytest.raises(Inconclusive, match=r"^AUROC 0.6 \[0.5, 0.7\] \(n=100, made\) straddles 0.55; n of about 400"):
        bool(made(0.6, 0.5, 0.7, name="AUROC") > 0.55)


def test_a_verdict_reads_as_a_sentence():
    auroc = Estimate(0.61, 0.57, 0.65, n=600, method="DeLong", name="AUROC")
    assert str(auroc > 0.55) == "PASS: AUROC 0.61 [0.57, 0.65] (n=600, DeLong) is above 0.55"
    assert (auroc > 0.7).reason.endswith("is not above 0.7")
    assert (auroc < 0.7).reason.endswith("is below 0.7")
    assert auroc.within(0.5, 0.7).reason.endswith("is within (0.5, 0.7)")
    rate = Estimate(0.98, 0.95, 1.0, n=200, method="Wilson", unit="%", name="change rate")
    assert (rate > Bar(0.5, 0.2)).reason == "change rate 98 % [95 %, 100 %] (n=200, Wilson) is above 50 %"


@pytest.mark.parametrize(
    ("value", "point"),
    [(0.31, "PASS"), (0.3, "INCONCLUSIVE"), (0.2, "INCONCLUSIVE"), (0.1, "INCONCLUSIVE"), (0.09, "FAIL")],
)
def test_the_plans_point_rule_leaves_both_ends_undecided(value, point):
    """Rows 109 and 120 of the checklist: beyond 0.3 PASS, short of 0.1 FAIL, the ends and the middle neither."""
    assert (made(value, value - 0.001, value + 0.001) > Bar(passes=0.3, fails=0.1)).point == point


@pytest.mark.parametrize(
    ("value", "point"),
    [(0.551, "PASS"), (0.55, "INCONCLUSIVE"), (0.53, "INCONCLUSIVE"), (0.52, "INCONCLUSIVE"), (0.519, "FAIL")],
)
def test_the_plans_point_rule_for_probes(value, point):
    """Row 115."""
    assert (made(value, value - 0.001, value + 0.001) > Bar(passes=0.55, fails=0.52)).point == point


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.31, 0.5, "PASS"),
        (0.3, 0.5, "INCONCLUSIVE"),
        (0.15, 0.25, "INCONCLUSIVE"),
        (0.0, 0.1, "INCONCLUSIVE"),
        (0.0, 0.09, "FAIL"),
        (0.05, 0.4, "INCONCLUSIVE"),
    ],
)
def test_the_two_bar_rule_decides_by_the_interval(low, high, outcome):
    assert (made((low + high) / 2, low, high) > Bar(passes=0.3, fails=0.1)).outcome == outcome
    mirrored = made(-(low + high) / 2, -high, -low)
    assert (mirrored < Bar(passes=-0.3, fails=-0.1)).outcome == outcome


def test_a_two_bar_rule_in_the_wrong_order_is_refused():
    with pytest.raises(ValueError, match="contradicts `estimate > bar`: swap"):
        made(0.5, 0.4, 0.6) > Bar(passes=0.1, fails=0.3)
    with pytest.raises(ValueError, match="contradicts `estimate < bar`: swap"):
        made(0.5, 0.4, 0.6) < Bar(passes=0.3, fails=0.1)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, "much", None])
@pytest.mark.parametrize("which", ["value", "low", "high"])
def test_a_number_that_is_none_names_the_estimate(which, bad):
    numbers = {"value": 0.5, "low": 0.4, "high": 0.6} | {which: bad}
    with pytest.raises(ValueError, match="AUROC"):
        Estimate(**numbers, n=10, method="DeLong", name="AUROC")
    with pytest.raises(ValueError, match="DeLong"):
        Estimate(**numbers, n=10, method="DeLong")


def test_no_n_settles_a_truth_between_two_bars():
    assert (made(0.2, 0.05, 0.35) > Bar(passes=0.3, fails=0.1)).reason.endswith("is neither above 0.3 nor below 0.1")
    assert "n of about" in (made(0.35, 0.25, 0.45) > Bar(passes=0.3, fails=0.1)).reason


@pytest.mark.parametrize("n", [math.inf, math.nan, None, "many"])
def test_a_senseless_n_names_the_estimate(n):
    with pytest.raises(ValueError, match="n of the estimate 'AUROC'"):
        made(0.5, 0.4, 0.6, n=n, name="AUROC")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"low": 0.7, "high": 0.4}, "low 0.7 above high 0.4"),
        ({"value": 0.9}, "outside its interval"),
        ({"n": 0}, "at least one unit of data"),
        ({"n": -3}, "at least one unit"),
        ({"level": 95}, "write 0.95 for 95 %"),
        ({"p": 1.2}, "not between 0 and 1"),
    ],
)
def test_a_senseless_estimate_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        Estimate(**({"value": 0.5, "low": 0.4, "high": 0.6, "n": 10, "method": "made"} | wrong))


@pytest.mark.parametrize("bar", [math.nan, math.inf])
def test_a_bar_must_be_finite(bar):
    with pytest.raises(ValueError, match="the bar"):
        made(0.5, 0.4, 0.6) > bar


@pytest.mark.parametrize("bounds", [(0.2, 0.2), (0.3, 0.1)])
def test_a_band_must_have_room(bounds):
    with pytest.raises(ValueError, match="lower bound"):
        made(0.5, 0.4, 0.6).within(*bounds)


def test_equality_with_a_number_says_what_to_write():
    with pytest.raises(TypeError, match=r"estimate.within\(a, b\)"):
        made(0.5, 0.4, 0.6) == 0.5
    with pytest.raises(TypeError, match=r"estimate.within\(a, b\)"):
        made(0.5, 0.4, 0.6) != 0.5


def test_equal_estimates_are_equal_and_hash_alike():
    one, two = made(0.5, 0.4, 0.6, name="a"), made(0.5, 0.4, 0.6, name="b")
    assert one == two
    assert hash(one) == hash(two)
    assert one != made(0.5, 0.4, 0.7)


@pytest.mark.parametrize("compare", [lambda e: e >= 0.5, lambda e: e <= 0.5])
def test_an_interval_cannot_tell_strict_from_loose(compare):
    with pytest.raises(TypeError, match="write `estimate"):
        compare(made(0.5, 0.4, 0.6))


def test_an_estimate_has_no_truth_and_no_rival():
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(made(0.5, 0.4, 0.6))
    with pytest.raises(TypeError, match="estimate the difference"):
        made(0.5, 0.4, 0.6) > made(0.3, 0.2, 0.4)


def test_no_width_decides_nothing():
    verdict = made(1.0, 1.0, 1.0) > 0.5
    assert verdict.outcome == "INCONCLUSIVE"
    assert "no variation" in verdict.reason
    assert made(0.0, 0.0, 0.0).within(-1, 1).outcome == "INCONCLUSIVE"


def test_a_width_left_by_rounding_is_none():
    """Ten times 0.1 + 0.2 varies by 1e-17 at most; the interval that makes of it proves nothing."""
    rounded = made(0.30000000000000004, 0.3, 0.3000000000000001)
    assert rounded.low < rounded.high
    assert (rounded > 0.2).outcome == "INCONCLUSIVE"
    assert rounded.within(0, 1).outcome == "INCONCLUSIVE"
    assert (made(0.3, 0.3 - 1e-9, 0.3 + 1e-9) > 0.2).outcome == "PASS"
    assert (made(0.0, -1e-15, 1e-15) > -1).outcome == "PASS"  # small, but all there is of the scale


def test_an_estimate_as_a_number_is_its_value():
    assert float(made(0.5, 0.4, 0.6)) == 0.5


def test_estimates_hold_plain_numbers_and_do_not_change():
    import numpy as np

    e = Estimate(np.float32(0.5), np.float64(0.4), np.float64(0.6), n=np.int64(7), method="made", p=np.float64(0.1))
    assert [type(getattr(e, key)) for key in ("value", "low", "high", "n", "p")] == [float, float, float, int, float]
    with pytest.raises(dataclasses.FrozenInstanceError):
        e.value = 1.0


finite = st.floats(-1e6, 1e6)


@given(st.tuples(finite, finite, finite).map(sorted), finite)
def test_above_and_below_are_opposites(interval, bar):
    low, value, high = interval
    up, down = made(value, low, high) > bar, made(value, low, high) < bar
    opposite = {"PASS": "FAIL", "FAIL": "PASS", "INCONCLUSIVE": "INCONCLUSIVE"}
    assert down.outcome == opposite[up.outcome]


@given(st.tuples(finite, finite, finite).map(sorted), finite, st.floats(1e-3, 1e3))
def test_a_lower_bar_is_never_harder(interval, bar, step):
    rank = {"FAIL": 0, "INCONCLUSIVE": 1, "PASS": 2}
    low, value, high = interval
    e = made(value, low, high)
    assert rank[(e > bar - step).outcome] >= rank[(e > bar).outcome]
    assert isinstance(e > bar, Verdict)


def test_the_worst_of_several_verdicts_decides_whatever_their_bars():
    """Neither a low end above another bar nor a doubt hides what did not hold."""
    ratio, accuracy = (Estimate(v, v - 0.1, v + 0.1, n=50, method="made") for v in (0.85, 0.7))
    assert worst([ratio > 0.8, accuracy > 0.5]).outcome == "INCONCLUSIVE"
    assert worst([accuracy > 0.5, ratio > 0.8]).claim == "> 0.8"
    doubted = dataclasses.replace(ratio, doubt="too few")
    assert worst([accuracy > 0.5, doubted > 0.5]).outcome == "INCONCLUSIVE"
    assert worst([doubted > 0.5, accuracy > 0.9]).outcome == "FAIL"
    assert worst([accuracy > 0.5]).outcome == "PASS"
    with pytest.raises(ValueError, match="no claims"):
        worst([])
