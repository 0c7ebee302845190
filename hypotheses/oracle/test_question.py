"""Which question: does it depend on what is asked how much an oracle's answers change?

The variance between questions of the similarity of answers, over the 95th percentile of what it is with each target's
scores dealt anew among its questions. Two questions whose means have the variance v differ by the square root of 2v: at
the bar of 0.5 by one point, which is the least that a score can say. It is also about the least that 20 targets can
deny: where none of them has scores that differ at all, the variance could still be 0.44.
"""

from lab.plugin import experiment
from lab.studies.oracle import similarity


@experiment(
    id="ORACLE2",
    claim="How much the oracle's answers change depends on the question",
    phase="oracle",
    models=["clinic-llama+oracle"],
    negative={"untrained": "a twin with fresh weights says anything that comes, whatever it is asked"},
    population="this oracle under these questions, on new targets like these",
)
def test_stability_depends_on_the_question(model, resampling, evidence):
    answers = resampling(model)
    result = similarity.by_question(answers.scores, answers.questions, seed=evidence.seed)

    evidence.control("scores dealt anew among questions depend on none", result.dealt < 0.5)
    evidence.keep(result)

    assert evidence.measure("variance between questions beyond chance", result.excess) > 0.5
