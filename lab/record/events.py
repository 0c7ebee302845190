"""The events that a journal is made of: one dataclass each, and the lines that hold them.

The line of an event is `{"schema": 2, "run": ..., "cell": ..., "key": ..., "event": ..., "time": ..., ...}`, the fields
of its dataclass last. `schema` and `table`, which stands in docs/evidence.md, are made from these classes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.estimate import Estimate, Outcome
from lab.files.plain import plain
from lab.files.typed import first_line, read_as, schema_of, texts_of
from lab.record import lock

SCHEMA = 2
"""The number that a line carries; lines of another number are not read."""


@dataclass(frozen=True)
class Event:
    """Something that happened. Its name in the journal is that of its class, in small letters."""

    @classmethod
    def name_of(cls) -> str:
        return cls.__name__.lower()


@dataclass(frozen=True)
class Run(Event):
    """What is known of the run as a whole: the first line of every file."""

    command: str
    """The command line."""
    commit: str | None
    """The checkout's commit, with a + where files were changed since."""
    machine: dict[str, Any]
    """Name, system, cores, Python, GPUs."""
    versions: dict[str, str]
    """Of the packages that compute."""
    supersedes: str | None = None
    """The run that this one corrects."""
    owner: str = ""
    """Who answers for the experiments, of `lab_owner`."""
    links: list[Any] = field(default_factory=list)
    """Of `lab_links`: pattern of experiments, name, URL."""


@dataclass(frozen=True)
class Ended(Event):
    """The run came to its end; a killed one has no such line."""

    status: int
    """pytest's exit status."""


@dataclass(frozen=True)
class Share(Event):
    """One job's part of a run that was dealt out came to its end."""

    name: str
    """Its wave and shard."""
    status: int
    """pytest's exit status."""


@dataclass(frozen=True)
class Started(Event):
    """A cell begins; its fixtures are made next."""

    experiment: str
    """The experiment's id."""
    claim: str
    """What it claims."""
    phase: str
    """Of the study that it belongs to."""
    subject: str
    """The models that it asks."""
    params: dict[str, str]
    """The test's parameters."""
    knobs: dict[str, Any]
    """The effective knobs."""
    seed: int
    """Every source of randomness derives from it."""
    negative: str | None
    """Why this cell is known to refute the claim, where it is a negative control."""
    population: str = ""
    """What the claim speaks of."""
    title: str = ""
    """What its card is called."""
    questions: tuple[str, ...] = ()
    """What its card asks."""
    swept: tuple[str, ...] = ()
    """Knobs that differ between the cells of its sweep."""


@dataclass(frozen=True)
class Configured(Event):
    """How the cell runs, before anything is loaded."""

    config: dict[str, Any]
    """The effective configuration."""
    folder: str
    """The cell's own folder in the results."""
    reproduce: str
    """The command that repeats it."""


@dataclass(frozen=True)
class Keyed(Event):
    """What determines the cell's result; `key` is its hash and stands in every later line of the cell."""

    determined_by: dict[str, Any]
    """Experiment, parameters, knobs, seed, and fingerprints of subjects, data and code."""


@dataclass(frozen=True)
class Registered(Event):
    """Under --lab-freeze: what is claimed before the data."""

    registered: lock.Registered
    """Claim, bars, controls, knobs, data and seed."""


@dataclass(frozen=True)
class Registration(Event):
    """How the cell stands to the lock."""

    status: str
    """As registered, changed since, or exploratory."""


@dataclass(frozen=True)
class Item(Event):
    """One item of a loop of `evidence.resume` is done."""

    work: str
    """The loop's name."""
    item: str
    """The item's key."""
    result: Any
    """What came of it."""


@dataclass(frozen=True)
class Measured(Event):
    """An estimate was measured."""

    estimate: Estimate
    """Value, interval, n, method and name."""


@dataclass(frozen=True)
class Judged(Event):
    """A measured estimate was held against a bar."""

    name: str
    """The estimate's name."""
    claim: str
    """As it was asserted: "> 0.55"."""
    outcome: Outcome
    """What it came to."""
    reason: str
    """Why, in a sentence."""
    point: Outcome
    """What the value alone would come to."""
    against: tuple[str, float, float] | None = None
    """The sign and the two ends of the bar."""


@dataclass(frozen=True)
class Control(Event):
    """A check that the experiment itself is sound."""

    name: str
    """What was checked."""
    outcome: Outcome
    """What it came to; FAIL makes the cell INVALID."""
    reason: str
    """Why, in a sentence."""


@dataclass(frozen=True)
class Report(Event):
    """Numbers that decide nothing, beside the verdict."""

    values: dict[str, Any]
    """By name; estimates whole."""


@dataclass(frozen=True)
class Rows(Event):
    """Rows of a table, in the journal itself."""

    name: str
    """The table's name."""
    rows: list[dict[str, Any]]
    """One mapping a row."""


@dataclass(frozen=True)
class _File(Event):
    name: str
    """What it is called within the cell."""
    file: str
    """Its path in the results folder."""


@dataclass(frozen=True)
class Arrays(_File):
    """Arrays were kept in a safetensors file."""

    sha256: str | None
    """Of what the file held."""


@dataclass(frozen=True)
class Raw(_File):
    """Single answers, or what others wrote, were kept in a file."""

    sha256: str | None
    """Of what the file held."""


@dataclass(frozen=True)
class Plot(_File):
    """A picture was drawn."""

    sha256: str = ""
    """Of what the file held: another run of the cell draws over it."""


@dataclass(frozen=True)
class Answer(Event):
    """A research question was answered."""

    number: int
    """The question's, from 1."""
    text: str
    """The answer in words."""
    tables: list[list[dict[str, Any]]]
    """The tables beneath it, as lists of rows."""


@dataclass(frozen=True)
class Noted(Event):
    """A remark about how the cell was run."""

    text: str
    """The remark."""


@dataclass(frozen=True)
class _End(Event):
    verdict: str
    """What the cell came to."""
    reason: str
    """Why, in a sentence."""
    seconds: float
    """How long it took."""
    effort: dict[str, Any]
    """Models loaded, forward passes, tokens, requests, cache hits."""
    shown: str = ""
    """How pytest showed a failure."""
    replayed: str | None = None
    """The run that the result was taken from."""


@dataclass(frozen=True)
class Finished(_End):
    """The cell came to PASS, FAIL, INCONCLUSIVE or SKIPPED."""


@dataclass(frozen=True)
class Failed(_End):
    """The cell is INVALID: a broken control, an error, a worker that died twice."""


EVENTS: dict[str, type[Event]] = {
    one.name_of(): one
    for one in (
        *(Run, Started, Configured, Keyed, Registered, Registration, Item, Measured, Judged, Control, Report, Rows),
        *(Raw, Arrays, Plot, Answer, Noted, Finished, Failed, Share, Ended),
    )
}
"""All events by their names in the journal, about in the order in which they come."""


_HEAD: dict[str, Any] = {"run": str, "cell": str, "key": str | None, "time": str}


class Unreadable(ValueError):
    """A line of a journal that cannot be read. Its text says why, to follow "this line"."""


@dataclass(frozen=True)
class Line:
    """One line of a journal: an event, when it happened, in which run, and of which cell."""

    run: str
    """The run's name."""
    cell: str
    """The cell's id; empty for what is of the run as a whole."""
    key: str | None
    """Of what determines the cell's result, once that is known."""
    time: str
    """When, in ISO 8601, UTC."""
    event: Event
    """What happened."""

    @property
    def kind(self) -> str:
        """The event's name in the journal."""
        return self.event.name_of()

    @property
    def told(self) -> dict[str, Any]:
        """The event's own fields, in plain values."""
        pairs = ((one.name, getattr(self.event, one.name)) for one in dataclasses.fields(self.event))
        return {k: plain(dataclasses.asdict(v) if dataclasses.is_dataclass(v) else v) for k, v in pairs}  # type: ignore[arg-type]

    @property
    def plain(self) -> dict[str, Any]:
        """The line as the journal holds it."""
        head = {"run": self.run, "cell": self.cell, "key": self.key, "event": self.kind, "time": self.time}
        return {"schema": SCHEMA, **head, **self.told}


def line_of(told: Any) -> Line:
    """Reads a line from its JSON. Raises Unreadable where it is of another schema, or fits no event."""
    if not isinstance(told, Mapping) or told.get("schema") != SCHEMA:
        schema = told.get("schema") if isinstance(told, Mapping) else None
        raise Unreadable(f"is of schema {schema}, not {SCHEMA}")
    kind, own = told.get("event"), dict(told)
    if kind not in EVENTS:
        raise Unreadable(f"has an event {kind!r}, which is not known")
    try:
        del own["schema"], own["event"]
        head = {name: read_as(type_, own.pop(name)) for name, type_ in _HEAD.items()}
        return Line(**head, event=read_as(EVENTS[kind], own))
    except KeyError as error:
        raise Unreadable(f"fits no event: {kind!r} lacks {error}") from None
    except ValueError as error:
        raise Unreadable(f"fits no event: of {kind!r}, {error}") from None


def schema() -> dict[str, Any]:
    """The JSON schema of a journal's lines."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "One line of a journal, results/journal/RUN-WORKER.jsonl",
        "oneOf": [_line_schema(name, event) for name, event in EVENTS.items()],
    }


def _line_schema(name: str, event: type[Event]) -> dict[str, Any]:
    own = schema_of(event)
    head = {part: schema_of(type_) for part, type_ in _HEAD.items()}
    properties = {"schema": {"const": SCHEMA}, "event": {"const": name}, **head, **own["properties"]}
    return own | {"properties": properties, "required": ["schema", "event", *head, *own["required"]]}


def table() -> str:
    """The events in Markdown, for docs/evidence.md."""
    rows = ["| event | when | fields |", "| --- | --- | --- |"]
    for name, event in EVENTS.items():
        fields = "; ".join(
            f"`{part}`: {text[0].lower()}{text[1:].rstrip('.')}" for part, text in texts_of(event).items()
        )
        rows.append(f"| `{name}` | {first_line(event)} | {fields} |")
    return "\n".join(rows) + "\n"
