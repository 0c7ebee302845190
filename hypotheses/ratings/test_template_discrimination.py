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
    rated,
    evidence,
    *,
    templates=(
        "random_scale_27_32",
        "compressed_anchors_1_5",
        "bipolar_neg5_pos5",
        "percentile_1_100",
        "ban_four_1_5",
        "fruit_rating",
        "fruit_qualitative",
    ),
    lines=(0.8, 0.7),
):
    found = discrimination.templates(rated(model, *templates), lines=lines, seed=evidence.seed)

    evidence.keep(found)

    assert evidence.measure(f"KL / ln K, {templates[1]} less {templates[0]}", found.between.kl) > 0.1
