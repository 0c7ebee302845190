"""Which statistics of plain samples have a counterpart in a library?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.statistics.compare import Case, Way

Call = Callable[[], Any]
MONTE_CARLO = "own random numbers"


def ratings(n: int = 200) -> np.ndarray:
    """[n, 4] ratings by raters who agree somewhat."""
    rng = np.random.default_rng(0)
    return np.asarray(rng.normal(size=(n, 1)) + rng.normal(size=4) / 2 + rng.normal(size=(n, 4)))


def two(n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Two rows [n] that correlate, the first half a deviation higher."""
    rng = np.random.default_rng(1)
    x = rng.normal(0.5, 1, n)
    return x, np.asarray(0.5 * (x - 0.5) + rng.normal(size=n))


def ends(e: Any) -> list[float]:
    return [e.value, e.low, e.high]


def with_p(e: Any) -> list[float]:
    return [e.value, e.p, e.low, e.high]


def _pingouin_icc(tables: np.ndarray) -> Call:
    import pandas as pd
    import pingouin

    n, k = tables.shape[1:]
    frames = [
        pd.DataFrame({"target": np.repeat(np.arange(n), k), "rater": np.tile(np.arange(k), n), "rating": table.ravel()})
        for table in tables
    ]
    return lambda: [
        pingouin.intraclass_corr(frame, targets="target", raters="rater", ratings="rating") for frame in frames
    ]


def _forms(tables: list[Any]) -> np.ndarray:
    """[tables * 6] in our order, from pingouin's A (agreement) and C (consistency)."""
    rows = ["ICC(1,1)", "ICC(A,1)", "ICC(C,1)", "ICC(1,k)", "ICC(A,k)", "ICC(C,k)"]
    return np.array([table.set_index("Type")["ICC"][rows].to_numpy() for table in tables]).ravel()


def icc(quick: bool) -> Case:
    from lab.stats.reliability import icc

    x = ratings()
    ways = [
        Way("lab icc", lambda: lambda: icc(x), lambda found: [e.value for e in found.values()]),
        Way("pingouin.intraclass_corr", lambda: _pingouin_icc(x[None]), _forms),
    ]
    return Case("six ICCs with intervals, 200 x 4", ways, "values; pingouin rounds intervals to 2 decimals")


def icc_batch(quick: bool) -> Case:
    from lab.stats.reliability import icc_batch

    count = 500 if quick else 5000
    tables = np.random.default_rng(2).normal(size=(count, 200, 4)) + np.random.default_rng(3).normal(size=(1, 200, 1))
    ways = [
        Way("lab icc_batch", lambda: lambda: icc_batch(tables), lambda f: np.stack(list(f.values()), 1)[:20].ravel()),
        Way("pingouin.intraclass_corr", lambda: _pingouin_icc(tables[:20]), _forms, count / 20),
    ]
    return Case(f"six ICCs of {count:,} tables, 200 x 4", ways)


def icc_bootstrap(quick: bool) -> Case:
    from lab.stats.reliability import icc_batch, icc_bootstrap

    x, resamples = ratings(), 500 if quick else 5000

    def by_pingouin() -> Call:
        drawn = np.random.default_rng(0).integers(200, size=(20, 200))
        return _pingouin_icc(x[drawn])

    def by_scipy() -> Call:
        from scipy.stats import bootstrap

        def of(*columns: np.ndarray, axis: int = -1) -> np.ndarray:
            return icc_batch(np.stack(columns, axis=-1))["2,1"]

        columns = tuple(x.T)
        return lambda: bootstrap(columns, of, paired=True, vectorized=True, n_resamples=resamples, batch=100, rng=0)

    def read(found: Any) -> list[float]:
        interval = found.confidence_interval
        return [interval.low, interval.high]

    ways = [
        Way("lab icc_bootstrap", lambda: lambda: icc_bootstrap(x, resamples=resamples), lambda e: [e.low, e.high]),
        Way("scipy.stats.bootstrap of lab icc_batch", by_scipy, read),
        Way("pingouin.intraclass_corr a resample", by_pingouin, lambda found: [np.nan], resamples / 20),
    ]
    return Case(f"ICC(2,1) bootstrap, 200 x 4, {resamples:,} resamples", ways, f"{MONTE_CARLO}; pingouin: time alone")


def _shares(title: str, ours: Any, scipy_name: str, statsmodels_name: str) -> Case:
    def by_scipy() -> Call:
        from scipy.stats import binomtest

        return lambda: binomtest(81, 263).proportion_ci(method=scipy_name)

    def by_statsmodels() -> Call:
        from statsmodels.stats.proportion import proportion_confint

        return lambda: proportion_confint(81, 263, method=statsmodels_name)

    ways = [
        Way(f"lab {ours.__name__}", lambda: lambda: ours(81, 263), lambda e: [e.low, e.high]),
        Way("scipy.stats.binomtest", by_scipy),
        Way("statsmodels proportion_confint", by_statsmodels),
    ]
    return Case(title, ways)


def wilson(quick: bool) -> Case:
    from lab.stats.shares import wilson

    return _shares("Wilson, 81 of 263", wilson, "wilson", "wilson")


def clopper_pearson(quick: bool) -> Case:
    from lab.stats.shares import clopper_pearson

    return _shares("Clopper-Pearson, 81 of 263", clopper_pearson, "exact", "beta")


def newcombe(quick: bool) -> Case:
    from lab.stats.shares import unpaired_difference

    a, b = np.repeat([True, False], [56, 14]), np.repeat([True, False], [48, 32])

    def by_libraries() -> Call:
        from scipy.stats import fisher_exact
        from statsmodels.stats.proportion import confint_proportions_2indep as confint

        def both() -> tuple[float, ...]:
            i, j = int(a.sum()), int(b.sum())
            p = fisher_exact([[i, a.size - i], [j, b.size - j]]).pvalue
            return i / a.size - j / b.size, p, *confint(i, a.size, j, b.size, method="newcomb")

        return both

    ways = [
        Way("lab unpaired_difference", lambda: lambda: unpaired_difference(a, b), with_p),
        Way("statsmodels confint_proportions_2indep + scipy fisher_exact", by_libraries),
    ]
    return Case("two shares, Newcombe and Fisher, 70 and 80", ways)


def student(quick: bool) -> Case:
    from lab.stats.means import student

    x = two()[0]

    def by_scipy() -> Call:
        from scipy.stats import ttest_1samp

        def both() -> tuple[float, ...]:
            found = ttest_1samp(x, 0)
            interval = found.confidence_interval()
            return x.mean(), found.pvalue, interval.low, interval.high

        return both

    def by_statsmodels() -> Call:
        from statsmodels.stats.weightstats import DescrStatsW

        def both() -> tuple[float, ...]:
            d = DescrStatsW(x)
            return d.mean, d.ttest_mean(0)[1], *d.tconfint_mean()

        return both

    def by_pingouin() -> Call:
        import pingouin

        return lambda: pingouin.ttest(x, 0)

    ways = [
        Way("lab student", lambda: lambda: student(x), with_p),
        Way("scipy.stats.ttest_1samp", by_scipy),
        Way("statsmodels DescrStatsW", by_statsmodels),
        Way("pingouin.ttest", by_pingouin, lambda found: [x.mean(), *_column(found, "p_val", "p-val")]),
    ]
    return Case("mean, Student, n = 200", ways)


def _column(frame: Any, *names: str) -> list[float]:
    """The first row's value under whichever of the names this release of pingouin has."""
    return [float(frame[name].iloc[0]) for name in names if name in frame][:1]


def welch(quick: bool) -> Case:
    from lab.stats.means import welch

    x, y = two()
    y = y[:150]

    def by_scipy() -> Call:
        from scipy.stats import ttest_ind

        def both() -> tuple[float, ...]:
            found = ttest_ind(x, y, equal_var=False)
            interval = found.confidence_interval()
            return x.mean() - y.mean(), found.pvalue, interval.low, interval.high

        return both

    def by_statsmodels() -> Call:
        from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

        def both() -> tuple[float, ...]:
            c = CompareMeans(DescrStatsW(x), DescrStatsW(y))
            p = c.ttest_ind(usevar="unequal")[1]
            return c.d1.mean - c.d2.mean, p, *c.tconfint_diff(usevar="unequal")

        return both

    ways = [
        Way("lab welch", lambda: lambda: welch(x, y), with_p),
        Way("scipy.stats.ttest_ind", by_scipy),
        Way("statsmodels CompareMeans", by_statsmodels),
    ]
    return Case("two means, Welch, n = 200 and 150", ways)


def tost(quick: bool) -> Case:
    from lab.stats.equivalence import tost_independent

    x, y = two()
    y = y[:150] + 0.4

    def by_statsmodels() -> Call:
        from statsmodels.stats.weightstats import ttost_ind

        return lambda: ttost_ind(x, y, -0.5, 0.5, usevar="unequal")

    def by_pingouin() -> Call:
        import pingouin

        return lambda: pingouin.tost(x, y, bound=0.5, correction=True)

    ways = [
        Way("lab tost_independent", lambda: lambda: tost_independent(x, y, -0.5, 0.5), lambda found: found.p),
        Way("statsmodels ttost_ind", by_statsmodels, lambda found: found[0]),
        Way("pingouin.tost", by_pingouin, lambda found: _column(found, "p_val", "pval")),
    ]
    return Case("equivalence, Welch TOST, n = 200 and 150", ways, "p; the libraries give no interval")


def pearson(quick: bool) -> Case:
    from lab.stats.correlations import correlation

    x, y = two()

    def by_scipy() -> Call:
        from scipy.stats import pearsonr

        def both() -> tuple[float, ...]:
            found = pearsonr(x, y)
            interval = found.confidence_interval()
            return found.statistic, found.pvalue, interval.low, interval.high

        return both

    ways = [
        Way("lab correlation", lambda: lambda: correlation(x, y), with_p),
        Way("scipy.stats.pearsonr", by_scipy),
        Way("pingouin.corr", lambda: _pingouin_corr("pearson"), _r_and_p),
    ]
    return Case("Pearson's r, Fisher z, n = 200", ways)


def spearman(quick: bool) -> Case:
    from lab.stats.correlations import correlation

    x, y = two()

    def by_scipy() -> Call:
        from scipy.stats import spearmanr

        return lambda: spearmanr(x, y)

    ways = [
        Way("lab correlation", lambda: lambda: correlation(x, y, kind="Spearman"), with_p),
        Way("scipy.stats.spearmanr", by_scipy, lambda found: [found.statistic, found.pvalue], lacks="no interval"),
        Way("pingouin.corr", lambda: _pingouin_corr("spearman"), _r_and_p),
    ]
    return Case("Spearman's r, n = 200", ways)


def _pingouin_corr(method: str) -> Call:
    import pingouin

    x, y = two()
    return lambda: pingouin.corr(x, y, method=method)


def _r_and_p(found: Any) -> list[float]:
    return [float(found["r"].iloc[0]), *_column(found, "p_val", "p-val")]


def _bootstrap(title: str, statistic: Any, for_pingouin: Any, quick: bool) -> Case:
    from lab.stats.bootstrap import bootstrap

    x, resamples = np.random.default_rng(4).exponential(size=1000), 999 if quick else 9999

    def by_scipy(batch: int | None) -> Call:
        from scipy.stats import bootstrap

        def call() -> Any:
            return bootstrap((x,), statistic, n_resamples=resamples, batch=batch, rng=0).confidence_interval

        return call

    def by_pingouin() -> Call:
        from pingouin import compute_bootci

        return lambda: compute_bootci(x, func=for_pingouin, method="bca", n_boot=resamples, decimals=9, seed=0)

    ways = [
        Way("lab bootstrap", lambda: lambda: bootstrap(x, statistic, resamples=resamples), lambda e: [e.low, e.high]),
        *(
            Way(f"scipy.stats.bootstrap, batch {batch or 'all'}", lambda batch=batch: by_scipy(batch))  # type: ignore[misc]
            for batch in (25, 100, None)
        ),
        Way("pingouin.compute_bootci", by_pingouin),
    ]
    return Case(f"{title}, BCa, n = 1000, {resamples:,} resamples", ways, MONTE_CARLO)


def bootstrap_mean(quick: bool) -> Case:
    return _bootstrap("mean", np.mean, "mean", quick)


def bootstrap_median(quick: bool) -> Case:
    return _bootstrap("median", np.median, np.median, quick)


def _effect(title: str, ours: Any, kind: str, note: str) -> Case:
    x, y = two()

    def by_pingouin() -> Call:
        from pingouin import compute_effsize, compute_esci

        def both() -> tuple[float, ...]:
            value = compute_effsize(x, y, eftype=kind)
            return value, *compute_esci(value, x.size, y.size, decimals=9)

        return both

    ways = [
        Way(f"lab {ours.__name__}", lambda: lambda: ours(x, y), ends),
        Way("pingouin compute_effsize + compute_esci", by_pingouin),
    ]
    return Case(f"{title} with interval, n = 200 and 200", ways, note)


def cohen_d(quick: bool) -> Case:
    from lab.stats.effects import cohen_d

    return _effect("Cohen's d", cohen_d, "cohen", "exact interval by the noncentral t; pingouin's is approximate")


def hedges_g(quick: bool) -> Case:
    from lab.stats.effects import hedges_g

    return _effect("Hedges' g", hedges_g, "hedges", "as for d; pingouin's factor is approximate too")


def cliffs_delta(quick: bool) -> Case:
    from lab.stats.effects import cliffs_delta

    x, y = two()

    def by_scipy() -> Call:
        from scipy.stats import mannwhitneyu

        return lambda: 2 * mannwhitneyu(x, y).statistic / (x.size * y.size) - 1

    def by_pingouin() -> Call:
        from pingouin import compute_effsize

        return lambda: 2 * compute_effsize(x, y, eftype="CLES") - 1

    ways = [
        Way("lab cliffs_delta", lambda: lambda: cliffs_delta(x, y), lambda e: e.value),
        Way("scipy.stats.mannwhitneyu", by_scipy, lacks="no interval"),
        Way("pingouin.compute_effsize", by_pingouin, lacks="no interval"),
    ]
    return Case("Cliff's delta with DeLong's interval, n = 200 and 200", ways)


def _adjusted(title: str, ours: Any, method: str, by_scipy: Callable[[np.ndarray], Call] | None = None) -> Case:
    p = np.random.default_rng(5).random(1000) ** 3

    def by_statsmodels() -> Call:
        from statsmodels.stats.multitest import multipletests

        return lambda: multipletests(p, method=method)

    def by_pingouin() -> Call:
        from pingouin import multicomp

        return lambda: multicomp(p, method=method)

    ways = [
        Way(f"lab {ours.__name__}", lambda: lambda: ours(p)),
        *([Way("scipy.stats.false_discovery_control", lambda: by_scipy(p))] if by_scipy else []),
        Way("statsmodels multipletests", by_statsmodels, lambda found: found[1]),
        Way("pingouin.multicomp", by_pingouin, lambda found: found[1]),
    ]
    return Case(f"{title}, 1000 p-values", ways)


def holm(quick: bool) -> Case:
    from lab.stats.families import holm

    return _adjusted("Holm", holm, "holm")


def benjamini_hochberg(quick: bool) -> Case:
    from lab.stats.families import benjamini_hochberg

    def by_scipy(p: np.ndarray) -> Call:
        from scipy.stats import false_discovery_control

        return lambda: false_discovery_control(p)

    return _adjusted("Benjamini-Hochberg", benjamini_hochberg, "fdr_bh", by_scipy)


def max_t(quick: bool) -> Case:
    from lab.stats.families import max_t

    permutations = 999 if quick else 9999
    rng = np.random.default_rng(6)
    x = rng.normal(size=(200, 1)) + 0.5 * rng.normal(size=(200, 36)) + np.linspace(0, 0.4, 36)

    def t_of(sample: np.ndarray, axis: int = -1) -> np.ndarray:
        n = sample.shape[axis]
        mean, square = sample.mean(axis), (sample * sample).sum(axis)
        return np.asarray(np.sqrt(n) * mean / np.sqrt((square - n * mean**2) / (n - 1)))

    def by_scipy() -> Call:
        from scipy.stats import permutation_test

        def call() -> np.ndarray:
            kind: dict[str, Any] = {"permutation_type": "samples", "vectorized": True, "axis": 0, "batch": 50}
            found = permutation_test((x,), t_of, n_resamples=permutations, rng=0, **kind)
            reached = np.abs(found.null_distribution).max(-1)[:, None] >= np.abs(found.statistic)
            assert reached.shape == (permutations, 36)
            return np.asarray(found.statistic)

        return call

    def by_numpy() -> Call:
        def call() -> np.ndarray:
            signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(permutations, 200))
            sums, square, n = signs @ x, (x * x).sum(0), 200
            flipped = np.abs(sums) / np.sqrt((square - sums**2 / n) * n / (n - 1))
            t = t_of(x, 0)
            _ = (flipped.max(1)[:, None] >= np.abs(t)).mean(0)
            return t

        return call

    ways = [
        Way("lab max_t", lambda: lambda: max_t(x, permutations=permutations), lambda found: found.t),
        Way("scipy.stats.permutation_test", by_scipy, lacks="no step-down, no band"),
        Way("numpy by hand", by_numpy, lacks="no step-down, no band"),
    ]
    return Case(f"max-T, 200 x 36 layers, {permutations:,} flips", ways, "t")


def delong(quick: bool) -> Case:
    from lab.stats.auroc import delong

    rng = np.random.default_rng(7)
    y = rng.random(2000) < 0.4
    s = rng.normal(size=2000) + 0.8 * y

    def by_sklearn() -> Call:
        from sklearn.metrics import roc_auc_score

        return lambda: roc_auc_score(y, s)

    def by_resampling() -> Call:
        from sklearn.metrics import roc_auc_score

        drawn = np.random.default_rng(0).integers(2000, size=(40, 2000))

        def call() -> float:
            np.quantile([roc_auc_score(y[rows], s[rows]) for rows in drawn], [0.025, 0.975])
            return float(roc_auc_score(y, s))

        return call

    ways = [
        Way("lab delong", lambda: lambda: delong(s, y), lambda e: e.value),
        Way("sklearn roc_auc_score", by_sklearn, lacks="no interval"),
        Way("sklearn roc_auc_score, bootstrap of 2000", by_resampling, scale=50),
    ]
    return Case("AUROC with DeLong's interval, n = 2000", ways, "value; no library here has DeLong's")


CASES: dict[str, Callable[[bool], Case]] = {
    case.__name__: case
    for case in (
        icc,
        icc_batch,
        icc_bootstrap,
        wilson,
        clopper_pearson,
        newcombe,
        student,
        welch,
        tost,
        pearson,
        spearman,
        bootstrap_mean,
        bootstrap_median,
        cohen_d,
        hedges_g,
        cliffs_delta,
        holm,
        benjamini_hochberg,
        max_t,
        delong,
    )
}
