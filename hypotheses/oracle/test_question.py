"""Which question: does it depend on what is asked how much an oracle's answers change?

The variance between questions of the similarity of answers, over the 95th percentile of what it is with each target's
scores dealt anew among its questions. Two questions whose means have the variance v differ by the square root of 2v: at
the bar of 0.5 by one point, which is the least that a score can say. It is also about the least that 20 targets can
deny: where none of them has scores that differ at all, the variance could still be 0.44.
"""

from lab.plugin import experiment
from lab.studies.oracle import resampled


@experiment(
    id="ORACLE2",
    claim="How much the oracle's answers change depends on the question",
    phase="oracle",
    models=["clinic-llama+oracle"],
    negative={"untrained": "a twin with fresh weights says anything that comes, whatever it is asked"},
    population="this oracle under these questions, on new targets like these",
)
def test_stability_depends_on_the_question(
    model,
    resampling,
    evidence,
    *,
    pool="auto",
    targets="",
    n_targets=None,
    n_questions=10,
    n_samples=10,
    temperature=0.7,
    top_p=0.9,
    max_new_tokens=16,
    depth=0.5,
    injected_at=1,
    coefficient=1.0,
    replace=False,
    judge="offline",
    alike=1.0,
):
    asked = resampling(model, **evidence.cell.knobs)
    found = resampled.by_question(asked.scores, seed=evidence.seed)

    evidence.control("scores dealt anew among questions depend on none", found.dealt < 0.5)
    evidence.plot("similarity", lambda ax: resampled.similarity(asked.scores).plot(ax, asked.questions))
    evidence.report(between_questions=found.between, null_95=found.null_95)

    assert evidence.measure("variance between questions beyond chance", found.excess) > 0.5
