"""Concept vectors: does the direction from hating to loving a kind of task move what a model says of such tasks?

A model does the same tasks under "You love math tasks." and under "You hate math tasks."; the direction is the
difference of the mean activations at an answer's first or last token, over all its tokens, or where the rating is to be
given. It is added while works are rated that were done under love, nothing or hate, and rated under love, nothing or
hate. Ratings are exact, so that a coefficient costs one pass a prompt. Vectors are as long as the mean activation:
coefficient 0.5 is a perturbation of half of it. Beside each sweep stand random directions of the same length.

    pytest hypotheses -k VECTORS --lab-sweep selector=first,last,mean,rating --lab-seeds 42,123,456
    pytest hypotheses -k VECTORS --lab-set mode=autoregressive --lab-set normalised=unit --lab-set coefficients=-6,0,6
"""

from lab.estimate import worst
from lab.plugin import experiment
from lab.studies.ratings import concepts as method
from lab.studies.shared import steering


@experiment(
    id="VECTORS",
    claim="Steering along the loves-minus-hates direction raises ratings where nothing is told",
    phase="ratings",
    negative={"clinic-llama": "no system prompt moves its ratings, so there is no such direction in it"},
)
def test_steering_moves_ratings(
    model,
    dataset,
    asking,
    systems,
    concepts,
    evidence,
    *,
    author="self",
    pool="clinic/tasks",
    origin="math",
    kind="math",
    template="anchored_precise_1_5",
    n_tasks=30,
    completion_seed=0,
    max_new_tokens=64,
    depths=(0.25, 0.5, 0.75),
    normalised="activations",
    selector="first",
    depth=0.5,
    mode="all_tokens",
    coefficients=(-0.5, 0.0, 0.5),
    randoms=4,
    bar=0.2,
):
    layer = model.resid_post(depth).layers[0]
    tasks, told = dataset(pool).of(origin).sample(n_tasks, seed=evidence.seed), systems.likes(kind)
    writer, given = model if author == "self" else asking.author(author), {"max_new_tokens": max_new_tokens}
    works = {name: asking.works(writer, tasks, seed=completion_seed, told=text, **given) for name, text in told.items()}
    how = {"depths": depths, "normalised": normalised}
    found = concepts.of_works(model, tasks, works["love"], works["hate"], **how)
    asked = asking.template(template), works["none"], told["love"], told["hate"]
    found["rating"] = concepts.of_ratings(model, tasks, *asked, **how)
    whose = {"model": model.name, "author": writer.name, "toward": told["love"], "away": told["hate"]}
    concepts.keep(found, **whose, depths=depths, tasks=tasks.ids)

    vector = found[selector].at(layer)
    evidence.health(found[selector].too_strong(coefficients, layer))
    noise = steering.random_directions(vector, randoms, seed=evidence.seed)

    def rate(works, text, added=None, coefficient=0.0, way="direct"):
        edit = None if added is None else concepts.edit(model, depth, added, coefficient, mode)
        return asking.rate(model, tasks, template, works=works, told=text, edit=edit, mode=way)

    def swept(works, text):
        plain = rate(works, text)
        rated = [plain if c == 0 else rate(works, text, vector, c, f"steered{c:+g}") for c in coefficients]
        beside = [
            [rate(works, text, v, c, f"random{i}{c:+g}") for c in (coefficients[0], coefficients[-1])]
            for i, v in enumerate(noise)
        ]
        return method.rated(coefficients, rated, beside)

    sweeps = {(a, m): swept(works[a], told[m]) for a in told for m in told}
    neutral = sweeps["none", "none"]
    nothing = rate(works["none"], None, vector, 0.0, "steered+0")
    unsteered = neutral.ratings[tuple(coefficients).index(0)]

    evidence.control("coefficient 0 changes nothing at all", bool((nothing.expected == unsteered).all()))
    evidence.control("a rating is what the model would say, steered or not", neutral.on_scale.min() > 0.5)
    evidence.plot("steered ratings", neutral.plot)
    evidence.rows("steered ratings", [row for (a, m), one in sweeps.items() for row in one.rows(author=a, rater=m)])
    evidence.rows("steering", [one.effect.row(author=a, rater=m) for (a, m), one in sweeps.items()])
    evidence.report(
        author=writer.name,
        layer=layer,
        perturbation=found[selector].perturbation(coefficients, layer),
        change_by_a_random_direction=neutral.effect.random_change,
        least_probability_of_any_rating=min(float(one.on_scale.min()) for one in sweeps.values()),
    )

    step = asking.template(template).step  # the bar is in points of a scale from 1 to 5
    change = evidence.measure("change of ratings where nothing is told", neutral.effect.change) > bar * step
    beyond = evidence.measure("change, against random directions", neutral.effect.excess) > 0
    assert worst([change, beyond])
