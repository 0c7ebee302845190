"""Looking again and again keeps its error rate, and stops early where the effect is large."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.estimate import Bar
from lab.stats.intervals import wilson
from lab.stats.sequential import ConfidenceSequence, decided


def looked_at(streams, bar, every):
    """For each stream of booleans, whether either interval excluded the bar at any look: ours, Wilson's."""
    ours = theirs = 0
    for stream in streams:
        sequence, wrong, naive = ConfidenceSequence(), False, False
        for start in range(0, len(stream), every):
            sequence.add(stream[start : start + every])
            e, w = sequence.estimate, wilson(stream[: start + every])
            wrong |= not e.low <= bar <= e.high
            naive |= not w.low <= bar <= w.high
        ours, theirs = ours + wrong, theirs + naive
    return ours / len(streams), theirs / len(streams)


def test_peeking_fools_an_ordinary_interval_and_not_a_sequence():
    """120 experiments of 1000 answers under the null, looked at every 40: Wilson's is wrong at some time in a third."""
    ours, naive = looked_at(np.random.default_rng(0).random((120, 1000)) < 0.5, 0.5, 40)
    assert naive > 0.2
    assert ours < 0.05


def test_bounded_numbers_keep_the_error_rate_too():
    rng, wrong = np.random.default_rng(1), 0
    for _ in range(200):
        sequence, missed = ConfidenceSequence(), False
        for part in rng.beta(2, 3, (10, 50)):
            sequence.add(part)
            missed |= not sequence.estimate.low <= 0.4 <= sequence.estimate.high
        wrong += missed
    assert wrong <= 16  # 5 % of 200 is 10; two standard errors above


def test_the_beta_mixture_equals_ville():
    """ville 0.1.0, BernoulliCS(prior=(0.5, 0.5), intersect=False), after the same 500 answers."""
    sequence = ConfidenceSequence()
    sequence.add(np.random.default_rng(0).random(500) < 0.6)
    assert (sequence.estimate.low, sequence.estimate.high) == pytest.approx((0.486526, 0.643263), abs=1e-6)


def test_the_betting_sequence_equals_ville():
    """ville 0.1.0, BettingCS(intersect=False, grid=1001), after the same 500 numbers."""
    rng = np.random.default_rng(0)
    rng.random(500)
    sequence = ConfidenceSequence()
    sequence.add(rng.beta(2, 3, 500))
    assert (sequence.estimate.low, sequence.estimate.high) == pytest.approx((0.379, 0.433), abs=1e-9)


@given(st.lists(st.booleans(), min_size=2, max_size=60), st.integers(1, 10))
def test_how_observations_are_cut_changes_nothing(answers, cut):
    whole, parts = ConfidenceSequence(), ConfidenceSequence()
    whole.add(answers)
    for start in range(0, len(answers), cut):
        parts.add(answers[start : start + cut])
    assert whole.estimate == parts.estimate


@given(st.lists(st.floats(0, 1), min_size=2, max_size=60), st.integers(1, 10))
def test_how_numbers_are_cut_and_scaled_changes_nothing(numbers, cut):
    whole, parts = ConfidenceSequence(), ConfidenceSequence(bounds=(-1, 3))
    whole.add(numbers)
    for start in range(0, len(numbers), cut):
        parts.add([4 * x - 1 for x in numbers[start : start + cut]])
    a, b = whole.estimate, parts.estimate
    assert (b.low, b.high) == pytest.approx((4 * a.low - 1, 4 * a.high - 1), abs=1e-6)


def test_a_large_effect_needs_few_answers_and_a_small_one_many():
    """Median stopping times against one half: about 20 answers at 80 %, about 225 at 60 %."""
    medians = []
    for truth in (0.8, 0.6):
        needed = []
        for stream in np.random.default_rng(2).random((40, 1500)) < truth:
            sequence = ConfidenceSequence()
            while sequence.n < 1500 and not (sequence.n and decided(sequence.estimate, 0.5)):
                sequence.add(stream[sequence.n])
            needed.append(sequence.n)
        medians.append(np.median(needed))
    assert 12 < medians[0] < 32
    assert 150 < medians[1] < 330


def test_decided_by_each_kind_of_bar():
    sequence = ConfidenceSequence()
    sequence.add([True] * 300 + [False] * 300)
    e = sequence.estimate
    assert not decided(e, 0.5)
    assert decided(e, 0.6)
    assert decided(e, Bar(passes=0.3, fails=0.1))
    assert not decided(e, Bar(passes=0.55, fails=0.3))
    assert decided(e, Bar(passes=0.7, fails=0.3))  # inside the zone of indifference: no n decides
    assert decided(e, (0.4, 0.6))
    assert not decided(e, (0.47, 0.53))


@pytest.mark.parametrize(
    ("observations", "said"),
    [([0.5, 1.2], "outside the bounds"), ([], "one by one"), ([0.2, np.nan], "not finite"), ([[1.0]], "one by one")],
)
def test_what_is_no_observation_is_refused(observations, said):
    with pytest.raises(ValueError, match=said):
        ConfidenceSequence().add(observations)


def test_kinds_of_observation_do_not_mix():
    sequence = ConfidenceSequence()
    sequence.add(True)
    with pytest.raises(ValueError, match="stay what they are"):
        sequence.add(0.5)
    with pytest.raises(ValueError, match="no observations"):
        _ = ConfidenceSequence().estimate
    with pytest.raises(ValueError, match="two finite ends"):
        ConfidenceSequence(bounds=(1, 0))
