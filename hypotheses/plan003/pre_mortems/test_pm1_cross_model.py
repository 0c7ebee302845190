"""Pre-mortem 1: do two models hold the same information about the same texts?

The texts ask about one patient each, and a patient is in the training or in the held-out part, never
in both. A map can therefore not win by remembering words: on the untrained twin it finds nothing.
"""

from lab.estimate import Bar
from lab.plugin import experiment
from lab.studies.activations import similarity


@experiment(
    id="PM1",
    claim="A linear map carries what one model knows of a text to another model",
    phase="pre-mortems",
    negative={"untrained": "a twin with fresh weights knows nothing to share"},
)
def test_models_share_structure(
    model, other_model, questions, evidence, *, n_samples=4800, depth=0.75, position="last", alpha=1.0
):
    asked = questions.sample(n_samples, seed=evidence.seed)
    first = model.capture(asked.prompts, at=model.resid_post(depth), position=position)
    second = other_model.capture(asked.prompts, at=other_model.resid_post(depth), position=position)
    found = similarity.ridge_correlation(
        first.array[:, 0],
        second.array[:, 0],
        groups=asked.subject,
        within=asked.form,
        alpha=alpha,
        seed=evidence.seed,
    )

    evidence.control("shuffled pairing carries no map", found.shuffled.within(-0.1, 0.1))
    evidence.plot("cross_model_r", found.plot)
    evidence.report(
        forward=found.forward, backward=found.backward, null_95=found.null_95, constant_dims=found.constant_dims
    )

    assert evidence.measure("mean r", found.r) > Bar(passes=0.3, fails=0.1)
    assert evidence.measure("r over the null's 95th percentile", found.excess) > 0
