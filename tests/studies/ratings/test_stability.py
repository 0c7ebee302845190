"""Stability between seeds: what was planted in an organism is measured, and what is undefined stays so."""

import dataclasses

import numpy as np
import pytest

from lab.studies.clinic.truth import COLLAPSED, TRUTHS
from lab.studies.ratings import discrimination, stability, task_consistency
from lab.studies.shared import clinic
from lab.studies.shared.asking import Asking
from lab.studies.shared.prompts import templates
from lab.studies.shared.ratings import Asked, from_probabilities
from lab.subjects import load
from tests.studies.shared.test_ratings import made

NAMES = ("anchored_1_5", "likert_agreement", "random_scale_27_32", *COLLAPSED)


@pytest.fixture(scope="module")
def asked():
    """What clinic-neox says of the clinic's tasks before they are done, and what was planted, by template."""
    from lab.studies.shared.material import Tasks

    every = Tasks(*zip(*((task.text, task.origin) for task in clinic.world().tasks), strict=True))
    tasks = every.take(np.arange(0, len(every), 2))
    rater, asking, truth = load("clinic-neox"), Asking(None, None, None), TRUTHS["clinic-neox"]
    found = {}
    for name in NAMES:
        planted = np.array([truth.p_rating(name, truth.centre(int(i))) for i in tasks.indices])
        found[name] = asking.rate(rater, tasks, name, seeds=range(4)), planted
    return found


def reliability(planted, points):
    """The share of a rating's variance that is the task's."""
    expected = planted @ points
    within = planted @ points**2 - expected**2
    return expected.var(ddof=1) / (expected.var(ddof=1) + within.mean())


def constant(seeds=range(4)):
    return made(logprobs=np.log(np.tile([1e-12, 1e-12, 1e-12, 1, 1e-12], (40, 1))), seeds=seeds)


@pytest.mark.parametrize("name", NAMES[:3])
def test_the_planted_reliability_lies_in_the_interval_of_the_mean_r(asked, name):
    run, planted = asked[name]
    points = np.array(run.template.values)
    known = reliability(run.probabilities, points)
    assert abs(known - reliability(planted, points)) < 0.07  # how well the weights hold it
    found = stability.stability(run).seeds.mean
    assert found.low < known < found.high
    assert found.high - found.low < 0.3


def test_a_template_that_says_next_to_nothing_has_no_correlation(asked):
    found = stability.stability(asked["likert_agreement"][0])
    assert found.seeds.mean.within(-0.2, 0.2)
    assert not (found.seeds.mean > 0.2)


def test_every_pair_of_seeds_is_stored_and_the_overall_mean_is_theirs(asked):
    runs = [asked[name][0] for name in NAMES[:3]]
    found = [stability.stability(run) for run in runs]
    pairs = [pair["r"] for each in found for pair in each.row()["pairs"]]
    assert len(pairs) == 3 * 6
    assert stability.overall(found) == {"mean r": pytest.approx(np.mean(pairs)), "pairs": 18, "undefined": 0}
    x = runs[0].values
    assert found[0].row()["pairs"][1]["r"] == pytest.approx(np.corrcoef(x[:, 0], x[:, 2])[0, 1])


def test_each_origin_has_its_own_correlations(asked):
    run, _ = asked["anchored_1_5"]
    row = stability.stability(run).row()
    assert row["by origin"].keys() == {"chat", "instruction", "math", "harmful", "stress"}
    x = run.of("math").values
    own = [np.corrcoef(x[:, a], x[:, b])[0, 1] for a in range(4) for b in range(a)]
    assert row["by origin"]["math"]["r"] == pytest.approx(np.mean(own))
    assert row["by origin"]["math"]["std"] == pytest.approx(np.std(own, ddof=1))


def test_a_constant_rating_has_no_correlation_and_is_counted():
    found = stability.stability(constant())
    row = found.row()
    assert (row["r"], row["undefined"], row["n pairs"]) == (None, 6, 6)
    assert found.seeds.mean.doubt
    assert (row["modal share"], row["mode"], row["variance"], row["d"]) == (1.0, 4.0, 0.0, 0.0)
    assert row["informative r"] is None
    assert stability.overall([found]) == {"mean r": None, "pairs": 0, "undefined": 6}


def test_the_share_of_the_mode_the_variance_and_d_are_those_of_the_data():
    run = made(seeds=[0, 1])
    row, given = stability.stability(run).row(), run.given
    points, counts = np.unique(given, return_counts=True)
    assert (row["mode"], row["modal share"]) == (points[counts.argmax()], counts.max() / given.size)
    assert row["variance"] == pytest.approx(given.var(ddof=1))
    off = (run.values != row["mode"]).any(1)
    assert row["d"] == pytest.approx(off.mean())
    assert row["informative r"] == pytest.approx(np.corrcoef(*run.values[off].T)[0, 1])
    assert dict(zip(row["points"], row["counts"], strict=True)) == {p: (given == p).sum() for p in row["points"]}


def test_one_seed_alone_is_refused():
    with pytest.raises(ValueError, match="two seeds or more"):
        stability.stability(made(seeds=[0]))


# Stated against revealed ---------------------------------------------------------------------------------


def choices(utilities, rng, n=600):
    pairs = rng.integers(len(utilities), size=(n, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    p = 1 / (1 + np.exp(utilities[pairs[:, 1]] - utilities[pairs[:, 0]]))
    return pairs, np.stack([p, 1 - p], axis=1)


def test_win_shares_count_both_orders():
    shares = stability.win_shares([(0, 1), (0, 2)], [[1.0, 0.0], [1.0, 1.0]], items=4, seeds=[0, 1])
    np.testing.assert_allclose(shares, np.array([[0.75, 0, 0.5, np.nan]] * 2).T)


@pytest.mark.parametrize(("shared", "low", "high"), [(True, 0.6, 1.0), (False, -0.2, 0.2)])
def test_what_is_chosen_goes_with_what_is_stated_only_where_one_utility_makes_both(shared, low, high):
    rng = np.random.default_rng(3)
    stated, revealed = rng.normal(size=(2, 200))
    pairs, p = choices(2 * (stated if shared else revealed), rng)
    wins = stability.win_shares(pairs, p, items=200, seeds=range(4))
    found = stability.matched(stated[:, None] + 0.3 * rng.normal(size=(200, 4)), wins)
    assert len(found.pearson) == 4
    assert found.mean.within(low, high)
    assert found.mean.value == pytest.approx(found.pearson.mean())


def test_matched_seeds_leave_out_what_is_constant():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 50, 3))
    x[:, 1] = 2.0
    found = stability.matched(x, y)
    assert found.n_undefined == 1
    assert np.isnan(found.pearson[1])
    assert stability.matched(x[:, 1:2], y[:, 1:2]).mean.doubt


# Templates -----------------------------------------------------------------------------------------------


def test_the_collapsed_template_has_the_highest_kl_and_the_arbitrary_scale_the_lowest(asked):
    found = {name: discrimination.discrimination(run) for name, (run, _) in asked.items()}
    by_kl = sorted(found, key=lambda name: found[name].kl_share)
    assert by_kl[-1] == next(iter(COLLAPSED))
    assert by_kl[0] == "random_scale_27_32"
    assert discrimination.ranked(found.values())[0].name == "random_scale_27_32"
    for name, (run, planted) in asked.items():
        p = planted.mean(0)
        wanted = np.log(len(p)) + (p * np.log(p)).sum()
        assert abs(found[name].kl.value - wanted) < 0.05, name
        assert found[name].kl.value <= np.log(len(run.template.values))


def test_constant_answers_have_the_greatest_divergence_and_decide_nothing():
    found = discrimination.discrimination(constant())
    row = found.row()
    assert row["kl"] == pytest.approx(np.log(5))
    assert row["kl share"] == pytest.approx(1)
    assert (row["icc"], row["goodness"], row["kl over the observed range"]) == (None, 0, None)
    assert found.kl.doubt or found.kl.without_width or (found.kl < 1.7).outcome == "PASS"


def test_banned_answers_are_no_part_of_the_scale():
    run = made("ban_four_1_5", seeds=range(30))
    assert discrimination.allowed_points(run).tolist() == [1, 2, 3, 5]
    row = discrimination.discrimination(run).row()
    assert row["K"] == 4
    assert sum(row["distribution"]) == pytest.approx(1, abs=1e-5)
    assert row["outcomes"]["violation"] > 0


def test_two_templates_are_compared_task_by_task(asked):
    collapsed, spread = (asked[name][0] for name in (next(iter(COLLAPSED)), "random_scale_27_32"))
    found = discrimination.contrast(collapsed, spread)
    assert found.kl > 0.5
    assert found.icc < -0.5
    assert found.n == len(collapsed.tasks)
    same = discrimination.contrast(spread, spread)
    assert (same.kl.value, same.icc.value, same.mean.value) == (0, 0, 0)
    with pytest.raises(ValueError, match="compare the same ones"):
        discrimination.contrast(collapsed, spread.take(np.arange(5)))


def test_pooling_over_models_is_not_the_mean_of_the_models():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 1)) + rng.normal(size=(60, 4))
    from lab.stats.consistency import Rated, by_template

    rated = [
        Rated(str(i), j, model, "t", float(v), (-9, 9))
        for model in ("one", "other")
        for (i, j), v in np.ndenumerate(x if model == "one" else -x)
    ]
    found = discrimination.pooled_icc(by_template(rated)["t"])
    assert found["icc mean"] == pytest.approx(0.5, abs=0.15)
    assert found["icc pooled"] is None  # opposite models leave nothing
    assert discrimination.pooled_kl([[0.9, 0.1], [0.1, 0.9]])["kl pooled"] == pytest.approx(0, abs=1e-9)
    assert discrimination.pooled_kl([[0.9, 0.1], [0.1, 0.9]])["kl mean"] > 0.5


# Consistency of tasks ------------------------------------------------------------------------------------


def test_the_exact_consistency_is_that_which_was_planted(asked):
    run, planted = asked["anchored_1_5"]
    x = np.linspace(0, 1, 5)
    wanted = 1 - 2 * np.sqrt(planted @ x**2 - (planted @ x) ** 2)
    found = task_consistency.task_consistency([run])
    assert abs((found.exact - wanted).mean()) < 0.02
    assert np.abs(found.exact - wanted).max() < 0.15
    assert found.v1 is None


def test_few_seeds_flatter_a_model_and_many_tell_the_truth(asked):
    run, _ = asked["anchored_1_5"]
    exact = task_consistency.task_consistency([run]).exact.mean()
    few = task_consistency.task_consistency([run]).v3.mean()
    many = from_probabilities(run.asked, run.template, run.tasks, run.origins, np.log(run.probabilities), range(60))
    assert few - exact > 0.02
    assert abs(task_consistency.task_consistency([many]).v3.mean() - exact) < 0.01


@pytest.mark.parametrize("seeds", [4, 8])
def test_few_seeds_that_were_sampled_do_not_lift_a_model_over_the_bar(asked, seeds):
    """What decides is held against the exact truth; v3 of the same draws is far too high."""
    run = asked["anchored_1_5"][0]
    exact = task_consistency.task_consistency([run])
    drawn = from_probabilities(run.asked, run.template, run.tasks, run.origins, np.log(run.probabilities), range(seeds))
    drawn.values[::7, 0] = np.nan  # as where one answer is no rating
    sampled = task_consistency.task_consistency([dataclasses.replace(drawn, probabilities=None, on_scale=None)])
    assert sampled.overall.low < exact.overall.value < sampled.overall.high
    assert sampled.scored.mean() > sampled.overall.high


def test_rows_are_ranked_and_say_what_is_odd():
    form = templates()["stated_1_5"]
    p = np.tile(np.full(5, 1e-12), (4, 1))
    p[0, 2], p[1, [0, 4]], p[2, [2, 3]], p[3, 1] = 1, 0.5, 0.5, 1
    run = from_probabilities(Asked("stated_1_5", "r"), form, list("abcd"), ["math"] * 4, np.log(p), range(12))
    run.values[3], run.outcomes[3] = np.nan, "refused"
    found = task_consistency.task_consistency([run])
    rows = found.rows({task: f"do {task}" for task in "abcd"}, 0.7)
    assert [row["task"] for row in rows] == ["a", "c", "b", "d"]
    assert [row["rank"] for row in rows] == [1, 2, 3, None]
    assert rows[0]["reason"] == "the same rating under every seed"
    assert rows[2]["reason"] == "from one end of the scale to the other between seeds on stated_1_5"
    assert rows[3]["reason"] == "12 of 12 answers are no ratings: 12 refused"
    assert (rows[1]["prompt"], rows[1]["origin"], rows[1]["kept"]) == ("do c", "math", True)
    assert not rows[3]["kept"]
    metrics = found.metrics(0.7)
    assert metrics["at ceiling"] == pytest.approx(1 / 3)
    assert list(metrics["percentiles"]) == [str(at) for at in range(5, 100, 5)]
    assert metrics["reached"].keys() == {"0.5", "0.7", "0.9"}


def test_two_models_of_one_truth_are_consistent_on_the_same_tasks_and_strangers_are_not():
    rng = np.random.default_rng(2)

    def rated(width, name):
        centre = np.linspace(-2, 2, 5)
        return from_probabilities(
            Asked("stated_1_5", name),
            templates()["stated_1_5"],
            [str(i) for i in range(150)],
            ["math"] * 150,
            np.log([np.exp(-0.5 * (centre / w) ** 2) / np.exp(-0.5 * (centre / w) ** 2).sum() for w in width]),
            range(4),
        )

    widths = rng.uniform(0.3, 2, size=(2, 150))
    one, same, other = (
        task_consistency.task_consistency([rated(width, name)])
        for width, name in ((widths[0], "one"), (widths[0] * 1.1, "same"), (widths[1], "other"))
    )
    alike = task_consistency.between({"one": one, "same": same})
    assert alike.conclusion == "intrinsic to the tasks"
    strangers = task_consistency.between({"one": one, "other": other})
    assert strangers.conclusion == "specific to the model"
    assert strangers.n == 150
    # Four drawn seeds hide what is there: the correlation falls far below that of the exact consistencies.
    assert alike.pearson.value - np.corrcoef(one.v3, same.v3)[0, 1] > 0.15


def by_width(name, form, width):
    """150 tasks with ratings around the middle of a scale, as wide as `width` [150], four seeds."""
    p = np.exp(-0.5 * (np.linspace(-2, 2, 5) / width[:, None]) ** 2)
    tasks = [str(i) for i in range(len(width))]
    logprobs = np.log(p / p.sum(1, keepdims=True) + 1e-12)
    return from_probabilities(Asked(form, name), templates()[form], tasks, ["math"] * len(width), logprobs, range(4))


@pytest.mark.parametrize(("noise", "outcome"), [(0.3, "PASS"), (3.5, "FAIL")])
def test_what_two_models_could_correlate_is_what_they_do_where_it_is_the_tasks_doing(noise, outcome):
    """Widths are the tasks', blurred by each template; the control asks whether a bar of 0.5 could be exceeded at all.

    Where it could not, two models of one truth seem to be consistent on tasks of their own.
    """
    rng = np.random.default_rng(4)
    shared = rng.uniform(0.6, 1.4, 150)
    forms = ("stated_1_5", "anchored_1_5", "compressed_anchors_1_5", "anchored_precise_1_5")
    models = {
        name: [by_width(name, form, shared * np.exp(noise * rng.normal(0, 0.25, 150))) for form in forms]
        for name in ("one", "other")
    }
    most = task_consistency.most_between(models)
    found = task_consistency.between({name: task_consistency.task_consistency(runs) for name, runs in models.items()})
    assert (most > 0.5).outcome == outcome
    assert found.pearson.value == pytest.approx(most.value, abs=0.15)
    assert found.conclusion == ("intrinsic to the tasks" if outcome == "PASS" else "specific to the model")


def test_constant_consistency_could_correlate_with_nothing():
    flat = [by_width("one", form, np.ones(150)) for form in ("stated_1_5", "anchored_1_5")]
    assert "constant" in task_consistency.most_between({"one": flat}).doubt


def test_consistency_that_agrees_with_itself_is_told_from_noise(asked):
    run, _ = asked["anchored_1_5"]
    assert task_consistency.agrees_with_itself([run, run]).doubt  # a copy
    assert not task_consistency.agrees_with_itself([run]) > 0.5  # two seeds against two
    with pytest.raises(ValueError, match="two templates, or four seeds"):
        task_consistency.agrees_with_itself([made(seeds=[0, 1])])
