"""The same measures computed by pingouin, under our names, and repeated-measures ANOVA.

pingouin is GPL-3 and optional; this is the only module that imports it. It has changed names between releases
(0.6.0 the column `CI95%` to `CI95`, 0.6.1 the rows `ICC2` to `ICC(A,1)`), so names are looked up here alone,
and a missing one is an error rather than a NaN.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

_ICC_ROWS = {
    "1,1": "ICC(1,1)",
    "2,1": "ICC(A,1)",
    "3,1": "ICC(C,1)",
    "1,k": "ICC(1,k)",
    "2,k": "ICC(A,k)",
    "3,k": "ICC(C,k)",
}
"""Shrout and Fleiss's forms, and pingouin 0.7's rows (A: agreement, C: consistency)."""


def icc(ratings: ArrayLike) -> dict[str, dict[str, float]]:
    """The six intraclass correlations of ratings [n, k]: {form: value, low, high, f, p}.

    As `lab.stats.reliability.icc`; pingouin rounds the 95 % interval to two decimals.
    """
    x = np.asarray(ratings, dtype=float)
    n, k = x.shape
    frame = _pandas().DataFrame(
        {"target": np.repeat(np.arange(n), k), "rater": np.tile(np.arange(k), n), "rating": x.ravel()}
    )
    table = _pingouin().intraclass_corr(frame, targets="target", raters="rater", ratings="rating", nan_policy="raise")
    rows = {row["Type"]: row for row in table.to_dict("records")}
    _named("rows", _ICC_ROWS.values(), rows)
    _named("columns", ("ICC", "F", "pval", "CI95"), table.columns)
    return {
        form: _floats(value=row["ICC"], low=row["CI95"][0], high=row["CI95"][1], f=row["F"], p=row["pval"])
        for form, row in ((form, rows[name]) for form, name in _ICC_ROWS.items())
    }


def tost(x: ArrayLike, y: ArrayLike, bound: float, *, paired: bool = False) -> dict[str, float]:
    """{p} of the equivalence of two means within -bound to bound, in the values' unit.

    As `lab.stats.equivalence`; unpaired by Welch's t.
    """
    table = _pingouin().tost(np.asarray(x, float), np.asarray(y, float), bound=bound, paired=paired, correction=True)
    _named("columns", ("pval",), table.columns)
    return _floats(p=table["pval"].iloc[0])


def effect_size(
    x: ArrayLike, y: ArrayLike, kind: Literal["cohen_d", "hedges_g", "cohen_d_average", "cliffs_delta"]
) -> dict[str, float]:
    """{value} of an effect size, as `lab.stats.effects`.

    pingouin's paired d divides by the average deviation ("cohen_d_average"); its J is the approximation
    1 - 3/(4m - 1).
    """
    one, two = np.asarray(x, float), np.asarray(y, float)
    compute = _pingouin().compute_effsize
    if kind == "cliffs_delta":
        return _floats(value=2 * compute(one, two, eftype="CLES") - 1)
    kinds = {"cohen_d": ("cohen", False), "hedges_g": ("hedges", False), "cohen_d_average": ("cohen", True)}
    eftype, paired = kinds[kind]
    return _floats(value=compute(one, two, paired=paired, eftype=eftype))


def rm_anova(
    rows: Sequence[Mapping[str, Any]], *, outcome: str, within: Sequence[str], unit: str
) -> dict[str, dict[str, float]]:
    """Repeated-measures ANOVA of one or two factors, as of a 3 x 3 design in which every task is in all nine cells.

    Parameters
    ----------
    rows
        One a cell and unit: `{"task": ..., "completion": ..., "measurement": ..., "rating": ...}`.
    outcome
        Key of the number.
    within
        One or two keys of factors.
    unit
        Key of what was measured repeatedly.

    Returns
    -------
    {effect: f, df1, df2, p, p_corrected, generalised_eta_squared, epsilon}
        The effects are the factors and, of two, "first x second". `p_corrected` is Greenhouse and Geisser's.

    Raises ValueError for another number of factors, or where a unit lacks a cell.
    """
    if len(within) not in (1, 2):
        raise ValueError(f"pingouin's repeated-measures ANOVA has one or two factors within, not {len(within)}")
    frame = _pandas().DataFrame(list(rows))
    cells = frame.dropna(subset=[outcome]).groupby([unit, *within]).ngroups
    full = int(np.prod([frame[key].nunique() for key in (unit, *within)]))
    if cells < full:
        raise ValueError(f"{full - cells} of {full} cells have no {outcome}; every {unit} must be in all of them")
    table = _pingouin().rm_anova(frame, dv=outcome, within=list(within), subject=unit, correction=True, detailed=True)
    one = len(within) == 1
    p, corrected = ("p_unc", "p_GG_corr")
    names = ("Source", "F", p, corrected, "ng2", "eps", *(("DF",) if one else ("ddof1", "ddof2")))
    _named("columns", names, table.columns)
    records = table.to_dict("records")
    effects = records[:1] if one else records
    return {
        row["Source"].replace(" * ", " x "): _floats(
            f=row["F"],
            df1=row["DF"] if one else row["ddof1"],
            df2=records[1]["DF"] if one else row["ddof2"],
            p=row[p],
            p_corrected=row[corrected],
            generalised_eta_squared=row["ng2"],
            epsilon=row["eps"],
        )
        for row in effects
    }


def _pingouin() -> Any:
    try:
        return importlib.import_module("pingouin")
    except ImportError:
        raise ImportError('a second opinion needs pingouin: pip install "lab-hypotheses[stats]"') from None


def _pandas() -> Any:
    return importlib.import_module("pandas")


def _named(what: str, wanted: Any, there: Any) -> None:
    missing = [name for name in wanted if name not in there]
    if missing:
        version = getattr(_pingouin(), "__version__", "?")
        raise RuntimeError(f"pingouin {version} has renamed {what}: no {', '.join(missing)} among {', '.join(there)}")


def _floats(**values: Any) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}
