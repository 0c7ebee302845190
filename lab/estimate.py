"""Estimates, the bars they are compared with, and the verdicts on claims: Estimate, Bar, Verdict.

    >>> auroc = Estimate(0.61, 0.57, 0.65, n=600, method="DeLong", name="AUROC")
    >>> print(auroc > 0.55)
    PASS: AUROC 0.61 [0.57, 0.65] (n=600, DeLong) is above 0.55
    >>> assert auroc > 0.55
    >>> bool(auroc > 0.60)
    Traceback (most recent call last):
    lab.estimate.Inconclusive: AUROC 0.61 [0.57, 0.65] (n=600, DeLong) straddles 0.6; n of about 9600 would settle it

This module knows neither torch nor pytest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

Outcome = Literal["PASS", "FAIL", "INCONCLUSIVE"]


class Inconclusive(Exception):
    """Raised when an undecided verdict is asked for its truth. Its text is the verdict's reason."""


@dataclass(frozen=True)
class Bar:
    """What an estimate is held against, fixed before the data.

    One number is an ordinary bar. Two make the indifference zone of a two-bar rule: beyond `passes`
    the claim holds, short of `fails` it is refuted, and between them nothing is decided.

        >>> print(Estimate(0.4, 0.32, 0.48, n=100, method="Fisher z") > Bar(passes=0.3, fails=0.1))
        PASS: 0.4 [0.32, 0.48] (n=100, Fisher z) is above 0.3

    Raises ValueError for a bar that is not finite.
    """

    passes: float
    fails: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "passes", _number("the bar", self.passes))
        if self.fails is not None:
            object.__setattr__(self, "fails", _number("the bar", self.fails))

    @property
    def edges(self) -> tuple[float, float]:
        """(passes, fails), the same number twice for a single bar."""
        return self.passes, self.passes if self.fails is None else self.fails


@dataclass(frozen=True)
class Estimate:
    """A value with its interval. Immutable, plain Python numbers only.

    Parameters
    ----------
    value, low, high
        The estimate and its interval, `low <= value <= high`, in `unit`.
    n
        How many independent units stand behind it; at least 1.
    method
        How the interval was made, as a reader would name it: "DeLong", "Wilson".
    level
        Coverage of the interval.
    p
        p-value of the method's own null hypothesis (no effect), where it has one.
    unit
        Printed after the value; "%" prints fractions as percentages.
    name
        What was measured; `evidence.measure` fills it in.
    bounds
        The range of the measure, as (0, 1) for AUROC or (-1, 1) for a correlation. A bar that no value
        could pass or fail is then an error, as 55 is for a share.
    doubt
        Why nothing can be decided on it, where that is so: "the fit did not converge", "the classes are
        perfectly separated". Every verdict is then INCONCLUSIVE, with this reason.

    Raises
    ------
    ValueError
        For NaN, infinity, `low > high`, a value outside its interval or its bounds, or n < 1; the text
        names the estimate. So for a bar that lies outside the bounds. An interval from fewer data than a
        method needs does not exist: say INCONCLUSIVE by not asserting it, or collect more.
    """

    value: float
    low: float
    high: float
    n: int
    method: str
    level: float = 0.95
    p: float | None = None
    unit: str = ""
    name: str = field(default="", compare=False)
    bounds: tuple[float, float] | None = None
    doubt: str = ""

    def __post_init__(self) -> None:
        me = f"estimate {self.name or self.method!r}"
        object.__setattr__(self, "level", _number(f"level of the {me}", self.level))
        if not 0 < self.level < 1:
            raise ValueError(f"level of the {me} is {self.level}; write 0.95 for 95 %")
        for key in ("value", "low", "high"):
            object.__setattr__(self, key, _number(f"{key} of the {me}", getattr(self, key)))
        if self.p is not None:
            object.__setattr__(self, "p", _number(f"p of the {me}", self.p))
            if not 0 <= self.p <= 1:
                raise ValueError(f"p of the {me} is {self.p}, not between 0 and 1")
        n = _number(f"n of the {me}", self.n)
        if int(n) != n or n < 1:
            raise ValueError(f"n of the {me} is {self.n}; an estimate needs at least one unit of data")
        object.__setattr__(self, "n", int(n))
        if self.low > self.high:
            raise ValueError(f"the {me} has low {self.low} above high {self.high}")
        slack = 1e-9 * max(1.0, abs(self.value))  # rounding inside a method is not an error
        if not self.low - slack <= self.value <= self.high + slack:
            raise ValueError(f"the {me} has its value {self.value} outside its interval [{self.low}, {self.high}]")
        if self.bounds is not None:
            least, most = (_number(f"a bound of the {me}", bound) for bound in self.bounds)
            object.__setattr__(self, "bounds", (least, most))
            if not least - slack <= self.value <= most + slack:
                raise ValueError(f"the {me} is {self.value}, but its measure lies between {least:g} and {most:g}")

    # The claims one can make -------------------------------------------------------------------------

    def __gt__(self, bar: float | Bar) -> Verdict:
        """The claim that the truth lies above `bar`."""
        return self._decided(Verdict._of_bar(self, self._possible(_as_bar(bar)), ">"))

    def __lt__(self, bar: float | Bar) -> Verdict:
        """The claim that the truth lies below `bar`."""
        return self._decided(Verdict._of_bar(self, self._possible(_as_bar(bar)), "<"))

    def within(self, low: float, high: float) -> Verdict:
        """The claim of equivalence: that the truth lies strictly between two bounds.

        PASS when the whole interval does (this is TOST: with a 95 % interval each side at 2.5 %),
        FAIL when none of it does.
        """
        if not _number("the lower bound", low) < _number("the upper bound", high):
            raise ValueError(f"within({low}, {high}): the lower bound must be below the upper one")
        if self.bounds is not None and low < self.bounds[0] and high > self.bounds[1]:
            raise ValueError(f"within({low}, {high}): {self._range()}, so nothing could refute this")
        return self._decided(Verdict._of_band(self, float(low), float(high)))

    def _possible(self, bar: Bar) -> Bar:
        """The bar, where it leaves room for both outcomes."""
        if self.bounds is not None:
            for edge in bar.edges:
                if not self.bounds[0] <= edge <= self.bounds[1]:
                    hint = f"; did you mean {edge / 100:g}?" if 1 < edge <= 100 and self.bounds[1] == 1 else ""
                    raise ValueError(f"a bar of {edge:g} is out of range: {self._range()}{hint}")
        return bar

    def _range(self) -> str:
        assert self.bounds is not None
        return f"{self.name or 'the measure'} lies between {self.bounds[0]:g} and {self.bounds[1]:g}"

    def _decided(self, verdict: Verdict) -> Verdict:
        """Called with every verdict on this estimate, so that a notebook can keep it."""
        return verdict

    def __ge__(self, bar: object) -> NoReturn:
        raise TypeError("an interval cannot tell > from >=: write `estimate > bar`")

    def __le__(self, bar: object) -> NoReturn:
        raise TypeError("an interval cannot tell < from <=: write `estimate < bar`")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Estimate):
            return self._key() == other._key()
        raise TypeError(
            f"an estimate is never equal to {other!r}: write `estimate.within(a, b)` for equivalence, "
            "or compare `estimate.value`"
        )

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._key())

    def __bool__(self) -> NoReturn:
        raise TypeError("an estimate is neither true nor false: hold it against a bar, as in `assert estimate > 0.55`")

    def _key(self) -> tuple[Any, ...]:
        return (self.value, self.low, self.high, self.n, self.method, self.level, self.p, self.unit, self.doubt)

    def __float__(self) -> float:
        """The value alone, for arithmetic and tables; a verdict needs the interval too."""
        return self.value

    @property
    def without_width(self) -> bool:
        """Whether the interval is a point, but for what rounding leaves: constant data have no spread to measure."""
        return self.high - self.low <= 1e-12 * max(abs(self.low), abs(self.high))

    # How it reads ------------------------------------------------------------------------------------

    def _show(self, x: float) -> str:
        if self.unit == "%":
            return f"{100 * x:.3g} %"
        return f"{x:.3g}" if abs(x) < 1 else f"{x:.4g}"

    @property
    def shown(self) -> str:
        """The value as printed, with its unit."""
        return self._show(self.value) if self.unit == "%" else f"{self._show(self.value)} {self.unit}".strip()

    @property
    def interval(self) -> str:
        """`[low, high]` as printed, in the value's unit."""
        return f"[{self._show(self.low)}, {self._show(self.high)}]"

    def __str__(self) -> str:
        level = "" if self.level == 0.95 else f", {100 * self.level:g} %"
        return f"{self.name} {self.shown} {self.interval} (n={self.n}, {self.method}{level})".strip()


@dataclass(frozen=True)
class Verdict:
    """What a claim about an estimate comes to.

    Truthy on PASS, falsy on FAIL; asking an INCONCLUSIVE verdict for its truth raises `Inconclusive`,
    so that a plain `assert` does the right thing. Decided by the whole interval: an interval that
    touches the bar straddles it, and one without width decides nothing, because it says that the
    method had no spread to measure, not that the truth is known. Nor does an estimate in `doubt`.

    Attributes
    ----------
    outcome
        "PASS", "FAIL" or "INCONCLUSIVE".
    estimate, claim
        What was judged, and the claim in words: "> 0.55", "within (-0.25, 0.25)".
    reason
        One sentence with the numbers.
    point
        The point rule of the same bar, which looks at the value alone. Shown beside, never decides.
    against
        The claim in numbers: (">" or "<", passes, fails) or ("within", low, high).
    """

    outcome: Outcome
    estimate: Estimate
    claim: str
    reason: str
    point: Outcome
    against: tuple[str, float, float]

    @classmethod
    def _of_bar(cls, estimate: Estimate, bar: Bar, sign: Literal[">", "<"]) -> Verdict:
        passes, fails = bar.edges
        if (fails > passes) if sign == ">" else (fails < passes):
            raise ValueError(f"Bar(passes={passes:g}, fails={fails:g}) contradicts `estimate {sign} bar`: swap the two")
        up = sign == ">"

        def side(near: float, far: float) -> Outcome:
            """PASS when even the near end is beyond `passes`, FAIL when even the far end is short of `fails`."""
            if near > passes if up else near < passes:
                return "PASS"
            if far < fails if up else far > fails:
                return "FAIL"
            return "INCONCLUSIVE"

        near, far = (estimate.low, estimate.high) if up else (estimate.high, estimate.low)
        word, other = ("above", "below") if up else ("below", "above")
        said: dict[Outcome, str] = {
            "PASS": f"is {word} {_show(passes, estimate)}",
            "FAIL": f"is not {word} {_show(passes, estimate)}"
            + ("" if bar.fails is None else f", but {other} {_show(fails, estimate)}"),
            "INCONCLUSIVE": (
                f"straddles {_show(passes, estimate)}"
                if bar.fails is None
                else f"is neither {word} {_show(passes, estimate)} nor {other} {_show(fails, estimate)}"
            ),
        }
        claim = f"{sign} {_show(passes, estimate)}" + ("" if bar.fails is None else f" / {_show(fails, estimate)}")
        between = min(passes, fails) < estimate.value < max(passes, fails)  # no n settles a truth in the zone
        nearest = None if between else min((passes, fails), key=lambda edge: abs(estimate.value - edge))
        point = side(estimate.value, estimate.value)
        return cls._make(estimate, claim, side(near, far), said, point, nearest, (sign, passes, fails))

    @classmethod
    def _of_band(cls, estimate: Estimate, low: float, high: float) -> Verdict:
        def place(a: float, b: float) -> Outcome:
            if low < a and b < high:
                return "PASS"
            return "FAIL" if b < low or a > high else "INCONCLUSIVE"

        band = f"({_show(low, estimate)}, {_show(high, estimate)})"
        said: dict[Outcome, str] = {
            "PASS": f"is within {band}",
            "FAIL": f"is outside {band}",
            "INCONCLUSIVE": f"is neither wholly within {band} nor outside it",
        }
        nearest = min((low, high), key=lambda edge: abs(estimate.value - edge))
        outcome = place(estimate.low, estimate.high)
        point = place(estimate.value, estimate.value)
        return cls._make(estimate, f"within {band}", outcome, said, point, nearest, ("within", low, high))

    @classmethod
    def _make(
        cls,
        estimate: Estimate,
        claim: str,
        outcome: Outcome,
        said: dict[Outcome, str],
        point: Outcome,
        nearest: float | None,
        against: tuple[str, float, float],
    ) -> Verdict:
        reason = f"{estimate} {said[outcome]}"
        if estimate.doubt:
            outcome, reason = "INCONCLUSIVE", f"{estimate} decides nothing: {estimate.doubt}"
        elif estimate.without_width:
            outcome = "INCONCLUSIVE"
            reason = f"{estimate} has an interval without width, which decides nothing: the data show no variation"
        elif outcome == "INCONCLUSIVE" and nearest is not None:
            # The half-width shrinks with the square root of n; past a million-fold n the hint is no help.
            half, gap = (estimate.high - estimate.low) / 2, abs(estimate.value - nearest)
            if gap < half < 1000 * gap:
                reason += f"; n of about {float(f'{estimate.n * (half / gap) ** 2:.2g}'):.0f} would settle it"
        return cls(outcome, estimate, claim, reason, point, against)

    def __bool__(self) -> bool:
        if self.outcome == "INCONCLUSIVE":
            raise Inconclusive(self.reason)
        return self.outcome == "PASS"

    def __str__(self) -> str:
        return f"{self.outcome}: {self.reason}"

    __repr__ = __str__


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """What several claims come to that must all hold: the first FAIL, else the first INCONCLUSIVE, else the first PASS.

    Each stands at its own level, so of k claims that all lie on their bars one is refuted falsely up to k times as
    often as one alone; that all are confirmed falsely is no likelier than for the likeliest of them.

    Raises ValueError for none.

        >>> e = Estimate(0.7, 0.6, 0.8, n=90, method="made")
        >>> worst([e > 0.5, e > 0.65, e > 0.9]).outcome
        'FAIL'
    """
    order: tuple[Outcome, ...] = ("FAIL", "INCONCLUSIVE", "PASS")
    found = sorted(verdicts, key=lambda verdict: order.index(verdict.outcome))
    if not found:
        raise ValueError("there is no verdict among no claims; make one")
    return found[0]


def _as_bar(bar: float | Bar) -> Bar:
    if isinstance(bar, Estimate):
        raise TypeError(
            "an estimate is held against a number fixed before the data, not against another estimate: "
            "estimate the difference and hold that against 0"
        )
    return bar if isinstance(bar, Bar) else Bar(bar)


def _show(x: float, estimate: Estimate) -> str:
    return f"{100 * x:g} %" if estimate.unit == "%" else f"{x:g}"


def _number(what: str, x: Any) -> float:
    try:
        number = float(x)
    except (TypeError, ValueError):
        raise ValueError(f"{what} is {x!r}, not a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{what} is {number}; only finite numbers can be held against a bar")
    return number
