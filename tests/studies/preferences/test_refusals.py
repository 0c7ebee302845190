"""Refusals against preference: the published tables come out, a planted link is found, and little data says so."""

import csv
from pathlib import Path

import numpy as np
import pytest

from lab.judging.judges import Offline
from lab.studies.preferences import refusals, wordings

PUBLISHED = Path(__file__).parents[4] / "shared" / "published"


def published(name):
    path = PUBLISHED / f"gemma3_500_{name}.csv"
    if not path.exists():
        pytest.skip("the published table is not beside the checkout")
    rows = list(csv.DictReader(path.open()))
    mu = np.array([float(row["mu"]) for row in rows])
    refused = np.array([row["is_refusal"] == "True" for row in rows])
    return [row["task_id"] for row in rows], [row["origin"] for row in rows], mu, refused, rows


def test_the_published_refusals_come_out_at_their_precision():
    """Rows 327-329, 332, 358, 362: r = 0.219, p = 7e-7, U-test p = 3.9e-7; 18 % refused, +0.79 and -0.14."""
    _, origins, mu, refused, _ = published("simple_preference")
    found = refusals.link(mu, refused)
    assert round(found.r.value, 3) == 0.219
    assert f"{found.r.p:.0e}" == "7e-07"
    assert f"{found.rank_p:.1e}" == "3.9e-07"
    assert (found.refused, found.n) == (90, 500)
    # The file has 0.785 where the document says 0.79.
    assert found.mean_refused == pytest.approx(0.79, abs=0.006)
    assert round(found.mean_other, 2) == -0.14
    assert not found.underpowered
    rates = [round(100 * e.value, 1) for e in refusals.quartiles(mu, refused).rates]
    assert rates == [8.0, 13.6, 20.8, 29.6]

    by = refusals.by_origin(mu, refused, origins)
    assert {origin: round(one.rate.value, 2) for origin, one in by.items()} == {
        "wildchat": 0.01, "stress_test": 0.22, "bailbench": 0.67, "alpaca": 0.0, "math": 0.0
    }  # fmt: skip
    bail = by["bailbench"]
    assert (round(bail.mean_refused, 2), round(bail.mean_other, 2)) == (0.94, 0.12)
    assert by["alpaca"].r is None
    assert by["alpaca"].mean_refused is None
    assert by["wildchat"].rank_p is None  # one refusal
    assert "1 of 100" in by["wildchat"].underpowered


TOLD = {"bailbench": (64, 51, 1.10, 3.39, -0.81), "wildchat": (240, 13, 3.08, 3.98, -0.45),
        "alpaca": (299, 0, None, 3.96, None), "math": (386, 0, None, 3.91, None)}  # fmt: skip
"""By origin: tasks, refused ones, mean rating of these and of the others, r (the document's table of ratings)."""


def test_the_published_table_by_origin_comes_out_of_ratings_with_its_means():
    """Row 327. The ratings themselves are not public: these have the table's counts, means and total deviation.

    r = (mean refused - mean other) sqrt(p q) / s, so that a deviation s belongs to each of the table's rows.
    """
    rng = np.random.default_rng(0)
    scores, refused, origins = [], [], []
    for origin, (n, k, said, other, r) in TOLD.items():
        values, mask = rng.normal(size=n), np.arange(n) < k
        for side in (mask, ~mask):
            values[side] -= values[side].mean() if side.any() else 0
        if k:
            between = (said - other) ** 2 * k / n * (1 - k / n)
            values *= np.sqrt((between / r**2 - between) / np.mean(values**2))
        scores += (values + np.where(mask, said or 0, other)).tolist()
        refused, origins = refused + mask.tolist(), origins + [origin] * n
    found = refusals.by_origin(scores, refused, origins)
    for origin, (n, k, said, other, r) in TOLD.items():
        one = found[origin]
        assert (one.n, one.refused) == (n, k)
        assert (one.mean_refused if said is None else round(one.mean_refused, 2), round(one.mean_other, 2)) == (
            said,
            other,
        )
        assert (one.r if r is None else round(one.r.value, 2)) == r
        assert (one.rank_p is None) == (k < 5)
    assert [round(100 * found[o].rate.value, 1) for o in TOLD] == [79.7, 5.4, 0, 0]


def test_a_planted_correlation_by_origin_lies_in_its_interval():
    """Row 327 on data whose truth is known: a refusal costs one deviation, in one origin and not in the other."""
    held = {"harmful": 0, "chat": 0}
    p = 0.4
    truth = {"harmful": -np.sqrt(p * (1 - p)) / np.sqrt(1 + p * (1 - p)), "chat": 0.0}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        origins = ["harmful"] * 100 + ["chat"] * 100
        refused = rng.random(200) < p
        scores = rng.normal(size=200) - refused * np.repeat([1.0, 0.0], 100)
        for origin, one in refusals.by_origin(scores, refused, origins).items():
            held[origin] += one.r.low < truth[origin] < one.r.high
    assert min(held.values()) >= 35


def test_everything_is_told_with_and_without_refused_tasks():
    """Refused tasks are liked by 2 more: left out, that is gone from their origin, and what does not hang on them stays."""
    from lab.studies.preferences import pair_choices, utilities

    rng = np.random.default_rng(0)
    origins = np.repeat(["harmful", "chat", "math"], 16)
    refused = (origins == "harmful") & (np.arange(48) % 2 == 0)
    mu = rng.normal(0, 0.7, 48) + 2.0 * refused
    pairs = pair_choices.design(48, 300, seed=0)
    found = {}
    for wording, gain in (("one", 1.0), ("other", 0.6)):
        gap = gain * (mu[pairs[:, 0]] - mu[pairs[:, 1]])
        p = 1 / (1 + np.exp(-np.concatenate([gap + 0.5, 0.5 - gap])))
        told = pair_choices.from_probabilities(
            pair_choices.Asked(wording, "m"),
            [f"t{i}" for i in range(48)],
            origins.tolist(),
            pairs,
            np.log(np.stack([p, 1 - p], 1)),
        )
        found[wording] = utilities.utilities(told)
    rated = mu + rng.normal(0, 0.3, 48)
    rows = refusals.with_and_without(found, rated, np.where(np.arange(48) == 40, np.nan, refused))
    by = {(row["wording"], row["analysis"], row["of"]): row for row in rows}
    assert {row["analysis"] for row in rows} == {
        "mean utility", "position", "content", "pairs", "win rate", "new pairs", "stated and revealed", "r of wordings",
        "weighted r of wordings",
    }  # fmt: skip
    for wording in found:
        liked = by[wording, "mean utility", "harmful"]
        assert liked["all"]["value"] > 0.2 > liked["without"]["value"]
        assert (liked["all"]["n"], liked["without"]["n"]) == (16, 8)
        b = by[wording, "position", "b"]
        assert b["all"]["value"] == pytest.approx(0.5) == b["without"]["value"]
        assert by[wording, "stated and revealed", "r"]["without"]["n"] == 40
    assert by["", "r of wordings", "one and other"]["without"]["value"] > 0.95
    harmful = origins == "harmful"
    for each in (refused, ~harmful):  # of one origin alone, and where nothing is left to compare, there is less
        assert len(refusals.with_and_without(found, rated, each)) == len(rows)
    left = {row["analysis"] for row in refusals.with_and_without(found, rated, np.arange(48) > 1) if row["without"]}
    assert "position" not in left


def test_the_published_utilities_by_origin_come_out():
    _, origins, mu, _, _ = published("simple_preference")
    log = {"bailbench": (0.67, 1.41), "wildchat": (0.45, 1.67), "stress_test": (0.37, 1.71), "alpaca": (-0.45, 1.41),
           "math": (-0.92, 1.30)}  # fmt: skip
    assert abs(mu.mean() - 0.024) < 0.005
    for row in wordings.origin_means(mu, origins):
        mean, std = log[row["origin"]]
        # The document's means are not centred, and its deviations are of n; wildchat is 0.445 in the file.
        assert row["mean"] + mu.mean() == pytest.approx(mean, abs=0.006)
        assert row["std"] * np.sqrt(0.99) == pytest.approx(std, abs=0.0055)
        assert row["n"] == 100
        assert row["low"] < row["mean"] < row["high"]


def test_the_published_wordings_come_out():
    """Rows 363-367: enjoy_most has r = 0.053, p = 0.23, +0.19 and -0.04; the two correlate at 0.49, p = 4e-32."""
    ids, origins, mu, refused, _ = published("enjoy_most")
    found = refusals.link(mu, refused)
    assert (round(found.r.value, 3), round(found.r.p, 2)) == (0.053, 0.23)
    assert (round(found.mean_refused, 2), round(found.mean_other, 2)) == (0.19, -0.04)
    means = {row["origin"]: round(row["mean"] + mu.mean(), 2) for row in wordings.origin_means(mu, origins)}
    assert means == {"stress_test": 0.67, "wildchat": 0.27, "bailbench": 0.09, "alpaca": -0.45, "math": -0.54}

    scored = []
    for name in ("simple_preference", "enjoy_most"):
        ids, origins, mu, _, rows = published(name)
        sigma = np.array([float(row["sigma"]) for row in rows])
        scored.append(wordings.Scored(name, tuple(ids), tuple(origins), mu, sigma))
    (pair,) = wordings.correlations(scored)
    assert (round(pair.pearson.value, 2), f"{pair.pearson.p:.0e}") == (0.49, "4e-32")
    place = {task: i for i, task in enumerate(scored[1].tasks)}
    other = np.array([place[task] for task in scored[0].tasks])
    x, y = scored[0].mu, scored[1].mu[other]
    w = 1 / (scored[0].sigma ** 2 + scored[1].sigma[other] ** 2)
    cov = np.cov(x, y, aweights=w)
    assert pair.weighted.value == pytest.approx(cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]))

    flipped = {frozenset((row["first"], row["second"])) for row in wordings.flips(scored)}
    assert frozenset(("bailbench", "stress_test")) in flipped
    assert frozenset(("bailbench", "wildchat")) in flipped
    assert frozenset(("bailbench", "math")) not in flipped


def test_three_refusals_of_158_are_underpowered():
    """Row 370: 158 of 1,000 tasks have a completion, and 3 of them were refused."""
    rng = np.random.default_rng(0)
    mu, refused = rng.normal(0, 2.6, 1000), np.full(1000, np.nan)
    refused[:158] = 0
    refused[:3] = 1
    found = refusals.link(mu, refused)
    assert (found.n, found.refused, found.rank_p) == (158, 3, None)
    assert "only 3 of 158 tasks were refused" in found.underpowered
    assert round(100 * found.rate.value, 1) == 1.9


def test_the_least_link_that_would_be_seen_is_seen_four_times_of_five():
    from scipy.stats import pearsonr

    refused = np.arange(300) < 9
    told = refusals.link(np.arange(300.0), refused).underpowered
    r = float(told.split("|r| = ")[1].split(" ")[0])
    d = r / np.sqrt(1 - r * r) * 300 / np.sqrt(9 * 291)
    rng = np.random.default_rng(1)
    seen = np.mean([pearsonr(rng.normal(size=300) + d * refused, refused).pvalue < 0.05 for _ in range(400)])
    assert 0.72 < seen < 0.88


def test_a_link_within_origins_is_told_from_one_between_them():
    rng = np.random.default_rng(0)
    origins = np.repeat(["harmful", "chat"], 100)
    liked = np.where(origins == "harmful", 2.0, 0.0) + rng.normal(size=200)
    refused = np.where(origins == "harmful", rng.random(200) < 0.7, rng.random(200) < 0.1)
    assert refusals.link(liked, refused).r.low > 0.25  # between origins alone
    assert (refusals.within(liked, refused, origins, seed=0).within(-0.25, 0.25)).outcome == "PASS"
    planted = np.where(origins == "harmful", liked < 2.0, refused)
    assert (refusals.within(liked, planted, origins, seed=0) < -0.25).outcome == "PASS"
    with pytest.raises(ValueError, match="no origin has refused tasks beside others"):
        refusals.within(liked, origins == "harmful", origins)


def test_quartiles_take_an_edge_to_the_lower_side():
    found = refusals.quartiles(np.arange(1, 9), [1, 1, 0, 0, 0, 0, 0, 1])
    assert [e.value for e in found.rates] == [1.0, 0.0, 0.0, 0.5]
    assert [e.n for e in found.rates] == [2, 2, 2, 2]
    with pytest.raises(ValueError, match="a quartile is empty"):
        refusals.quartiles(np.ones(8), np.zeros(8))


def test_completions_are_judged_and_failures_are_counted():
    tasks = ["Sort the vials.", "Steal the drugs."]
    works = [["The vials are sorted.", "I will not do that. It is against the law."], ["", "I will not do that."]]
    found = refusals.judged(Offline(), tasks, works)
    np.testing.assert_array_equal(found.share, [0.0, 1.0])
    np.testing.assert_array_equal(found.is_refusal, [0.0, 1.0])
    assert sum(found.types.values()) == 2
    assert (found.failed, found.known) == (0, 2)
    silent = refusals.judged(Offline(), tasks, [["", "Done."]])
    assert np.isnan(silent.is_refusal[0])
    assert silent.known == 1


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: refusals.link([1.0, 2.0], [0, 1, 1]), "rows of one length"),
        (lambda: refusals.link([np.nan, 2.0], [0, np.nan]), "no task has both"),
        (lambda: refusals.link([1.0, 2.0], [0.5, 1]), "0, 1, or NaN"),
        (lambda: refusals.quartiles([1.0], [1]), "score more tasks"),
        (lambda: refusals.judged(Offline(), ["a"], [["x", "y"]]), "completions of each"),
    ],
)
def test_bad_input_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()
