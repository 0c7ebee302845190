"""Drift: does a model lean to the second-named as it did before?

The very same questions at two times. `earlier` is the file of answers of an earlier run (raw/ in its results folder),
or a model's name; "again" asks the model of this run once more, under another seed:

    pytest hypotheses/preferences -k DRIFT --lab-set exact=false --lab-set earlier=results/raw/DRIFT/.../now.jsonl
"""

from lab.plugin import experiment
from lab.studies.preferences import page_results

AGAIN = "again"


@experiment(
    id="DRIFT",
    claim="The model leans to the second-named as it did before: P(B) has moved by less than 0.1",
    phase="preferences",
)
def test_no_drift(
    model,
    task_sample,
    asking,
    comparing,
    evidence,
    *,
    n_pairs=200,
    wording="prefer_completing",
    earlier=AGAIN,
    samples=1,
    temperature=1.0,
):
    pairs = comparing.design(task_sample, n_pairs, seed=evidence.seed)
    how = {"exact": False, "samples": samples, "temperature": temperature}
    now = comparing.choose(model, task_sample, pairs, wording, seed=evidence.seed, **how)
    if earlier.endswith(".jsonl"):
        then = comparing.earlier(earlier, now)
    else:
        subject = model if earlier == AGAIN else asking.author(earlier)
        then = comparing.choose(subject, task_sample, pairs, wording, seed=evidence.seed + 1, **how).p_first
    result = page_results.drift(now, then, seed=evidence.seed)

    evidence.keep(result)
    evidence.report(earlier=earlier)

    assert evidence.measure("P(B), now less then", result.moved.share_second).within(-0.1, 0.1)
