"""What the lines of journals come to: a record of each start of a cell, and what is asked of all of them together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.estimate import Estimate
from lab.files.whole import checksum_of, file_name
from lab.record import events
from lab.record.events import Line
from lab.record.lock import Registered

UNFINISHED = "it never finished: its process ended"
KNOWN, NOT_REFUTED = "known negative", "negative control, not refuted"
NOT_RUN = "NOT_RUN"
DECIDED = ("PASS", "FAIL", "INCONCLUSIVE")
"""Verdicts that stand as long as their key does. What was INVALID or skipped is tried again."""


@dataclass
class Measure:
    """One measured estimate, and every claim that was made about it, with what each came to."""

    estimate: Estimate
    claims: list[dict[str, Any]] = field(default_factory=list)

    @property
    def p(self) -> float | None:
        """The estimate's own p; of a share, which has none, that of its first one-sided bar (exact binomial)."""
        e = self.estimate
        bars = (claim["against"] for claim in self.claims if claim.get("against", ("",))[0] in ("<", ">"))
        against = next(bars, None)
        if e.p is not None or against is None or not e.method.startswith(("Wilson", "Clopper-Pearson")):
            return e.p
        from lab.stats.families import p_against  # numpy, which a run that only collects does without

        p = p_against(e, against[1], against[0])
        return None if p != p else p

    @property
    def bar(self) -> str:
        return ", ".join(claim["claim"] for claim in self.claims)


@dataclass
class CellRecord:
    """All that the journal knows of one start of a cell."""

    cell: str
    experiment: str
    claim: str
    phase: str
    subject: str
    params: dict[str, str]
    knobs: dict[str, Any]
    seed: int
    negative: str | None
    population: str = ""
    title: str = ""
    questions: list[str] = field(default_factory=list)
    swept: list[str] = field(default_factory=list)
    """Knobs that differ between the cells of its sweep."""
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    folder: str = ""
    abandoned: list[CellRecord] = field(default_factory=list)
    """Earlier starts of the cell, in this run, whose process ended before they did."""
    reproduce: str = ""
    measures: list[Measure] = field(default_factory=list)
    controls: list[dict[str, str]] = field(default_factory=list)
    reported: dict[str, Any] = field(default_factory=dict)
    plots: dict[str, str] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    """Of the plots, by file: another run of the cell draws over them."""
    arrays: dict[str, dict[str, Any]] = field(default_factory=dict)
    raw: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    registered: Registered | None = None
    registration: str | None = None
    run: str = ""
    command: str = ""
    started: str = ""
    ready: str = ""
    """When its fixtures were made."""
    ended: str = ""
    """When it came to its verdict."""
    seconds: float = 0.0
    replayed: str | None = None
    effort: dict[str, float] = field(default_factory=dict)
    key: str | None = None
    verdict: str = "INVALID"
    reason: str = UNFINISHED
    determined_by: dict[str, Any] = field(default_factory=dict)
    """What its key is made of: fingerprints of subjects, data and code beside what was set."""
    shown: str = ""
    """How pytest showed its failure."""

    def add(self, line: Line) -> None:
        """Takes in what a later line says of the cell."""
        match line.event:
            case events.Measured(estimate):
                self.measures.append(Measure(estimate))
            case events.Judged() as judged:
                claim = {name: value for name, value in vars(judged).items() if name != "name" and value is not None}
                for measure in [one for one in self.measures if one.estimate.name == judged.name][:1]:
                    measure.claims.append(claim)
            case events.Control() as control:
                self.controls.append(dict(vars(control)))
            case events.Report(values):
                self.reported.update(values)
            case events.Plot(name, file, sha256):
                self.plots[name], self.checksums[file] = file, sha256
            case events.Arrays(name, file, sha256):
                self.arrays[name] = {"file": file, "sha256": sha256}
            case events.Raw(name, file, sha256):
                self.raw[name] = {"file": file, "sha256": sha256}
            case events.Configured(config, folder, reproduce):
                self.config, self.folder, self.reproduce = config, folder, reproduce
            case events.Answer(number, text, tables):
                self.answers[str(number)] = {"text": text, "tables": tables}
            case events.Rows(name, rows):
                self.rows[name] = rows
            case events.Noted(text):
                self.notes.append(text)
            case events.Keyed(determined_by):
                self.key, self.determined_by, self.ready = line.key, determined_by, line.time
            case events.Registered(registered):
                self.registered = registered
            case events.Registration(status):
                self.registration = status
            case events.Finished() | events.Failed() as end:
                self.verdict, self.reason, self.shown = end.verdict, end.reason, end.shown
                self.seconds, self.replayed, self.effort = end.seconds, end.replayed, end.effort
                self.ended = line.time

    @property
    def id(self) -> str:
        """The cell's name, as `Cell` has it."""
        return self.cell

    @property
    def shown_verdict(self) -> str:
        """The verdict as tables print it; of a negative control they say whether it was refuted, as it must be."""
        if not self.negative or self.verdict in ("INVALID", "SKIPPED"):
            return self.verdict
        return f"{self.verdict} ({KNOWN if self.verdict == 'FAIL' else NOT_REFUTED})"

    @property
    def finished(self) -> bool:
        """Whether it came to an end; False where its process ended first."""
        return self.reason != UNFINISHED

    @property
    def asked(self) -> str:
        """Of whom, and with which parameters beside the models."""
        others = [f"{name}={value}" for name, value in self.params.items() if name not in ("model", "other_model")]
        return " ".join(part for part in (self.subject, *others) if part)

    @property
    def loading(self) -> float:
        """Seconds that it spent on loading models."""
        return float(self.effort.get("load_seconds", 0.0))

    @property
    def took(self) -> float:
        """Seconds from when its fixtures were made to its verdict, without loading models."""
        spent = datetime.fromisoformat(self.ended) - datetime.fromisoformat(self.ready)
        return max(0.0, spent.total_seconds() - self.loading)


class Fold:
    """What lines come to, and later lines with them.

        cells = Fold(read("results/journal")).cells("20260101-120000-abcd")

    Lines may come in parts, as processes append to their files, as long as those of one cell's start come in order.

    Attributes
    ----------
    headers
        The first line of each run.
    ended
        The runs that came to their end.
    starts
        A record of every start of a cell.
    """

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        self.headers: dict[str, Line] = {}
        self.ended: set[str] = set()
        self.starts: list[CellRecord] = []
        self._commands: dict[str, str] = {}
        self._shares: dict[str, dict[str, int]] = {}
        self._open: dict[tuple[str, str], tuple[CellRecord, list[Line]]] = {}
        self._finished: dict[str, list[Line]] = {}
        self._items: dict[tuple[str, str], dict[str, Any]] = {}
        self.add(lines)

    def add(self, lines: Iterable[Line]) -> None:
        """Takes in more lines."""
        for line in sorted(lines, key=lambda line: line.time):  # stable: equal times keep their file's order
            at = line.run, line.cell
            match line.event:
                case events.Run(command):
                    self.headers.setdefault(line.run, line)
                    self._commands[line.run] = command
                case events.Ended():
                    self.ended.add(line.run)
                case events.Share(name, status):
                    self._shares.setdefault(line.run, {})[name] = status
                case events.Started() as started:
                    self._begin(line, started)
                case _ if at in self._open:
                    self._go_on(line, *self._open[at])

    def _begin(self, line: Line, started: events.Started) -> None:
        at, command = (line.run, line.cell), self._commands.get(line.run, "")
        known, _ = self._open.get(at, (None, []))
        told = vars(started) | {"questions": list(started.questions), "swept": list(started.swept)}
        record = CellRecord(line.cell, **told, run=line.run, command=command, started=line.time, ready=line.time)
        if known is not None and not known.finished:
            record.abandoned = [*known.abandoned, known]
        self.starts.append(record)
        self._open[at] = record, []

    def _go_on(self, line: Line, record: CellRecord, keyed: list[Line]) -> None:
        record.add(line)
        if line.key is None:
            return
        keyed.append(line)
        match line.event:
            case events.Item(work, item, result):
                self._items.setdefault((line.key, work), {})[item] = result
            case events.Finished(verdict) if verdict in DECIDED:
                self._finished[line.key] = keyed

    def cells(self, run: str | None = None) -> list[CellRecord]:
        """The last start of each cell, of one run or of any, sorted by name."""
        return _newest((one for one in self.starts if run in (None, one.run)), lambda one: one.started)

    def outcomes(
        self, but: str | None = None, counts: Callable[[CellRecord], bool] = lambda _: True
    ) -> dict[str, CellRecord]:
        """By cell the newest start that came to a verdict and `counts`, but for one run's.

        A run that was interrupted hides no earlier one.
        """
        ended = (one for one in self.starts if one.ended and one.run != but and counts(one))
        return {one.cell: one for one in _newest(ended, lambda one: one.ended)}

    def seconds(self, but: str | None = None) -> dict[str, float]:
        """How long each cell took when it last ran to a verdict."""
        return {cell: one.took for cell, one in self.outcomes(but, _ran).items()}

    def loads(self, but: str | None = None) -> dict[str, float]:
        """The longest that a cell of each `model` spent on loading when it last ran to a verdict; of those that did."""
        found: dict[str, float] = {}
        for one in self.outcomes(but, _ran).values():
            if "model" in one.params and one.loading:
                found[one.params["model"]] = max(one.loading, found.get(one.params["model"], 0.0))
        return found

    def shares(self, run: str) -> dict[str, int]:
        """The exit status of every share of a run that came to its end, by its name."""
        return self._shares.get(run, {})

    def items(self, key: str, work: str) -> dict[str, Any]:
        """What came of the items of a loop that cells with this key finished, by the items' keys."""
        return self._items.get((key, work), {})

    def finished(self, key: str, results: Path) -> list[Line] | None:
        """The lines of the newest finished cell with this key, or None.

        None too where a plot, array or raw row in `results` is gone, damaged, or by now of another run of the cell.
        """
        lines = self._finished.get(key)
        if lines is None:
            return None
        files = [one.event for one in lines if isinstance(one.event, events.Plot | events.Arrays | events.Raw)]
        return lines if all(file.sha256 == checksum_of(results / file.file) for file in files) else None


def gather(lines: Iterable[Line]) -> list[CellRecord]:
    """The cells of a journal, sorted by name. A cell that was started again is taken from its last start."""
    return Fold(lines).cells()


def _newest(records: Iterable[CellRecord], time: Callable[[CellRecord], str]) -> list[CellRecord]:
    newest = {one.cell: one for one in sorted(records, key=time)}
    return [newest[cell] for cell in sorted(newest)]


def _ran(record: CellRecord) -> bool:
    return record.verdict in DECIDED and not record.replayed


def called(cells: list[CellRecord]) -> dict[str, str]:
    """By cell, what it is called among those of its experiment: of whom it asks, and the knobs and seed that differ."""
    names = {}
    for cell in cells:
        own = differing(cell, [other for other in cells if other.experiment == cell.experiment])
        names[cell.cell] = " ".join([cell.asked, *(f"{name}={value}" for name, value in own.items())]).strip()
    return names


def differing(cell: CellRecord, among: Iterable[CellRecord]) -> dict[str, Any]:
    """The knobs and the seed of a cell in which any of the others differs from it."""
    own, *settings = ({**one.knobs, "seed": one.seed} for one in (cell, *among))
    return {name: value for name, value in own.items() if any(other.get(name) != value for other in settings)}


def estimates(cell: CellRecord) -> dict[str, Estimate]:
    """All estimates of a cell by name: what it measured, and what it reported beside."""
    reported = {
        name: Estimate(**(value | {"name": name}))
        for name, value in cell.reported.items()
        if isinstance(value, dict) and {"value", "low", "high", "method"} <= value.keys()
    }
    return reported | {measure.estimate.name: measure.estimate for measure in cell.measures}


def experiment_paths(cell: CellRecord) -> tuple[str, str, str]:
    """Where a cell's experiment has its summary, its results and its output, in the results folder."""
    stem = f"{file_name(cell.phase).replace('-', '_')}/{file_name(cell.experiment).lower()}"
    return f"{stem}_summary.md", f"{stem}_results.json", f"{stem}_output.txt"


def overall(verdicts: Iterable[str]) -> str:
    """The verdict of an experiment from those of its cells, negative controls left out.

    NOT_RUN where none ran, INVALID where one is; else FAIL where one is, PASS where all are, INCONCLUSIVE otherwise.

    >>> overall(["PASS", "INCONCLUSIVE"]), overall(["PASS", "FAIL"]), overall([])
    ('INCONCLUSIVE', 'FAIL', 'NOT_RUN')
    """
    found = set(verdicts)
    if found <= {"SKIPPED"}:
        return NOT_RUN
    for verdict in ("INVALID", "FAIL"):
        if verdict in found:
            return verdict
    return "PASS" if found == {"PASS"} else "INCONCLUSIVE"
