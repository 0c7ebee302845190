"""The penalty on sigma: Thurstone's model over a grid of penalties, on pairs that were held out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from warnings import warn

import numpy as np

from lab.stats.checks import whole
from lab.studies.preferences.active import regular_pairs
from lab.studies.preferences.comparisons import Comparisons, count
from lab.studies.preferences.thurstone import evaluated, fitted

GRID = tuple(float(x) for x in np.logspace(-2, math.log10(150), 5))
"""0.01, 0.11, 1.2, 14 and 150."""

_DENSE, _MET, _ANSWERS = 0.5, 50, 10
"""Share of all pairs, others that an item meets, and answers to each, from which sigma is known without a penalty."""


@dataclass(frozen=True)
class Row:
    """What one penalty came to, over the folds.

    Attributes
    ----------
    l2
        The penalty; 0 is none.
    train_nll, test_nll, test_nll_sd
        Per answer in nats: of the answers fitted to, of those held out, and its standard deviation over folds.
    accuracy, accuracy_sd
        Share of held-out questions foretold, ties left out.
    mean_sigma, max_sigma
        Over items and folds; the mean over folds of each fold's largest.
    at_bounds
        Mean number of parameters on a bound.
    converged
        Whether every fit did.
    objective
        What was minimised.
    """

    l2: float
    train_nll: float
    test_nll: float
    test_nll_sd: float
    accuracy: float
    accuracy_sd: float
    mean_sigma: float
    max_sigma: float
    at_bounds: float
    converged: bool
    objective: str


@dataclass(frozen=True)
class Study:
    """A grid of penalties on one set of comparisons.

    Attributes
    ----------
    by_l2
        In the order of the grid.
    folds
        How many parts of the pairs were held out in turn.
    n_items, n_pairs, n_answers
        Of the comparisons.
    """

    name: str
    by_l2: tuple[Row, ...]
    folds: int
    n_items: int
    n_pairs: int
    n_answers: float

    @property
    def best(self) -> float:
        """The largest penalty whose held-out NLL is within a standard error of the least (Breiman et al. 1984)."""
        least = min(self.by_l2, key=lambda row: row.test_nll)
        reach = least.test_nll + least.test_nll_sd / math.sqrt(self.folds)
        return max(row.l2 for row in self.by_l2 if row.test_nll <= reach)

    @property
    def recommended(self) -> tuple[float, str]:
        """The penalty that the density of the comparisons asks for, with why. See `recommend`."""
        return recommend(self.n_items, self.n_pairs, self.n_answers)

    def rows(self) -> list[dict[str, Any]]:
        """One mapping a penalty, of plain values."""
        shared = {"study": self.name, "items": self.n_items, "pairs": self.n_pairs, "answers": self.n_answers}
        return [shared | {"folds": self.folds} | asdict(row) for row in self.by_l2]


def of_rows(
    rows: Iterable[Mapping[str, Any]], objective: Sequence[str] | None = None, *, position: bool = False
) -> Study:
    """A study from its `rows`, as they were kept.

    `objective` is what fits of today minimise, by default as in `study` at the rows' own penalties and with that
    `position`: where the rows are of another, a figure of them shows something else than its caption says, and a
    warning says so.

    Raises ValueError for no rows.
    """
    table = [dict(row) for row in rows]
    if not table:
        raise ValueError("there are no rows of a study")
    kept = tuple(Row(**{key: row[key] for key in Row.__dataclass_fields__}) for row in table)
    now = objective or [_objective(row.l2, position) for row in kept]
    for row, due in zip(kept, now, strict=True):
        if row.objective != due:
            warn(
                f"the rows of {table[0]['study']!r} are of another objective ({row.objective}) than today's ({due}); "
                "run the study again",
                stacklevel=2,
            )
            break
    one = table[0]
    return Study(one["study"], kept, one["folds"], one["items"], one["pairs"], one["answers"])


def _objective(l2: float, position: bool) -> str:
    """What a study minimises at a penalty."""
    tiny = count([0, 1], [1, 0], [1, 1], 2)
    return fitted(tiny, l2, position, log_sigma_bound=_BOUND).objective


_BOUND = 4.0
"""Of |log sigma| in a study: wide, to let it be seen where sigma goes."""


def study(
    counted: Comparisons,
    *,
    name: str = "comparisons",
    grid: Sequence[float] = (0.0, *GRID),
    folds: int = 5,
    seed: int = 123,
    position: bool = False,
    log_sigma_bound: float = _BOUND,
    **settings: Any,
) -> Study:
    """Fits with each penalty of a grid, on all pairs but a fold's, and foretells those.

    Five folds hold out 20 % of the pairs each, in turn; the same for every penalty. `counted` is made by
    `comparisons.count`, or by `comparisons.of_answers` from what is stored; `settings` are further ones of
    `thurstone.fit`.

    Raises ValueError for an empty grid, and as `thurstone.held_out`.
    """
    if not len(grid):
        raise ValueError("the grid of penalties is empty")
    rows = []
    for l2 in grid:
        found, fits = evaluated(counted, l2, position, folds, seed, log_sigma_bound=log_sigma_bound, **settings)
        sigma = [fit.sigma[fit.comparisons.compared] for fit in fits]
        rows.append(
            Row(
                l2=float(l2),
                train_nll=float(np.mean([fit.nll_per_answer for fit in fits])),
                test_nll=float(found.nll_by_fold.mean()),
                test_nll_sd=float(found.nll_by_fold.std(ddof=1)),
                accuracy=float(found.accuracy_by_fold.mean()),
                accuracy_sd=float(found.accuracy_by_fold.std(ddof=1)),
                mean_sigma=float(np.mean([one.mean() for one in sigma])),
                max_sigma=float(np.mean([one.max() for one in sigma])),
                at_bounds=float(np.mean([len(fit.at_bounds) for fit in fits])),
                converged=all(fit.converged for fit in fits),
                objective=fits[0].objective,
            )
        )
    return Study(name, tuple(rows), folds, counted.n_items, counted.n_pairs, counted.total)


def recommend(n_items: int, n_pairs: int, n_answers: float) -> tuple[float, str]:
    """A penalty from how dense the comparisons are, and the reason in words.

    0 where at least half of all pairs were compared, each item with fifty others or more, with ten answers each:
    every sigma is then known from hundreds of answers, and held-out NLL is flat. (With every pair of 40 items answered
    ten times, no penalty cost up to 0.7 nats an answer, of 60 items 0.03, of 80 and 100 under 0.005; a penalty of 1
    cost nothing in any of them.) 1 for fewer pairs. 10 where there are fewer than ten answers a pair: of single
    answers sigma cannot be told from mu.

    Raises ValueError where there are no pairs.

        >>> recommend(100, 4950, 49500)
        (0.0, '100% of all pairs, 10 answers to each: dense, no penalty is needed')
        >>> recommend(500, 7164, 7164)
        (10.0, '6% of all pairs, 1 answers to each: sparse, and sigma cannot be told from few answers')
    """
    whole("the number of items", n_items, 2)
    whole("the number of pairs", n_pairs, 1)
    met, each = 2 * n_pairs / n_items, n_answers / n_pairs
    share = met / (n_items - 1)
    told = f"{share:.0%} of all pairs, {each:.3g} answers to each"
    if each < _ANSWERS:
        return 10.0, f"{told}: sparse, and sigma cannot be told from few answers"
    if share < _DENSE or met < _MET:
        return 1.0, f"{told}, an item meets {met:.3g} others: sparse, sigma must be held back"
    return 0.0, f"{told}: dense, no penalty is needed"


def synthetic(
    n_items: int = 100, *, degree: int | None = None, answers: int = 10, reach: float = 3.0, seed: int = 0
) -> tuple[np.ndarray, Comparisons]:
    """Utilities evenly from -reach to reach with sigma 1, and answers drawn by Thurstone's model.

    All pairs are compared, or with a `degree` those of a random graph in which each item meets so many others.
    """
    from scipy.special import ndtr

    rng = np.random.default_rng(seed)
    mu = np.linspace(-reach, reach, n_items)
    pairs = regular_pairs(n_items, n_items - 1 if degree is None else degree, seed=seed)
    p = ndtr((mu[pairs[:, 0]] - mu[pairs[:, 1]]) / math.sqrt(2))
    shares = rng.binomial(answers, p) / answers
    return mu, count(pairs[:, 0], pairs[:, 1], shares, n_items, np.full(len(p), answers))


def bounds_sensitivity(
    counted: Comparisons,
    bounds: Sequence[tuple[float, float]] = ((10.0, 2.0), (10.0, 3.0), (10.0, 4.0), (5.0, 2.0), (20.0, 2.0)),
    *,
    l2: float = 1.0,
    position: bool = False,
    **settings: Any,
) -> list[dict[str, Any]]:
    """Whether the ranking depends on the bounds: one row for each (mu_bound, log_sigma_bound), beside the first.

    A row has the rank correlation of its utilities with those under the first bounds, the largest sigma, how many
    parameters lie on a bound, and whether it converged. Raises ValueError for fewer than two bounds.
    """
    from scipy.stats import spearmanr

    if len(bounds) < 2:
        raise ValueError("a comparison of bounds needs two of them")
    fits = [
        fitted(counted, l2, position, mu_bound=mu, log_sigma_bound=log_sigma, **settings) for mu, log_sigma in bounds
    ]
    return [
        {
            "mu_bound": float(mu),
            "log_sigma_bound": float(log_sigma),
            "rank_correlation": min(1.0, float(spearmanr(fits[0].mu, fit.mu).statistic)),
            "max_sigma": float(fit.sigma.max()),
            "at_bounds": len(fit.at_bounds),
            "converged": fit.converged,
        }
        for (mu, log_sigma), fit in zip(bounds, fits, strict=True)
    ]
