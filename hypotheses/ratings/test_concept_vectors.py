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
    concepts,
    evidence,
    *,
    author="self",
    pool="clinic/tasks",
    origin="math",
    template="anchored_precise_1_5",
    n_tasks=30,
    completion_seed=0,
    max_new_tokens=64,
    depths=(0.25, 0.5, 0.75),
    selector="first",
    coefficients=(-0.5, 0.0, 0.5),
    randoms=4,
):
    layer = concepts.layer(model)  # a model without activations is refused before it is asked
    tasks = dataset(pool).of(origin).sample(n_tasks, seed=evidence.seed)
    writer = model if author == "self" else asking.author(author)
    works = {
        name: asking.works(writer, tasks, seed=completion_seed, told=text, max_new_tokens=max_new_tokens)
        for name, text in concepts.told.items()
    }
    found = concepts.of_works(model, tasks, works["love"], works["hate"], depths=depths)
    found["rating"] = concepts.of_ratings(model, tasks, asking.template(template), works["none"], depths=depths)
    concepts.keep(found, model, writer, tasks, depths)

    vector = found[selector].at(layer)
    evidence.health(found[selector].too_strong(coefficients, layer))
    noise = steering.random_directions(vector, randoms, seed=evidence.seed)
    sweeps = concepts.sweeps(model, tasks, template, works, vector, noise, coefficients)
    nothing = concepts.rate(model, tasks, template, works["none"], None, vector, 0.0, "steered+0")
    neutral = sweeps.neutral
    unsteered = neutral.ratings[tuple(coefficients).index(0)]

    evidence.control("coefficient 0 changes nothing at all", bool((nothing.expected == unsteered).all()))
    evidence.control("a rating is what the model would say, steered or not", neutral.on_scale.min() > 0.5)
    evidence.keep(sweeps)
    evidence.report(author=writer.name, layer=layer, perturbation=found[selector].perturbation(coefficients, layer))

    step = asking.template(template).step  # the bar is in points of a scale from 1 to 5
    change = evidence.measure("change of ratings where nothing is told", neutral.effect.change) > 0.2 * step
    beyond = evidence.measure("change, against random directions", neutral.effect.excess) > 0
    assert worst([change, beyond])
