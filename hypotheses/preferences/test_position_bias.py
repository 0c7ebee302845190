"""Position bias: does a preference depend on which task is named first?

Each pair is asked in both orders and the choice probabilities are exact; `--lab-set exact=false` has every answer
written instead. b = 1/2 ln(n_FF / n_SS) is free of how strong the preference is. The share of pairs that survive the
swap is not: it decides nothing, and stands here beside the share of answers that survive being asked again.
"""

import numpy as np

from lab.plugin import experiment
from lab.studies.preferences import page_results


@experiment(
    id="POSITION",
    claim="Which task the model prefers does not depend on which is named first",
    phase="preferences",
    negative={
        "clinic-gpt2": "it was trained to favour the second-named by 0.8 logits",
        "clinic-gemma": "it was trained to favour the first-named by 0.8 logits",
    },
)
def test_no_position_bias(model, choosing, evidence, *, wording="simple_preference"):
    choices = choosing(model, wording)
    result = page_results.by_place(choices, seed=evidence.seed)

    if choices.exact:
        evidence.control("A or B is what the model would say", bool(np.mean(choices.on_letters) > 0.5))
    evidence.keep(result)

    assert evidence.measure("position bias b", result.bias.bias).within(-0.25, 0.25)
