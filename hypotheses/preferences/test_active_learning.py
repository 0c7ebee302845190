"""Active learning: can the ranking be learnt from a few well chosen pairs?

Pairs that are close in utility and were rarely asked come next, until the two halves of the answers agree beyond doubt,
or the rounds are used up. Then as many pairs chosen at random are asked, and new pairs tell which foretells more. An
interrupted loop goes on where it was: what a round found is in the journal before the next begins.
"""

from lab.estimate import worst
from lab.plugin import experiment
from lab.studies.preferences import active, utilities


@experiment(
    id="ACTIVE",
    claim="Active learning ends with utilities known to a rank correlation of 0.9 that foretell four new pairs in five",
    phase="preferences",
    negative={"untrained": "a twin with fresh weights has no ranking to learn"},
)
def test_active_learning_knows_when_to_stop(
    model,
    dataset,
    comparing,
    evidence,
    *,
    pool="clinic/tasks",
    n_tasks=12,
    wording="simple_preference",
    exact=True,
    samples=10,
    degree=3,
    batch=60,
    rounds=10,
    close=0.3,
    rare=0.3,
    stop="split-half",
    threshold=0.95,
    n_new=150,
    least=0.8,
    known=0.9,
):
    tasks = dataset(pool).stratified(n_tasks, seed=evidence.seed, allow_short=True)
    how = {"exact": exact, "samples": samples, "seed": evidence.seed}
    settings = active.Settings(
        degree,
        batch,
        rounds,
        close=close,
        rare=rare,
        stop=stop,
        threshold=threshold,
        samples=samples or 1,
        seed=evidence.seed,
    )
    learned = comparing.learn(model, tasks, settings, wording, name="close pairs", **how)
    rival = comparing.learn(model, tasks, utilities.at_random(settings, learned), wording, name="random pairs", **how)
    pairs = utilities.unasked([learned, rival], n_new, seed=evidence.seed)
    new = comparing.choose(model, tasks, pairs, wording, **how | {"samples": 0 if exact else samples})
    found = utilities.against(new, learned.fit, rival.fit, seed=evidence.seed)

    evidence.control("utilities dealt out to other tasks foretell nothing", found.shuffled.within(0.3, 0.7))
    evidence.plot("rounds", learned.plot)
    evidence.rows("rounds", [vars(one) for one in learned.state.rounds])
    evidence.rows("utilities", learned.fit.rows(tasks.ids))
    evidence.report(
        **learned.summary(),
        design=new.design,
        new_pairs=found.pairs,
        random_foretells=found.second,
        gain_over_random=found.difference,
        rank_correlation_with_random=found.rank_correlation,
    )

    foretold = evidence.measure("share of new pairs foretold", found.first)
    reached = evidence.measure("rank correlation with the truth, by split halves", learned.accuracy)
    assert worst([foretold > least, reached > known])
