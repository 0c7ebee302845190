"""Phase 2B, third step: is a model right more often where a probe on its activations lets it decline?

The probe gives each question the probability that the model will be right, out of fold; below the threshold
the model declines. Declining as many at random would improve nothing on average, and that is the null.
"""

from lab.estimate import worst
from lab.plugin import experiment
from lab.studies.activations import abstention, probing


@experiment(
    id="2B3",
    claim="Declining where a probe expects an error makes the remaining answers right more often",
    phase="phase-2b",
    needs=["PM2"],
    negative={
        "untrained": "a twin with fresh weights guesses, and cannot know when",
        "clinic-shuffled": "it was told the facts of other patients, and is right by chance alone",
    },
)
def test_abstention_improves(
    model, questions, dataset, evidence, *, task="questions", n_samples=4800, abstention_threshold=0.3, depth=0.5
):
    every = questions if task == "questions" else dataset(task).spelled
    asked = every.sample(n_samples, seed=evidence.seed)
    right = model.choose(asked.prompts, asked.options).picked == asked.key
    resid = model.capture(asked.prompts, at=model.resid_post(depth), position="last").array[:, 0]
    probe = probing.logistic(resid, right, groups=asked.subject, seed=evidence.seed)
    found = abstention.abstain(
        probe.probabilities,
        right,
        threshold=abstention_threshold,
        groups=asked.subject,
        out_of_fold=True,
        seed=evidence.seed,
    )

    evidence.control("shuffled labels carry no signal", probe.shuffled.auroc.within(0.45, 0.55))
    evidence.plot("risk_coverage", found.plot)
    evidence.rows("risk coverage", found.curve.rows())
    evidence.report(
        coverage=found.coverage,
        accuracy=found.accuracy,
        effective_accuracy=found.effective_accuracy,
        aurc=found.curve.aurc,
        random_aurc=found.curve.error,
        oracle_aurc=found.curve.oracle_aurc,
        calibration_error=probe.ece.ece,
    )

    better = evidence.measure("improvement over random abstention", found.improvement) > 0
    ordered = evidence.measure("AURC below that of random abstention", found.aurc_gain) > 0.05
    assert worst([better, ordered])  # the second also where the threshold declines nothing, or everything
