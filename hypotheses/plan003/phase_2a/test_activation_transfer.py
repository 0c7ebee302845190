"""Phase 2A, second step: does a model answer better with the activations of another one?

A linear map from the source's residual stream to the target's is taught on the questions of some patients,
those that both answer rightly. On the questions of other patients the target's stream is mixed with what
the map makes of the source's, at one layer, at the last token. A map taught on shuffled pairs does the
same beside it.
"""

import numpy as np

from lab.estimate import worst
from lab.plugin import experiment
from lab.studies.activations import transfer


@experiment(
    id="2A2",
    claim="Another model's activations, carried over by a linear map, raise the accuracy by more than 2 points",
    phase="phase-2a",
    needs=["PM1"],
    negative={"untrained": "a source with fresh weights has nothing to give"},
)
def test_transfer_raises_accuracy(
    model,
    other_model,
    questions,
    dataset,
    evidence,
    *,
    task="questions",
    n_samples=4800,
    depth=0.75,
    mix=0.5,
    alpha=10.0,
):
    every, least = questions if task == "questions" else dataset(task).spelled, 0.02
    asked = every.sample(n_samples, seed=evidence.seed)
    test = transfer.held_out(asked.subject, share=0.5, seed=evidence.seed)
    site = model.resid_post(depth)
    own = model.capture(asked.prompts, at=site, position="last").array[:, 0]
    given = other_model.capture(asked.prompts, at=other_model.resid_post(depth), position="last").array[:, 0]
    target, source = (m.choose(asked.prompts, asked.options).picked == asked.key for m in (model, other_model))

    taught = np.flatnonzero(~test & target & source)
    dealt = np.random.default_rng(evidence.seed).permutation(taught)
    carry, shuffled = (transfer.fit(given[taught], own[pairs], alpha=alpha) for pairs in (taught, dealt))

    held, before, few = asked.take(test), own[test], slice(100)

    def right_with(activation, rows=slice(None)):
        patch = model.patch(site, (before + mix * (activation - before))[rows])
        return model.choose(held.prompts[rows], held.options[rows], edit=patch).picked == held.key[rows]

    found = transfer.compare(
        source=source[test],
        target=target[test],
        transfer=right_with(carry(given[test])),
        shuffled=right_with(shuffled(given[test])),
        map_r=carry.correlation(given[test], before),
        groups=held.subject,
    )

    unchanged = (right_with(before, few) == target[test][few]).all()
    evidence.control("its own activation, put back, changes nothing", bool(unchanged))
    evidence.control("a map of shuffled pairs does not improve", found.shuffled < least)
    evidence.plot("transfer", found.plot)
    evidence.report(
        source_accuracy=found.source,
        target_accuracy=found.target,
        transfer_accuracy=found.transfer,
        relative_improvement=found.relative,
        mcnemar=found.mcnemar,
        gained=found.gained,
        lost=found.lost,
        headroom=found.headroom,
        map_r=found.map_r,
        taught_on=carry.n,
    )

    improved = evidence.measure("improvement", found.improvement) > least
    # Of what it gains, a disturbance of that kind may gain most; what the map carries lies beyond it.
    carried = evidence.measure("improvement beyond a map of shuffled pairs", found.beyond_shuffled) > 0
    verdict = worst([improved, carried])
    if verdict.outcome != "PASS":
        tried = f"a ridge map of {other_model.name} into {model.name}, both at depth {depth:g}, mixed in at {mix:g}"
        evidence.rows("negative result", [found.negative_result(tried, least)])
    assert verdict
