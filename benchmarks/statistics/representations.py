"""Which measures of activations have a counterpart in a library? Similarity, ridge maps and probes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.statistics.compare import Case, Way

Call = Callable[[], Any]
NULL = "score; own permutations. Ours adds a jackknife interval"


def sides(n: int, p: int, q: int) -> tuple[np.ndarray, np.ndarray]:
    """[n, p] and [n, q] with eight directions in common."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(n, 8))
    x, y = (shared @ rng.normal(size=(8, d)) + 2 * rng.normal(size=(n, d)) for d in (p, q))
    return x, y


def ridge_map(quick: bool) -> Case:
    from lab.studies.activations.similarity import ridge_correlation

    n, permutations, tried = (1200, 100, 4) if quick else (4800, 100, 10)
    x, y = sides(n, 64, 64)

    def by_sklearn() -> Call:
        from sklearn.linear_model import Ridge

        test = np.isin(np.arange(n), np.random.default_rng(0).permutation(n)[: round(0.2 * n)])
        rng = np.random.default_rng(1)

        def one_way(a: np.ndarray, b: np.ndarray) -> float:
            said = Ridge(alpha=1.0).fit(a[~test], b[~test]).predict(a[test])
            s, t = said - said.mean(0), b[test] - b[test].mean(0)
            return float(((s * t).sum(0) / np.sqrt((s * s).sum(0) * (t * t).sum(0))).mean())

        def call() -> float:
            for _ in range(tried):
                order = rng.permutation(n)
                one_way(x, y[order]), one_way(y[order], x)
            return (one_way(x, y) + one_way(y, x)) / 2

        return call

    ways = [
        Way("lab ridge_correlation", lambda: lambda: ridge_correlation(x, y), lambda found: found.r.value),
        Way("sklearn Ridge, fitted anew", by_sklearn, scale=(permutations + 1) / (tried + 1)),
    ]
    note = f"r. Ours adds four bootstrap intervals; {tried + 1} of {permutations + 1} pairs of fits measured"
    return Case(f"ridge map both ways, {n} x 64 and 64, {permutations} permutations", ways, note)


def cca(quick: bool) -> Case:
    from lab.studies.activations.representations import components

    n, d = (500, 20) if quick else (1000, 40)
    x, y = sides(n, d, d)

    def by_sklearn() -> Call:
        from sklearn.cross_decomposition import CCA

        def call() -> float:
            a, b = CCA(n_components=d, max_iter=5000).fit_transform(x, y)
            return float(np.mean([np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(d)]))

        return call

    ways = [
        Way("lab representations.components", lambda: lambda: components(x, keep=d).score(components(y, keep=d))),
        Way("statsmodels CanCorr", lambda: _cancorr(x, y)),
        Way("sklearn CCA", by_sklearn),
    ]
    return Case(f"CCA, all {d} mean, {n} x {d} and {d}", ways, "sklearn's is an iteration (NIPALS)")


def _cancorr(x: np.ndarray, y: np.ndarray) -> Call:
    from statsmodels.multivariate.cancorr import CanCorr

    return lambda: CanCorr(x - x.mean(0), y - y.mean(0)).cancorr.mean()


def svcca(quick: bool) -> Case:
    from lab.studies.activations.representations import components

    n, p, q = (500, 128, 128) if quick else (1000, 768, 768)
    x, y = sides(n, p, q)

    def by_libraries(sklearns: bool) -> Call:
        from sklearn.cross_decomposition import CCA
        from sklearn.decomposition import PCA
        from statsmodels.multivariate.cancorr import CanCorr

        def call() -> float:
            a, b = (PCA(10, svd_solver="covariance_eigh").fit_transform((s - s.mean(0)) / s.std(0)) for s in (x, y))
            if not sklearns:
                return float(CanCorr(a, b).cancorr.mean())
            a, b = CCA(n_components=10, max_iter=5000).fit_transform(a, b)
            return float(np.mean([np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(10)]))

        return call

    ways = [
        Way("lab representations.components", lambda: lambda: components(x, keep=10).score(components(y, keep=10))),
        Way("sklearn PCA + statsmodels CanCorr", lambda: by_libraries(False)),
        Way("sklearn PCA + CCA", lambda: by_libraries(True)),
    ]
    return Case(f"SVCCA, one score of 10 components, {n} x {p} and {q}", ways)


def cka(quick: bool) -> Case:
    from lab.studies.activations.similarity import cka

    n, d, permutations, tried = (300, 64, 1000, 20) if quick else (1000, 768, 10_000, 50)
    x, y = sides(n, d, d)

    def by_numpy() -> Call:
        def centred(side: np.ndarray) -> np.ndarray:
            kernel = (side - side.mean(0)) @ (side - side.mean(0)).T
            np.fill_diagonal(kernel, 0)
            sums = kernel.sum(0) / (n - 2)
            kernel += sums.sum() / (n - 1) - sums - sums[:, None]
            np.fill_diagonal(kernel, 0)
            return np.asarray(kernel / np.linalg.norm(kernel))

        rng = np.random.default_rng(0)
        once = centred(x), centred(y)

        def call() -> float:
            for _ in range(tried):
                order = rng.permutation(n)
                np.vdot(once[0], once[1][np.ix_(order, order)])
            return float(np.vdot(*once))

        return call

    ways = [
        Way("lab cka", lambda: lambda: cka(x, y, permutations=permutations), lambda found: found.value),
        Way("numpy, one kernel looked up in each order", by_numpy, scale=permutations / tried),
    ]
    return Case(f"unbiased CKA, {n} x {d}, {permutations:,} permutations", ways, f"{NULL}; no library is installed")


def mutual_knn(quick: bool) -> Case:
    from lab.studies.activations.similarity import mutual_knn

    n, d, permutations, tried = (300, 64, 1000, 20) if quick else (1000, 768, 10_000, 50)
    x, y = sides(n, d, d)

    def near(side: np.ndarray) -> np.ndarray:
        from sklearn.neighbors import NearestNeighbors

        found = NearestNeighbors(n_neighbors=10, metric="cosine").fit(side)
        return np.asarray(found.kneighbors(return_distance=False))

    def agreed(a: np.ndarray, b: np.ndarray) -> float:
        return float((a[:, :, None] == b[:, None, :]).any(2).mean())

    def shuffled() -> Call:
        a, b, rng = near(x), near(y), np.random.default_rng(0)

        def call() -> float:
            for _ in range(tried):
                order = rng.permutation(n)
                agreed(a, order[b[np.argsort(order)]])
            return agreed(a, b)

        return call

    ways = [
        Way("lab mutual_knn", lambda: lambda: mutual_knn(x, y, permutations=permutations), lambda found: found.value),
        Way("sklearn NearestNeighbors, neighbours found once", shuffled, scale=permutations / tried),
    ]
    return Case(f"mutual 10-NN, {n} x {d}, {permutations:,} permutations", ways, NULL)


def mutual_knn_score(quick: bool) -> Case:
    from lab.studies.activations.representations import neighbours

    n, d = (300, 64) if quick else (1000, 768)
    x, y = sides(n, d, d)

    def by_sklearn() -> Call:
        from sklearn.neighbors import NearestNeighbors

        def near(side: np.ndarray) -> np.ndarray:
            found = NearestNeighbors(n_neighbors=10, metric="cosine").fit(side)
            return np.asarray(found.kneighbors(return_distance=False))

        return lambda: (near(x)[:, :, None] == near(y)[:, None, :]).any(2).mean()

    ways = [
        Way("lab representations.neighbours", lambda: lambda: neighbours(x).score(neighbours(y))),
        Way("sklearn NearestNeighbors", by_sklearn),
    ]
    return Case(f"mutual 10-NN, one score, {n} x {d}", ways)


def procrustes(quick: bool) -> Case:
    from lab.studies.activations.representations import KINDS

    n, d = (300, 64) if quick else (1000, 256)
    x, y = sides(n, d, d)

    def by_scipy() -> Call:
        from scipy.spatial import procrustes

        return lambda: np.sqrt(1 - procrustes(x, y)[2])

    ways = [
        Way("lab representations.Cloud", lambda: lambda: KINDS["procrustes"](x).score(KINDS["procrustes"](y))),
        Way("scipy.spatial.procrustes", by_scipy),
    ]
    return Case(f"Procrustes, one score, {n} x {d}", ways)


def procrustes_null(quick: bool) -> Case:
    from lab.studies.activations.similarity import procrustes

    n, d, tried = (300, 64, 10) if quick else (1000, 256, 5)
    x, y = sides(n, d, d)

    def by_scipy() -> Call:
        from scipy.spatial import procrustes as theirs

        rng = np.random.default_rng(0)

        def call() -> float:
            for _ in range(tried - 1):
                theirs(x, y[rng.permutation(n)])
            return float(np.sqrt(1 - theirs(x, y)[2]))

        return call

    ways = [
        Way("lab procrustes", lambda: lambda: procrustes(x, y), lambda found: found.value),
        Way("scipy.spatial.procrustes, anew", by_scipy, scale=100 / tried),
    ]
    return Case(f"Procrustes, {n} x {d}, 100 permutations", ways, NULL)


def rsa(quick: bool) -> Case:
    from lab.studies.activations.representations import distances

    n, d = (300, 64) if quick else (1000, 256)
    x, y = sides(n, d, d)

    def by_scipy() -> Call:
        from scipy.spatial.distance import pdist
        from scipy.stats import spearmanr

        return lambda: spearmanr(pdist(x, "correlation"), pdist(y, "correlation")).statistic

    ways = [
        Way("lab representations.distances", lambda: lambda: distances(x).score(distances(y))),
        Way("scipy pdist + spearmanr", by_scipy),
    ]
    return Case(f"RSA, Spearman, one score, {n} x {d}", ways)


def rsa_null(quick: bool) -> Case:
    from lab.studies.activations.similarity import rsa

    n, d, permutations, tried = (150, 64, 1000, 20) if quick else (500, 256, 1000, 10)
    x, y = sides(n, d, d)

    def by_scipy() -> Call:
        from scipy.spatial.distance import pdist, squareform
        from scipy.stats import spearmanr

        a, b, rng = pdist(x, "correlation"), squareform(pdist(y, "correlation")), np.random.default_rng(0)

        def call() -> float:
            for _ in range(tried):
                order = rng.permutation(n)
                spearmanr(a, squareform(b[np.ix_(order, order)], checks=False))
            return float(spearmanr(a, squareform(b, checks=False)).statistic)

        return call

    ways = [
        Way("lab rsa", lambda: lambda: rsa(x, y, permutations=permutations), lambda found: found.value),
        Way("scipy spearmanr, anew", by_scipy, scale=permutations / (tried + 1)),
    ]
    return Case(f"RSA, Spearman, {n} x {d}, {permutations:,} permutations", ways, NULL)


def labelled(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Activations [n, d] of falling variance, and labels that a direction among them half tells."""
    rng = np.random.default_rng(2)
    z = rng.normal(size=(n, d))
    y = z[:, :20].mean(1) * 4.5 + rng.normal(size=n) > 0
    return z * np.arange(1, d + 1) ** -0.5 @ np.linalg.qr(rng.normal(size=(d, d)))[0], y


def _folds(x: np.ndarray, y: np.ndarray) -> Any:
    from sklearn.model_selection import StratifiedKFold

    return list(StratifiedKFold(5, shuffle=True, random_state=0).split(x, y))


def _auroc(y: np.ndarray, scores: np.ndarray) -> float:
    from lab.stats.auroc import area

    return float(area(scores, y))


def logistic_probe(quick: bool) -> Case:
    from lab.studies.activations.probing import logistic

    n, d = (500, 64) if quick else (2000, 768)
    x, y = labelled(n, d)

    def by_sklearn() -> Call:
        from sklearn.linear_model import LogisticRegressionCV
        from sklearn.model_selection import cross_val_predict
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        options: dict[str, Any] = {"use_legacy_attributes": False, "l1_ratios": (0,), "scoring": "roc_auc"}
        chosen = LogisticRegressionCV(Cs=np.logspace(-5, 1, 7), cv=5, class_weight="balanced", max_iter=1000, **options)
        probe, splits = make_pipeline(StandardScaler(), chosen), _folds(x, y)
        return lambda: cross_val_predict(probe, x, y, cv=splits, method="decision_function")

    ways = [
        Way("lab logistic, with 2 shuffles", lambda: lambda: logistic(x, y, shuffles=2), lambda f: f.auroc.value),
        Way("sklearn LogisticRegressionCV, 7 C", by_sklearn, lambda scores: _auroc(y, scores)),
    ]
    note = "AUROC; the penalty is chosen otherwise. Ours adds control, intervals and calibration"
    return Case(f"logistic probe, nested, 5 folds, {n} x {d}", ways, note)


def _ridge_probe() -> Any:
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=1600 * np.logspace(-4, 2, 13)))


def ridge_probe(quick: bool) -> Case:
    from lab.studies.activations.probing import ridge

    n, d = (500, 64) if quick else (2000, 768)
    x, y = labelled(n, d)

    def by_sklearn() -> Call:
        from sklearn.model_selection import cross_val_predict

        probe, splits = _ridge_probe(), _folds(x, y)
        return lambda: cross_val_predict(probe, x, y, cv=splits, method="decision_function")

    ways = [
        Way("lab ridge, with 2 permutations", lambda: lambda: ridge(x, y, permutations=2), lambda f: f.auroc.value),
        Way("sklearn RidgeClassifierCV, 13 alphas", by_sklearn, lambda scores: _auroc(y, scores)),
    ]
    note = "AUROC; ours puts folds on one scale before it pools them. Ours adds intervals"
    return Case(f"ridge probe, nested, 5 folds, {n} x {d}", ways, note)


def ridge_null(quick: bool) -> Case:
    from lab.studies.activations.probing import ridge

    (n, d), tried = ((500, 64) if quick else (2000, 768)), 4
    x, y = labelled(n, d)

    def by_sklearn() -> Call:
        from sklearn.model_selection import permutation_test_score

        probe, splits = _ridge_probe(), _folds(x, y)
        options: dict[str, Any] = {"cv": splits, "scoring": "roc_auc", "n_permutations": tried, "random_state": 0}
        return lambda: permutation_test_score(probe, x, y, **options)[0]

    ways = [
        Way("lab ridge", lambda: lambda: ridge(x, y, permutations=1000), lambda found: found.auroc.value),
        Way("sklearn permutation_test_score", by_sklearn, scale=1001 / (tried + 1)),
    ]
    note = "AUROC, sklearn's the mean over folds"
    return Case(f"ridge probe, 5 folds, {n} x {d}, 1000 permutations", ways, note)


CASES: dict[str, Callable[[bool], Case]] = {
    case.__name__: case
    for case in (
        ridge_map,
        cca,
        svcca,
        cka,
        mutual_knn_score,
        mutual_knn,
        procrustes,
        procrustes_null,
        rsa,
        rsa_null,
        logistic_probe,
        ridge_probe,
        ridge_null,
    )
}
