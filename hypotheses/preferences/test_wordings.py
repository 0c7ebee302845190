"""Wordings: do several ways to ask for a preference measure the same thing?

The same pairs under each wording; utilities are correlated, plainly and with each task weighted by how well it is
known, and origins that change places between wordings are listed. Exact probabilities of a model that cannot read are
alike too, to a thousandth of one half, so that each wording has to move choices at all.
"""

from lab.estimate import worst
from lab.plugin import experiment
from lab.studies.preferences import position_bias, utilities
from lab.studies.preferences import wordings as ways


@experiment(
    id="WORDINGS",
    claim="All wordings measure one preference: each moves choices, and utilities of any two correlate above 0.7",
    phase="preferences",
    negative={"untrained": "a twin with fresh weights has no preference that a wording could measure"},
)
def test_wordings_measure_one_preference(
    model,
    dataset,
    comparing,
    evidence,
    *,
    pool="clinic/tasks",
    n_tasks=20,
    n_pairs=200,
    wordings=("simple_preference", "enjoy_most", "do_again", "prefer_completing"),
    exact=True,
    samples=0,
    l2=1.0,
    moves=0.05,
    least=0.7,
):
    tasks = dataset(pool).stratified(n_tasks, seed=evidence.seed, allow_short=True)
    pairs = comparing.design(tasks, n_pairs, seed=evidence.seed)
    runs = [
        comparing.choose(model, tasks, pairs, wording, exact=exact, samples=samples, seed=evidence.seed)
        for wording in wordings
    ]
    found = [utilities.utilities(run, l2=l2) for run in runs]
    scored = [each.scored for each in found]
    related = ways.correlations(scored, seed=evidence.seed)
    lowest = min(related, key=lambda pair: pair.pearson.value)
    effects = [position_bias.bias(run.p_first, answers=run.answers, seed=evidence.seed).content_effect for run in runs]

    evidence.plot("wordings", lambda ax: ways.plot(related, ax), size=(5.6, 3.8))
    evidence.rows("correlations", [pair.row() for pair in related])
    evidence.rows(
        "utility by origin",
        [{"wording": each.wording, **row} for each in scored for row in ways.origin_means(each.mu, each.origins)],
    )
    evidence.rows(
        "utilities",
        [
            {"wording": each.wording, **row}
            for each, fit in zip(scored, found, strict=True)
            for row in fit.fit.rows(tasks.ids)
        ],
    )
    evidence.report(
        design=runs[0].design,
        fitted_with=found[0].fitted_with,
        lowest={"first": lowest.first, "second": lowest.second, "weighted": lowest.weighted.value},
        spread={each.wording: float(each.mu.std(ddof=1)) for each in scored},
        flips=ways.flips(scored),
        converged=all(each.fit.converged for each in found),
    )

    moved = evidence.measure("least content effect of a wording", min(effects, key=lambda e: e.value))
    agreed = evidence.measure("lowest r of two wordings", runs[0].qualified(lowest.pearson))
    assert worst([moved > moves, agreed > least])
