"""Phase 2C: from which layer on does the last token's activation carry the answer?

At each layer in turn the residual stream of a clean prompt goes into a corrupted one, at the last token. The
effect is the logit difference of the two answers, 0 as in the corrupted run and 1 as in the clean one. After the
last layer it is 1 by construction, so that layer is a control and no finding; the strongest of the others was
searched for, so its interval holds for all layers at once. No two pairs ask of the same subject.
"""

from lab.plugin import experiment
from lab.studies.activations import patching


@experiment(
    id="2C1",
    claim="Before its last layer, one layer's activation restores more than half of the clean answer",
    phase="phase-2c",
    needs=["PM3"],
    negative={"untrained": "a twin with fresh weights has no answer to restore"},
)
def test_one_layer_carries_the_answer(model, fact_pairs, evidence, *, n_samples=50, point="resid_post"):
    pairs = fact_pairs.disjoint(n_samples, seed=evidence.seed)
    answers = tuple(
        patching.first_tokens(model.tokenizer, pairs.clean, these) for these in (pairs.clean_answers, pairs.answers)
    )
    swept = model.patch_sweep(pairs.clean, pairs.corrupted, point, answers=answers)
    own = model.patch_sweep(pairs.corrupted, pairs.corrupted, point, answers=answers)

    found = patching.recovery_by_layer(
        swept.clean,
        swept.baseline,
        swept.logit_diff[:, 0],
        own.logit_diff[:, 0],
        but_last=point == "resid_post",
        seed=evidence.seed,
    )

    evidence.control("each prompt's own activation changes nothing", found.identity < 1e-3)
    if point == "resid_post":
        evidence.control("the last layer's activation is the clean run", found.end < 1e-3)
    evidence.plot("effect_by_layer", found.plot)
    evidence.rows("effect by layer", found.layers.rows())
    evidence.report(
        strongest_layer=found.searched.strongest,
        layers_not_told_from_it=list(found.searched.rivals),
        clean=found.clean,
        corrupted=found.corrupted,
        recovered=found.recovered,
    )

    gap = evidence.measure("logit difference, clean less corrupted", found.gap)
    best = evidence.measure("effect at the strongest layer", found.strongest)
    assert gap > 1
    assert best > 0.5
