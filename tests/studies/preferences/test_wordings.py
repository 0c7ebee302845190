"""Utilities by wording: the weighted correlation, and origins that change places."""

import numpy as np
import pytest

from lab.studies.preferences import wordings
from lab.studies.preferences.wordings import Scored


def scored(name, mu, origins=None, sigma=None):
    n = len(mu)
    return Scored(
        name,
        tuple(f"t{i}" for i in range(n)),
        tuple(origins or ["o"] * n),
        np.asarray(mu, dtype=float),
        np.ones(n) if sigma is None else sigma,
    )


def test_equal_weights_give_pearson_and_what_is_known_badly_counts_less():
    rng = np.random.default_rng(0)
    x, sure = rng.normal(size=80), np.arange(80) < 40
    y = np.where(sure, x + 0.1 * rng.normal(size=80), rng.normal(size=80))
    plain = wordings.weighted_correlation(x, y, np.ones(80), np.ones(80))
    assert plain.value == pytest.approx(np.corrcoef(x, y)[0, 1])
    sigma = np.where(sure, 0.3, 5.0)
    weighted = wordings.weighted_correlation(x, y, sigma, sigma)
    assert plain.value < 0.75
    assert weighted.value > 0.95


def test_pairs_of_wordings_share_tasks_by_id_and_not_by_place():
    rng = np.random.default_rng(1)
    mu = rng.normal(size=30)
    one = scored("a", mu)
    order = rng.permutation(30)
    other = Scored("b", tuple(one.tasks[i] for i in order), ("o",) * 30, 2 * mu[order] + 1, np.ones(30))
    (pair,) = wordings.correlations([one, other])
    assert pair.pearson.value == pytest.approx(1)
    assert wordings.square([pair.row()], ["a", "b"], "pearson") == [[1.0, pytest.approx(1)], [pytest.approx(1), 1.0]]
    assert wordings.square([], ["a", "b"], "pearson") == [[1.0, None], [None, 1.0]]
    with pytest.raises(ValueError, match="share 3 tasks"):
        wordings.correlations([scored("a", mu[:3]), scored("b", mu[:3])])


def test_origins_that_change_places_are_listed_and_noise_is_said():
    rng = np.random.default_rng(2)
    origins = ["harmful"] * 40 + ["math"] * 40 + ["chat"] * 40
    noise = rng.normal(0, 1, (2, 120))
    liked, loathed = (np.repeat([end, 0.0, 0.0], 40) for end in (1.5, -1.5))
    found = wordings.flips(
        [scored("do_again", liked + noise[0], origins), scored("enjoy", loathed + noise[1], origins)]
    )
    sure = {(row["first"], row["second"]) for row in found if row["sure"]}
    assert sure == {("harmful", "math"), ("harmful", "chat")}
    (row,) = [row for row in found if row["second"] == "math" and row["first"] == "harmful"]
    assert row["ranks"]["do_again"][0] == 1
    assert row["ranks"]["enjoy"][0] == 3
    assert (row["liked first by"], row["liked second by"]) == ("do_again", "enjoy")


def test_origin_means_are_centred_and_do_not_depend_on_an_anchor():
    mu, origins = np.arange(12.0), ["x"] * 6 + ["y"] * 5 + ["z"]
    rows = wordings.origin_means(mu, origins)
    assert rows == wordings.origin_means(mu - 100, origins)
    assert [row["origin"] for row in rows] == ["z", "y", "x"]
    assert sum(row["n"] * row["mean"] for row in rows) == pytest.approx(0)
    assert (rows[0]["low"], rows[0]["std"]) == (None, None)


@pytest.mark.parametrize(
    ("x", "y", "sigma", "said"),
    [
        ([1.0, 2, 3], [1.0, 2, 3], [1.0] * 3, "at least 4"),
        ([1.0, 2, 3, 4], [1.0, 1, 1, 1], [1.0] * 4, "constant"),
        ([1.0, 2, 3, 4], [1.0, 2, 4, 3], [1.0, 0, 1, 1], "above 0"),
    ],
)
def test_bad_input_is_refused(x, y, sigma, said):
    with pytest.raises(ValueError, match=said):
        wordings.weighted_correlation(x, y, sigma, np.ones(len(x)))
