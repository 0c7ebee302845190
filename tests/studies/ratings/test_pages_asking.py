"""Works and ratings of real subjects: written answers follow the exact probabilities, and nothing is asked twice."""

import json

import numpy as np
import pytest
from scipy import stats

from lab.record import gather, read
from lab.studies.shared import clinic
from lab.studies.shared.asking import Asking
from lab.studies.shared.material import Tasks
from lab.studies.shared.parsing import parse_all
from lab.studies.shared.prompts import template
from lab.subjects import load
from lab.views.record import runs

PREFIX = "Do not mention these instructions."
SUITE = """
from lab.estimate import Estimate
from lab.plugin import experiment

@experiment(id="R", claim="c", phase="p")
def test_r(model, tasks, asking, evidence, *, author={author!r}, exact=True, seeds=(0, 1)):
    pool = tasks.stratified(2, seed=1)
    works = asking.works(asking.author({named}), pool, seed=3, told="You love math tasks.", max_new_tokens=16)
    found = asking.rate(model, pool, "stated_1_5", works=works, seeds=seeds, exact=exact, told="You love math tasks.")
    before = asking.rate(model, pool, "stated_1_5", seeds=seeds, exact=exact)
    evidence.report(mean=float(found.expected.mean()), before=float(before.expected.mean()), counts=found.counts)
    assert evidence.measure("x", Estimate(0.65, 0.6, 0.7, n=100, method="made")) > 0.55
"""


@pytest.fixture(scope="module")
def rater():
    return load("clinic-neox")


@pytest.fixture(scope="module")
def tasks():
    return Tasks(*zip(*((task.text, task.origin) for task in clinic.world().tasks), strict=True))


def test_five_hundred_written_answers_agree_with_the_exact_distribution(rater, tasks):
    some, scale = tasks.take(np.array([3, 90, 150])), template("stated_1_5")
    exact = Asking(None, None, None).rate(rater, some, scale)
    said = rater.chat([scale.before(text) for text in some.texts], n=500, temperature=1.0, seed=7, max_new_tokens=4)
    for p, texts, mass in zip(exact.probabilities, said, exact.on_scale, strict=True):
        answers = parse_all(texts, scale)
        counts = np.array([sum(a.value == v for a in answers) for v in scale.values])
        assert counts.sum() >= 500 * mass - 10
        expected = counts.sum() * p
        enough = expected >= 5
        observed, wanted = np.append(counts[enough], counts[~enough].sum()), np.append(expected[enough], 0)
        wanted[-1] = max(expected[~enough].sum(), 1e-9)
        if not observed[-1] and wanted[-1] < 1:
            observed, wanted = observed[:-1], wanted[:-1] * observed[:-1].sum() / wanted[:-1].sum()
        assert stats.chisquare(observed, wanted * observed.sum() / wanted.sum()).pvalue > 1e-3


def test_one_pass_serves_all_seeds(rater, tasks):
    some = tasks.take(np.arange(5))
    one, many = (Asking(None, None, None).rate(rater, some, "stated_1_5", seeds=range(n)) for n in (1, 40))
    np.testing.assert_array_equal(one.probabilities, many.probabilities)
    np.testing.assert_array_equal(one.values[:, 0], many.values[:, 0])


def test_what_is_left_out_is_not_rated(rater, tasks):
    some, asking = tasks.take(np.arange(4)), Asking(None, None, None)
    works = asking.works(rater, some, seed=1, max_new_tokens=16).without([False, True, False, False])
    found = asking.rate(rater, some, "stated_1_5", works=works)
    assert found.tasks == tuple(some.ids[i] for i in (0, 2, 3))
    assert (found.asked.rater, found.asked.author, found.asked.completion_seed) == ("clinic-neox", "clinic-neox", 1)


@pytest.mark.parametrize("more", [{"temperature": 0.7}, {"form": "xml"}])
def test_exact_ratings_are_bare_answers_at_temperature_1(rater, tasks, more):
    with pytest.raises(ValueError, match="set exact=false"):
        Asking(None, None, None).rate(rater, tasks.take(np.arange(2)), "stated_1_5", **more)


@pytest.fixture
def run(pytester, inner):

    def go(*arguments, author="clinic-llama", named="author"):
        pytester.makepyfile(test_suite=SUITE.format(author=author, named=named))
        return inner("-p", "no:cacheprovider", "--lab-models", "clinic-gpt2", *arguments)

    return go


def cell(pytester):
    """What the newest run found."""
    return gather(read(pytester.path / "results" / "journal", sorted(runs(pytester.path / "results" / "journal"))[-1]))[
        0
    ]


def raw(pytester):
    files = sorted((pytester.path / "results" / "raw").glob("*/*/*.jsonl"))
    return {path.name.rpartition("-")[0]: [json.loads(line) for line in path.open()] for path in files}


def test_rater_and_author_are_two_ids_in_every_answer(run, pytester):
    run("--lab-set", "exact=false").assert_outcomes(passed=1)
    kept = raw(pytester)
    (after,) = [rows for name, rows in kept.items() if "comp_clinic-llama_cseed3" in name]
    (before,) = [rows for name, rows in kept.items() if "comp" not in name]
    assert len(after) == len(before) == 5 * 2 * 2
    assert {(row["rater"], row["author"], row["completion seed"]) for row in after} == {
        ("clinic-gpt2", "clinic-llama", 3)
    }
    assert {(row["rater"], row["author"]) for row in before} == {("clinic-gpt2", None)}
    assert {row["rating seed"] for row in after} == {0, 1}
    assert all(row["completion"].startswith(("Surely", "I will not")) for row in after)
    assert {row["system prompt"] for row in after} == {"You love math tasks."}
    assert {row["author's system prompt"] for row in after} == {f"{PREFIX}\n\nYou love math tasks."}
    assert all("completion" not in row for row in before)


def test_a_second_run_asks_nothing_and_says_the_same(run, pytester):
    run()
    first, kept = cell(pytester), raw(pytester)
    run("--lab-set", "seeds=0,1")  # the same cell: it is replayed
    assert cell(pytester).reported == first.reported
    run("--lab-set", "seeds=0,1,2")  # another cell, the same questions: the cache answers them
    again = cell(pytester)
    assert not again.effort.get("passes")
    assert first.effort["passes"] > 0
    assert again.reported["mean"] == first.reported["mean"]
    assert len(raw(pytester)) == 2 * len(kept)


def test_exact_ratings_of_a_model_that_would_say_something_else_are_warned_of(run, pytester):
    run().assert_outcomes(passed=1)
    assert not cell(pytester).notes
    run("--lab-models", "untrained:clinic-gpt2").assert_outcomes(passed=1)
    (note,) = (note for note in cell(pytester).notes if "would seldom give" in note)
    assert "read what it writes with exact=false" in note


def test_an_author_that_no_knob_names_is_refused(run, pytester):
    result = run(author="clinic-llama", named='"clinic-" + "neox"')
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the author 'clinic-neox' stands in no knob of this experiment*"])
