"""Utilities: do choices between pairs come from one scale?

Thurstone's model is fitted to pairs in both orders with a term for position, and Bradley and Terry's beside it.
`n_pairs=all` compares every task with every other; fewer pairs are spread so that each task is in as many. Whole pairs
are held out: a scale that is there foretells them better than the two places alone do.
"""

from lab.plugin import experiment
from lab.studies.preferences import page_results


@experiment(
    id="UTILITIES",
    claim="Utilities foretell choices between pairs that they have not seen, by over 0.05 nats an answer",
    phase="preferences",
    negative={"untrained": "a twin with fresh weights has no preferences"},
)
def test_utilities_foretell_new_pairs(model, choosing, evidence, *, wording="simple_preference", folds=5, shown=10):
    result = page_results.one_scale(choosing(model, wording), folds=folds, shown=shown, seed=evidence.seed)

    evidence.keep(result)

    assert evidence.measure("held-out gain over position", result.tested.gain) > 0.05
