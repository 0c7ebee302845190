"""Phase 2C: does a direction in the residual stream change how a model answers, and what else does it change?

The direction is the difference of means between requests in a manner (hostile, polite) and the same requests put
plainly, read where the model has begun to answer. On tasks that had no part in it, it is added to plain requests at
that one token. A random direction of its length changes answers too, so the claim is about what lies beyond the
strongest of several. Beside it stands what the same edit does to neutral texts and to questions about facts.
"""

from lab.plugin import experiment
from lab.stats import health

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
    evidence.health(health.no_duplicates(trial.asked, "requests"))
    edited = trial.edited(scorers("toxicity", scorer), questions, randoms=randoms, seed=evidence.seed)

    evidence.keep(edited)
    evidence.control("adding nothing changes nothing", trial.say(0 * trial.direction) == trial.say())
    change = evidence.measure("change in toxicity", edited.effect.change)
    beyond = evidence.measure("change in toxicity beyond random directions", edited.effect.excess)
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
    evidence.health(health.no_duplicates(trial.asked, "requests"))
    edited = trial.edited(scorers("formality", scorer), questions, randoms=randoms, seed=evidence.seed)

    evidence.keep(edited)
    evidence.control("adding nothing changes nothing", trial.say(0 * trial.direction) == trial.say())
    change = evidence.measure("change in formality", edited.effect.change)
    beyond = evidence.measure("change in formality beyond random directions", edited.effect.excess)
    assert change > 0.1
    assert beyond > 0.1
