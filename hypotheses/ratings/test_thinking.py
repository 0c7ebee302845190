"""Thinking: are ratings that a model thinks about less alike from seed to seed than those it gives at once?

The same model rates the same works in both modes of its chat template (`enable_thinking`), on one template and under
the same seeds. Only tasks that it rated under every seed in both modes are compared; a thought that is cut off is a
failure, and counted. A model without a thinking mode is skipped.
"""

from lab.plugin import experiment
from lab.studies.ratings import discrimination


@experiment(
    id="THINKING",
    claim="Ratings given at once are more reliable than those that the model thinks about first",
    phase="ratings",
)
def test_thinking_makes_ratings_less_reliable(
    model, asking, done, evidence, *, template="anchored_precise_1_5", seeds=(0, 1, 2, 3), max_new_tokens=2048
):
    thinker = asking.thinker(model)
    how = {"seeds": seeds, "exact": False, "max_new_tokens": max_new_tokens}
    direct, thinking = (done.rate(thinker, template, mode=mode, **how) for mode in ("direct", "thinking"))
    found = discrimination.modes(direct, thinking, seed=evidence.seed)

    evidence.keep(found)

    assert evidence.measure("ICC(2,1), direct less thinking", found.difference.icc) > 0
