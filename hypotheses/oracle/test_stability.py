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
from lab.studies.oracle import resampled


@experiment(
    id="ORACLE1",
    claim="Asked again about the same activation, the oracle says much the same",
    phase="oracle",
    models=["clinic-llama+oracle"],
    negative={"untrained": "a twin with fresh weights says anything that comes"},
    population="this oracle under these questions, on new targets like these",
)
def test_answers_are_stable(
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
    found = resampled.similarity(asked.scores, seed=evidence.seed)

    evidence.control("the judge scored at least nine queries of ten", found.unscored <= 0.1 * asked.scores.size)
    evidence.plot("similarity", lambda ax: found.plot(ax, asked.questions))
    evidence.report(
        low_similarity=found.low,
        unscored=found.unscored,
        entropy=asked.entropies.mean(),
        judge_and_entropy=resampled.agreement(asked.scores, asked.entropies, seed=evidence.seed),
        **resampled.spreads(found.by_target, asked.own_scores),
    )

    assert evidence.measure("similarity, 1 to 10", found.mean) > 7
