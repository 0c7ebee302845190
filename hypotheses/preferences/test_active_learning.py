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
    task_sample,
    comparing,
    evidence,
    *,
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
):
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
    learned = comparing.learn(model, task_sample, settings, wording, name="close pairs", **how)
    at_random = utilities.at_random(settings, learned)
    rival = comparing.learn(model, task_sample, at_random, wording, name="random pairs", **how)
    pairs = utilities.unasked([learned, rival], n_new, seed=evidence.seed)
    new = comparing.choose(model, task_sample, pairs, wording, **how | {"samples": 0 if exact else samples})
    result = utilities.against(new, learned.fit, rival.fit, seed=evidence.seed)

    evidence.control("utilities dealt out to other tasks foretell nothing", result.shuffled.within(0.3, 0.7))
    evidence.keep(learned)
    evidence.keep(result)

    foretold = evidence.measure("share of new pairs foretold", result.first)
    reached = evidence.measure("rank correlation with the truth, by split halves", learned.accuracy)
    assert worst([foretold > 0.8, reached > 0.9])
