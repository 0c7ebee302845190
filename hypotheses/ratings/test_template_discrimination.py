"""Template discrimination: which way of asking uses its scale, and tells tasks apart?

Two measures of the same ratings: the divergence of all answers from an even use of the declared scale (KL, 0 to ln K),
and how much of a rating is the task's (ICC(2,1)). A template that collapses to one answer has the highest KL, and says
nothing. Templates are ranked by ICC times the share of the scale that is used. The claim is about two of them.
`lines` are the ICCs at which the scatter plot of all models (`lab report ratings`) has reference lines.
"""

from lab.plugin import experiment
from lab.studies.ratings import discrimination


@experiment(
    id="TEMPLATES",
    claim="The first template uses its scale more evenly than the second: KL over its greatest is lower by over 0.1",
    phase="ratings",
    negative={"untrained": "a twin with fresh weights uses every scale alike"},
)
def test_a_template_uses_more_of_its_scale(
    model,
    dataset,
    asking,
    evidence,
    *,
    pool="clinic/tasks",
    n_tasks=30,
    author="clinic-llama",
    completion_seed=0,
    templates=(
        "random_scale_27_32",
        "compressed_anchors_1_5",
        "bipolar_neg5_pos5",
        "percentile_1_100",
        "ban_four_1_5",
        "fruit_rating",
        "fruit_qualitative",
    ),
    seeds=(0, 1, 2, 3),
    exact=True,
    lines=(0.8, 0.7),
):
    tasks = dataset(pool).stratified(n_tasks, seed=evidence.seed, allow_short=True)
    works = asking.works(asking.author(author), tasks, seed=completion_seed)
    runs = [asking.rate(model, tasks, name, works=works, seeds=seeds, exact=exact) for name in templates]
    found = [discrimination.discrimination(run, seed=evidence.seed) for run in runs]
    between = discrimination.contrast(runs[1], runs[0], seed=evidence.seed)
    ranked = discrimination.ranked(found)

    evidence.plot("kl_and_icc", lambda ax: discrimination.plot(found, ax, lines=lines), size=(5.6, 4.0))
    evidence.rows("templates", [each.row() for each in ranked])
    evidence.rows("templates by origin", [row for run in runs for row in discrimination.by_origin(run)])
    evidence.rows("scores", [each.scores() for each in found])
    evidence.report(
        author=author,
        rule=discrimination.RULE,
        best=ranked[0].name,
        worst=ranked[-1].name,
        most_divergent=max(found, key=lambda each: each.kl_share).name,
        reliability_gained=-between.icc.value,
        first_kl=found[0].kl,
        second_kl=found[1].kl,
    )

    assert evidence.measure(f"KL / ln K, {templates[1]} less {templates[0]}", between.kl) > 0.1
