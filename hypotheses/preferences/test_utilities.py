"""Utilities: do choices between pairs come from one scale?

Thurstone's model is fitted to pairs in both orders with a term for position, and Bradley and Terry's beside it.
`n_pairs=all` compares every task with every other; fewer pairs are spread so that each task is in as many. Whole pairs
are held out: a scale that is there foretells them better than the two places alone do.
"""

from lab.plugin import experiment
from lab.studies.preferences import regularisation, utilities, wordings


@experiment(
    id="UTILITIES",
    claim="Utilities foretell choices between pairs that they have not seen, by over 0.05 nats an answer",
    phase="preferences",
    negative={"untrained": "a twin with fresh weights has no preferences"},
)
def test_utilities_foretell_new_pairs(
    model,
    dataset,
    comparing,
    evidence,
    *,
    pool="clinic/tasks",
    n_tasks=40,
    n_pairs=400,
    wording="simple_preference",
    exact=True,
    samples=0,
    folds=5,
    shown=10,
):
    tasks = dataset(pool).stratified(n_tasks, seed=evidence.seed, allow_short=True)
    pairs = comparing.design(tasks, n_pairs, seed=evidence.seed)
    asked = comparing.choose(model, tasks, pairs, wording, exact=exact, samples=samples, seed=evidence.seed)
    found = utilities.utilities(asked)
    tested = utilities.foretold(asked.counted, l2=found.l2, folds=folds, seed=evidence.seed)
    ranked = found.ranked(tasks.texts)
    top, bottom = utilities.extremes(ranked, shown)

    evidence.plot("utilities", found.plot, size=(6.4, 3.6))
    evidence.rows("utilities", ranked)
    evidence.rows("utility by origin", wordings.origin_means(found.fit.mu, tasks.origins))
    evidence.rows(
        "most and least preferred",
        [{"end": end, **row} for end, of in (("top", top), ("bottom", bottom)) for row in of],
    )
    evidence.rows(
        "regularisation", regularisation.study(asked.counted, name=model.name, position=True, folds=folds).rows()
    )
    evidence.report(
        wording=wording,
        **found.summary(),
        held_out_nll=tested.held_out.nll,
        held_out_accuracy=tested.held_out.accuracy,
        held_out_ties=tested.held_out.ties,
    )

    gain = asked.qualified(tested.gain)
    assert evidence.measure("held-out gain over position", gain) > 0.05
