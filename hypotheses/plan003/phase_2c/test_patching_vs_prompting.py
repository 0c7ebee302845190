"""Phase 2C: does editing activations do what asking for it in the prompt does, and at which price?

The same tasks, the same scorer. One way adds a direction to plain requests; the other asks in the manner that is
wanted. Both changes are paired by task. The direction is found once, on other tasks; what that costs stands beside
what each batch of answers costs, as passes, tokens and seconds. Side effects are those on neutral texts and on
questions: of the direction added to them, and of a request in that manner before them, held against a plain one.
"""

from lab.plugin import experiment
from lab.plugin.costs import counted
from lab.stats import health
from lab.studies.shared import steering

MANNERS = {"toxicity": "hostile", "formality": "polite"}


@experiment(
    id="2C4",
    claim="Adding a direction changes the answers, and by no more than 0.2 less than asking for it in the prompt does",
    phase="phase-2c",
    needs=["PM3"],
    negative={"untrained": "a twin with fresh weights has no manner of speaking"},
)
def test_steering_does_what_asking_does(
    model,
    requests,
    questions,
    scorers,
    evidence,
    *,
    behaviour="toxicity",
    n_samples=100,
    depth=0.5,
    strength=1.0,
    scorer="lexicon",
):
    score, manner, site = scorers(behaviour, scorer), MANNERS[behaviour], model.resid_post(depth)
    with counted() as finding:
        trial = requests.trial(model, manner, at=site, n=n_samples, strength=strength, seed=evidence.seed)
    evidence.health(health.no_duplicates(trial.asked, "requests"))
    plain = score(trial.say())
    with counted() as steering_cost:
        steered = score(trial.say(trial.direction, requests.begun(model, trial.tasks)))
    with counted() as asking_cost:
        asked = score(trial.say(begun=requests.begun(model, trial.tasks, manner)))
    found = steering.against(plain, steered, asked, names=("steering", "asking"), seed=evidence.seed)
    facts = questions.sample(n_samples, seed=evidence.seed)
    harm = [trial.side_effects(facts, how) for how in (None, manner)]
    rows = [
        way | vars(cost) | side.row
        for way, cost, side in zip(found.rows(), (steering_cost, asking_cost), harm, strict=True)
    ]

    evidence.plot("steering_against_asking", found.plot)
    evidence.rows("patching against prompting", [*rows, {"way": "finding the direction, once"} | vars(finding)])
    evidence.report(scorer=score.name, asking=found.second, **vars(harm[0]))

    change = evidence.measure("change by steering", found.first)
    behind = evidence.measure("steering less asking", found.difference)
    assert change > 0.1
    assert behind > -0.2
