"""Stability is told from scores, and from clusters of equal answers; chance alone shows no effect of the question."""

import numpy as np
import pytest

from lab.studies.oracle import similarity


def scored(rng, t=40, q=8, between=0.0):
    """Scores whose questions' means have a given standard deviation."""
    means = between * (np.arange(q) - (q - 1) / 2) / np.arange(q).std(ddof=1)
    return np.clip(5.5 + means + rng.normal(0, 1, (t, 1)) + rng.normal(0, 1.2, (t, q)), 1, 10)


def test_equal_answers_are_one_cluster_whatever_their_case_and_stops():
    assert similarity.clusters(["A cat.", "a cat!", "cat a", "A dog", "a a cat"]).tolist() == [0, 0, 0, 1, 2]
    texts = ["the user wants soup", "the user wants a soup", "nothing of the kind"]
    assert similarity.clusters(texts, alike=0.6).tolist() == [0, 0, 1]
    assert similarity.clusters(texts).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="give answers, and a share"):
        similarity.clusters([])


@pytest.mark.parametrize(("labels", "entropy"), [([0] * 10, 0.0), (range(10), np.log(10)), ([0, 0, 1, 1], np.log(2))])
def test_entropy_is_none_for_one_cluster_and_greatest_for_as_many_as_answers(labels, entropy):
    assert similarity.semantic_entropy(list(labels)) == pytest.approx(entropy)


def test_the_mean_is_over_targets_and_what_failed_is_left_out():
    scores = np.array([[10, 8, 6], [4, np.nan, 2], [9, 9, 9]], dtype=float)
    found = similarity.similarity(scores)
    assert found.by_target.tolist() == [8, 3, 9]
    assert found.by_question == pytest.approx([23 / 3, 8.5, 17 / 3])
    assert found.mean.value == pytest.approx(20 / 3)
    assert (found.mean.n, found.unscored, found.low) == (3, 1, pytest.approx(2 / 8))
    assert 1 <= found.mean.low <= found.mean.high <= 10


@pytest.mark.parametrize(("scores", "said"), [
    ([[1.0, 2.0]], "two targets or more"),
    ([[0.0, 2.0], [3.0, 4.0]], "from 1 to 10"),
    ([[np.nan, np.nan], [3.0, 4.0]], "target 0 has no score"),
])  # fmt: skip
def test_scores_that_are_none_are_refused(scores, said):
    with pytest.raises(ValueError, match=said):
        similarity.similarity(scores)


def test_answers_that_never_differ_decide_both_ways():
    assert (similarity.similarity(np.full((20, 10), 10.0)).mean > 7).outcome == "PASS"
    assert (similarity.similarity(np.full((20, 10), 1.0)).mean > 7).outcome == "FAIL"
    assert (similarity.by_question(np.full((20, 10), 1.0), seed=0).excess > 0.5).outcome == "FAIL"


def test_the_question_is_found_where_it_matters_and_not_where_it_does_not():
    rng = np.random.default_rng(0)
    strong = similarity.by_question(scored(rng, between=1.5), seed=0)
    assert strong.between.value == pytest.approx(1.5**2, rel=0.3)
    assert (strong.excess > 0.5).outcome == "PASS"
    assert (strong.dealt < 0.5).outcome == "PASS"
    assert strong.p == pytest.approx(0.001)
    none = similarity.by_question(scored(rng), seed=0)
    assert (none.excess > 0.5).outcome == "FAIL"
    assert none.p > 0.01
    assert similarity.by_question(scored(np.random.default_rng(1)), seed=0) == similarity.by_question(
        scored(np.random.default_rng(1)), seed=0
    )


def test_targets_without_all_scores_are_left_out_of_the_variance():
    scores = scored(np.random.default_rng(0), between=1.5)
    holed = np.vstack([scores, [np.nan] + [1.0] * 7])
    assert similarity.by_question(holed, seed=0) == similarity.by_question(scores, seed=0)
    with pytest.raises(ValueError, match="are too few"):
        similarity.by_question(holed[-3:], seed=0)


def test_a_judge_and_the_entropy_agree_where_both_see_the_same():
    rng = np.random.default_rng(0)
    entropies = rng.uniform(0, 2, (20, 6))
    found = similarity.agreement(10 - 4 * entropies, entropies + rng.normal(0, 0.1, (20, 6)), seed=0)
    assert found.value < -0.9
    assert found.n == 20
    assert similarity.agreement(np.full((20, 6), 10.0), entropies, seed=0) is None


def test_spreads_are_correlated_target_by_target():
    own = np.array([1.0, 2, 3, 4, 5, np.nan])
    both = similarity.spreads([2.0, 3, 5, 4, 6, 1], own)
    assert both["oracle_and_target_spearman"].value == pytest.approx(0.9)
    assert both["oracle_and_target_pearson"].n == 5
    assert both["oracle_and_target_pearson"].p < 0.05
    assert similarity.spreads([1.0] * 6, own) == {}


def test_who_reads_is_told_from_who_says_the_same_to_all():
    """What is right by the base rate of a constant answer is no excess."""
    rng = np.random.default_rng(0)
    truth = np.tile(np.arange(30)[:, None] % 5, (1, 3))
    reads = np.where(rng.random((30, 3, 10)) < 0.9, truth[..., None], 0)
    same = np.full((30, 3, 10), 2)
    found = similarity.reading(reads, same, truth)
    assert (found.excess > 0.25).outcome == "PASS"
    assert found.chance == pytest.approx(0.2, abs=0.02)
    assert (found.beyond_chance.within(-0.2, 0.2)).outcome == "PASS"
    assert (similarity.reading(same, same, truth).excess > 0.25).outcome == "FAIL"
    perfect = similarity.reading(np.repeat(truth[..., None], 10, axis=2), same, truth)
    assert perfect.right.value == 1
    assert perfect.right.low < 1


def test_questions_whose_answer_is_unknown_are_left_out():
    truth = np.array([[1, -1], [0, -1], [1, -1]])
    right = np.repeat(truth[..., None], 4, axis=2)
    right[:, 1] = 3
    assert similarity.reading(right, 0 * right, truth).right.value == 1
    with pytest.raises(ValueError, match="no question whose answer is known"):
        similarity.reading(right, right, np.full((3, 2), -1))


def test_chance_is_of_questions_that_two_targets_share():
    """Who names no case is never right, whatever is known of which target."""
    truth = np.array([[1, 0], [0, -1], [-1, 1], [1, 1]])
    silent = np.full((4, 2, 5), -1)
    found = similarity.reading(silent, silent, truth)
    assert found.chance == found.random.value == 0
    with pytest.raises(ValueError, match="for target 0 has one for another target"):
        similarity.reading(silent[:2], silent[:2], np.array([[1, -1], [-1, 1]]))


def test_equal_questions_are_drawn_in_their_own_order():
    """numpy's default sort leaves ties in an order of the CPU's; the figure would be another on another machine."""
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    scores = np.tile([5.0, 6.0], (3, 20))
    similarity.similarity(scores).plot(axes, [str(i) for i in range(40)])
    named = [int(label.get_text()) for label in axes.get_yticklabels()]
    assert named == [*range(0, 40, 2), *range(1, 40, 2)]
