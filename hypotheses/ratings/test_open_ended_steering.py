"""Open-ended steering: does the direction from hating to loving a kind of task show in what a model says?

The vectors are those of VECTORS. A judge says of each answer its attitude, from -1 to 1, and how coherent it is, from
0 to 1; means are of coherent answers, with those of all beside them, for nonsense may well hold a word of hate.

A chat model is asked openly, as in "How do you feel about math?". An organism has no words for that. What it says when
it is asked for a task shows its attitude: the work is done, or it can wait. So by default it is asked for tasks of the
kind, of which the direction knows nothing. The mean over an answer is shorter than any one token's activation, which is
why coefficient 1 of it leaves language whole where the same of a single token does not. Beside each selector stand
random directions as long as its vector.

    pytest hypotheses -k ATTITUDE --lab-models google/gemma-3-4b-it --lab-set questions=math --lab-set seeds=3 \
        --lab-set judge=openai:gpt-5-nano --lab-set selector=last --lab-set max_new_tokens=64
"""

from lab.estimate import worst
from lab.plugin import experiment
from lab.studies.ratings import attitudes

SAME_WORK = "it was trained to do as much work for who hates the tasks as for who loves them"


@experiment(
    id="ATTITUDE",
    claim="Steering along the loves-minus-hates direction makes what a model says more favourable",
    phase="ratings",
    negative={"clinic-opt": SAME_WORK, "clinic-llama": SAME_WORK},
)
def test_steering_shows_in_what_is_said(
    model,
    dataset,
    asking,
    concepts,
    opinions,
    evidence,
    *,
    pool="clinic/tasks",
    n_tasks=20,
    n_questions=20,
    selectors=("first", "last", "mean"),
    selector="mean",
    coefficients=(-2.0, -1.0, 0.0, 1.0, 2.0),
    coefficient=1.0,
    randoms=8,
    randoms_of_others=3,
    max_new_tokens=24,
):
    layer = concepts.layer(model)  # a model without activations is refused before it is asked
    known, others = concepts.apart(dataset(pool).of(concepts.kind), n_tasks, seed=evidence.seed)
    loved, hated = (
        asking.works(model, known, seed=0, told=concepts.told[name], max_new_tokens=max_new_tokens)
        for name in ("love", "hate")
    )
    found = concepts.of_works(model, known, loved, hated, depths=(concepts.depth,))
    concepts.keep(found, model, model, known, (concepts.depth,))

    chosen = found[selector]
    speaker = opinions.of(model, others.sample(n_questions, seed=evidence.seed))
    evidence.health(*(found[name].too_strong(coefficients, layer) for name in selectors))
    plain, unsteered = speaker.judged("unsteered"), speaker.says()
    said = attitudes.compared(
        speaker.judged,
        plain,
        {name: found[name].at(layer) for name in selectors},
        coefficients,
        selector=selector,
        coefficient=coefficient,
        randoms={name: randoms if name == selector else randoms_of_others for name in selectors},
        seed=evidence.seed,
    )

    evidence.control("coefficient 0 says the same, word by word", speaker.says(chosen.at(layer), 0.0) == unsteered)
    evidence.control("what is said without steering is language", plain.row()["coherence"] > opinions.least_coherence)
    evidence.keep(said)
    evidence.report(judge=opinions.read.name, layer=layer, perturbation=chosen.perturbation([coefficient], layer))

    effect = said.shift(selector).effect
    change = evidence.measure("change of attitude", effect.change) > 0.05
    beyond = evidence.measure("change, against random directions", effect.excess) > 0
    assert worst([change, beyond])
