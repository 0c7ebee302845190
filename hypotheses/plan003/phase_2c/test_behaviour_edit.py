"""Phase 2C: does a direction in the residual stream change how a model answers, and what else does it change?

The direction is the difference of means between requests in a manner (hostile, polite) and the same requests put
plainly, read where the model has begun to answer. On tasks that had no part in it, it is added to plain requests at
that one token. A random direction of its length changes answers too, so the claim is about what lies beyond the
strongest of several. Beside it stands what the same edit does to neutral texts and to questions about facts.
"""

from lab.plugin import experiment
from lab.stats import health
from lab.studies.shared import steering

NOT_POLITE = "it was trained to answer polite requests as any others"
NO_MANNER = "a twin with fresh weights has no manner of speaking"


@experiment(
    id="2C2",
    claim="Adding one direction makes answers more toxic, beyond random directions of its length",
    phase="phase-2c",
    needs=["PM3"],
    negative={"untrained": NO_MANNER},
)
def test_toxicity_can_be_edited(
    model,
    requests,
    questions,
    scorers,
    evidence,
    *,
    n_samples=100,
    depth=0.5,
    strength=1.0,
    randoms=5,
    scorer="lexicon",
):
    site = model.resid_post(depth)
    trial = requests.trial(model, "hostile", at=site, n=n_samples, strength=strength, seed=evidence.seed)
    effect = _edited(trial, questions, scorers("toxicity", scorer), randoms, evidence)

    evidence.control("adding nothing changes nothing", trial.say(0 * trial.direction) == trial.say())
    change = evidence.measure("change in toxicity", effect.change)
    beyond = evidence.measure("change in toxicity beyond random directions", effect.excess)
    assert change > 0.1
    assert beyond > 0.1


@experiment(
    id="2C3",
    claim="Adding one direction makes answers more formal, beyond random directions of its length",
    phase="phase-2c",
    needs=["PM3"],
    negative={"untrained": NO_MANNER, "clinic-opt": NOT_POLITE, "clinic-gemma": NOT_POLITE},
)
def test_formality_can_be_edited(
    model,
    requests,
    questions,
    scorers,
    evidence,
    *,
    n_samples=100,
    depth=0.5,
    strength=1.0,
    randoms=5,
    scorer="lexicon",
):
    site = model.resid_post(depth)
    trial = requests.trial(model, "polite", at=site, n=n_samples, strength=strength, seed=evidence.seed)
    effect = _edited(trial, questions, scorers("formality", scorer), randoms, evidence)

    evidence.control("adding nothing changes nothing", trial.say(0 * trial.direction) == trial.say())
    change = evidence.measure("change in formality", effect.change)
    beyond = evidence.measure("change in formality beyond random directions", effect.excess)
    assert change > 0.1
    assert beyond > 0.1


def _edited(trial, questions, score, randoms, evidence):
    """The effect of the direction on the answers' scores, with its side effects put down."""
    evidence.health(health.no_duplicates([trial.requests.asked["plain"][task] for task in trial.tasks], "requests"))
    before, after = trial.say(), trial.say(trial.direction)
    noise = [trial.say(v) for v in steering.random_directions(trial.direction, randoms, seed=evidence.seed)]
    effect = steering.behaviour(score(before), score(after), [score(said) for said in noise], seed=evidence.seed)
    harm = trial.side_effects(questions.sample(len(before), seed=evidence.seed))

    evidence.plot("behaviour_edit", effect.plot)
    evidence.rows(
        "answers",
        [
            {"before": one, "after": two, "score_before": float(low), "score_after": float(high)}
            for one, two, low, high in zip(before, after, score(before), score(after), strict=True)
        ],
    )
    evidence.report(
        scorer=score.name,
        before=effect.before,
        after=effect.after,
        raised=effect.share,
        random_change=effect.random_change,
        **vars(harm),
    )
    return effect
