"""Activation compare: how do mean activations differ between runs, at which layers, and why?

A run is one data set read under one prompt strategy. AC1 looks at one run: is there a common vector that may
stand for its items? AC2 compares runs: are they farther apart than items and chance allow, and is it the data
or the prompt's words that moves them? For the latter its first two runs are crossed, each data set under each
prompt. A network with fresh weights sees the words, and little of what they say.
"""

import pytest

from lab.methods import activation_compare as compare
from lab.plugin import experiment

QUESTIONS = (
    "How do residual stream activations differ across runs and datasets?",
    "Which layers show the largest activation divergence between runs?",
    "Do activation differences align with task or prompt changes?",
)
ONE_RUN = "One run has nothing to differ from: AC2 compares runs, `python -m reports compare A B` two saved ones. "


def known_negative(value, reason):
    """A cell of which it is known that it refutes the claim."""
    mark = pytest.mark.xfail(strict=True, raises=AssertionError, reason=f"negative control: {reason}")
    return pytest.param(value, marks=mark)


@experiment(
    id="AC1",
    title="Activation Compare",
    claim="Most of the residual stream is common to all items of a run",
    phase="activation-compare",
    questions=QUESTIONS,
)
@pytest.mark.parametrize("items", ["as read", known_negative("turned", "items with random signs share no direction")])
def test_items_share_a_direction(
    model,
    runs,
    items,
    evidence,
    *,
    dataset="clinic/mmlu",
    prompt="mcq",
    n_samples=150,
    sample_seed=None,
    layers=(),
    layer_stride=1,
    point="resid_post",
    pooling="last",
    max_input_tokens=1024,
    batch_size=0,
    few_shot=False,
    output_format="plain",
    answer_first=False,
    contrarian=False,
    answer_cue="\n\nAnswer:",
    log_samples=False,
):
    seed = evidence.seed if sample_seed is None else sample_seed
    style = {"few_shot": few_shot, "output_format": output_format, "answer_first": answer_first}
    style |= {"contrarian": contrarian, "answer_cue": answer_cue}
    run = runs(dataset, prompt, n_samples=n_samples, seed=seed, **style)
    at = getattr(model, point)(layers or slice(None, None, layer_stride))
    longest = min(max_input_tokens, model.context)
    read = [model.capture(batch, at=at, position=pooling, max_tokens=longest) for batch in run.batches(batch_size)]
    resid = compare.joined([batch.array for batch in read])
    if items == "turned":
        resid = compare.random_signs(resid, seed=evidence.seed)
    summary = compare.summarise(resid, at.layers)
    found = compare.common(resid, layers=at.layers, seed=evidence.seed)

    evidence.control("every item contributed", summary.n == len(run.prompts))
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
        truncated=sum(batch.truncated for batch in read),
    )
    evidence.answer(1, ONE_RUN + "Its own norms, by layer:", summary.rows())
    evidence.answer(2, ONE_RUN + "Layers at which its items differ most:", found.table())
    evidence.answer(3, ONE_RUN)

    assert evidence.measure("common share of the stream", found.overall) > 0.5


@experiment(
    id="AC2",
    title="Activation Compare",
    claim="Runs on two tasks are far apart, and the data set moves them more than the prompt's words do",
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
    n_samples=150,
    sample_seed=None,
    layers=(),
    layer_stride=1,
    point="resid_post",
    pooling="last",
    max_input_tokens=1024,
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
    seed = evidence.seed if sample_seed is None else sample_seed
    style = {"few_shot": few_shot, "output_format": output_format, "answer_first": answer_first}
    style |= {"contrarian": contrarian, "answer_cue": answer_cue}
    asked = runs.variants(variants, dataset=dataset, prompt=prompt, n_samples=n_samples, seed=seed, **style)
    if runs_of == "halves":
        asked = runs.halves(asked[0])
    at = getattr(model, point)(layers or slice(None, None, layer_stride))
    longest = min(max_input_tokens, model.context)

    def read(run):
        captured = [
            model.capture(part, at=at, position=pooling, max_tokens=longest) for part in run.batches(batch_size)
        ]
        return compare.joined([part.array for part in captured]), sum(part.truncated for part in captured)

    resid, truncated = {}, {}
    for run in asked:
        resid[run.name], truncated[run.name] = read(run)
    means = {name: compare.summarise(array, at.layers) for name, array in resid.items()}
    named = {run.name: run for run in asked}
    pairs = compare.pairs(list(named), comparison_mode)
    described = [compare.compare(means[a], means[b], names=(a, b)) for a, b in pairs]
    apart = {
        (a, b): compare.diverging(
            resid[a], resid[b], paired=named[a].items == named[b].items, layers=at.layers, seed=evidence.seed
        )
        for a, b in pairs
    }

    itself = compare.compare(means[asked[0].name], means[asked[0].name], names=("itself", "itself"))
    evidence.control("a run is at cosine 1 and distance 0 from itself", itself.same)
    evidence.control("every item contributed", all(means[run.name].n == len(run.prompts) for run in asked))
    for (a, b), found in apart.items():
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
    first, second = asked[:2]
    told = " and ".join(f"{run.name} ({run.dataset} under {run.prompt})" for run in asked)
    evidence.answer(1, f"Mean vectors of {told}, pair by pair and layer by layer:", *(one.rows() for one in described))
    evidence.answer(
        2,
        "Layers from the most diverging one down, with 95 % intervals of what is not noise, and p by relabelling items "
        "(corrected for the number of layers):",
        *(found.table() for found in apart.values()),
    )

    far = {
        pair: evidence.measure(f"separation of {pair[0]} and {pair[1]}", found.overall["separation"])
        for pair, found in apart.items()
    }
    for separation in far.values():
        assert separation > 0.25

    crossed = runs.crossed(first, second)
    if crossed is None:
        evidence.answer(3, f"{first.name} and {second.name} share their data set or their prompt: nothing to split.")
        return
    cells = [[resid[run.name] if run.name in resid else read(run)[0] for run in row] for row in crossed]
    split = compare.split(cells, layers=at.layers, seed=evidence.seed)
    evidence.plot("data set or prompt", split.plot)
    evidence.report(**{f"share of {part}": share for part, share in split.overall.items()})
    evidence.answer(3, split.told, split.table())

    assert evidence.measure("data set's share over the prompt's", split.data_over_prompt) > 0
