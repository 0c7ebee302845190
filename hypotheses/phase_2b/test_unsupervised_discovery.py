"""Phase 2B, second step: is what a model knows to be true found without a label?

Each report is read twice, with either answer behind it; contrast-consistent search looks for the direction
in which the two always disagree. A supervised probe on the same pairs says how much there is to find: it
reads the words of the untrained twin as well, which the search does not.
"""

import numpy as np

from lab.methods import unsupervised
from lab.plugin import experiment


@experiment(
    id="2B2",
    claim="Contrast-consistent search finds what is true, without labels, at 80 % of a supervised probe's accuracy",
    phase="phase-2b",
    needs=["PM2"],
    negative={"untrained": "a twin with fresh weights holds nothing to be true"},
)
def test_truth_is_found_without_labels(
    model,
    dataset,
    evidence,
    *,
    datasets=("clinic/histopathology", "clinic/radiology"),
    n_samples=500,
    depth=0.5,
    restarts=10,
):
    stated, better, methods, failed = [], [], [], []
    for name in datasets:
        asked = dataset(name).sample(n_samples, seed=evidence.seed)
        pairs, truth = unsupervised.contrast(asked.options, asked.key, seed=evidence.seed)
        one, other = (
            model.capture(
                [prompt + pair[side] for prompt, pair in zip(asked.prompts, pairs, strict=True)],
                at=model.resid_post(depth),
                position="last",
            ).array[:, 0]
            for side in (0, 1)
        )
        says = model.choose(asked.prompts, pairs).picked == 0
        long = np.array([len(prompt) for prompt in asked.prompts])
        found = unsupervised.ccs(
            one,
            other,
            truth,
            model_says=says,
            distractor=long > np.median(long),
            restarts=restarts,
            seed=evidence.seed,
        )

        evidence.plot(f"unsupervised_{name}", found.plot)
        methods += [{"set": name, **row} for row in found.rows()]
        evidence.report(
            **{
                f"model itself, {name}": float(np.mean(says == truth)),
                f"supervised, {name}": found.supervised.accuracy,
                f"CCS, {name}": found.ccs.accuracy,
                f"CCS best sign, {name}": found.ccs.accuracy_best_sign,
                f"PCA, {name}": found.pca.accuracy,
                f"random directions, AUROC, {name}": found.random.mean,
                f"random directions as good as CCS, p, {name}": found.random.p,
                f"ratio above chance, {name}": found.ratio_above_chance,
                f"distractor (long texts), AUROC, {name}": found.distractor,
            }
        )
        stated.append(evidence.measure(f"accuracy over the supervised probe's, {name}", found.ratio) > 0.8)
        # The rule alone is no bar: a coin has more than 80 % of the accuracy of a probe that is right in 60 %.
        better.append(evidence.measure(f"accuracy, sign told by the model, {name}", found.ccs.accuracy) > 0.6)
        if "FAIL" in (stated[-1].outcome, better[-1].outcome):
            tried = f"CCS with {restarts} restarts on {name}, at depth {depth:g} of {model.name}"
            failed.append(found.negative_result(tried))

    evidence.rows("unsupervised", methods)
    if failed:
        evidence.rows("negative result", failed)
    # Of every set, where it is of the worst; and of none, where one refutes it.
    assert min(stated + better, key=lambda verdict: (verdict.outcome != "FAIL", verdict.estimate.low))
