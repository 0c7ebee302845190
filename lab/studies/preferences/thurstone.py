"""Utilities of items from choices between two, by Thurstone and by Bradley and Terry."""

from __future__ import annotations

import ast
import hashlib
import inspect
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.stats.checks import upper
from lab.stats.threads import one_thread
from lab.studies.preferences.comparisons import Comparisons, count, out_of_fold

Penalty = Literal["log sigma", "sigma"]
Start = tuple[np.ndarray, np.ndarray, float]

TOLERANCE = 0.01
"""Largest slope, in nats per unit of mu or log sigma, that a converged fit may have left (and per sqrt(2 / items) of
position, in which all answers have a part). Of 500 items with 7,164 answers no utility that has a finite estimate was
further from where it would have ended than 2 % of its standard error."""

_LEAST_SHARE = 1e-10
"""With which an answer is foretold, at the least."""

_MOST_PARAMETERS = 8000
"""Of a matrix of information: 0.5 GB."""


@dataclass(frozen=True)
class Fit:
    """Utilities, and how well they are known.

    Attributes
    ----------
    mu
        [items] utilities, with mean 0 over the items that were compared; 0 for one that never was.
    sigma
        [items] standard deviations of the utilities; all 1 in case V, and unused by Bradley and Terry.
    position
        What being named first adds to a utility; 0 where it was not fitted.
    nll
        Summed negative log-likelihood of the answers in nats, without the penalties.
    converged, gradient_norm, iterations, message
        Whether the largest slope that the bounds leave free is at most `TOLERANCE`, that slope, and what the
        optimiser said.
    at_bounds
        Names of the parameters that lie on a bound: "mu[3]", "log sigma[7]".
    objective
        What was minimised, in words, so that figures of another objective are told apart.
    comparisons
        The answers that it was fitted to.
    """

    mu: np.ndarray
    sigma: np.ndarray
    position: float
    nll: float
    converged: bool
    gradient_norm: float
    iterations: int
    message: str
    at_bounds: tuple[str, ...]
    objective: str
    comparisons: Comparisons = field(repr=False)
    _model: _Model = field(repr=False)
    _at: np.ndarray = field(repr=False)

    @property
    def found(self) -> Start:
        """mu, sigma and position, for another fit to start from."""
        return self.mu, self.sigma, self.position

    @property
    def nll_per_answer(self) -> float:
        """In nats; ln 2 = 0.693 is what a coin gets."""
        return self.nll / self.comparisons.total

    @property
    def offset(self) -> float:
        """What the mean utility would be, were the first item at 0."""
        return -float(self.mu[0])

    @property
    def ranking(self) -> np.ndarray:
        """[items] indices from the most preferred to the least."""
        return np.argsort(-self.mu, kind="stable")

    def probability(self, first: ArrayLike, second: ArrayLike, *, position: bool = True) -> np.ndarray:
        """Of choosing the first-named, for items by index; without what its place adds if not `position`."""
        i, j = np.asarray(first), np.asarray(second)
        gap = self.mu[i] - self.mu[j] + (self.position if position else 0.0)
        return self._model.share(gap, self.sigma[i], self.sigma[j])

    @cached_property
    def standard_errors(self) -> np.ndarray:
        """[items] of `mu`, from the expected (Fisher) information; NaN where there is none.

        Of the mean-centred utilities, with sigma and position estimated too. Each answer counts as one draw; of exact
        probabilities they say how sure so many draws would be. Parameters on a bound, and the utilities of items
        that were always chosen or never, are held where they are, and have none.

        Raises ValueError where 8,000 parameters are exceeded: its matrix would not fit.
        """
        return self._model.errors(self._at)

    def utilities(self, *, level: float = 0.95) -> tuple[Estimate, ...]:
        """Each item's utility with an interval: normal, by `standard_errors`; n is how many answers it was in.

        In doubt where the fit did not converge, where some items never meet others, and where an item was always
        chosen over the rest or never.
        """
        from scipy.special import ndtri

        c = self.comparisons
        reach = float(ndtri(upper(level)))
        weight = c.for_first + c.for_second
        seen = np.bincount(c.first, weight, c.n_items) + np.bincount(c.second, weight, c.n_items)
        overall = ""
        if not self.converged:
            overall = f"the fit did not converge (slope {self.gradient_norm:.2g}): {self.message}"
        elif c.parts > 1:
            overall = (
                f"the comparisons fall into {c.parts} sets of items that never meet; compare items of different sets"
            )
        found = []
        for i, (mu, error) in enumerate(zip(self.mu, self.standard_errors, strict=True)):
            doubt = overall
            if not c.compared[i]:
                doubt = "it was never compared"
            elif not c.comparable[i]:
                doubt = doubt or "it was always chosen over the rest, or never, so its utility has no finite estimate"
            elif not np.isfinite(error):
                doubt = doubt or "its utility, or sigma, lies on a bound"
            half = reach * error if np.isfinite(error) else 0.0
            n = max(1, round(float(seen[i])))
            found.append(
                Estimate(float(mu), float(mu - half), float(mu + half), n, self._model.method, level, doubt=doubt)
            )
        return tuple(found)

    def rows(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """One mapping an item (task_id, mu, sigma), the most preferred first; numbers come back from text exactly.

        Raises ValueError where there is not one id for each item.
        """
        if len(set(ids)) != len(self.mu) or len(ids) != len(self.mu):
            raise ValueError(f"{len(self.mu)} items need as many different ids, not {len(set(ids))}")
        return [{"task_id": str(ids[i]), "mu": float(self.mu[i]), "sigma": float(self.sigma[i])} for i in self.ranking]


@lru_cache
def version() -> str:
    """A digest of the code of this model and of how answers are counted, by which fits of other code are told.

    Neither comments nor docstrings are in it.
    """
    made = hashlib.sha256()
    for name in (__name__, count.__module__):
        tree = ast.parse(inspect.getsource(sys.modules[name]))
        for node in ast.walk(tree):
            if hasattr(node, "body") and isinstance(node.body, list):
                node.body = [
                    one for one in node.body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
                ]
        made.update(ast.unparse(tree).encode())  # as any version of Python writes it
    return made.hexdigest()[:12]


def fit(
    first: ArrayLike,
    second: ArrayLike,
    chose_first: ArrayLike,
    n_items: int,
    weights: ArrayLike | None = None,
    l2: float = 1.0,
    position: bool = False,
    **settings: Any,
) -> Fit:
    """Thurstone's model with a standard deviation for each item: U_i ~ N(mu_i, sigma_i^2) (Thurstone 1927).

    P(i over j) = Phi((mu_i - mu_j + position) / sqrt(sigma_i^2 + sigma_j^2)), i named first; fitted by penalised
    maximum likelihood: the summed negative log-likelihood + l2 * sum((log sigma)^2) + l2_mu * sum(mu^2).

    Parameters
    ----------
    first, second, chose_first, n_items, weights
        As in `comparisons.count`: items by number, 0 or 1 or a probability, and how many answers each stands for.
    l2
        Of log sigma, for the summed likelihood: 1 stands for a prior standard deviation of 0.71. At 0 sigma is free
        within its bounds; `math.inf` holds every sigma at 1 (case V), which ranks as well or better wherever there
        are fewer than ten answers a pair.
    position
        Whether to fit what being named first adds. Ask pairs in both orders for it: where each is asked in one
        and it is left out, position bias goes into the utilities.
    settings
        The further ones of `fitted`.

    What never converges, or lies on a bound, is told in the result and puts its intervals in doubt. Utilities are
    overstated where answers are few, as by all maximum likelihood: of case V by 7 % at 58 answers an item, with sigma
    free and l2=1 by 23 %; so are their standard errors, and ranks are not touched.

    Raises ValueError as `comparisons.count`, and for parameters out of range.
    """
    return fitted(count(first, second, chose_first, n_items, weights), l2, position, **settings)


def fitted(
    counted: Comparisons,
    l2: float = 1.0,
    position: bool = False,
    *,
    l2_mu: float = 0.0,
    penalty: Penalty = "log sigma",
    mu_bound: float = 10.0,
    log_sigma_bound: float = 2.0,
    start: Start | None = None,
    tolerance: float = TOLERANCE,
    max_iterations: int = 5000,
) -> Fit:
    """`fit` of what is counted already.

    Parameters
    ----------
    counted, l2, position
        As in `fit`.
    l2_mu
        Of the utilities. At 0 items that were always chosen go towards the bound; 0.1 holds them, and stands for a
        prior standard deviation of 2.2.
    penalty
        "sigma" takes l2 * sum(sigma^2) instead, which draws sigma to 0: for comparison with fits of that kind.
    mu_bound, log_sigma_bound
        Of |mu| (before it is centred) and of |log sigma|.
    start
        (mu, sigma, position) of the same items to begin from, as `Fit.found` gives them.
    tolerance, max_iterations
        When to stop: at a largest slope (not of what a bound holds) of `tolerance`.
    """
    _not_negative(l2=l2, l2_mu=l2_mu)
    if penalty not in ("log sigma", "sigma"):
        raise ValueError(f"the penalty is of 'log sigma' or of 'sigma', not {penalty!r}")
    model = _Model(counted, "probit", l2, l2_mu, position, penalty, mu_bound, log_sigma_bound)
    return _solve(model, start, tolerance, max_iterations)


def bradley_terry(
    first: ArrayLike,
    second: ArrayLike,
    chose_first: ArrayLike,
    n_items: int,
    weights: ArrayLike | None = None,
    l2_mu: float = 0.0,
    position: bool = False,
    *,
    mu_bound: float = 30.0,
    start: Start | None = None,
    tolerance: float = TOLERANCE,
    max_iterations: int = 5000,
) -> Fit:
    """Bradley and Terry's model (1952): P(i over j) = 1 / (1 + exp(mu_j - mu_i - position)), i named first.

    Parameters as in `fit` and `fitted`; `l2_mu` is the `alpha` of choix's `opt_pairwise`. (choix takes no weights, one
    tuple an answer, and no order effect, so it serves here as the second opinion.)
    """
    _not_negative(l2_mu=l2_mu)
    counted = count(first, second, chose_first, n_items, weights)
    model = _Model(counted, "logit", math.inf, l2_mu, position, "log sigma", mu_bound, 0.0)
    return _solve(model, start, tolerance, max_iterations)


def trueskill(counted: Comparisons, *, seed: int = 0, most: int = 20) -> np.ndarray:
    """Ratings [items] by TrueSkill (Herbrich, Minka and Graepel 2007), by the package `trueskill`: a third opinion.

    It takes one answer after another, so that its ratings depend on their order, which is random here, and each
    question counts at most `most` times. There is no position, and no skill that drifts. Shares are counted as whole
    answers; probabilities, as so many answers of `most`.

    Raises ModuleNotFoundError where the package is not installed.
    """
    from trueskill import TrueSkill

    n = counted.for_first + counted.for_second
    games = np.where(counted.answers > 0, np.minimum(n, most), most)
    won = np.rint(counted.for_first / n * games).astype(int)
    lost = np.rint(games).astype(int) - won
    winner = np.concatenate([np.repeat(counted.first, won), np.repeat(counted.second, lost)])
    loser = np.concatenate([np.repeat(counted.second, won), np.repeat(counted.first, lost)])
    table = TrueSkill(draw_probability=0.0, tau=0.0)
    ratings = [table.create_rating() for _ in range(counted.n_items)]
    for k in np.random.default_rng(seed).permutation(len(winner)).tolist():
        i, j = winner[k], loser[k]
        (ratings[i],), (ratings[j],) = table.rate([(ratings[i],), (ratings[j],)])
    return np.array([rating.mu for rating in ratings])


@dataclass(frozen=True)
class HeldOut:
    """How well a fit foretells pairs that it has not seen.

    Attributes
    ----------
    nll
        Per answer, in nats; no answer is foretold with less than 1e-10, or one would outweigh all others.
    accuracy
        Share of questions whose more frequent answer was the more probable one; a probability of one half foretells
        nothing, and counts as wrong. Questions whose answers are tied are left out. Interval by pairs, see
        `comparisons.out_of_fold`.
    ties
        How many questions that were.
    nll_by_fold, accuracy_by_fold
        [folds]
    """

    nll: float
    accuracy: Estimate
    ties: int
    nll_by_fold: np.ndarray
    accuracy_by_fold: np.ndarray


def held_out(
    first: ArrayLike,
    second: ArrayLike,
    chose_first: ArrayLike,
    n_items: int,
    weights: ArrayLike | None = None,
    l2: float = 1.0,
    position: bool = False,
    *,
    folds: int = 5,
    seed: int = 0,
    **settings: Any,
) -> HeldOut:
    """Fits on all pairs but one fold's and foretells those, each fold in turn.

    A pair is held out with all of its answers in both orders: another answer to the same pair would tell the fit
    what it is to foretell. Parameters as in `fit`, `settings` being its others; `seed` is of the folds.

    Raises ValueError as `fit`, and for fewer pairs than folds or where all questions are tied.
    """
    return evaluated(count(first, second, chose_first, n_items, weights), l2, position, folds, seed, **settings)[0]


def evaluated(
    counted: Comparisons, l2: float, position: bool, folds: int, seed: int, **settings: Any
) -> tuple[HeldOut, tuple[Fit, ...]]:
    """`held_out` of what is counted already, and the fit that each fold was foretold by."""
    fits, nll, weight, correct = [], [], [], []
    pairs: list[np.ndarray] = []
    ties = 0
    for rest, out in counted.folds(folds, seed=seed):
        found = fitted(rest, l2, position, **settings)
        fits.append(found)
        p = np.clip(found.probability(out.first, out.second), _LEAST_SHARE, 1 - _LEAST_SHARE)
        nll.append(-float(out.for_first @ np.log(p) + out.for_second @ np.log1p(-p)))
        weight.append(out.total)
        gap = out.for_first - out.for_second
        decided = np.abs(gap) > 1e-9 * (out.for_first + out.for_second)
        ties += int((~decided).sum())
        lead = (p - 0.5)[decided]
        correct.append(lead * gap[decided] > 0)
        pairs.append(out.pair[decided] + counted.n_pairs * len(pairs))
    right, member = np.concatenate(correct), np.concatenate(pairs)
    if len(np.unique(member)) < 2:
        raise ValueError("fewer than two pairs are decided, so there is no accuracy; collect more answers")
    by_fold = np.array([one.mean() if one.size else np.nan for one in correct])
    return (
        HeldOut(
            nll=float(np.sum(nll) / np.sum(weight)),
            accuracy=out_of_fold(right, member if len(np.unique(member)) < len(member) else None),
            ties=ties,
            nll_by_fold=np.array(nll) / np.array(weight),
            accuracy_by_fold=by_fold,
        ),
        tuple(fits),
    )


def _not_negative(**given: float) -> None:
    for name, value in given.items():
        if not value >= 0:
            raise ValueError(f"{name} must not be negative or NaN, not {value}")


@dataclass(frozen=True)
class _Model:
    """A likelihood of counted answers with its penalties: parameters [mu, then log sigma and position where free]."""

    counted: Comparisons
    link: Literal["probit", "logit"]
    l2: float
    l2_mu: float
    position: bool
    penalty: Penalty
    mu_bound: float
    log_sigma_bound: float

    @property
    def general(self) -> bool:
        """Whether sigma is fitted."""
        return math.isfinite(self.l2)

    @property
    def size(self) -> int:
        return self.counted.n_items * (2 if self.general else 1) + self.position

    @property
    def method(self) -> str:
        name = "Bradley-Terry" if self.link == "logit" else "Thurstone" if self.general else "Thurstone case V"
        return f"{name}, Fisher information"

    @property
    def objective(self) -> str:
        parts = [f"NLL ({self.link})"]
        if self.general:
            parts.append(f"{self.l2:g} * sum({'(log sigma)^2' if self.penalty == 'log sigma' else 'sigma^2'})")
        if self.l2_mu:
            parts.append(f"{self.l2_mu:g} * sum(mu^2)")
        bounds = f"; |mu| <= {self.mu_bound:g}" + (f", |log sigma| <= {self.log_sigma_bound:g}" if self.general else "")
        return " + ".join(parts) + ("; position fitted" if self.position else "") + bounds

    def parts(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """mu [items], log sigma [items] and position."""
        n = self.counted.n_items
        log_sigma = theta[n : 2 * n] if self.general else np.zeros(n)
        return theta[:n], log_sigma, float(theta[-1]) if self.position else 0.0

    def limits(self) -> np.ndarray:
        """[parameters] the largest absolute value of each; of position there is none."""
        n = self.counted.n_items
        return np.repeat([self.mu_bound, self.log_sigma_bound, np.inf], [n, n * self.general, self.position])

    def units(self) -> np.ndarray:
        """[parameters] a step in each that matters about as much: position is in all answers, an item in a few."""
        found = np.ones(self.size)
        if self.position:
            found[-1] = math.sqrt(2 / self.counted.n_items)
        return found

    def spread(self, sigma_i: np.ndarray, sigma_j: np.ndarray) -> np.ndarray:
        """Standard deviation of the difference of two utilities."""
        return np.asarray(np.ones_like(sigma_i) if self.link == "logit" else np.sqrt(sigma_i**2 + sigma_j**2))

    def log_share(self, z: np.ndarray) -> np.ndarray:
        from scipy.special import log_expit, log_ndtr

        return np.asarray(log_ndtr(z) if self.link == "probit" else log_expit(z))

    def slope(self, z: np.ndarray, log_share: np.ndarray) -> np.ndarray:
        """Derivative of the logarithm of a share by z."""
        from scipy.special import expit

        if self.link == "logit":
            return np.asarray(expit(-z))
        return np.asarray(np.exp(-0.5 * z**2 - 0.5 * math.log(2 * math.pi) - log_share))

    def share(self, gap: np.ndarray, sigma_i: np.ndarray, sigma_j: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp(self.log_share(gap / self.spread(sigma_i, sigma_j))))

    def likelihood(self, counted: Comparisons, mu: np.ndarray, sigma: np.ndarray, position: float) -> float:
        """Summed negative log-likelihood of other answers about the same items."""
        i, j = counted.first, counted.second
        z = (mu[i] - mu[j] + position) / self.spread(sigma[i], sigma[j])
        return -float(counted.for_first @ self.log_share(z) + counted.for_second @ self.log_share(-z))

    def loss(self) -> Any:
        """The objective and its gradient, as a function of the parameters."""
        c, n = self.counted, self.counted.n_items
        one, other = c.for_first > 0, c.for_second > 0
        chosen = np.concatenate([c.first[one], c.second[other]])
        left = np.concatenate([c.second[one], c.first[other]])
        weight = np.concatenate([c.for_first[one], c.for_second[other]])
        side = np.repeat([1.0, -1.0], [one.sum(), other.sum()])
        constant = 1.0 if self.link == "logit" else math.sqrt(2)

        def of(theta: np.ndarray) -> tuple[float, np.ndarray]:
            mu, log_sigma, position = self.parts(theta)
            gap = mu[chosen] - mu[left]
            if self.position:
                gap += side * position
            gradient = np.empty(self.size)
            if self.general:
                variance = np.exp(2 * log_sigma)
                both = variance[chosen] + variance[left]
                spread = np.sqrt(both)
                z = gap / spread
            else:
                z = gap / constant
            log_share = self.log_share(z)
            value = -float(weight @ log_share) + self.l2_mu * float(mu @ mu)
            pull = weight * self.slope(z, log_share) / (spread if self.general else constant)
            gradient[:n] = np.bincount(left, pull, n) - np.bincount(chosen, pull, n) + 2 * self.l2_mu * mu
            if self.general:
                turn = pull * gap / both
                gradient[n : 2 * n] = (np.bincount(chosen, turn, n) + np.bincount(left, turn, n)) * variance
                if self.penalty == "log sigma":
                    value += self.l2 * float(log_sigma @ log_sigma)
                    gradient[n : 2 * n] += 2 * self.l2 * log_sigma
                else:
                    value += self.l2 * float(variance.sum())
                    gradient[n : 2 * n] += 2 * self.l2 * variance
            if self.position:
                gradient[-1] = -float(pull @ side)
            return value, gradient

        return of

    @one_thread
    def errors(self, theta: np.ndarray) -> np.ndarray:
        """Standard errors of the centred mu [items], by the expected information."""
        from scipy.linalg import LinAlgError, cho_factor, cho_solve
        from scipy.sparse import coo_array

        if self.size > _MOST_PARAMETERS:
            raise ValueError(
                f"standard errors of {self.size} parameters need a matrix of {8 * self.size**2 / 1e9:.1f} GB; "
                "fit fewer items, or case V (l2=inf), which has half as many"
            )
        c, n = self.counted, self.counted.n_items
        mu, log_sigma, position = self.parts(theta)
        sigma, i, j = np.exp(log_sigma), c.first, c.second
        spread = self.spread(sigma[i], sigma[j])
        z = (mu[i] - mu[j] + position) / spread
        up, down = (self.slope(side, self.log_share(side)) for side in (z, -z))
        columns, values = [i, j], [1 / spread, -1 / spread]
        if self.general:
            columns += [n + i, n + j]
            values += [-z * sigma[i] ** 2 / spread**2, -z * sigma[j] ** 2 / spread**2]
        if self.position:
            columns.append(np.full(len(c), self.size - 1))
            values.append(1 / spread)
        at = (np.tile(np.arange(len(c)), len(columns)), np.concatenate(columns))
        turns = coo_array((np.concatenate(values), at), shape=(len(c), self.size)).tocsr()
        weight = (c.for_first + c.for_second) * up * down
        free = np.abs(theta) < self.limits() * (1 - 1e-9)
        free[:n] &= c.comparable
        if self.general:
            free[n : 2 * n] &= c.compared
        information = (turns.T @ (turns * weight[:, None]))[free][:, free].toarray()
        prior = np.repeat(2 * self.l2_mu, self.size)
        if self.general:
            prior[n : 2 * n] = 2 * self.l2 * (1 if self.penalty == "log sigma" else 2 * sigma**2)
        if self.position:
            prior[-1] = 0
        information[np.diag_indices_from(information)] += prior[free]
        k = int(free[:n].sum())
        errors = np.full(n, np.nan)
        if not k:
            return errors
        # Only differences of utilities are known; any weight on their mean gives the same of what is centred.
        information[:k, :k] += np.trace(information[:k, :k]) / k**2
        try:
            covariance = cho_solve(cho_factor(information, lower=True, overwrite_a=True), np.eye(len(information)))
        except LinAlgError:
            return errors
        block = covariance[:k, :k]
        n_compared = int(c.compared.sum())
        mean = block.sum(0) / n_compared
        errors[free[:n]] = np.sqrt(np.maximum(np.diag(block) - 2 * mean + block.sum() / n_compared**2, 0))
        return errors


def _solve(model: _Model, start: Start | None, tolerance: float, max_iterations: int) -> Fit:
    from scipy.optimize import Bounds, minimize

    c, n = model.counted, model.counted.n_items
    limit, at = model.limits(), np.zeros(model.size)
    if start is not None:
        mu, sigma, place = start
        if np.shape(mu) != (n,) or np.shape(sigma) != (n,):
            raise ValueError(f"what a fit of {n} items starts from has mu {np.shape(mu)} and sigma {np.shape(sigma)}")
        at[:n] = mu
        if model.general:
            at[n : 2 * n] = np.log(sigma)
        if model.position:
            at[-1] = place
        at = np.clip(at, -limit, limit)
    loss, unit = model.loss(), model.units()

    def scaled(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = loss(x * unit)
        return value, gradient * unit

    # Only the slope ends it: relative gains in a sum of thousands of nats stop long before the utilities are found.
    # With the 20 last steps kept, rather than 10, it takes a sixth fewer of them.
    options = {"maxiter": max_iterations, "maxfun": 4 * max_iterations, "ftol": 0.0, "gtol": tolerance, "maxcor": 20}
    bounds = Bounds(-limit / unit, limit / unit)
    found = minimize(scaled, at / unit, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    at = found.x * unit
    mu, log_sigma, position = model.parts(at)
    # What a bound holds back is no slope: it is what a step downhill, cut off at the bounds, would change.
    slope = float(np.abs(found.x - np.clip(found.x - found.jac, -limit / unit, limit / unit)).max())
    touched = np.flatnonzero(np.abs(at) >= limit * (1 - 1e-9)).tolist()
    centred = np.where(c.compared, mu - mu[c.compared].mean(), 0.0)
    sigma = np.exp(log_sigma)
    return Fit(
        mu=centred,
        sigma=sigma,
        position=position,
        nll=model.likelihood(c, mu, sigma, position),
        converged=slope <= tolerance,
        gradient_norm=slope,
        iterations=int(found.nit),
        message=str(found.message),
        at_bounds=tuple(f"mu[{k}]" if k < n else f"log sigma[{k - n}]" for k in touched),
        objective=model.objective,
        comparisons=c,
        _model=model,
        _at=at,
    )
