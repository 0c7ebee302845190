"""Reasoning first: is position without effect on a choice that is given after a reason?

The same pairs in both orders, once with the letter at once and once with a reason before it, which has to be written.
Some pairs are asked many times over, in either order, as one would to look at a single surprising choice.
"""

from lab.plugin import experiment
from lab.studies.preferences import page_results


@experiment(
    id="REASONING",
    claim="A reason first leaves position without effect: P(first-named) is within 0.1 of one half",
    phase="preferences",
)
def test_reasoned_choices_owe_nothing_to_the_order(
    model,
    choosing,
    judges,
    evidence,
    *,
    n_pairs=100,
    wording="simple_preference",
    samples=4,
    replicated=2,
    repeats=20,
    temperature=1.0,
    max_new_tokens=128,
    judge="offline",
):
    written = {"exact": False, "judge": judges(judge), "temperature": temperature}
    reasoned = choosing(model, wording, mode="reasoning", max_new_tokens=max_new_tokens, **written)
    evidence.control("nine reasons of ten end in a choice", reasoned.answered > 0.9)
    # Of probabilities nothing is drawn, so that they have no seed.
    direct = choosing(model, wording, **({"samples": 0, "seed": 0} if choosing.exact else written))
    again = choosing(model, wording, pairs=choosing.pairs[:replicated], **written | {"samples": repeats})
    result = page_results.reasoned(direct, reasoned, again, seed=evidence.seed)

    evidence.keep(result)

    assert evidence.measure("position effect after a reason", result.after.position_effect).within(-0.1, 0.1)
