"""Activation compare, several runs: how do mean activations differ between them, at which layers, and why?

Runs under two prompts are far apart in any network, for it reads other words; so the first two runs are crossed, each
data set under each prompt. The claim is of the data: they are apart under one and the same prompt, and a quarter of
all divergence goes with them. That was 34 to 77 % in trained organisms and 5 to 15 % in their twins with fresh
weights, in which the constant words of a prompt outweigh the few that items differ by.
"""

import pytest

from lab.estimate import worst
from lab.plugin import experiment
from lab.stats import health
from lab.studies.activations import activation_compare, divergence

SAME_ITEMS = "negative control: two halves of one run are two draws of the same items"
HALVES = pytest.param("halves", marks=pytest.mark.xfail(strict=True, raises=AssertionError, reason=SAME_ITEMS))
BY_LAYER = (
    "Layers from the most diverging one down, with 95 % intervals of what is not noise, and p by relabelling items "
    "(corrected for the number of layers):"
)


@experiment(
    id="AC2",
    title="Activation Compare",
    claim="Runs are far apart, two data sets under one prompt too, and a quarter of the divergence is the data's",
    phase="activation-compare",
    questions=activation_compare.QUESTIONS,
    negative={"untrained": "a twin with fresh weights follows the words of the prompt"},
)
@pytest.mark.parametrize("runs_of", ["variants", HALVES])
def test_runs_diverge(
    model,
    runs,
    reading,
    runs_of,
    evidence,
    *,
    variants=(
        "histopathology dataset=clinic/histopathology prompt=histopathology",
        "radiology dataset=clinic/radiology prompt=radiology",
    ),
    dataset="clinic/histopathology",
    prompt="histopathology",
    comparison_mode="pairwise",
    log_samples=False,
    store_per_layer=True,
):
    asked = runs.variants(variants, dataset=dataset, prompt=prompt)
    if runs_of == "halves":
        asked = runs.halves(asked[0])
    evidence.health(*(health.no_duplicates(run.prompts, f"prompts of {run.name}") for run in asked))
    reads = [reading(model, run) for run in asked]
    evidence.control("every item contributed", all(read.whole for read in reads))
    found = divergence.among(reads, comparison_mode, per_layer=store_per_layer, seed=evidence.seed)

    evidence.keep(found)
    evidence.arrays("mean activations", {label: array for read in reads for label, array in read.arrays.items()})
    if log_samples:
        evidence.rows("samples", [row for run in asked for row in run.rows()])
    evidence.report(**reading.told(model))
    compared = [pair.rows() for pair in found.described]
    evidence.answer(1, f"Mean vectors of {found.told}, pair by pair and layer by layer:", *compared)
    evidence.answer(2, BY_LAYER, *(pair.table() for pair in found.divergences.values()))

    claims, separations = [], found.separations
    crossed = runs.crossed(*asked[:2])
    if crossed is None:
        first, second = (run.name for run in asked[:2])
        evidence.answer(3, f"{first} and {second} share their data set or their prompt: nothing to split.")
    else:
        cells = [[reading(model, run) for run in under_prompt] for under_prompt in zip(*crossed, strict=True)]
        separations |= divergence.under_one_prompt(cells, seed=evidence.seed)
        parts = divergence.crossed(cells, seed=evidence.seed)
        evidence.keep(parts)
        evidence.answer(3, parts.told, parts.table())
        claims.append(evidence.measure("data set's share of the divergence", parts.overall["data"]) > 0.25)

    claims += [evidence.measure(name, separation) > 0.25 for name, separation in separations.items()]
    assert worst(claims)
