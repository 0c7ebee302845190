"""Phase 2A, first step: how alike are two models, by which measure, at which layers?

All texts ask the same of one patient each, so that nothing can be won by telling questions apart. Every
layer of one model is held against every layer of the other, and chance is given the same search. The run's
cells together are the matrix of all pairs; forward and backward are its two halves.
"""

from lab.plugin import experiment
from lab.studies.activations import similarity


@experiment(
    id="2A1",
    claim="The best pair of layers of two models is more alike than the best of as many pairs by chance",
    phase="phase-2a",
    needs=["PM1"],
    negative={"untrained": "a twin with fresh weights knows nothing to share"},
)
def test_layers_are_alike(
    model, other_model, questions, evidence, *, n_samples=2000, depth=0.75, alpha=1.0, k=10, keep=10, permutations=100
):
    asked = questions.take(questions.form == questions.form[0]).sample(n_samples, seed=evidence.seed)
    first, second = (m.capture(asked.prompts, at=m.resid_post(), position="last").array for m in (model, other_model))
    found = similarity.search(first, second, measure="cka", permutations=permutations, seed=evidence.seed)

    x, y = (acts[:, m.resid_post(depth).layers[0]] for acts, m in ((first, model), (second, other_model)))
    chance = {"permutations": permutations, "seed": evidence.seed}
    ridge = similarity.ridge_correlation(x, y, alpha=alpha, **chance)
    measures = {
        "cka_unbiased": similarity.cka(x, y, **chance),
        "cka_biased": similarity.cka(x, y, unbiased=False, **chance),
        "mutual_knn": similarity.mutual_knn(x, y, k=k, **chance),
        "cknna": similarity.cknna(x, y, k=k, **chance),
        "svcca": similarity.svcca(x, y, keep=keep, **chance),
    }

    evidence.control("shuffled pairing carries no map", ridge.shuffled.within(-0.1, 0.1))
    evidence.plot("similarity_by_layer", found.plot)
    evidence.rows("similarity by layer", found.rows())
    evidence.rows(
        "similarity",
        [
            {"measure": name, "score": by.value, "null_95": by.null_95, "p": by.p, "n": by.score.n}
            for name, by in {"ridge_r": ridge, **measures}.items()
        ],
    )
    evidence.report(
        forward=ridge.forward,
        backward=ridge.backward,
        ridge_null_95=ridge.null_95,
        **{name: measured.score for name, measured in measures.items()},
        **{f"{name}_null_95": measured.null_95 for name, measured in measures.items()},
        best_layers=list(found.best),
        best_score=found.score,
        search_null_95=found.null_95,
        corrected_p=found.p,
    )

    assert evidence.measure("best pair of layers, over the null of the search", found.excess) > 0.02
