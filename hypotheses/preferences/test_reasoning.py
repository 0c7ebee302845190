"""Reasoning first: is position without effect on a choice that is given after a reason?

The same pairs in both orders, once with the letter at once and once with a reason before it, which has to be written.
Some pairs are asked many times over, in either order, as one would to look at a single surprising choice.
"""

from lab.plugin import experiment
from lab.studies.preferences import position_bias


@experiment(
    id="REASONING",
    claim="A reason first leaves position without effect: P(first-named) is within 0.1 of one half",
    phase="preferences",
)
def test_reasoned_choices_owe_nothing_to_the_order(
    model,
    dataset,
    comparing,
    judges,
    evidence,
    *,
    pool="clinic/tasks",
    n_tasks=40,
    n_pairs=100,
    wording="simple_preference",
    exact=True,
    samples=4,
    replicated=2,
    repeats=20,
    temperature=1.0,
    max_new_tokens=128,
    judge="offline",
    bound=0.1,
):
    tasks = dataset(pool).stratified(n_tasks, seed=evidence.seed, allow_short=True)
    pairs = comparing.design(tasks, n_pairs, seed=evidence.seed)
    written = {"exact": False, "judge": judges(judge), "temperature": temperature, "seed": evidence.seed}
    reasoned = comparing.choose(
        model, tasks, pairs, wording, mode="reasoning", samples=samples, max_new_tokens=max_new_tokens, **written
    )
    evidence.control("nine reasons of ten end in a choice", reasoned.answered > 0.9)
    how = {"exact": True} if exact else {"samples": samples, **written}
    direct = comparing.choose(model, tasks, pairs, wording, **how)
    again = comparing.choose(model, tasks, pairs[:replicated], wording, samples=repeats, **written)
    before, after = (position_bias.bias(run.p_first, answers=run.answers, seed=evidence.seed) for run in (direct, reasoned))
    changed = position_bias.contrast(direct.p_first, reasoned.p_first, seed=evidence.seed)

    evidence.rows("replications", position_bias.replications(again.tasks, again.pairs, again.outcomes))
    evidence.report(
        design=reasoned.design,
        outcomes=reasoned.counts,
        direct_position_effect=before.position_effect,
        direct_b=before.bias,
        reasoned_b=after.bias,
        direct_less_reasoned_share_of_b=changed.share_second,
        direct_less_reasoned_b=changed.bias,
        direct_content_effect=before.content_effect,
        reasoned_content_effect=after.content_effect,
    )

    assert evidence.measure("position effect after a reason", after.position_effect).within(-bound, bound)
