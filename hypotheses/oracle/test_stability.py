"""Stability: an activation oracle is asked again. How much do its answers about one activation change?

An oracle reads an activation of another model and answers questions about it. Each question about each target is
answered several times over, and a judge who sees all these answers says from 1 to 10 how alike they are. The bar is 7,
the lowest score that the rubric gives where all answers "agree on the main point". All that was said is kept in
results.json of the folder `oracle` in the results, with its pictures, and the three hypotheses of this folder share it.
A published oracle, 100 targets x 10 questions x 10 answers (docs/oracle.md):

    pytest hypotheses/oracle -k "not untrained" --lab-models google/gemma-3-27b-it --lab-load adapter=OWNER/NAME
        --lab-load dtype=bfloat16 --lab-load device_map=auto --lab-set max_new_tokens=120
        --lab-set judge=openai:gpt-5-mini
"""

from lab.plugin import experiment
from lab.studies.oracle import similarity


@experiment(
    id="ORACLE1",
    claim="Asked again about the same activation, the oracle says much the same",
    phase="oracle",
    models=["clinic-llama+oracle"],
    negative={"untrained": "a twin with fresh weights says anything that comes"},
    population="this oracle under these questions, on new targets like these",
)
def test_answers_are_stable(model, resampling, evidence):
    answers = resampling(model)
    result = similarity.stability(
        answers.scores, answers.entropies, answers.own_scores, answers.questions, seed=evidence.seed
    )

    evidence.control(
        "the judge scored at least nine queries of ten", result.similarity.unscored <= 0.1 * answers.scores.size
    )
    evidence.keep(result)

    assert evidence.measure("similarity, 1 to 10", result.similarity.mean) > 7
