"""The decorator that makes a test an experiment, with an id, a claim, a phase and knobs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])
_ATTRIBUTE = "__lab_experiment__"
ITEMS = "this model, on new items like these"
"""The population of a claim whose interval resamples items: the usual case."""
UNTRAINED = "untrained"
"""The name in `negative` that stands for the untrained twin of every subject."""
WHY_UNTRAINED = "a twin with fresh weights knows nothing of this"


@dataclass(frozen=True)
class Experiment:
    """An experiment as its author declared it. `knobs` are the keyword-only defaults of its function."""

    id: str
    claim: str
    phase: str
    negative: Mapping[str, str] = field(default_factory=dict)
    knobs: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    population: str = ITEMS
    title: str = ""
    questions: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


def experiment(
    *,
    id: str,
    claim: str,
    phase: str,
    negative: str | Sequence[str] | Mapping[str, str] | None = None,
    needs: Sequence[str] = (),
    population: str = ITEMS,
    title: str = "",
    questions: Sequence[str] = (),
    models: Sequence[str] = (),
) -> Callable[[Function], Function]:
    """Declares a test as an experiment.

    Parameters
    ----------
    id
        Short and unique, as "DEPTH1"; it names the experiment in tables, folders and on the command line.
    claim
        One sentence that the assertion on the evidence supports or refutes.
    phase
        The stage of the research plan it belongs to.
    negative
        Negative controls: subjects of whom the claim is known to be false, each with the reason. Their
        cells are expected to FAIL, and a PASS is an error (xfail, strict). The name "untrained" adds
        the untrained twin of every subject and needs no reason, as in `negative="untrained"`; any other name
        marks that subject where it is among those that run.
    needs
        Ids of experiments that come first. A cell runs only if their cells on its subjects came to PASS, in
        this run or in an earlier one; else it is skipped, with the reason. `--lab-force` runs it anyway.
    population
        What the claim speaks of, which is what the units of its interval were drawn from. It stands in
        every table. By default it is this model on new items; a claim about models in general needs
        models as its units, and an interval over items then rejects what is true in about half of all
        experiments (measured: `docs/statistics.md`).
    title
        What the card of a cell calls the experiment; by default its id.
    questions
        Research questions, which `evidence.answer` answers on the card; by default the claim alone is asked.
    models
        Whom it studies where --lab-models names nobody; by default every base organism. Variants of organisms in
        `negative` then run too.

    Keyword-only parameters with defaults are the experiment's knobs; those of the function-scoped fixtures that it
    uses are knobs of the experiment as well, and a knob that the test repeats has the test's default. The function
    stays an ordinary function and can be called by hand.
    """
    for name, text in (("id", id), ("claim", claim), ("phase", phase), ("population", population)):
        if not isinstance(text, str) or not text.strip():
            raise TypeError(f"@experiment needs a non-empty {name}")
    for what, listed in (("questions", questions), ("models", models)):
        if isinstance(listed, str):
            raise TypeError(f"{what}={listed!r}: write a list of {what}")
    if isinstance(needs, str) or not all(isinstance(needed, str) and needed.strip() for needed in needs):
        raise TypeError(f"needs={needs!r}: write a list of experiment ids, as needs=['DEPTH1']")
    controls = _with_reasons(negative or ())

    def declare(function: Function) -> Function:
        about = (id, claim, phase, controls, knobs_of(function), tuple(needs), population, title)
        setattr(function, _ATTRIBUTE, Experiment(*about, tuple(questions), tuple(models)))
        return function

    return declare


def _with_reasons(negative: str | Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """Negative controls, each with its reason. Raises TypeError for one that has none and needs it."""
    if isinstance(negative, Mapping):
        return dict(negative)
    for name in [negative] if isinstance(negative, str) else negative:
        if name != UNTRAINED:
            raise TypeError(f"negative={negative!r}: {name!r} needs a reason, as {{{name!r}: 'it never saw any'}}")
    return {UNTRAINED: WHY_UNTRAINED} if negative else {}


def knobs_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The knobs of a test or of a fixture with their defaults: its keyword-only parameters that have one."""
    parameters = inspect.signature(function).parameters.values()
    return {
        p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is not inspect.Parameter.empty
    }


def experiment_of(function: object) -> Experiment | None:
    """The declaration of a test function, or None for an ordinary test."""
    return getattr(function, _ATTRIBUTE, None)
