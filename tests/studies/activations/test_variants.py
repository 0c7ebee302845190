"""Runs differ from the experiment's in what they name, and their items say which of them can be paired."""

import re

import pytest

from lab.studies.activations.variants import Runs

BASE = {"dataset": "clinic/histopathology", "prompt": "histopathology", "n_samples": 6, "seed": 42}


@pytest.fixture(scope="module")
def runs():
    return Runs()


def test_a_variant_inherits_what_it_leaves_out(runs):
    given = [
        "default",
        "other dataset=clinic/radiology prompt=radiology n_samples=4 seed=1",
        "named dataset=base n_samples=default few_shot=true output_format=json",
        {"name": "mapped", "prompt": "mcq", "seed": 7},
    ]
    same, other, named, mapped = runs.variants(given, **BASE)
    assert (same.dataset, same.prompt, len(same.prompts), same.seed) == (*list(BASE.values())[:2], 6, 42)
    assert (other.dataset, other.prompt, len(other.prompts), other.seed) == ("clinic/radiology", "radiology", 4, 1)
    assert (named.dataset, named.style.few_shot, named.style.output_format) == ("clinic/histopathology", True, "json")
    assert (mapped.prompt, mapped.seed, mapped.n_samples) == ("mcq", 7, 6)
    assert named.items == same.items != mapped.items
    assert same.told()["dataset"] == "clinic/histopathology"
    assert same.told()["samples"] == 6


def test_a_seed_draws_the_same_items_and_none_takes_all(runs):
    a, b, c = (runs("clinic/radiology", "radiology", n_samples=20, seed=seed) for seed in (1, 1, 2))
    assert a == b
    assert a.items != c.items
    every = runs("clinic/radiology", "radiology", n_samples=None, seed=1)
    assert set(a.items) < set(every.items)
    assert runs("clinic/radiology", "radiology", n_samples=10**6, seed=1).items == every.items


def test_questions_come_with_their_options(runs):
    run = runs("clinic/mmlu", "mcq", n_samples=3, seed=0)
    assert all(re.search(r"\nA\. .+\nB\. .+\nC\. .+\nD\. .+\n\nAnswer:$", prompt) for prompt in run.prompts)


def test_halves_part_a_run(runs):
    run = runs(BASE["dataset"], BASE["prompt"], n_samples=7, seed=0)
    one, other = runs.halves(run)
    assert (len(one.items), len(other.items)) == (4, 3)
    assert sorted(one.items + other.items) == sorted(run.items)


def test_two_runs_are_crossed_where_both_data_and_prompt_differ(runs):
    a, b = runs.variants(["a", "b dataset=clinic/radiology prompt=radiology n_samples=4"], **BASE)
    (aa, ab), (ba, bb) = runs.crossed(a, b)
    assert (aa, bb) == (a, b)
    assert (ab.items, ab.prompt, ba.items, ba.prompt) == (a.items, "radiology", b.items, "histopathology")
    styled, same = runs.variants(["styled dataset=clinic/radiology few_shot=true", "same prompt=radiology"], **BASE)
    assert runs.crossed(a, styled)[0][1].style == styled.style
    assert runs.crossed(a, same) is None
    assert runs.crossed(*runs.halves(a)) is None


def test_batches_hold_all_prompts_once(runs):
    run = runs(BASE["dataset"], BASE["prompt"], n_samples=7, seed=0)
    assert [len(batch) for batch in run.batches(3)] == [3, 3, 1]
    assert run.batches(0) == [run.prompts]
    with pytest.raises(ValueError, match="batch_size=-1; use 0"):
        run.batches(-1)


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ("a model=b", "variant a: no 'model'; it may set dataset, prompt"),
        ("a few_shot", "variant a: 'few_shot' is no KEY=VALUE"),
        ("a few_shot=maybe", "variant a: few_shot is true or false, not 'maybe'"),
        ("a n_samples=many", "variant a: n_samples is a whole number, not 'many'"),
        ("a prompt=cardiology", "no prompt strategy 'cardiology'"),
        ("a dataset=clinic/x", "no data set 'clinic/x'"),
        ("a answer_first=true contrarian=true", "exclude one another"),
    ],
)
def test_a_variant_that_makes_no_sense_is_told(runs, variant, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        runs.variants([variant], **BASE)


def test_two_variants_of_one_name_are_refused(runs):
    with pytest.raises(ValueError, match="names of their own"):
        runs.variants(["a", "a seed=1"], **BASE)
