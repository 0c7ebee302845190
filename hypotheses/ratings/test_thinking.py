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
    model,
    dataset,
    asking,
    evidence,
    *,
    pool="clinic/tasks",
    n_tasks=30,
    author="clinic-llama",
    completion_seed=0,
    template="anchored_precise_1_5",
    seeds=(0, 1, 2, 3),
    max_new_tokens=2048,
):
    thinker = asking.thinker(model)
    tasks = dataset(pool).stratified(n_tasks, seed=evidence.seed, allow_short=True)
    works = asking.works(asking.author(author), tasks, seed=completion_seed)
    direct, thinking = (
        asking.rate(
            thinker, tasks, template, works=works, seeds=seeds, exact=False, mode=mode, max_new_tokens=max_new_tokens
        )
        for mode in ("direct", "thinking")
    )
    found = discrimination.contrast(direct, thinking, seed=evidence.seed)
    each = {run.asked.mode: discrimination.discrimination(run, seed=evidence.seed) for run in (direct, thinking)}

    evidence.plot("direct_and_thinking", lambda ax: discrimination.plot_modes(each, ax))
    evidence.rows("modes", [of.row() | {"mode": mode} for mode, of in each.items()])
    evidence.report(
        author=author,
        tasks_in_both=found.n,
        kl_direct_less_thinking=found.kl,
        mean_direct_less_thinking=found.mean,
        r_direct_less_thinking=found.r,
        failures={mode: of.ratings.counts for mode, of in each.items()},
    )

    assert evidence.measure("ICC(2,1), direct less thinking", found.icc) > 0
