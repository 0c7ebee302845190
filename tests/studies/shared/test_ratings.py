"""Ratings of tasks under seeds: exact or sampled they say the same, and every answer can be read again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.studies.shared.prompts import templates
from lab.studies.shared.ratings import Asked, from_answers, from_probabilities, raw_rows, reparse, seldom_given
from tests.studies.shared.one_text import parse

TASKS = tuple(f"math_{i}" for i in range(40))
ORIGINS = ("math",) * 20 + ("chat",) * 20


def made(template="stated_1_5", seeds=range(4), tasks=TASKS, logprobs=None):
    form = templates()[template]
    rng = np.random.default_rng(1)
    found = np.log(rng.dirichlet(np.ones(len(form.answers)), len(tasks)) * 0.9) if logprobs is None else logprobs
    return from_probabilities(Asked(template, "rater", "author", 3), form, tasks, ORIGINS[: len(tasks)], found, seeds)


def test_draws_follow_the_exact_distribution():
    found = made(seeds=range(3000))
    for point, share in zip(found.template.values, found.probabilities.T, strict=True):
        drawn = (found.values == point).mean(1)
        assert np.abs(drawn - share).max() < 5 * np.sqrt(0.25 / 3000)
    assert np.abs(found.values.mean(1) - found.expected).max() < 5 * 2 / np.sqrt(3000)


def test_draws_of_two_seeds_and_of_two_tasks_are_independent():
    same = np.log(np.full((40, 5), 0.2))
    found = made(seeds=range(400), logprobs=same).values
    assert abs(np.corrcoef(found[:, ::2].ravel(), found[:, 1::2].ravel())[0, 1]) < 0.05
    assert abs(np.corrcoef(found[::2].ravel(), found[1::2].ravel())[0, 1]) < 0.05


@settings(max_examples=20)
@given(st.permutations(range(12)), st.sets(st.integers(0, 9), min_size=1, max_size=4))
def test_a_draw_depends_on_its_task_and_seed_alone(order, seeds):
    rng = np.random.default_rng(2)
    logprobs = np.log(rng.dirichlet(np.ones(5), 12))
    whole = made(seeds=range(10), tasks=TASKS[:12], logprobs=logprobs).values
    tasks, seeds = tuple(TASKS[i] for i in order), sorted(seeds)
    some = made(seeds=seeds, tasks=tasks, logprobs=logprobs[order]).values
    np.testing.assert_array_equal(some, whole[order][:, seeds])


def test_what_is_off_the_scale_is_told_and_left_out():
    found = made()
    np.testing.assert_allclose(found.on_scale, 0.9)
    np.testing.assert_allclose(found.probabilities.sum(1), 1)
    assert {row["on scale"] for row in raw_rows(found)} == {0.9}
    assert seldom_given(found) is None


def test_a_model_that_would_rather_say_something_else_is_named():
    warned = seldom_given(made(logprobs=np.log(np.full((40, 5), 0.02))))
    assert not warned.fatal
    assert warned.text.startswith("rater would seldom give an answer of stated_1_5")


def test_a_banned_answer_is_a_violation_and_no_number():
    found = made("ban_four_1_5", seeds=range(50))
    share = found.probabilities[:, 3].mean()
    assert found.counts["violation"] == np.isnan(found.values).sum()
    assert abs(found.counts["violation"] / found.values.size - share) < 0.05
    assert 4 not in found.given
    assert found.mode.tolist().count(4) == 0
    at_four = np.log(np.full((1, 5), 1e-9)) + np.array([0, 0, 0, np.log(1e9), 0])
    assert made("ban_four_1_5", tasks=TASKS[:1], logprobs=at_four).expected == pytest.approx([2.75])


def test_mean_mode_and_entropy_are_those_of_the_distribution():
    p = np.array([[0.1, 0.1, 0.1, 0.1, 0.6], [0.2, 0.2, 0.2, 0.2, 0.2], [1, 0, 0, 0, 0]])
    with np.errstate(divide="ignore"):
        found = made(tasks=TASKS[:3], logprobs=np.log(p))
    np.testing.assert_allclose(found.expected, [4.0, 3.0, 1.0])
    np.testing.assert_allclose(found.mode, [5, 1, 1])
    np.testing.assert_allclose(found.entropy, [1.2275, np.log(5), 0], atol=1e-3)


def sampled(raws, template="stated_1_5"):
    form = templates()[template]
    answers = [[parse(raw, form) for raw in row] for row in raws]
    asked = Asked(template, "rater", "author", 3, told="You love math tasks.")
    return from_answers(asked, form, TASKS[: len(raws)], ORIGINS[: len(raws)], answers, (0, 1)), answers


RAWS = [["4", "5."], ["850", "I will not rate this task."], ["3 out of 5", "perhaps"]]


def test_only_ratings_are_numbers():
    found, _ = sampled(RAWS)
    np.testing.assert_array_equal(np.isnan(found.values), [[False, False], [True, True], [False, True]])
    assert found.counts == {"out_of_scale": 1, "rated": 3, "refused": 1, "unclear": 1}
    np.testing.assert_allclose(found.expected, [4.5, np.nan, 3])
    np.testing.assert_allclose(found.mode, [4, np.nan, 3])
    with pytest.raises(ValueError, match="ask with exact=True"):
        _ = found.entropy


def test_every_kept_answer_can_be_read_again():
    found, answers = sampled(RAWS)
    rows = list(raw_rows(found, answers))
    again = reparse(rows, lambda name: templates()[name])
    assert (again.n, again.counts, again.changed) == (6, found.counts, [])
    assert all({row["rater"], row["author"]} == {"rater", "author"} for row in rows)
    rows[2]["value"], rows[2]["outcome"] = 850.0, "rated"
    (changed,) = reparse(rows, lambda name: templates()[name]).changed
    assert (changed["raw"], changed["now"]["outcome"], changed["now"]["value"]) == ("850", "out_of_scale", None)


def test_a_run_is_named_by_all_that_tells_it_from_another():
    one = Asked("stated_1_5", "a", "b", 3)
    assert one.run([0, 1]) == "stated_1_5_a_regex_comp_b_cseed3_rseed0-1"
    others = [
        Asked("stated_1_5", "b", "a", 3),
        Asked("stated_1_5", "a", "b", 4),
        Asked("stated_1_5", "a"),
        Asked("stated_1_5", "a", "b", 3, told="You love math tasks."),
        Asked("stated_1_5", "a", "b", 3, told_author="You love math tasks."),
        Asked("stated_1_5", "a", "b", 3, mode="thinking"),
    ]
    assert len({each.run([0, 1]) for each in [one, *others]}) == 7
    assert Asked("stated_1_5", "a").when == "before"


def test_tasks_can_be_chosen_by_origin():
    found = made()
    math = found.of("math")
    assert set(math.tasks) == set(TASKS[:20])
    np.testing.assert_array_equal(math.values, found.values[:20])
    np.testing.assert_array_equal(math.probabilities, found.probabilities[:20])
    assert sampled(RAWS)[0].take(np.array([2])).tasks == ("math_2",)


def test_shares_run_over_the_declared_scale():
    found = made("random_scale_27_32")
    np.testing.assert_allclose(found.shares, (found.values - 27) / 5)
