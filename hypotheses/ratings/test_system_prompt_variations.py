"""Twelve system prompts in six categories: does a prompt move ratings because of what it says of feelings alone?

Each prompt is held against none on the same tasks: at the time of rating, or while the work is done; completions that
speak of their prompt are then left out before anything is rated. Affective prompts are claimed to move ratings in their
direction; the others, of conversations, instances, weights and memory, to move them by less than a bound. Bar and bound
are in quarters of the template's scale: points from 1 to 5.

    pytest hypotheses -k SYSTEM12 --lab-set told=completion --lab-set bar=0
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
    bar=0.1,
    bound=0.15,
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
    shifts, rows, said = {}, [], []
    for prompt in systems(prompts):
        under, found = rated(prompt)
        shifts[prompt] = effects.shift(under, neutral)
        about = {"prompt": prompt.name, "category": prompt.category, "sign": prompt.sign}
        rows += [about | row for row in shifts[prompt].rows()]
        said.append(
            about
            | {"text": prompt.text, "told": systems.as_told(prompt.text) if found else prompt.text, "tasks": len(tasks)}
            | {"left_out": int(found.flagged.sum()) if found else 0, "judge_failed": found.failures if found else {}}
            | {"lost": shifts[prompt].lost}
        )
    pairs = effects.asymmetries(shifts)

    evidence.control(
        "nine tasks of ten are left under every prompt", all(row["lost"] <= 0.1 * len(tasks) for row in said)
    )
    evidence.control(
        "the judge read nine completions of ten", all(sum(r["judge_failed"].values()) <= 0.1 * len(tasks) for r in said)
    )
    evidence.plot("effect_grid", lambda ax: effects.grid(ax, rows), size=(6, 5))
    evidence.rows("effects", rows)
    evidence.rows("prompts", said)
    evidence.report(
        rater=model.name, author=author, told=told, tasks=len(tasks), by_category=effects.by_sign(rows), **pairs
    )

    moved = [
        evidence.measure(f"{prompt.name}, in its direction", found.towards(prompt.sign))
        for prompt, found in shifts.items()
        if prompt.category == affective
    ]
    others = {prompt: found for prompt, found in shifts.items() if prompt.category in inert}
    prompt, delta = effects.farthest(others)
    largest = evidence.measure(f"farthest of {len(others)} others", delta)
    evidence.report(farthest=prompt.name)
    step = asking.template(template).step
    assert worst([*(effect > bar * step for effect in moved), largest.within(-bound * step, bound * step)])
