"""Phase 2B, first step: are a model's errors predicted on every data set, and by one and the same direction?

On each data set a probe is judged out of fold; a probe taught on all of one is then tested on each of the
others.
"""

from lab.estimate import worst
from lab.plugin import experiment
from lab.studies.activations import probing


@experiment(
    id="2B1",
    claim="A linear probe on mid-depth activations predicts the model's own errors on every data set",
    phase="phase-2b",
    needs=["PM2"],
    negative={
        "untrained": "a twin with fresh weights guesses, and cannot know when",
        "clinic-shuffled": "it was told the facts of other patients, and is right by chance alone",
    },
)
def test_errors_are_predictable_everywhere(
    model,
    dataset,
    evidence,
    *,
    datasets=("clinic/hellaswag", "clinic/truthfulqa", "clinic/mmlu"),
    n_samples=1200,
    depth=0.5,
    folds=5,
):
    sets, probes, right = {}, {}, {}
    for name in datasets:
        asked = dataset(name).spelled.sample(n_samples, seed=evidence.seed)
        wrong = model.choose(asked.prompts, asked.options).picked != asked.key
        resid = model.capture(asked.prompts, at=model.resid_post(depth), position="last").array[:, 0]
        sets[name], right[name] = (resid, wrong, asked.subject), 1 - wrong.mean()
        probes[name] = probing.logistic(*sets[name][:2], groups=asked.subject, folds=folds, seed=evidence.seed)
    across = probing.transfer(sets, folds=folds, seed=evidence.seed)

    for name, probe in probes.items():
        evidence.control(f"shuffled labels carry no signal, {name}", probe.shuffled.auroc.within(0.4, 0.6))
    evidence.plot("transfer_between_sets", across.plot)
    evidence.rows("transfer", across.rows())
    evidence.rows("roc", [row for name, probe in probes.items() for row in probe.roc_rows(name)])
    evidence.rows(
        "data sets",
        [
            {
                "set": name,
                "n": len(probe.labels),
                "answered_right": right[name],
                "accuracy": probe.accuracy.value,
                "balanced_accuracy": probe.balanced_accuracy.value,
                "auroc": probe.auroc.value,
                "auroc_low": probe.auroc.low,
                "auroc_high": probe.auroc.high,
                "base_rate": probe.base_rate,
            }
            for name, probe in probes.items()
        ],
    )
    evidence.report(**{f"accuracy, {name}": probe.accuracy for name, probe in probes.items()})

    verdicts = [evidence.measure(f"AUROC, {name}", probe.auroc) > 0.55 for name, probe in probes.items()]
    assert worst(verdicts)
