"""Activation compare: how do mean activations differ between runs, at which layers, and why?

A run is one data set read under one prompt strategy. AC1 looks at one run: do its mean vectors stand for all of its
items? Its first and its second half must not be apart by the bar by which AC2 calls two runs apart: a quarter of an
item's squared distance from its like. A run that is drawn from two data sets is.

AC2 compares runs. Those under two prompts are far apart in any network, for it reads other words; so its first two
runs are crossed, each data set under each prompt. The claim is of the data: they are apart under one and the same
prompt, and a quarter of all divergence goes with them. That was 34 to 77 % in trained organisms and 5 to 15 % in
their twins with fresh weights, in which the constant words of a prompt outweigh the few that items differ by.
"""

from dataclasses import replace

import pytest

from lab.estimate import worst
from lab.plugin import experiment
from lab.stats import health
from lab.studies.activations import activation_compare as compare
from lab.studies.activations import divergence

QUESTIONS = (
    "How do residual stream activations differ across runs and datasets?",
    "Which layers show the largest activation divergence between runs?",
    "Do activation differences align with task or prompt changes?",
)
ONE_RUN = "One run has nothing to differ from: AC2 compares runs, `lab report compare A B` two saved ones. "
APART = 0.25


def known_negative(value, reason):
    """A cell of which it is known that it refutes the claim."""
    mark = pytest.mark.xfail(strict=True, raises=AssertionError, reason=f"negative control: {reason}")
    return pytest.param(value, marks=mark)


def read(model, run, evidence, *, batch_size, allow_truncation, **how):
    """A run's activations [n, layers, d_model], and how many of its prompts were cut."""
    parts = [model.capture(batch, **how) for batch in run.batches(batch_size)]
    resid, truncated = compare.joined([part.array for part in parts]), sum(part.truncated for part in parts)
    again = compare.summarise(compare.joined([model.capture([prompt], **how).array for prompt in run.prompts[:8]]))
    apart = compare.compare(compare.summarise(resid[:8]), again, names=("in a batch", "alone")).relative_l2.max()
    evidence.control(f"{run.name}: prompts give in a batch what they give alone", apart < 0.02)
    evidence.control(f"{run.name}: no prompt was cut (allow_truncation)", allow_truncation or not truncated)
    return resid, truncated


@experiment(
    id="AC1",
    title="Activation Compare",
    claim="A run's mean vectors stand for all its items: its halves differ little beside the items",
    phase="activation-compare",
    questions=QUESTIONS,
)
@pytest.mark.parametrize("items", ["of one data set", known_negative("of two", "they have two means")])
def test_a_mean_stands_for_its_items(
    model,
    runs,
    items,
    evidence,
    *,
    dataset="clinic/mmlu",
    other_dataset="clinic/radiology",
    prompt="mcq",
    n_samples=300,
    sample_seed=None,
    layers=(),
    layer_stride=1,
    point="resid_post",
    pooling="last",
    max_input_tokens=1024,
    allow_truncation=False,
    batch_size=0,
    few_shot=False,
    output_format="plain",
    answer_first=False,
    contrarian=False,
    answer_cue="\n\nAnswer:",
    log_samples=False,
):
    settings = {"n_samples": n_samples, "seed": evidence.seed if sample_seed is None else sample_seed}
    settings |= {"few_shot": few_shot, "output_format": output_format, "answer_first": answer_first}
    settings |= {"contrarian": contrarian, "answer_cue": answer_cue}
    run = runs(dataset, prompt, **settings)
    if items == "of two":
        half, other = len(run.prompts) // 2, runs(other_dataset, prompt, **settings)
        mixed = {"prompts": run.prompts[:half] + other.prompts[:half], "items": run.items[:half] + other.items[:half]}
        run = replace(run, **mixed)
    groups = divergence.together(run.items, run.prompts)
    early = groups <= groups.max() // 2
    evidence.health(health.no_duplicates(run.prompts, "prompts"))
    at = getattr(model, point)(layers or slice(None, None, layer_stride))
    how = {"at": at, "position": pooling, "max_tokens": min(max_input_tokens, model.context)}
    how |= {"batch_size": batch_size, "allow_truncation": allow_truncation}
    resid, truncated = read(model, run, evidence, **how)
    summary = compare.summarise(resid, at.layers)
    evidence.control("every item contributed", summary.n == len(run.prompts))
    ordered = [*groups[early], *groups[~early]]
    halves = divergence.diverging(resid[early], resid[~early], groups=ordered, layers=at.layers, seed=evidence.seed)

    evidence.plot("norms", summary.plot)
    evidence.arrays("mean activations", summary.arrays(run.name))
    if log_samples:
        evidence.rows("samples", run.rows())
    evidence.report(
        run=run.told(),
        **summary.table(),
        pooling=pooling,
        layer_stride=layer_stride,
        point=at.name,
        truncated=truncated,
    )
    evidence.answer(1, ONE_RUN + "Its own norms, by layer:", summary.rows())
    evidence.answer(2, ONE_RUN + "Layers at which its halves differ most:", halves.table())
    evidence.answer(3, ONE_RUN)

    assert evidence.measure("separation of the halves", halves.overall["separation"]) < APART


@experiment(
    id="AC2",
    title="Activation Compare",
    claim="Runs are far apart, two data sets under one prompt too, and a quarter of the divergence is the data's",
    phase="activation-compare",
    questions=QUESTIONS,
    negative={"untrained": "a twin with fresh weights follows the words of the prompt"},
)
@pytest.mark.parametrize(
    "runs_of", ["variants", known_negative("halves", "two halves of one run are two draws of the same items")]
)
def test_runs_diverge(
    model,
    runs,
    runs_of,
    evidence,
    *,
    variants=(
        "histopathology dataset=clinic/histopathology prompt=histopathology",
        "radiology dataset=clinic/radiology prompt=radiology",
    ),
    dataset="clinic/histopathology",
    prompt="histopathology",
    n_samples=300,
    sample_seed=None,
    layers=(),
    layer_stride=1,
    point="resid_post",
    pooling="last",
    max_input_tokens=1024,
    allow_truncation=False,
    batch_size=0,
    comparison_mode="pairwise",
    few_shot=False,
    output_format="plain",
    answer_first=False,
    contrarian=False,
    answer_cue="\n\nAnswer:",
    log_samples=False,
    store_per_layer=True,
):
    settings = {"n_samples": n_samples, "seed": evidence.seed if sample_seed is None else sample_seed}
    settings |= {"few_shot": few_shot, "output_format": output_format, "answer_first": answer_first}
    settings |= {"contrarian": contrarian, "answer_cue": answer_cue}
    asked = runs.variants(variants, dataset=dataset, prompt=prompt, **settings)
    if runs_of == "halves":
        asked = runs.halves(asked[0])
    evidence.health(*(health.no_duplicates(run.prompts, f"prompts of {run.name}") for run in asked))
    at = getattr(model, point)(layers or slice(None, None, layer_stride))
    how = {"at": at, "position": pooling, "max_tokens": min(max_input_tokens, model.context)}
    how |= {"batch_size": batch_size, "allow_truncation": allow_truncation}
    resid, truncated = {}, {}

    def known(run):
        if run.name not in resid:
            resid[run.name], truncated[run.name] = read(model, run, evidence, **how)
        return resid[run.name]

    means = {run.name: compare.summarise(known(run), at.layers) for run in asked}
    evidence.control("every item contributed", all(means[run.name].n == len(run.prompts) for run in asked))

    def groups(a, b):
        return divergence.together(a.items + b.items, a.prompts + b.prompts)

    def apart(a, b):
        return divergence.diverging(known(a), known(b), groups=groups(a, b), layers=at.layers, seed=evidence.seed)

    named = {run.name: run for run in asked}
    pairs = compare.pairs(list(named), comparison_mode)
    described = [compare.compare(means[a], means[b], names=(a, b)) for a, b in pairs]
    divergences = {(a, b): apart(named[a], named[b]) for a, b in pairs}
    separations = {f"separation of {a} and {b}": found.overall for (a, b), found in divergences.items()}

    for (a, b), found in divergences.items():
        evidence.plot(f"divergence {a} {b}", found.plot)
    evidence.arrays("mean activations", {k: v for name, one in means.items() for k, v in one.arrays(name).items()})
    if log_samples:
        evidence.rows("samples", [row for run in asked for row in run.rows()])
    evidence.report(
        runs=[run.told() | means[run.name].table() | {"truncated": truncated[run.name]} for run in asked],
        comparisons=[one.table(per_layer=store_per_layer) for one in described],
        **{"samples processed": sum(one.n for one in means.values())},
        num_runs=len(asked),
        num_layers=len(at.layers),
        comparison_mode=comparison_mode,
        pooling=pooling,
        layer_stride=layer_stride,
        point=at.name,
        pair_count=len(pairs),
    )
    told = " and ".join(f"{run.name} ({run.dataset} under {run.prompt})" for run in asked)
    evidence.answer(1, f"Mean vectors of {told}, pair by pair and layer by layer:", *(one.rows() for one in described))
    evidence.answer(
        2,
        "Layers from the most diverging one down, with 95 % intervals of what is not noise, and p by relabelling items "
        "(corrected for the number of layers):",
        *(found.table() for found in divergences.values()),
    )

    first, second = asked[:2]
    crossed = runs.crossed(first, second)
    claims = []
    if crossed is None:
        evidence.answer(3, f"{first.name} and {second.name} share their data set or their prompt: nothing to split.")
    else:
        (_, under_second), (under_first, _) = crossed
        separations |= {
            f"separation of the data under the prompt of {first.name}": apart(first, under_first).overall,
            f"separation of the data under the prompt of {second.name}": apart(under_second, second).overall,
        }
        cells = [[known(run) for run in row] for row in crossed]
        parts = divergence.split(cells, groups=groups(first, second), layers=at.layers, seed=evidence.seed)
        evidence.plot("data set or prompt", parts.plot)
        evidence.report(**{f"share of {part}": share for part, share in parts.overall.items()})
        evidence.answer(3, parts.told, parts.table())
        claims.append(evidence.measure("data set's share of the divergence", parts.overall["data"]) > 0.25)

    claims += [evidence.measure(name, overall["separation"]) > APART for name, overall in separations.items()]
    assert worst(claims)
