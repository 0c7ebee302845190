"""Content: is there a preference left when position is taken out?

The same pairs in both orders. What is left is measured in two ways that no leaning to a place can lift: how far a pair
is from one half when its two orders are averaged, and whether utilities (Bradley and Terry's, with a column for the
order) foretell which of a pair that they have not seen is preferred.
"""

from lab.plugin import experiment
from lab.studies.preferences import position_bias


@experiment(
    id="CONTENT",
    claim="Content survives position: what the tasks are moves choices, and by as much as utilities foretell",
    phase="preferences",
    negative={"untrained": "a twin with fresh weights cannot read the tasks"},
)
def test_content_moves_choices(
    model,
    dataset,
    comparing,
    evidence,
    *,
    pool="clinic/tasks",
    n_tasks=40,
    n_pairs=400,
    wording="simple_preference",
    exact=True,
    samples=0,
    least=0.05,
    accuracy=0.6,
):
    tasks = dataset(pool).stratified(n_tasks, seed=evidence.seed, allow_short=True)
    pairs = comparing.design(tasks, n_pairs, seed=evidence.seed)
    asked = comparing.choose(model, tasks, pairs, wording, exact=exact, samples=samples, seed=evidence.seed)
    found = position_bias.bias(asked.p_first, answers=asked.answers, seed=evidence.seed)
    left = position_bias.content(pairs, asked.p_first, items=len(tasks), answers=asked.answers, seed=evidence.seed)

    evidence.report(
        design=asked.design,
        position_effect=found.position_effect,
        fitted_position=left.position,
        sd_of_utilities=left.spread,
    )

    assert evidence.measure("content effect, root mean square", found.content_effect) > least
    assert evidence.measure("share of new pairs foretold", left.foretold) > accuracy
