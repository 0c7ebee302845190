"""Wordings: do several ways to ask for a preference measure the same thing?

The same pairs under each wording; utilities are correlated, plainly and with each task weighted by how well it is
known, and origins that change places between wordings are listed. Exact probabilities of a model that cannot read are
alike too, to a thousandth of one half, so that each wording has to move choices at all.
"""

from lab.estimate import worst
from lab.plugin import experiment
from lab.studies.preferences import page_results


@experiment(
    id="WORDINGS",
    claim="All wordings measure one preference: each moves choices, and utilities of any two correlate above 0.7",
    phase="preferences",
    negative={"untrained": "a twin with fresh weights has no preference that a wording could measure"},
)
def test_wordings_measure_one_preference(
    model,
    choosing,
    evidence,
    *,
    n_tasks=20,
    n_pairs=200,
    wordings=("simple_preference", "enjoy_most", "do_again", "prefer_completing"),
    l2=1.0,
):
    runs = [choosing(model, wording) for wording in wordings]
    result = page_results.by_wording(runs, l2=l2, seed=evidence.seed)

    evidence.keep(result)

    moved = evidence.measure("least content effect of a wording", result.least_moved)
    agreed = evidence.measure("lowest r of two wordings", result.lowest)
    assert worst([moved > 0.05, agreed > 0.7])
