"""Position bias: does a preference depend on which task is named first?

Each pair is asked in both orders and the choice probabilities are exact. b = 1/2 ln(n_FF / n_SS) is
free of how strong the preference is; the share of pairs that survive the swap is not, and decides
nothing here.
"""

import numpy as np

from lab.methods import position
from lab.plugin import experiment


@experiment(
    id="POSITION",
    claim="Which task the model prefers does not depend on which is named first",
    phase="preferences",
    negative={
        "clinic-gpt2": "it was trained to favour the second-named by 0.8 logits",
        "clinic-gemma": "it was trained to favour the first-named by 0.8 logits",
    },
)
def test_no_position_bias(model, tasks, evidence, *, n_pairs=400, bound=0.25):
    pairs = tasks.pairs(n_pairs, seed=evidence.seed)
    orders = [
        model.choose([tasks.choice(a, b) for a, b in both], ["A", "B"]) for both in (pairs, [(b, a) for a, b in pairs])
    ]
    p_first = np.stack([order.probabilities[:, 0] for order in orders], axis=1)
    found = position.bias(p_first, seed=evidence.seed)
    harmful = position.win_rates(p_first, [[tasks.origins[task] == "harmful" for task in pair] for pair in pairs])
    utilities = position.fit(pairs, p_first, items=len(tasks))

    evidence.control("A or B is what the model would say", answers_a_or_b(orders))
    evidence.plot("content_and_position", found.plot)
    evidence.report(
        share_of_b=found.share_second,
        position_effect=found.position_effect,
        content_effect=found.content_effect,
        swap_consistency=found.swap_consistency,
        harmful_in_a=harmful.in_first,
        harmful_in_b=harmful.in_second,
        harmful_expected_from_position=harmful.expected,
        harmful_excess=harmful.excess,
        harmful_balanced=harmful.balanced,
        fitted_position_term=utilities.intercept,
    )

    assert evidence.measure("position bias b", found.bias).within(-bound, bound)


def answers_a_or_b(orders):
    """Whether the two letters hold at least half of the model's probability, on average."""
    return bool(np.mean([np.exp(order.logprobs).sum(1).mean() for order in orders]) > 0.5)
