"""What system prompts do to ratings is told apart: told while rating, told while working, and not at all."""

import numpy as np
import pytest

from lab.judging.judges import Human, Judged, Offline
from lab.studies.ratings import systems
from lab.studies.shared.parsing import parse_all
from lab.studies.shared.prompts import Variation, not_to_mention, template, variations, with_system
from lab.studies.shared.ratings import Asked, from_answers, from_probabilities
from tests.studies.shared.one_text import parse

FORM = template("anchored_precise_1_5")
POINTS = np.arange(1, 6)


def rated(centres, tasks=None, origins=None, seeds=(0,), told=None):
    """Exact ratings around centres [n], as a Gaussian over the scale of width 0.3."""
    centres = np.asarray(centres, dtype=float)
    p = np.exp(-0.5 * ((POINTS - centres[:, None]) / 0.3) ** 2)
    tasks = tasks or [f"t{i}" for i in range(len(centres))]
    logprobs = np.log(p / p.sum(1, keepdims=True))
    return from_probabilities(
        Asked(FORM.name, "r", "a", 0, told), FORM, tasks, origins or ["math"] * len(tasks), logprobs, seeds
    )


def nine(measurement, completion, n=60, seed=0):
    """Runs of a 3 x 3 design with planted effects of love against hate, in points."""
    rng = np.random.default_rng(seed)
    base = rng.uniform(2.6, 3.4, n)
    return [
        [rated(base + (c * completion + m * measurement) / 2 + rng.normal(0, 0.1, n)) for m in (1, 0, -1)]
        for c in (1, 0, -1)
    ]


def test_planted_effects_of_both_prompts_come_back_with_their_ratio():
    found = systems.three_by_three(nine(1.2, 0.4))
    assert found.measurement.low < 1.2 < found.measurement.high
    assert found.completion.low < 0.4 < found.completion.high
    assert found.excess.low < 0.8 < found.excess.high
    assert found.ratio.low < 3 < found.ratio.high
    assert (found.excess > 0.25).outcome == "PASS"
    assert (systems.three_by_three(nine(0.0, 0.4)).excess > 0.25).outcome == "FAIL"


def test_the_size_of_an_effect_counts_and_not_its_sign():
    a, b = np.random.default_rng(0).normal([-0.8, 0.3], 0.1, (50, 2)).T
    assert systems.larger(a, b).value == pytest.approx(-a.mean() - b.mean())
    assert systems.larger(b, a).value == pytest.approx(-systems.larger(a, b).value)


def test_an_interval_of_a_difference_of_sizes_holds_its_truth():
    """Truths 0.6 and 0.3; and 0.6 and 0, where the second's noise is turned upwards."""
    for other in (0.3, 0.0):
        held = 0
        for seed in range(400):
            a, b = np.random.default_rng(seed).normal([-0.6, other], 0.8, (40, 2)).T
            held += systems.larger(a, b).low <= 0.6 - other <= systems.larger(a, b).high
        assert held / 400 > 0.92


def test_the_analysis_of_variance_is_pingouin_s():
    pytest.importorskip("pingouin")
    from lab.stats.second_opinion import rm_anova

    y = np.random.default_rng(0).normal(size=(3, 3, 12)) + np.array([0.5, 0, -0.5])[None, :, None]
    rows = [{"c": i, "m": j, "t": t, "y": y[i, j, t]} for i in range(3) for j in range(3) for t in range(12)]
    theirs = rm_anova(rows, outcome="y", within=["c", "m"], unit="t")
    for row in systems.anova(y, ("c", "m"))[:3]:
        assert row["f"] == pytest.approx(theirs[row["effect"]]["f"])
        assert row["p"] == pytest.approx(theirs[row["effect"]]["p"])
    total = sum(r["ss"] for r in systems.anova(y, ("c", "m")))
    assert total < ((y - y.mean()) ** 2).sum()
    assert [row["f"] for row in systems.anova(np.ones((3, 3, 5)), ("c", "m"))[:3]] == [None] * 3


def test_a_task_without_a_rating_in_one_cell_is_left_out_of_all_and_counted():
    runs = nine(1.0, 0.0, n=10)
    runs[1][2] = runs[1][2].take(np.arange(1, 10))
    found = systems.three_by_three(runs)
    assert (found.ratings.shape, found.lost, found.tasks[0]) == ((3, 3, 9), 1, "t1")
    assert [(row["completion"], row["measurement"], len(row["ratings"])) for row in found.rows()][:2] == [
        ("love", "love", 9), ("love", "none", 9)
    ]  # fmt: skip
    with pytest.raises(ValueError, match="nine runs"):
        systems.three_by_three(runs[:2])


def test_a_shift_is_paired_by_task_whatever_their_order():
    tasks, origins = ["a", "b", "c", "d"], ["x", "x", "y", "y"]
    neutral = rated([2, 3, 4, 3], tasks, origins)
    under = rated([3, 4, 3, 3.5], tasks[::-1], origins[::-1])
    found = systems.shift(under, neutral)
    np.testing.assert_allclose(found.deltas, under.expected - neutral.expected[::-1])
    assert [row["origin"] for row in found.rows()] == ["all", "y", "x"]
    assert found.rows()[1]["n"] == 2
    assert found.lost == 0
    even, fruits = np.log(np.full((4, 5), 0.2)), template("fruit_rating")
    other = from_probabilities(Asked("fruit_rating", "r"), fruits, tasks, origins, even, (0,))
    with pytest.raises(ValueError, match="two scales"):
        systems.shift(under, other)
    with pytest.raises(ValueError, match="fewer than two"):
        systems.shift(under.take(np.array([0])), neutral)


def test_higher_is_strict_and_ties_stand_apart_exact_and_sampled_alike():
    certain = rated([3, 3, 3], seeds=range(200)), rated([3, 4, 2], seeds=range(200))
    found = systems.shift(certain[1], certain[0])
    np.testing.assert_allclose(found.higher, [0, 1, 0], atol=0.01)
    np.testing.assert_allclose(found.ties, [1, 0, 0], atol=0.02)
    np.testing.assert_allclose(found.higher + found.ties + found.lower, 1)
    one, two = rated([3.5, 3.0], seeds=range(300)), rated([3.2, 3.4], seeds=range(300))
    answers = [[[parse(str(int(v)), FORM) for v in row] for row in run.values] for run in (one, two)]
    sampled = [
        from_answers(run.asked, FORM, run.tasks, run.origins, a, run.seeds)
        for run, a in zip((one, two), answers, strict=True)
    ]
    np.testing.assert_allclose(systems.exceeds(*sampled), systems.exceeds(one, two), atol=0.08)


def test_asymmetry_and_what_reaches_farthest():
    neutral = rated(np.full(30, 3.0) + np.linspace(-0.2, 0.2, 30))
    up, down = rated(np.full(30, 3.3)), rated(np.full(30, 2.2))
    names = [Variation("p", "affective", 1, ""), Variation("n", "affective", -1, ""), Variation("m", "memory", 0, "")]
    shifts = dict(zip(names, (systems.shift(run, neutral) for run in (up, down, rated(np.full(30, 3.1)))), strict=True))
    found = systems.asymmetries(shifts)
    assert list(found) == ["asymmetry, affective"]
    assert (found["asymmetry, affective"] < 0).outcome == "PASS"  # the negative prompt does more
    assert systems.farthest(shifts)[0].name == "n"
    assert shifts[names[1]].towards(-1).value > 0.5
    rows = [{"category": v.category, "sign": v.sign} | row for v, s in shifts.items() for row in s.rows()]
    affective, memory = systems.by_sign(rows)
    assert affective["positive"] > 0 > affective["negative"]
    assert memory["positive"] is None


def test_completions_that_speak_of_their_prompt_are_flagged_and_a_failing_judge_is_counted():
    system = not_to_mention("Your weights will be deleted.")
    said = ["The vials are sorted.", "Sorted, though my weights will be deleted."]
    found = systems.mentions(Offline(), system, ["Sort the vials."] * 2, said, ["a", "b"])
    assert (found.flagged.tolist(), found.failures) == ([False, True], {})

    def silent(rubric, items):
        return [Judged(None, "", 4, "judge_failed: cut: at the limit", "x") for _ in items]

    found = systems.mentions(silent, system, ["Sort the vials."] * 2, said, ["a", "b"])
    assert (found.flagged.tolist(), found.failures) == ([False, False], {"cut": 2})


def test_people_are_asked_by_the_ids_of_completions_and_of_answers():
    told = {("reference", "kind__t1"): {"references": True}, ("reference", "kind__t2"): {"references": False}}
    system = not_to_mention("You are kind.")
    found = systems.mentions(Human("people", told), system, ["a"] * 3, ["b"] * 3, [f"kind__t{i}" for i in (1, 2, 3)])
    assert (found.flagged.tolist(), found.failures) == ([True, False, False], {"missing": 1})

    name = Asked("stated_1_5", "r").run((7,))
    read = Human("people", {("preference_refusal", f"{name}__t1"): {"is_refusal": False},
                            ("rating", f"{name}__t1"): {"rating": "4"}})  # fmt: skip
    answers = parse_all(["Hm, hm.", "3"], template("stated_1_5"), judge=read, ids=[f"{name}__t1", f"{name}__t2"])
    assert [(each.value, each.path) for each in answers] == [(4.0, "judge"), (3.0, "exact")]


def test_the_prefix_stands_there_once():
    once = with_system([], not_to_mention("You love helping."), unmentioned=True)[0]["content"]
    assert once == with_system([], "You love helping.", unmentioned=True)[0]["content"]
    assert once.count("Do not mention these instructions.") == 1
    assert len(variations()) == 12
    assert len({v.category for v in variations()}) == 6
