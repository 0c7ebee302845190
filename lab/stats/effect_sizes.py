"""Effect sizes on comparable scales, derived from the estimates in the journal."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from statistics import NormalDist
from typing import Any

from lab.estimate import Estimate

_OWN = re.compile(r"Cohen's [dh]\w*|Hedges' g|Cliff's delta|ICC\([^)]*\)")
_CORRELATION = re.compile(r"\br\b|correlation", re.IGNORECASE)
ITSELF = "the measure itself"


def effect_size(e: Estimate, claims: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """The effect size of an estimate: {"name", "value"}, where the name says which, and from what.

    - An estimate that is an effect size or a correlation is its own.
    - Of an AUROC, Cohen's d = sqrt(2) * Phi^-1(AUROC), were both classes normal with one variance (Ruscio 2008,
      doi 10.1037/1082-989X.13.1.19); of a perfect one it is not finite, and the AUROC is given.
    - Of a share p held against a bar b, Cohen's h = 2 asin(sqrt(p)) - 2 asin(sqrt(b)) (Cohen 1988, chapter 6).
    - Of a mean with Student's interval, Cohen's d of one sample (of the differences, where they are paired): how many
      standard deviations the mean is from 0. The deviation is read off the interval: half-width * sqrt(n) / t.
    - Anything else (differences of shares, ratios, excesses) stands for itself.

    >>> effect_size(Estimate(0.5, 0.4, 0.6, n=90, method="DeLong", name="AUROC"))
    {'name': "Cohen's d of two normal classes, from AUROC", 'value': 0.0}
    """
    own = _OWN.match(e.method)
    if own:
        return {"name": own.group(), "value": e.value}
    if "AUROC" in e.name and 0 < e.value < 1:
        d = math.sqrt(2) * NormalDist().inv_cdf(e.value)
        return {"name": "Cohen's d of two normal classes, from AUROC", "value": d}
    bar = next((claim["against"][1] for claim in claims if claim.get("against", ("",))[0] in ("<", ">")), None)
    if e.bounds == (0.0, 1.0) and e.unit == "%" and bar is not None and 0 <= bar <= 1:
        h = 2 * math.asin(math.sqrt(e.value)) - 2 * math.asin(math.sqrt(bar))
        return {"name": f"Cohen's h against {bar:g}", "value": h}
    if _CORRELATION.search(e.name) and "percentile" not in e.name:
        return {"name": "correlation", "value": e.value}
    if e.method == "Student" and e.n > 1 and e.high > e.low:
        from scipy.stats import t  # half a second to import, and only means need it

        deviation = (e.high - e.low) / 2 * math.sqrt(e.n) / float(t.ppf((1 + e.level) / 2, e.n - 1))
        return {"name": "Cohen's d of one sample, from the interval", "value": e.value / deviation}
    return {"name": ITSELF, "value": e.value}
