"""Pre-mortem 2: do a model's activations know that its answer is wrong?

Judged by AUROC, which owes nothing to the base rate: on a base rate of 25 % an accuracy above 0.55 is
what pure noise gets. A patient's questions stay in one fold.

First, middle and last layer under three poolings, each under three seeds:

    pytest hypotheses -k PM2 --lab-sweep depth=0,0.5,1.0 --lab-sweep position=mean,last,attention --lab-seeds 42,123,456
"""

from lab.estimate import Bar
from lab.plugin import experiment
from lab.stats import health
from lab.studies.activations import probing


@experiment(
    id="PM2",
    claim="A linear probe on mid-depth activations predicts the model's own errors",
    phase="pre-mortems",
    negative={
        "untrained": "a twin with fresh weights guesses, and cannot know when",
        "clinic-shuffled": "it was told the facts of other patients, and is right by chance alone",
    },
)
def test_errors_are_predictable(model, questions, evidence, *, n_samples=4800, depth=0.5, position="last", folds=5):
    asked = questions.sample(n_samples, seed=evidence.seed)
    evidence.health(
        health.no_duplicates(asked.prompts, "questions"),
        health.enough("AUROC", n=len(set(asked.subject)), bar=0.55, expected=0.65, base_rate=0.25, out_of_fold=True),
    )
    answers = model.choose(asked.prompts, asked.options)  # exact option probabilities, nothing sampled
    wrong = answers.picked != asked.key
    resid = model.capture(asked.prompts, at=model.resid_post(depth), position=position)
    probe = probing.logistic(resid.array[:, 0], wrong, groups=asked.subject, folds=folds, seed=evidence.seed)

    evidence.control("shuffled labels carry no signal", probe.shuffled.auroc.within(0.45, 0.55))
    evidence.plot("error_prediction_roc", probe.plot_roc)
    evidence.rows("roc", probe.roc_rows("questions"))
    evidence.report(
        accuracy=probe.accuracy,
        balanced=probe.balanced_accuracy,
        base_rate=probe.base_rate,
        answered_right=1 - wrong.mean(),
        plan_rule=(probe.balanced_accuracy > Bar(passes=0.55, fails=0.52)).point,
    )

    assert evidence.measure("AUROC", probe.auroc) > 0.55
