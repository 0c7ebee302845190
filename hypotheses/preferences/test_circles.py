"""Circles: do choices between two hang together?

Whoever likes one task better than a second, and the second better than a third, should like the first better than the
third. Each of 30 tasks is compared with every other, in both orders, and the measure is how likely three independent
choices are to go in a circle, on average over all triples. Coins do so once in four, and so does a model that leans to
a place or hardly prefers anything. The bar is a fifth below that: three tasks in one order, each preferred to every
later one as 72 to 28.
"""

from lab.plugin import experiment
from lab.studies.preferences import page_results


@experiment(
    id="CIRCLES",
    claim="Choices hang together: three of them go in a circle with a probability below 0.2, where coins have 0.25",
    phase="preferences",
    negative={"untrained": "a twin with fresh weights chooses as a coin does"},
)
def test_choices_hang_together(model, choosing, evidence, *, n_tasks=6, n_pairs=435, wording="simple_preference"):
    result = page_results.circles(choosing(model, wording), seed=evidence.seed)

    evidence.control("choices dealt out to other pairs are coins", result.dealt.soft.within(0.2, 0.3))
    evidence.keep(result)

    assert evidence.measure("probability of a circle", result.found.soft) < 0.2
