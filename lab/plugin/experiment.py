"""What makes a test an experiment? Its id, its claim, its phase, and its knobs."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])
_ATTRIBUTE = "__lab_experiment__"
ITEMS = "this model, on new items like these"
"""The population of a claim whose interval resamples items: the usual case."""
ALL = "all"
"""As many as there are."""
GENERATION: Mapping[str, Any] = {"max_new_tokens": 64, "temperature": 0.0, "top_p": 1.0}
"""How a model writes: knobs that any experiment may be given. One that has none of them says that it ignores them."""


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
    negative: Mapping[str, str] | None = None,
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
        the untrained twin of every subject; any other name marks that subject where it is among those
        that run.
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

    def declare(function: Function) -> Function:
        about = (id, claim, phase, dict(negative or {}), knobs_of(function), tuple(needs), population, title)
        setattr(function, _ATTRIBUTE, Experiment(*about, tuple(questions), tuple(models)))
        return function

    return declare


def knobs_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The knobs of a test or of a fixture with their defaults: its keyword-only parameters that have one."""
    parameters = inspect.signature(function).parameters.values()
    return {
        p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is not inspect.Parameter.empty
    }


def _quoted(name: str, text: str) -> str:
    try:
        read = json.loads(text)
    except ValueError:
        read = None
    if not isinstance(read, str):
        raise ValueError(
            f'knob {name} begins with a quote and is no JSON text: {text}; write "a text" with \\n and \\"'
        )
    return read


def knob_text(value: Any) -> str:
    """A knob as it is written in an option: `parse_knob` reads it back."""
    if isinstance(value, list | tuple):
        return ",".join(map(knob_text, value))
    if value is None:
        return ALL
    if isinstance(value, str) and (value != value.strip() or value.startswith('"') or "\n" in value):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def experiment_of(function: object) -> Experiment | None:
    """The declaration of a test function, or None for an ordinary test."""
    return getattr(function, _ATTRIBUTE, None)


def parse_knob(name: str, default: Any, text: str) -> Any:
    """`text` as a value of the default's own type. Raises ValueError with what to write instead.

    A list or tuple is written with commas, its elements as its first one; None takes a number or a text. A text in
    double quotes is read as JSON, so that it may begin with a space or hold a new line. A number of things, `n_...`,
    may be `all`, which is None.
    """
    if isinstance(default, bool):
        if text.lower() in ("true", "1", "yes", "false", "0", "no"):
            return text.lower() in ("true", "1", "yes")
        raise ValueError(f"knob {name} takes true or false, not {text!r}")
    if isinstance(default, int) and name.rpartition(".")[2].startswith("n_") and text == ALL:
        return None
    if isinstance(default, str) and text.startswith('"'):
        return _quoted(name, text)
    if isinstance(default, int | float | str):
        try:
            return type(default)(text)
        except ValueError:
            kind = {int: "a whole number", float: "a number"}[type(default)]
            raise ValueError(f"knob {name} takes {kind} (its default is {default!r}), not {text!r}") from None
    if isinstance(default, list | tuple):
        like = default[0] if default else None
        return type(default)(parse_knob(name, like, part.strip()) for part in text.split(","))
    if default is None:
        for number in (int, float):
            try:
                return number(text)
            except ValueError:
                continue
        return text
    raise ValueError(f"knob {name} is a {type(default).__name__} and cannot be set from the command line")
