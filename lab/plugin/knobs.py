"""The knobs of experiments: which there are, what a run sets them to, and how they are written.

A knob is a keyword-only parameter with a default, of an experiment's test or of a function-scoped fixture that the test
uses. Everything that asks for a knob asks here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from lab.files.plain import plain
from lab.plugin.experiment import Experiment, knobs_of
from lab.plugin.options import SETTINGS, Settings

ALL = "all"
"""As many as there are."""
GENERATION: Mapping[str, Any] = {"max_new_tokens": 64, "temperature": 0.0, "top_p": 1.0}
"""How a model writes: knobs that any experiment may be given. One that has none of them says that it ignores them."""
EXPERIMENT = pytest.StashKey[Experiment]()
"""A test's experiment, with the knobs of the fixtures that it uses."""
KNOBS = pytest.StashKey[Mapping[str, Any]]()
"""The value of each knob of a cell."""


# Which knobs there are ------------------------------------------------------------------------------------


def with_fixtures(
    declared: Experiment, names: Iterable[str], definitions: Mapping[str, Sequence[pytest.FixtureDef[Any]]]
) -> Experiment:
    """An experiment with the knobs of the fixtures that it uses beside its own.

    Raises UsageError for a fixture with knobs that outlives a cell, or whose default another fixture contradicts.
    """
    knobs: dict[str, Any] = {}
    for name in names:
        definition = definitions[name][-1] if definitions.get(name) else None
        own = {} if definition is None else _of_fixture(definition)
        if definition is not None and own and definition.scope != "function":
            raise pytest.UsageError(f"fixture {name} has the knobs {', '.join(own)}; give it the scope of a function")
        for knob, default in own.items():
            if knobs.setdefault(knob, default) != default and knob not in declared.knobs:
                raise pytest.UsageError(f"{declared.id}: two of its fixtures have a knob {knob}; give it a default")
    return replace(declared, knobs={**knobs, **declared.knobs})


def _of_fixture(definition: pytest.FixtureDef[Any]) -> dict[str, Any]:
    return {} if definition.func.__module__.startswith("_pytest") else knobs_of(definition.func)


BARS = ("bar", "bound", "threshold")
"""What one may call a bar when one looks for its knob."""


def refuse_unknown(experiments: Mapping[str, Iterable[str]], settings: Settings) -> None:
    """Raises UsageError for a knob on the command line that none of these experiments has; `experiments` are by id."""
    known = {f"{owner}.{knob}" for owner, names in experiments.items() for knob in names}
    given = [one for one in settings.asked_overrides if one[1] not in GENERATION or one[0] not in {None, *experiments}]
    for flag, asked in (("--lab-set", given), ("--lab-sweep", settings.sweeps)):
        for owner, knob, _ in asked:
            if not any(name == f"{owner}.{knob}" if owner else name.endswith(f".{knob}") for name in known):
                listed = ", ".join(sorted(known)) or "none"
                what = f"no knob {f'{owner}.' if owner else ''}{knob}; known knobs: {listed}"
                hint = "; a bar is none, it stands in the page" if knob in BARS else ""
                raise pytest.UsageError(f"{flag}: {what}{hint}")


# What a run sets them to ----------------------------------------------------------------------------------


def resolve(item: pytest.Item, declared: Experiment, settings: Settings, swept: Mapping[str, str]) -> None:
    """Puts the experiment and the values of its knobs into the test's stash.

    Raises UsageError for a value of the wrong type, or one that cannot be recorded.
    """
    info = item._fixtureinfo  # type: ignore[attr-defined]
    item.stash[EXPERIMENT] = declared = with_fixtures(declared, info.names_closure, info.name2fixturedefs)
    item.stash[KNOBS] = values(declared, settings, swept)
    ignored(declared, settings)
    try:
        plain(item.stash[KNOBS])
    except TypeError as error:
        raise pytest.UsageError(f"a knob of {declared.id} cannot be recorded: {error}") from None


def values(declared: Experiment, settings: Settings, swept: Mapping[str, str]) -> dict[str, Any]:
    """The experiment's knobs with what was set from outside, and those of its place in the grid.

    Raises UsageError for a value of the wrong type.
    """
    found = dict(declared.knobs)
    given = [("--lab-set", knob, text) for owner, knob, text in settings.overrides if owner in (None, declared.id)]
    for flag, knob, text in [*given, *(("--lab-sweep", *point) for point in swept.items())]:
        if knob in found:
            found[knob] = _parsed(flag, declared, knob, declared.knobs[knob], text)
    return found


def ignored(declared: Experiment, settings: Settings) -> dict[str, Any]:
    """What was set of `GENERATION` that the experiment has no knob for. Raises UsageError for a wrong type."""
    return {
        knob: _parsed("--lab-set", declared, knob, GENERATION[knob], text)
        for owner, knob, text in settings.overrides
        if owner in (None, declared.id) and knob in GENERATION and knob not in declared.knobs
    }


def _parsed(flag: str, declared: Experiment, knob: str, default: Any, text: str) -> Any:
    try:
        return parse_knob(f"{declared.id}.{knob}", default, text)
    except ValueError as error:
        raise pytest.UsageError(f"{flag}: {error}") from None


def grid(declared: Experiment, settings: Settings) -> list[dict[str, str]]:
    """Every combination of the values of swept knobs that an experiment has, as texts; none where none is swept."""
    axes: dict[str, list[str]] = {}
    for owner, knob, text in settings.sweeps:
        if owner in (None, declared.id) and knob in declared.knobs:
            several = isinstance(declared.knobs[knob], list | tuple)
            texts: dict[Any, str] = {}
            for part in map(str.strip, text.split(";" if several else ",")):
                texts.setdefault(_value(declared.knobs[knob], part), part)
            axes[knob] = list(texts.values())
    return [dict(zip(axes, point, strict=True)) for point in product(*axes.values())] if axes else []


def _value(default: Any, text: str) -> Any:
    """What a text sets a knob to, so that 0.5 and 0.50 are one value; the text itself where it is refused later."""
    try:
        value = parse_knob("", default, text)
    except ValueError:
        return text
    return tuple(value) if isinstance(value, list) else value


def changed(declared: Experiment, knobs: Mapping[str, Any]) -> list[str]:
    """Names of the knobs that do not have their default."""
    return [name for name, value in knobs.items() if knob_text(value) != knob_text(declared.knobs[name])]


def as_options(item: pytest.Item) -> list[str]:
    """The command line's options that give a cell the knobs that it has.

    A default that cannot be written there, as one with a space in front, is left out.
    """
    declared, settings = item.stash[EXPERIMENT], item.config.stash[SETTINGS]
    texts = {}
    for name, value in item.stash[KNOBS].items():
        text = knob_text(value)
        try:
            same = parse_knob(name, declared.knobs[name], text.strip()) == value
        except ValueError:
            same = False
        if same:
            texts[name] = text
    texts |= {name: str(value) for name, value in ignored(declared, settings).items()}
    return [part for name, text in texts.items() for part in ("--lab-set", f"{declared.id}.{name}={text}")]


# Who gets them --------------------------------------------------------------------------------------------


def call(item: pytest.Function) -> bool:
    """Calls an experiment with its knobs beside its fixtures; False for an ordinary test, which was not called."""
    knobs = item.stash.get(KNOBS, None)
    if knobs is None:
        return False
    fixtures = {name: item.funcargs[name] for name in item._fixtureinfo.argnames}
    item.obj(**fixtures, **{name: knobs[name] for name in knobs_of(item.function)})
    return True


@contextmanager
def supplied(definition: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Iterator[None]:
    """Within it a fixture with knobs has the values that its cell has for them; outside of a cell its defaults hold."""
    knobs = request.node.stash.get(KNOBS, None)
    own = {} if knobs is None else _of_fixture(definition)
    if not own:
        yield
        return
    function = definition.func
    definition.func = partial(function, **{name: knobs[name] for name in own})  # type: ignore[misc]
    try:
        yield
    finally:
        definition.func = function  # type: ignore[misc]


@pytest.fixture
def lab_sweep(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """Where in the grid of swept knobs a cell stands: their values as they were written, by name."""
    point: Mapping[str, str] = request.param
    return point


# What they name -------------------------------------------------------------------------------------------


def knob_texts(item: pytest.Item) -> frozenset[str] | None:
    """Every text among the values of a cell's knobs, those in lists too; None for an ordinary test.

    What a knob names is known before the cell runs, so it can be part of what determines its result.
    """
    knobs = item.stash.get(KNOBS, None)
    return None if knobs is None else frozenset(_texts(list(knobs.values())))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def require_named(
    name: str,
    texts: frozenset[str] | None,
    what: str = "",
    how: str = "",
    *,
    error: Callable[[str], Exception] = ValueError,
) -> None:
    """Raises `error` where `name` is not among the texts of a cell's knobs; outside of a cell, None, all may be used.

    What determines a result has to be known before the cell runs. A file or a model is more than its name, so what it
    holds counts, by the fixture's `fingerprint`, only where a knob names it. `what` says what the name is one of, as
    "the judge", and `how` it has to be named.
    """
    if texts is not None and name not in texts:
        subject, manner = f"{what} {name!r}".lstrip(), f" {how}".rstrip()
        raise error(
            f"{subject} stands in no knob of this experiment{manner}, so its results would not be told apart from "
            "others'; give the experiment a knob with this value"
        )


def file_fingerprints(paths: Iterable[str | Path]) -> dict[str, str]:
    """SHA-256 of each of these files that is there, by its path."""
    there = [path for path in sorted(map(Path, set(paths))) if path.is_file()]
    return {str(path): sha256(path.read_bytes()).hexdigest() for path in there}


# How they are written -------------------------------------------------------------------------------------


def knob_text(value: Any) -> str:
    """A knob as it is written in an option: `parse_knob` reads it back."""
    if isinstance(value, list | tuple):
        return ",".join(map(knob_text, value))
    if value is None:
        return ALL
    if isinstance(value, str) and (value != value.strip() or value.startswith('"') or "\n" in value):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


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
