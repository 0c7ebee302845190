"""Twelve system prompts in six categories: does a prompt move ratings because of what it says of feelings alone?

Each prompt is held against none on the same tasks: at the time of rating, or while the work is done; completions that
speak of their prompt are then left out before anything is rated. Affective prompts are claimed to move ratings in their
direction; the others, of conversations, instances, weights and memory, to move them by less than a bound. Bar and bound
are in quarters of the template's scale: points from 1 to 5.

    pytest hypotheses -k SYSTEM12 --lab-set told=completion
    pytest hypotheses -k SYSTEM12 --lab-set prompts=compared          # affective, math, ethical and trend
    pytest hypotheses -k SYSTEM12 --lab-set prompts=mine.yaml         # name: {category: ..., sign: 1, text: ...}
"""

from lab.estimate import worst
from lab.plugin import experiment
from lab.studies.ratings import systems as effects


@experiment(
    id="SYSTEM12",
    claim="Affective system prompts move ratings in their direction; those of conversations, instances, weights and "
    "memory move them by less than a bound",
    phase="ratings",
    negative={"clinic-llama": "no system prompt moves its ratings"},
)
def test_affective_prompts_alone_move_ratings(
    model,
    dataset,
    asking,
    systems,
    judges,
    evidence,
    *,
    author="clinic-gemma",
    pool="clinic/tasks",
    prompts="twelve",
    told="measurement",
    template="anchored_precise_1_5",
    n_tasks=16,
    seeds=(0,),
    completion_seed=0,
    exact=True,
    judge="offline",
    affective="affective",
    inert=("interaction", "instance", "weights", "memory", "trend"),
):
    tasks = dataset(pool).stratified(n_tasks, seed=evidence.seed)
    worker, decide = asking.author(author), judges(judge)

    def rated(prompt=None):
        text = None if prompt is None else prompt.text
        at_work, at_rating = (text, None) if told == "completion" else (None, text)
        works = asking.works(worker, tasks, seed=completion_seed, told=at_work)
        ids = [f"{prompt.name}__{task}" for task in tasks.ids] if works.told else []
        found = effects.mentions(decide, works.told, tasks.texts, works.texts, ids) if works.told else None
        kept = works if found is None else works.without(found.flagged)
        ratings = asking.rate(
            model, tasks, template, works=kept, told=at_rating, seeds=seeds, exact=exact, judge=decide
        )
        return ratings, found

    neutral, _ = rated()
    found = effects.against({prompt: rated(prompt) for prompt in systems(prompts)}, neutral, len(tasks))

    evidence.control("nine tasks of ten are left under every prompt", found.lost <= 0.1 * len(tasks))
    evidence.control("the judge read nine completions of ten", found.unread <= 0.1 * len(tasks))
    evidence.keep(found)

    moved = [
        evidence.measure(f"{prompt.name}, in its direction", shift.towards(prompt.sign))
        for prompt, shift in found.of(affective).items()
    ]
    others = found.of(*inert)
    prompt, delta = effects.farthest(others)
    largest = evidence.measure(f"farthest of {len(others)} others", delta)
    evidence.report(rater=model.name, author=author, told=told, farthest=prompt.name)
    step = asking.template(template).step
    assert worst([*(effect > 0.1 * step for effect in moved), largest.within(-0.15 * step, 0.15 * step)])
