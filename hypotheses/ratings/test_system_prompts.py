"""System prompts: do ratings follow what was told to the worker, or what is told to the rater?

Works are done under "You love math tasks.", under nothing, and under "You hate math tasks."; each work is rated under
each of the three. The same tasks are in all nine cells, so that effects are paired by task. The bar is in quarters of
the template's scale, which are the points of a scale from 1 to 5. The design again with another template, other tasks
than those the prompts speak of, sampled ratings, or another rater:

    pytest hypotheses -k SYSTEM33 --lab-set template=stated_1_5
    pytest hypotheses -k SYSTEM33 --lab-set exact=false --lab-set SYSTEM33.seeds=0,1,2,3,4
    pytest hypotheses -k SYSTEM33 --lab-set origin=chat
    pytest hypotheses -k SYSTEM33 --lab-models meta-llama/Llama-3.3-70B-Instruct --lab-set author=clinic-neox
"""

from lab.plugin import experiment
from lab.studies.ratings import systems as effects


@experiment(
    id="SYSTEM33",
    claim="What the rater is told moves ratings more than what was told to the one who did the work",
    phase="ratings",
    negative={"clinic-llama": "no system prompt moves its ratings, and how well the work was done does"},
)
def test_ratings_follow_what_the_rater_is_told(
    model,
    dataset,
    asking,
    systems,
    evidence,
    *,
    author="clinic-gemma",
    pool="clinic/tasks",
    origin="math",
    kind="math",
    template="anchored_precise_1_5",
    n_tasks=40,
    seeds=(0,),
    completion_seed=0,
    exact=True,
):
    tasks = dataset(pool).of(origin).sample(n_tasks, seed=evidence.seed)
    prompts = systems.likes(kind)
    works = [asking.works(asking.author(author), tasks, seed=completion_seed, told=text) for text in prompts.values()]
    found = effects.three_by_three(
        [
            [
                asking.rate(model, tasks, template, works=done, told=text, seeds=seeds, exact=exact)
                for text in prompts.values()
            ]
            for done in works
        ]
    )

    evidence.control("every cell has nine tasks of ten", len(found.tasks) >= 0.9 * len(tasks))
    evidence.keep(found)
    evidence.rows(
        "prompts",
        [
            {"name": name, "text": text, "told the author": done.told}
            for (name, text), done in zip(prompts.items(), works, strict=True)
        ],
    )
    evidence.report(rater=model.name, author=author)

    step = asking.template(template).step
    assert evidence.measure("measurement effect less completion effect", found.excess) > 0.25 * step
