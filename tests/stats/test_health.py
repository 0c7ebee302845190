"""Badly posed experiments are refused with one line; power is what simulation says it is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.stats import health
from lab.stats.intervals import correlation, delong, student, wilson


def simulated(decides, runs=600):
    return np.mean([decides(np.random.default_rng(seed)) for seed in range(runs)])


@pytest.mark.parametrize(
    ("settings", "decides"),
    [
        (
            {"measure": "share", "n": 80, "bar": 0.5, "expected": 0.65},
            lambda rng: wilson(rng.random(80) < 0.65).low > 0.5,
        ),
        (
            {"measure": "mean", "n": 25, "bar": 0.0, "expected": -0.5},
            lambda rng: student(rng.normal(-0.5, 1, 25)).high < 0,
        ),
        (
            {"measure": "mean", "n": 60, "bar": (-0.5, 0.5), "expected": 0.1},
            lambda rng: student(rng.normal(0.1, 1, 60)).within(-0.5, 0.5).outcome == "PASS",
        ),
        (
            {"measure": "correlation", "n": 50, "bar": 0.0, "expected": 0.4},
            lambda rng: correlation(x := rng.normal(size=50), 0.4 * x + 0.84**0.5 * rng.normal(size=50)).low > 0,
        ),
        (
            {"measure": "AUROC", "n": 160, "bar": 0.55, "expected": 0.7098, "base_rate": 0.25},
            lambda rng: (
                delong(np.append(rng.normal(0.782, 1, 40), rng.normal(0, 1, 120)), np.arange(160) < 40).low > 0.55
            ),
        ),
    ],
)
def test_power_is_what_simulation_says(settings, decides):
    assert health.power(**settings) == pytest.approx(simulated(decides), abs=0.06)


@pytest.mark.parametrize("measure", ["share", "mean", "correlation", "AUROC"])
def test_the_n_that_is_named_has_the_power_and_less_has_not(measure):
    settings = {"bar": 0.5, "expected": 0.62}
    n = health.needed(measure, **settings)
    assert health.power(measure, n=n, **settings) >= 0.8
    assert health.power(measure, n=int(0.9 * n), **settings) < 0.8
    assert health.enough(measure, n=2 * n, **settings) is None


def test_too_small_an_n_is_said_with_its_power():
    assert "with power 35 %; n of about 194" in health.enough("share", n=60, bar=0.5, expected=0.6).text
    assert not health.enough("share", n=60, bar=0.5, expected=0.6).fatal
    assert health.enough("share", n=10, bar=0.5, expected=0.55).fatal
    assert "no n would do" in health.enough("AUROC", n=100, bar=0.6, expected=0.6).text


@pytest.mark.parametrize(
    ("measure", "bar"), [("AUROC", 55), ("share", 1.0), ("correlation", -1.5), ("share", (-1, 0.2))]
)
def test_a_bar_outside_of_the_measure_is_fatal(measure, bar):
    found = health.enough(measure, n=1000, bar=bar, expected=0.7)
    assert found.fatal
    assert "lies between" in found.text


def test_what_has_no_power_is_said():
    assert "an expected value of 1 cannot be met" in health.enough("correlation", n=50, bar=0.5, expected=1.0).text
    with pytest.raises(ValueError, match="power is known of share, mean, correlation, AUROC, not of 'auroc'"):
        health.enough("auroc", n=50, bar=0.5, expected=0.7)


@given(st.lists(st.sampled_from("abcdef"), min_size=1))
def test_duplicates_are_counted(items):
    found = health.no_duplicates(items)
    again = len(items) - len(set(items))
    assert (found is None) == (again == 0)
    assert found is None or found.text.startswith(f"{again} of {len(items)} items")


def test_rows_of_numbers_and_chats_can_be_duplicates():
    rows = np.arange(6.0).reshape(3, 2)
    assert health.no_duplicates(rows) is None
    assert "a row of numbers" in health.no_duplicates(np.concatenate([rows, rows[1:]])).text
    chat = [{"role": "user", "content": "hello"}]
    assert health.no_duplicates([chat, list(chat)], "prompts") is not None
