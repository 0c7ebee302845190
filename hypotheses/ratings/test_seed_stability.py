"""Seed stability: is a rating the task's, or the draw's?

One author does the tasks once; the model rates each of them under several seeds. The correlation of two seeds is the
share of a rating's variance that is the task's. Five templates are asked, and the claim is about the first of them:

    pytest hypotheses/ratings -k SEEDS --lab-sweep "templates=stated_1_5;likert_agreement" --lab-seeds 42,123,456

Ratings of a model whose probabilities are known take one pass a prompt, however many the seeds; of any other
`--lab-set exact=false` has every answer written. What is stated is set beside what is chosen between pairs of tasks,
seed by seed.
"""

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
    done,
    rated,
    evidence,
    *,
    templates=("anchored_1_5", "stated_1_5", "qualitative_binary", "likert_qualitative", "likert_agreement"),
    n_pairs=300,
):
    runs = rated(model, *templates)
    pairs = done.tasks.pairs(n_pairs, seed=evidence.seed)
    found = stability.across_seeds(runs, pairs, done.first_chosen(model, pairs), seed=evidence.seed)

    evidence.keep(found)

    assert evidence.measure("mean r between seeds", found.found[0].seeds.mean) > 0.2
