"""The learner asks what it should and no pair twice, ends where it has learnt enough, and goes on where it was cut off."""

import json
import tracemalloc
from dataclasses import replace
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as few
from hypothesis import strategies as st
from scipy.stats import spearmanr

from lab.studies.preferences.active import Settings, learn, next_pairs, regular_pairs
from tests.studies.preferences.learners import race, simulated


def unordered(pairs):
    return {frozenset(pair) for pair in np.asarray(pairs).tolist()}


@given(st.integers(2, 40), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_each_item_meets_as_many_others_none_twice(n, degree, seed):
    pairs = regular_pairs(n, degree, seed=seed)
    assert len(unordered(pairs)) == len(pairs)
    assert (pairs[:, 0] != pairs[:, 1]).all()
    met = np.sort(np.bincount(pairs.ravel(), minlength=n))
    due = min(degree, n - 1)
    assert (met[1:] == due).all()
    assert met[0] == (due - 1 if due * n % 2 else due)


def test_the_first_graph_is_joined_and_random():
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    for seed in range(20):
        pairs = regular_pairs(200, 3, seed=seed)
        graph = coo_array((np.ones(len(pairs)), pairs.T), shape=(200, 200))
        assert connected_components(graph)[0] == 1
        assert unordered(pairs) != unordered(regular_pairs(200, 3, seed=seed + 1))
    assert 0.4 < (pairs[:, 0] < pairs[:, 1]).mean() < 0.6


def test_the_next_pairs_are_close_and_rarely_asked():
    rng = np.random.default_rng(0)
    mu, asked = rng.normal(size=60), regular_pairs(60, 4, seed=0)
    asked = np.concatenate([asked, np.stack([np.zeros(30, dtype=int), np.arange(20, 50)], axis=1)])
    left = np.stack(np.triu_indices(60, 1), axis=1)
    left = left[[frozenset(pair) not in unordered(asked) for pair in left.tolist()]]
    degree = np.bincount(asked.ravel(), minlength=60)
    chosen = next_pairs(mu, asked, 40, seed=1)
    assert len(unordered(chosen)) == 40
    assert not unordered(chosen) & unordered(asked)
    assert np.abs(np.diff(mu[chosen])).max() <= np.quantile(np.abs(np.diff(mu[left])), 0.3)
    assert degree[chosen].sum(1).max() <= np.quantile(degree[left].sum(1), 0.3)
    assert not (chosen == 0).any()  # item 0 was asked far more often than the others
    relaxed = next_pairs(mu, asked, 40, seed=1, close=0.01, rare=0.01)
    assert len(relaxed) == 40
    everything = next_pairs(mu, asked, 10_000, seed=1)
    assert len(everything) == len(left)
    assert len(next_pairs(mu, left.tolist() + asked.tolist(), 10, seed=1)) == 0


def test_ten_thousand_items_never_have_all_their_pairs_built():
    """50 million pairs would take 800 MB and many seconds."""
    mu = np.random.default_rng(0).normal(size=10_000)
    asked = regular_pairs(10_000, 5, seed=0)
    tracemalloc.start()
    began = perf_counter()
    chosen = next_pairs(mu, asked, 1000, seed=1)
    took, peak = perf_counter() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(unordered(chosen)) == 1000
    assert not unordered(chosen) & unordered(asked)
    assert chosen.max() > 9_900  # from the whole triangle
    assert np.median(np.abs(np.diff(mu[chosen]))) < 0.3
    assert peak < 100e6
    assert took < 5


SMALL = Settings(degree=4, batch=40, rounds=6, stop="budget")


def world(seed=0, n=30, **told):
    rng = np.random.default_rng(seed)
    mu = rng.normal(0, 1.5, n)
    return mu, simulated(mu, np.exp(rng.normal(0, 0.2, n)), seed=seed, **told)


class Counting:
    """An `ask` that keeps what it was asked."""

    def __init__(self, ask):
        self.ask, self.asked = ask, []

    def __call__(self, pairs):
        self.asked.append(pairs.tolist())
        return self.ask(pairs)


def test_no_pair_is_asked_twice_and_the_knobs_are_kept():
    mu, ask = world()
    ask = Counting(ask)
    found = learn(ask, 30, SMALL)
    asked = [pair for batch in ask.asked for pair in batch]
    assert len(unordered(asked)) == len(asked) == 60 + 5 * 40
    assert found.ended == "rounds"
    assert not found.converged
    assert [one.pairs for one in found.state.rounds] == [60, 100, 140, 180, 220, 260]
    assert found.state.rounds[-1].answers == 2 * 260
    assert spearmanr(found.fit.mu, mu).statistic > 0.9
    short = learn(world()[1], 30, replace(SMALL, most_pairs=90))
    assert short.ended == "pairs"
    assert len(short.state.pairs) == 90
    everything = learn(world(n=12)[1], 12, replace(SMALL, rounds=50))
    assert everything.ended == "exhausted"
    assert len(unordered(everything.state.pairs)) == 66


@few(max_examples=6)
@given(st.integers(0, 1000), st.integers(1, 5), st.sampled_from(["close", "random"]))
def test_a_loop_that_was_cut_off_ends_as_if_it_had_not_been(seed, cut, choice):
    """Answers are kept through JSON by the number of the call, as with `evidence.resume`; refusals among them."""
    how = replace(SMALL, seed=seed, choice=choice, stop="split-half", threshold=1.0)
    plain, kept = world(seed)[1], {}

    def ask(pairs):
        outcomes = plain(pairs)
        outcomes[pairs.sum(1) % 7 == 0, 0] = np.nan
        return outcomes

    def resumable(ask):
        calls = iter(range(100))

        def asked(pairs):
            number = next(calls)
            if number not in kept:
                kept[number] = json.dumps(ask(pairs).tolist())
            return json.loads(kept[number])

        return asked

    whole, calls = learn(ask, 30, how), Counting(ask)

    def stop(pairs):
        if len(calls.asked) == cut:
            raise KeyboardInterrupt
        return calls(pairs)

    with pytest.raises(KeyboardInterrupt):
        learn(resumable(stop), 30, how)
    again = Counting(ask)
    resumed = learn(resumable(again), 30, how)
    assert len(calls.asked) + len(again.asked) == 6
    np.testing.assert_array_equal(resumed.state.pairs, whole.state.pairs)
    np.testing.assert_array_equal(resumed.state.p_first, whole.state.p_first)
    assert resumed.state.rounds == whole.state.rounds
    assert (resumed.fit.mu == whole.fit.mu).all()
    assert resumed.summary() == whole.summary()


def test_where_it_stops_the_truth_is_found():
    """Planted utilities, a position bias and single answers: at the split-half stop they come back with rho > 0.95."""
    truths, ended = [], []
    for seed in range(6):
        mu, ask = world(seed, n=60, position=0.5)
        found = learn(ask, 60, Settings(batch=100, rounds=15, seed=seed))
        truths.append(spearmanr(found.fit.mu, mu).statistic)
        ended.append(found.ended)
    assert set(ended) == {"split-half"}
    assert np.mean(truths) > 0.95
    assert min(truths) > 0.93


def test_of_single_answers_it_stops_on_the_safe_side():
    """The first round of several whose value passes is above the truth; its lower end seldom is."""
    truths, by_value = [], []
    for seed in range(10):
        mu, ask = world(seed, n=40, position=0.5)
        state = learn(ask, 40, Settings(batch=80, rounds=9, seed=seed)).state
        stopped = state.rounds[-1]
        if state.ended() == "split-half":
            assert stopped.split_half_low >= 0.95
            truths.append(spearmanr(state.found[0], mu).statistic)
            by_value.append(next(one.pairs for one in state.rounds if one.split_half >= 0.95) < stopped.pairs)
    assert len(truths) >= 5
    assert np.mean(np.array(truths) >= 0.95) > 0.85
    assert np.mean(truths) > 0.96
    assert np.mean(by_value) > 0.7  # it asked on where the value alone would have stopped


def test_successive_fits_agree_long_before_the_truth_is_found_and_split_halves_do_not():
    mu, ask = world(1, n=80, position=0.3)
    found = learn(ask, 80, Settings(batch=20, rounds=10, threshold=1.0))
    truth, last = spearmanr(found.fit.mu, mu).statistic, found.state.rounds[-1]
    assert last.successive > 0.985 > truth + 0.02
    assert last.split_half < truth + 0.02
    assert last.split_half_low < truth < found.accuracy.high
    assert found.accuracy.value == last.split_half


def test_small_batches_do_not_converge_falsely():
    """Rounds that add a thirtieth resemble each other whatever the truth: no convergence, though all agree at 0.99."""
    _, ask = world(1, n=60)
    how = Settings(degree=6, batch=6, rounds=12, stop="successive", threshold=0.97)
    found = learn(ask, 60, how)
    assert all(one.successive > 0.97 for one in found.state.rounds[2:])
    assert found.ended == "rounds"
    large = learn(ask, 60, replace(how, batch=120, rounds=30))
    assert large.ended == "successive"
    assert large.state.rounds[0].successive is None
    assert len(large.state.rounds) >= 3


def test_one_value_for_all_is_no_convergence():
    """A constant has no rank correlation: 0, and not NaN or 1."""
    found = learn(
        lambda pairs: np.full((len(pairs), 2), 0.5), 20, replace(SMALL, batch=60, rounds=4, stop="successive")
    )
    assert [one.successive for one in found.state.rounds][1:] == [0.0] * (len(found.state.rounds) - 1)
    assert not found.converged


def test_close_pairs_beat_random_ones_with_as_many():
    """20 seeds in a small form; wide utilities, where most pairs are foregone conclusions."""
    advantage, correlations = race(40, seeds=20, most_pairs=300, mu_sd=2.5, degree=4, batch=50)
    assert (advantage > 0).outcome == "PASS"
    assert correlations.min() > 0.8
    same, _ = race(30, seeds=4, most_pairs=120, degree=4, batch=30, choices=("random", "random"))
    assert (same > 0).outcome != "PASS"


def test_the_summary_has_the_fields_of_a_run():
    found = learn(world()[1], 30, SMALL)
    told = json.loads(json.dumps(found.summary()))
    assert told["n_iterations"] == 6
    assert told["unique_pairs_queried"] == 260
    assert told["total_comparisons"] == 520
    assert told["rank_correlations"][0] is None
    assert all(0.5 < r <= 1 for r in told["rank_correlations"][1:])
    assert 0.5 < told["final_split_half"] < 1


def test_the_plot_shows_both_rules():
    from matplotlib.figure import Figure

    one = Figure().add_subplot()
    learn(world()[1], 30, replace(SMALL, stop="split-half", threshold=1.0)).plot(one)
    labels = [line.get_label() for line in one.get_lines()]
    assert labels[:3] == ["successive fits", "root of split-half reliability", "its lower end"]
    assert len(one.get_lines()[1].get_xdata()) == 6


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match=r"\[pairs\] or \[pairs, 2\], not \(3,\)"):
        learn(lambda pairs: [1, 0, 1], 30, SMALL)
    with pytest.raises(ValueError, match="no answer among the comparisons"):
        learn(lambda pairs: np.full(len(pairs), np.nan), 30, SMALL)
    with pytest.raises(ValueError, match="threshold is a correlation"):
        Settings(threshold=1.5)
    with pytest.raises(ValueError, match="stop is"):
        Settings(stop="now")
    with pytest.raises(ValueError, match="choice is"):
        Settings(choice="best")
    with pytest.raises(ValueError, match="batch must be at least 1"):
        Settings(batch=0)
    with pytest.raises(ValueError, match="close"):
        next_pairs(np.zeros(5), [[0, 1]], 2, seed=0, close=0)
