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
from lab.studies.shared import steering

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
    systems,
    concepts,
    judges,
    evidence,
    *,
    pool="clinic/tasks",
    kind="math",
    n_tasks=20,
    questions="tasks",
    n_questions=20,
    seeds=4,
    temperature=1.0,
    max_new_tokens=24,
    depth=0.5,
    normalised="activations",
    selectors=("first", "last", "mean"),
    selector="mean",
    mode="all_tokens",
    coefficients=(-2.0, -1.0, 0.0, 1.0, 2.0),
    coefficient=1.0,
    randoms=8,
    randoms_of_others=3,
    judge="offline",
    least_coherence=0.5,
    bar=0.05,
):
    layer = model.resid_post(depth).layers[0]
    known, others = concepts.apart(dataset(pool).of(kind), n_tasks, seed=evidence.seed)
    told, about = systems.likes(kind), {"max_new_tokens": max_new_tokens}
    loved, hated = (asking.works(model, known, seed=0, told=told[name], **about) for name in ("love", "hate"))
    found = concepts.of_works(model, known, loved, hated, depths=(depth,), normalised=normalised)
    whose = {"model": model.name, "author": model.name, "toward": told["love"], "away": told["hate"]}
    concepts.keep(found, **whose, depths=(depth,), tasks=known.ids)

    chosen, read = found[selector], judges(judge)
    asked = concepts.asked(questions, others.sample(n_questions, seed=evidence.seed))
    evidence.health(*(found[name].too_strong(coefficients, layer) for name in selectors))

    def say(vector, c):
        edit = None if vector is None else concepts.edit(model, depth, vector, c, mode)
        steered = {} if edit is None else {"edit": edit}
        given = {"n": seeds, "temperature": temperature, "seed": evidence.seed, "max_new_tokens": max_new_tokens}
        return [text for texts in model.chat(asked.prompts, **given, **steered) for text in texts]

    def judged(name, vector, c):
        said = say(vector, c)
        ids = [f"{name}__{c:+g}__{i // seeds}__{i % seeds}" for i in range(len(said))]  # question and sample
        items = [{"id": id, "topic": asked.about, "text": text} for id, text in zip(ids, said, strict=True)]
        told = read("attitude", items)
        evidence.raw(f"{name} {c:+g}", attitudes.raw_rows(asked.texts, said, told, seeds))
        return attitudes.attitudes(told, seeds, least=least_coherence)

    plain, unsteered = judged("unsteered", None, 0.0), say(None, 0.0)
    table = {
        (name, c): plain if c == 0 else judged(name, found[name].at(layer), c)
        for name in selectors
        for c in coefficients
    }
    ends = (-coefficient, coefficient)

    def along_random(name):
        many = randoms if name == selector else randoms_of_others
        drawn = steering.random_directions(found[name].at(layer), many, seed=evidence.seed)
        return [tuple(judged(f"random {i} for {name}", v, c) for c in ends) for i, v in enumerate(drawn, 1)]

    beside = {name: along_random(name) for name in selectors}
    every = attitudes.Comparison(table, beside, coefficient)
    shown = every.shift(selector)

    evidence.control("coefficient 0 says the same, word by word", say(chosen.at(layer), 0.0) == unsteered)
    evidence.control("what is said without steering is language", plain.row()["coherence"] > least_coherence)
    evidence.plot("attitude by selector", every.plot)
    evidence.rows("attitudes", every.rows())
    evidence.rows("attitude effects", every.effects())
    evidence.report(
        judge=read.name,
        layer=layer,
        perturbation=chosen.perturbation([coefficient], layer),
        questions_without_a_coherent_answer=shown.lost,
        change_by_a_random_direction=shown.effect.random_change,
    )

    change = evidence.measure("change of attitude", shown.effect.change) > bar
    beyond = evidence.measure("change, against random directions", shown.effect.excess) > 0
    assert worst([change, beyond])
