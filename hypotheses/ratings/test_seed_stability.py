"""Seed stability: is a rating the task's, or the draw's?

One author does the tasks once; the model rates each of them under several seeds. The correlation of two seeds is the
share of a rating's variance that is the task's. Five templates are asked, and the claim is about the first of them:

    pytest hypotheses/ratings -k SEEDS --lab-sweep "templates=stated_1_5;likert_agreement" --lab-seeds 42,123,456

Ratings of a model whose probabilities are known take one pass a prompt, however many the seeds; of any other
`--lab-set exact=false` has every answer written. What is stated is set beside what is chosen between pairs of tasks,
seed by seed.
"""

import numpy as np

from lab.plugin import experiment
from lab.studies.ratings import stability


@experiment(
    id="SEEDS",
    claim="Under another seed the model rates tasks alike: more than a fifth of a rating's variance is the task's",
    phase="ratings",
    negative={"untrained": "a twin with fresh weights draws its ratings whatever the task is"},
)
def test_seeds_agree(
    model,
    dataset,
    asking,
    evidence,
    *,
    pool="clinic/tasks",
    n_tasks=30,
    author="clinic-llama",
    completion_seed=0,
    templates=("anchored_1_5", "stated_1_5", "qualitative_binary", "likert_qualitative", "likert_agreement"),
    seeds=(0, 1, 2, 3),
    exact=True,
    n_pairs=300,
):
    tasks = dataset(pool).stratified(n_tasks, seed=evidence.seed, allow_short=True)
    works = asking.works(asking.author(author), tasks, seed=completion_seed)
    runs = [asking.rate(model, tasks, name, works=works, seeds=seeds, exact=exact) for name in templates]
    found = [stability.stability(run, seed=evidence.seed) for run in runs]

    pairs = tasks.pairs(n_pairs, seed=evidence.seed)
    orders = [model.choose([tasks.choice(a, b) for a, b in each], ["A", "B"]) for each in (pairs, swapped(pairs))]
    p_first = np.stack([order.probabilities[:, 0] for order in orders], axis=1)
    revealed = stability.win_shares(pairs, p_first, items=len(tasks), seeds=seeds)
    matched = [stability.matched(run.values, revealed, seed=evidence.seed) for run in runs]

    evidence.plot("stability", lambda ax: stability.plot(found, ax), size=(5.6, 3.2))
    evidence.rows(
        "stability", [each.row() | {"stated and revealed": told(m)} for each, m in zip(found, matched, strict=True)]
    )
    evidence.report(
        author=author,
        overall=stability.overall(found),
        mean_r={each.ratings.asked.template: each.seeds.mean.value for each in found},
        without_the_mode=found[0].by_third,
        modal_share=found[0].modal_share,
        stated_and_revealed=matched[0].mean,
        stated_and_revealed_pairs=sum(len(m.pearson) - m.n_undefined for m in matched),
        stated_and_revealed_undefined=sum(m.n_undefined for m in matched),
        stated_and_revealed_mean_r=stability.mean(np.concatenate([m.pearson for m in matched])),
    )

    assert evidence.measure("mean r between seeds", found[0].seeds.mean) > 0.2


def swapped(pairs):
    return [(b, a) for a, b in pairs]


def told(matched):
    """Each seed's correlation of what is stated with what is revealed, and their mean."""
    return {
        "r": [stability.known(r) for r in matched.pearson],
        "mean": None if matched.mean.doubt else matched.mean.value,
    }
