"""Position bias: does a preference depend on which task is named first?

Each pair is asked in both orders and the choice probabilities are exact; `--lab-set exact=false` has every answer
written instead. b = 1/2 ln(n_FF / n_SS) is free of how strong the preference is. The share of pairs that survive the
swap is not: it decides nothing, and stands here beside the share of answers that survive being asked again.
"""

import numpy as np

from lab.plugin import experiment
from lab.studies.preferences import position_bias


@experiment(
    id="POSITION",
    claim="Which task the model prefers does not depend on which is named first",
    phase="preferences",
    negative={
        "clinic-gpt2": "it was trained to favour the second-named by 0.8 logits",
        "clinic-gemma": "it was trained to favour the first-named by 0.8 logits",
    },
)
def test_no_position_bias(
    model,
    dataset,
    comparing,
    evidence,
    *,
    pool="clinic/tasks",
    n_tasks=40,
    n_pairs=400,
    wording="simple_preference",
    exact=True,
    samples=0,
    bound=0.25,
):
    tasks = dataset(pool).stratified(n_tasks, seed=evidence.seed, allow_short=True)
    pairs = comparing.design(tasks, n_pairs, seed=evidence.seed)
    asked = comparing.choose(model, tasks, pairs, wording, exact=exact, samples=samples, seed=evidence.seed)
    found = position_bias.bias(asked.p_first, answers=asked.answers, seed=evidence.seed)
    classes = position_bias.classes(asked.p_first, answers=asked.answers)

    if asked.exact:
        evidence.control("A or B is what the model would say", bool(np.mean(asked.on_letters) > 0.5))
    evidence.plot("content_and_position", found.plot)
    evidence.rows("choices", asked.rows())
    evidence.rows("win rates", position_bias.by_origin(asked.p_first, asked.of_origins))
    evidence.report(
        wording=wording,
        design=asked.design,
        outcomes=asked.counts,
        share_of_b=found.share_second,
        position_effect=found.position_effect,
        content_effect=found.content_effect,
        swap_consistency=found.swap_consistency,
        repeat_consistency=found.repeat_consistency,
        inconsistency_by_order=found.inconsistency,
        classes={name: classes.shares[name].value for name in position_bias.CLASSES},
        class_counts=classes.counts,
        fitted_position_term=position_bias.fit(asked.pairs, asked.p_first, items=len(tasks)).intercept,
    )

    assert evidence.measure("position bias b", found.bias).within(-bound, bound)
