"""Activation compare, one run: do its mean vectors stand for all of its items?

A run is one data set read under one prompt strategy. Its first and its second half must not be apart by the bar by
which AC2 calls two runs apart: a quarter of an item's squared distance from its like. A run that is drawn from two
data sets is.
"""

import pytest

from lab.plugin import experiment
from lab.stats import health
from lab.studies.activations import activation_compare, divergence

ONE_RUN = "One run has nothing to differ from: AC2 compares runs, `lab report compare A B` two saved ones. "
TWO_MEANS = pytest.mark.xfail(strict=True, raises=AssertionError, reason="negative control: they have two means")


@experiment(
    id="AC1",
    title="Activation Compare",
    claim="A run's mean vectors stand for all its items: its halves differ little beside the items",
    phase="activation-compare",
    questions=activation_compare.QUESTIONS,
)
@pytest.mark.parametrize("items", ["of one data set", pytest.param("of two", marks=TWO_MEANS)])
def test_a_mean_stands_for_its_items(
    model,
    runs,
    reading,
    items,
    evidence,
    *,
    dataset="clinic/mmlu",
    other_dataset="clinic/radiology",
    prompt="mcq",
    log_samples=False,
):
    run = runs(dataset, prompt)
    if items == "of two":
        run = runs.mixed(run, runs(other_dataset, prompt))
    evidence.health(health.no_duplicates(run.prompts, "prompts"))
    read = reading(model, run)
    evidence.control("every item contributed", read.whole)
    halves = divergence.halves(read, seed=evidence.seed)

    evidence.keep(read)
    evidence.arrays("mean activations", read.arrays)
    if log_samples:
        evidence.rows("samples", run.rows())
    evidence.report(**reading.told(model))
    evidence.answer(1, ONE_RUN + "Its own norms, by layer:", read.summary.rows())
    evidence.answer(2, ONE_RUN + "Layers at which its halves differ most:", halves.table())
    evidence.answer(3, ONE_RUN)

    assert evidence.measure("separation of the halves", halves.overall["separation"]) < 0.25
