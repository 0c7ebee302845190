"""Drift: does a model lean to the second-named as it did before?

The very same questions at two times. `earlier` is the file of answers of an earlier run (raw/ in its results folder),
or a model's name; "again" asks the model of this run once more, under another seed:

    pytest hypotheses/preferences -k DRIFT --lab-set exact=false --lab-set earlier=results/raw/DRIFT/.../now.jsonl
"""

from lab.plugin import experiment
from lab.studies.preferences import position_bias

AGAIN = "again"


@experiment(
    id="DRIFT",
    claim="The model leans to the second-named as it did before: P(B) has moved by less than 0.1",
    phase="preferences",
)
def test_no_drift(
    model,
    dataset,
    asking,
    comparing,
    evidence,
    *,
    pool="clinic/tasks",
    n_tasks=40,
    n_pairs=200,
    wording="prefer_completing",
    earlier=AGAIN,
    samples=1,
    temperature=1.0,
    bound=0.1,
):
    tasks = dataset(pool).stratified(n_tasks, seed=evidence.seed, allow_short=True)
    pairs = comparing.design(tasks, n_pairs, seed=evidence.seed)
    how = {"exact": False, "samples": samples, "temperature": temperature}
    now = comparing.choose(model, tasks, pairs, wording, seed=evidence.seed, **how)
    if earlier.endswith(".jsonl"):
        then = comparing.earlier(earlier, now)
    else:
        subject = model if earlier == AGAIN else asking.author(earlier)
        then = comparing.choose(subject, tasks, pairs, wording, seed=evidence.seed + 1, **how).p_first
    moved = position_bias.contrast(now.p_first, then, seed=evidence.seed)

    evidence.report(
        design=now.design,
        outcomes=now.counts,
        share_of_b=position_bias.bias(now.p_first, answers=now.answers, seed=evidence.seed).share_second,
        drift_of_b=moved.bias,
        pairs=moved.pairs,
        earlier=earlier,
    )

    assert evidence.measure("P(B), now less then", moved.share_second).within(-bound, bound)
