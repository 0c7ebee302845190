"""Choices in both orders: designs are balanced, draws are the questions' own, and what was written is counted."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.estimate import Estimate
from lab.studies.preferences import pair_choices, position_bias
from lab.studies.shared.parsing import parse_choices
from tests.studies.preferences.stored import of_rows

TASKS = tuple("abcdef")
ORIGINS = ("x", "x", "y", "y", "z", "z")


def logprobs(p):
    return np.log(np.stack([p, 1 - np.asarray(p)], axis=1))


def exact(pairs, p, **more):
    asked = pair_choices.Asked("simple_preference", "m", orders=more.pop("orders", "both"))
    return pair_choices.from_probabilities(asked, TASKS, ORIGINS, pairs, logprobs(p), **more)


@settings(max_examples=60)
@given(st.integers(3, 40), st.data())
def test_each_task_is_in_as_many_pairs_and_none_twice(n, data):
    every = n * (n - 1) // 2
    m = data.draw(st.integers(n, every)) if every >= n else every
    pairs = pair_choices.design(n, m, seed=data.draw(st.integers(0, 99)))
    assert len(pairs) == m
    assert len({tuple(sorted(pair)) for pair in pairs.tolist()}) == m
    assert (pairs[:, 0] != pairs[:, 1]).all()
    if 2 * m % n == 0 and m < every and (2 * m // n) % 2 == 0:
        assert set(np.bincount(pairs.ravel(), minlength=n)) == {2 * m // n}


def test_all_pairs_are_asked_where_no_number_is_given():
    assert len(pair_choices.design(9, None, seed=0)) == 36


def test_both_orders_make_each_task_as_often_the_first_as_the_second():
    """Row 378: whatever pairs there are."""
    pairs = pair_choices.design(10, 17, seed=3)
    found = pair_choices.from_probabilities(
        pair_choices.Asked("w", "m"), list("abcdefghij"), ["o"] * 10, pairs, logprobs(np.full(34, 0.3))
    )
    assert not np.isnan(found.p_first).any()
    first = np.bincount(pairs[:, 0], minlength=10) + np.bincount(pairs[:, 1], minlength=10)
    counted = found.counted
    np.testing.assert_array_equal(np.bincount(counted.first, minlength=10), first)
    np.testing.assert_array_equal(np.bincount(counted.second, minlength=10), first)


def test_one_order_is_said_and_puts_every_preference_in_doubt():
    found = exact([[0, 1], [2, 3]], [0.7, 0.4], orders="one")
    assert np.isnan(found.p_first[:, 1]).all()
    assert found.design == "one order, position not balanced"
    assert "one-order" in found.name
    assert all("one order" in row["design"] for row in pair_choices.raw_rows(found))
    e = Estimate(0.9, 0.8, 0.95, n=10, method="made")
    assert (found.qualified(e) > 0.5).outcome == "INCONCLUSIVE"
    assert (exact([[0, 1], [2, 3]], [0.7, 0.4, 0.2, 0.1]).qualified(e) > 0.5).outcome == "PASS"


def test_draws_depend_on_the_question_alone():
    p = [0.5, 0.5, 0.5, 0.5]
    one = exact([[0, 1], [2, 3]], p, seed=4, samples=50)
    other = exact([[3, 2], [1, 0]], p, seed=4, samples=50)  # the same four questions
    np.testing.assert_array_equal(one.p_first[0], other.p_first[1][::-1])
    np.testing.assert_array_equal(one.p_first[1], other.p_first[0][::-1])
    assert (exact([[0, 1], [2, 3]], p, seed=5, samples=50).p_first != one.p_first).any()
    assert one.counts["A"] == round(50 * one.p_first.sum()) == 200 - one.counts["B"]
    assert not one.exact


def test_draws_follow_the_probabilities():
    drawn = exact([[0, 1]] * 1 + [[2, 3]], [0.9, 0.2, 0.4, 0.7], samples=4000)
    np.testing.assert_allclose(drawn.p_first, [[0.9, 0.4], [0.2, 0.7]], atol=0.03)
    assert drawn.counted.total == 16000


def test_refusals_and_unclear_answers_are_outcomes_and_no_choice():
    texts = [["A", "B"], ["I will not choose.", "A"], ["Either is fine.", "I cannot do that."], ["B", "B"]]
    answers = [parse_choices(each) for each in texts]
    found = pair_choices.from_answers(pair_choices.Asked("w", "m"), TASKS, ORIGINS, [[0, 1], [2, 3]], answers)
    assert found.counts["A"] == 2
    assert found.counts["B"] == 3
    assert sum(found.counts.values()) == 8
    np.testing.assert_array_equal(found.p_first, [[0.5, np.nan], [1.0, 0.0]])
    np.testing.assert_array_equal(found.answers, [[2, 0], [1, 2]])
    assert found.counted.total == 5
    rows = list(pair_choices.raw_rows(found, answers))
    assert len(rows) == 8
    assert {row["raw"] for row in rows} == {text for each in texts for text in each}
    assert [(r["first"], r["second"]) for r in rows[:4]] == [("a", "b"), ("a", "b"), ("b", "a"), ("b", "a")]


def test_kept_answers_are_read_back_by_question():
    written = pair_choices.from_answers(
        pair_choices.Asked("w", "m"), TASKS, ORIGINS, [[0, 1]], [parse_choices(["A", "B"]), parse_choices(["A", "A"])]
    )
    rows = list(pair_choices.raw_rows(written, [parse_choices(["A", "B"]), parse_choices(["A", "A"])]))
    assert pair_choices.of_raw(rows) == {("a", "b"): (0.5, 2), ("b", "a"): (1.0, 2)}
    told = pair_choices.of_raw(list(pair_choices.raw_rows(exact([[0, 1]], [0.25, 0.5]))))
    assert told == {("a", "b"): (0.25, 0), ("b", "a"): (0.5, 0)}
    with pytest.raises(ValueError, match="no answer to a choice"):
        pair_choices.of_raw([{"template": "x"}])


@pytest.mark.parametrize("orders", ["both", "one"])
def test_kept_draws_are_answers_and_not_probabilities(orders):
    """Of 3,000 a question: their share, rounded as it is kept, would be no whole number of answers."""
    pairs, p = [[0, 1], [2, 3]], [0.9, 0.2, 0.4, 0.7][: 4 if orders == "both" else 2]
    drawn = exact(pairs, p, samples=3000, seed=1, orders=orders)
    rows = list(pair_choices.raw_rows(drawn))
    assert json.loads(json.dumps(rows)) == rows
    _, counted, neither = of_rows(rows, ids=TASKS)
    assert neither == 0
    for name in ("first", "second", "for_first", "for_second", "answers"):
        np.testing.assert_array_equal(getattr(counted, name), getattr(drawn.counted, name))
    assert counted.total == counted.answers.sum() == 3000 * len(p)
    assert counted.agreement == drawn.counted.agreement
    assert counted.agreement is not None
    told = pair_choices.of_raw(rows)
    assert told["a", "b"] == (drawn.p_first[0, 0], 3000)
    assert (("b", "a") in told) == (orders == "both")
    assert pair_choices.of_raw(rows + rows)["a", "b"] == (drawn.p_first[0, 0], 6000)


def test_of_probabilities_nothing_is_counted():
    rows = list(pair_choices.raw_rows(exact([[0, 1], [2, 3]], [0.7, 0.4, 0.2, 0.1])))
    assert all("answers" not in row for row in rows)
    _, counted, _ = of_rows(rows)
    assert (counted.total, counted.answers.tolist(), counted.agreement) == (4, [0, 0, 0, 0], None)


@pytest.mark.parametrize("bad", [{"p first": 0.5}, {"p first": [0.5]}, {"p first": [0.5, 1], "answers": [3, 4]}])
def test_a_kept_share_without_its_orders_is_no_comparison(bad):
    with pytest.raises(ValueError, match="needs two numbers as 'p first'"):
        of_rows([{"first": "a", "second": "b", **bad}])


def test_without_some_tasks_their_pairs_are_gone_and_the_rest_is_numbered_anew():
    found = exact([[0, 1], [1, 4], [4, 5]], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    rest = found.without([False, True, False, False, False, False])
    assert rest.tasks == ("a", "c", "d", "e", "f")
    np.testing.assert_array_equal(rest.pairs, [[3, 4]])
    np.testing.assert_allclose(rest.p_first, [[0.3, 0.6]])
    assert rest.origins == ("x", "y", "y", "z", "z")


# What the document's own analysis fell for --------------------------------------------------------------


def test_one_unbalanced_order_makes_a_preference_of_position_and_both_orders_do_not():
    """The refused third is named second four times of five, and the second-named is favoured by 1.5 logits."""
    from scipy.special import expit

    from lab.studies.preferences import refusals, thurstone

    naive, ours, held = [], [], 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        n = 60
        mu, refused = rng.normal(size=n), np.arange(n) < n // 3
        pairs = pair_choices.design(n, 360, seed=seed)
        swap = refused[pairs[:, 0]] & ~refused[pairs[:, 1]] & (rng.random(len(pairs)) < 0.8)
        pairs = np.where(swap[:, None], pairs[:, ::-1], pairs)
        gap = mu[pairs[:, 0]] - mu[pairs[:, 1]]
        p = expit(np.stack([gap, -gap], axis=1) - 1.5)
        drawn = (rng.random(p.shape) < p).astype(float)
        one_order = thurstone.fit(pairs[:, 0], pairs[:, 1], drawn[:, 0], n, l2=np.inf)
        naive.append(refusals.link(one_order.mu, refused).r.value - refusals.link(mu, refused).r.value)
        both = thurstone.fit(
            np.concatenate([pairs[:, 0], pairs[:, 1]]), np.concatenate([pairs[:, 1], pairs[:, 0]]),
            drawn.T.ravel(), n, l2=np.inf, position=True,
        )  # fmt: skip
        ours.append(refusals.link(both.mu, refused).r.value - refusals.link(mu, refused).r.value)
        held += position_bias.bias(drawn, seed=0).bias.within(-0.25, 0.25).outcome == "FAIL"
    assert np.mean(naive) > 0.15
    assert abs(np.mean(ours)) < 0.03
    assert held == 20
