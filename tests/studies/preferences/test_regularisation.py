"""What a penalty on sigma does is seen on pairs that were held out, and the rule of thumb holds there."""

import numpy as np
import pytest

from lab.studies.preferences import regularisation
from tests.studies.preferences.stored import of_rows


@pytest.fixture(scope="module")
def dense():
    _, counted = regularisation.synthetic(60, seed=1)
    return regularisation.study(counted, name="dense", grid=(0.0, 1.0, 30.0), max_iterations=600)


@pytest.fixture(scope="module")
def sparse():
    _, counted = regularisation.synthetic(60, degree=5, seed=1)
    return regularisation.study(counted, name="sparse", grid=(0.0, 0.1, 1.0, 10.0), max_iterations=600)


def test_dense_comparisons_need_no_penalty(dense):
    """Held-out NLL is flat over the grid, accuracy about 95 %, and the mean sigma goes to 1."""
    nll = [row.test_nll for row in dense.by_l2]
    assert max(nll) - min(nll) < 0.03
    assert all(0.93 < row.accuracy < 0.98 for row in dense.by_l2)
    assert abs(dense.by_l2[-1].mean_sigma - 1) < 0.05
    assert dense.recommended[0] == 0
    assert "dense" in dense.recommended[1]


def test_of_sparse_comparisons_sigma_explodes_without_a_penalty(sparse):
    free, held = sparse.by_l2[0], sparse.by_l2[2]
    assert free.max_sigma > 3 * held.max_sigma
    assert free.test_nll > held.test_nll + 0.2
    assert free.at_bounds > held.at_bounds
    assert all(0.7 < row.accuracy < 0.92 for row in sparse.by_l2[2:])
    assert sparse.recommended[0] == 1


@pytest.mark.parametrize("name", ["dense", "sparse"])
def test_what_is_recommended_is_as_good_as_the_best(name, request):
    """Its held-out NLL exceeds the least on the grid by less than folds differ."""
    study = request.getfixturevalue(name)
    chosen = next(row for row in study.by_l2 if row.l2 == study.recommended[0])
    least = min(study.by_l2, key=lambda row: row.test_nll)
    assert chosen.test_nll <= least.test_nll + least.test_nll_sd
    assert study.best >= chosen.l2


def test_the_rule_goes_by_density():
    assert regularisation.recommend(100, 4950, 49500)[0] == 0
    assert regularisation.recommend(100, 2000, 20000)[0] == 1
    assert regularisation.recommend(40, 780, 7800)[0] == 1  # all pairs, but of few items
    assert regularisation.recommend(500, 7164, 7164)[0] == 10
    with pytest.raises(ValueError, match="number of pairs"):
        regularisation.recommend(10, 0, 0)


def test_stored_comparisons_are_studied_as_made_ones_are():
    """Rows as a run leaves them, of which a tenth are refusals."""
    rng = np.random.default_rng(0)
    _, counted = regularisation.synthetic(20, answers=1, seed=2)
    rows = [
        {"task_a": f"t{a}", "task_b": f"t{b}", "choice": "refusal" if rng.random() < 0.1 else "ba"[int(won)]}
        for a, b, won in zip(counted.first, counted.second, counted.for_first, strict=True)
    ]
    ids, found, without = of_rows(rows)
    study = regularisation.study(found, name="stored", grid=(1.0,), folds=3)
    assert len(ids) == study.n_items == 20
    assert study.n_answers == 190 - without
    assert study.recommended[0] == 10
    assert study.by_l2[0].accuracy > 0.75


def test_rows_come_back_and_those_of_another_objective_are_told(sparse, recwarn):
    again = regularisation.of_rows(sparse.rows())
    assert again == sparse
    assert not recwarn.list
    stale = [row | {"objective": row["objective"].replace("(log sigma)^2", "sigma^2")} for row in sparse.rows()]
    with pytest.warns(UserWarning, match=r"of another objective .*sigma\^2.* run the study again"):
        regularisation.of_rows(stale)
    with pytest.raises(ValueError, match="no rows"):
        regularisation.of_rows([])


def test_the_ranking_does_not_hang_on_the_bounds():
    _, counted = regularisation.synthetic(30, degree=8, seed=3)
    rows = regularisation.bounds_sensitivity(counted, ((10, 2), (10, 4), (1.5, 2)))
    assert rows[0]["rank_correlation"] == pytest.approx(1)
    assert rows[1]["rank_correlation"] > 0.99
    assert rows[2]["at_bounds"] > 0
    assert rows[2]["rank_correlation"] < rows[1]["rank_correlation"]
    with pytest.raises(ValueError, match="two of them"):
        regularisation.bounds_sensitivity(counted, ((10, 2),))


def test_an_empty_grid_is_refused():
    with pytest.raises(ValueError, match="grid of penalties is empty"):
        regularisation.study(regularisation.synthetic(10)[1], grid=())
