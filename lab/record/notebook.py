"""The notebook of a cell: what an experiment writes down while it runs. The `evidence` fixture is one."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.estimate import Bar, Estimate, Verdict
from lab.files.digest import digest
from lab.files.plain import plain
from lab.files.whole import checksum_of, file_name, write_whole
from lab.record import events, store
from lab.record.events import Control, Event, Line
from lab.record.fold import Fold
from lab.record.journal import Journal
from lab.record.kept import Keeps
from lab.record.lock import Registered
from lab.record.resume import Item, Work
from lab.subjects.effort import DONE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from lab.stats.health import Finding


@dataclass(frozen=True)
class Cell:
    """One experiment with its parameters: what was claimed, of whom, under which settings.

    `params` are the test's parameters as strings ("model": "gpt2"); `negative` says why this
    cell is known to refute the claim, where it is a negative control; `population` is what the claim speaks of.
    `title` and `questions` are what its card is called, and asks. `swept` names the knobs that differ between the
    cells of its sweep.
    """

    id: str
    experiment: str
    claim: str
    phase: str
    subject: str
    params: Mapping[str, str]
    knobs: Mapping[str, Any]
    seed: int
    negative: str | None = None
    population: str = ""
    title: str = ""
    questions: tuple[str, ...] = ()
    swept: tuple[str, ...] = ()


class Unhealthy(ValueError):
    """The experiment is badly posed. Its text is one line: what is wrong, what to do."""


@dataclass(frozen=True, eq=False)
class _Measured(Estimate):
    """An estimate that tells its notebook of every verdict on it."""

    notebook: Notebook | None = field(default=None, repr=False)

    def _decided(self, verdict: Verdict) -> Verdict:
        if self.notebook is None:
            return verdict
        watched = _Watched(**vars(verdict), notebook=self.notebook)
        self.notebook._judge(self.name, watched)
        return watched


@dataclass(frozen=True, repr=False)
class _Watched(Verdict):
    """A verdict that tells its notebook when it is asked for its truth, as `assert` does."""

    notebook: Notebook | None = None

    def __bool__(self) -> bool:
        if self.notebook is not None:
            self.notebook.asked = self
        return super().__bool__()


class Notebook:
    """The experiment's notebook: seed, measurements, controls, plots.

        evidence.control("shuffled labels carry no signal", null.auroc.within(0.45, 0.55))
        evidence.plot("roc", probe.plot_roc)
        evidence.report(base_rate=0.26)
        assert evidence.measure("AUROC", probe.auroc) > 0.55

    Everything is written to the journal as it happens, so that a crash loses nothing that was known.

    Attributes
    ----------
    seed
        The cell's seed. Every source of randomness in an experiment derives from it.
    cell
        Who is asked what.
    key
        Of what determines the result, once `begin` was told it.
    replayed
        The run whose finished cell this one repeats, where it does.
    """

    def __init__(self, cell: Cell, journal: Journal, results: Path, past: Fold | None = None) -> None:
        self.cell, self.seed = cell, cell.seed
        self.key: str | None = None
        self.replayed: str | None = None
        self.shown = ""
        """How a failure was shown, where it is repeated."""
        self.controls: list[Control] = []
        self.judged: list[Verdict] = []
        self.measured: dict[str, Estimate] = {}
        self.asked: Verdict | None = None
        self.plots: dict[str, Path] = {}
        self.kept: dict[str, Path] = {}
        """Files of arrays and of raw rows, by name."""
        self.events: list[Line] = []
        self._journal, self._results, self._past = journal, results, past or Fold()
        self._loops: set[str] = set()
        self._begun, self._before = time.monotonic(), dataclasses.asdict(DONE)
        self.effort: dict[str, Any] = {}
        """What the cell did with its subjects, once it is finished."""
        self._seconds: float | None = None
        told = {field.name: getattr(cell, field.name) for field in dataclasses.fields(events.Started)}
        self._write(events.Started(**told))

    def begin(self, determined_by: Mapping[str, Any]) -> str:
        """Records what determines the result (code, data, subjects, ...), and returns its key."""
        parts = {
            "experiment": self.cell.experiment,
            "params": dict(self.cell.params),
            "knobs": dict(self.cell.knobs),
            "seed": self.seed,
            **determined_by,
        }
        self.key = digest(plain(parts))
        self._write(events.Keyed(parts))
        return self.key

    def resume(
        self, items: Iterable[Item], key: Callable[[Item], Any] | None = None, *, name: str = "items"
    ) -> Work[Item]:
        """The items of a long loop. Those that an interrupted run of this very cell finished are not given again.

        `key` says what an item is called (by default the item itself); loops of one cell differ in `name`.
        See `Work`. Raises ValueError for two items, or two loops, of one name.
        """
        if name in self._loops:
            raise ValueError(f"{name!r} names a loop already; give the second a name of its own")
        self._loops.add(name)
        done: dict[str, Any] = {}
        if self.key is not None:
            # This run's own journals too: a worker that died may have begun this cell.
            done = self._past.items(self.key, name) | self._journal.so_far().items(self.key, name)
        return Work(items, key, done, lambda item, result: self._write(events.Item(name, item, result)))

    def until_decided(
        self,
        sampler: Callable[[int], Any],
        bar: float | Bar | tuple[float, float],
        *,
        name: str = "mean",
        most: int = 2000,
        bounds: tuple[float, float] = (0.0, 1.0),
        level: float = 0.95,
    ) -> Estimate:
        """Observes until the verdict at the bar is decided, and measures the mean of what was observed.

            rate = evidence.until_decided(lambda i: refuses(model, prompts[10 * i : 10 * i + 10]), 0.5, name="refusals")
            assert rate > 0.5

        The interval is a confidence sequence, which one may look at after every observation.

        Parameters
        ----------
        sampler
            Called with 0, 1, 2, ...; returns the observations of that batch: booleans, or numbers within
            `bounds`; one or a row of them. An empty row ends it. What a batch gave is written down, so
            that an interrupted run goes on with the next one.
        bar
            What is asserted of the result: a number, a `Bar`, or the two bounds of `within`.
        most
            Observations after which it ends undecided.

        How many were drawn, and the share of `most` that was saved, is reported. Raises ValueError for an
        observation outside `bounds`, or where there is none.
        """
        from lab.stats.sequential import ConfidenceSequence  # numpy, which a run that only collects does without

        sequence = ConfidenceSequence(bounds=bounds, level=level)
        work = self.resume(range(most), name=f"until decided: {name}")
        for batch in range(most):
            if batch not in work:
                work[batch] = sampler(batch)
            observed = work[batch]
            if observed == []:
                break
            sequence.add(observed)
            if sequence.n >= most or self._decided(sequence.estimate, bar):
                break
        saved = max(0.0, 1 - sequence.n / most)
        self.report(**{f"{name}: observations": sequence.n, f"{name}: saved": round(saved, 4)})
        self.note(f"{name}: {sequence.n} of at most {most} observations were needed, {saved:.0%} saved")
        return self.measure(name, sequence.estimate)

    def _decided(self, estimate: Estimate, bar: float | Bar | tuple[float, float]) -> bool:
        from lab.stats.sequential import decided

        return decided(estimate, bar)

    def replay(self) -> bool:
        """Repeats a finished cell of the same key, if there is one: as if it had run now, without doing anything."""
        lines = None if self.key is None else self._past.finished(self.key, self._results)
        if lines is None:
            return False
        for line in lines:
            match line.event:
                case events.Measured(estimate):
                    self.measured[estimate.name] = estimate
                case events.Judged() as judged:
                    told = {k: v for k, v in vars(judged).items() if k != "name"}
                    told["against"] = judged.against or ("", 0.0, 0.0)  # older journals do not tell
                    self.judged.append(Verdict(estimate=self.measured[judged.name], **told))
                case Control() as control:
                    self.controls.append(control)
                case events.Plot(name, file):
                    self.plots[name] = self._results / file
                case events.Arrays(name, file) | events.Raw(name, file):
                    self.kept[name] = self._results / file
                case events.Finished() as end:
                    self.asked = next((v for v in self.judged if v.reason == end.reason), None)
                    self.replayed, self.shown, self._seconds = end.replayed or line.run, end.shown, end.seconds
                    continue
                case events.Report() | events.Rows() | events.Answer() | events.Noted():
                    pass
                case _:
                    continue
            self._write(line.event)
        return True

    def measure(self, name: str, estimate: Estimate) -> Estimate:
        """Records what was measured and returns it, to be held against a bar.

        Raises TypeError for anything but an Estimate, ValueError for a name used twice.
        """
        if not isinstance(estimate, Estimate):
            raise TypeError(
                f"measure({name!r}, ...) takes an Estimate, which has an interval, not {estimate!r}; "
                "lab.stats makes one from your data"
            )
        if name in self.measured:
            raise ValueError(f"{name!r} was measured already; give the second measurement a name of its own")
        values = _fields(estimate) | {"name": name}
        measured = _Measured(**values, notebook=self)
        self.measured[name] = measured
        self._write(events.Measured(Estimate(**values)))
        return measured

    def control(self, name: str, sound: Verdict | bool) -> None:
        """Records a check that the experiment is sound: a verdict, or a plain truth for an exact one.

        A control that comes to FAIL makes the cell INVALID, whatever else it found. An INCONCLUSIVE one
        is noted beside the verdict.
        """
        if isinstance(sound, Verdict):
            control = Control(name, sound.outcome, sound.reason)
        elif type(sound).__name__ in ("bool", "bool_"):  # Python's and numpy's
            control = Control(name, "PASS" if sound else "FAIL", "holds" if sound else "does not hold")
        else:
            raise TypeError(f"control({name!r}, ...) takes a verdict or a bool, not {sound!r}")
        self.controls.append(control)
        self._write(control)

    def health(self, *findings: Finding | None) -> None:
        """Records what checks of `lab.stats.health` found, before a model is asked.

        A warning is noted beside the verdict. Raises Unhealthy for a fault, so that nothing is wasted on an
        experiment that could not have said anything; the cell is then INVALID.
        """
        for finding in findings:
            if finding is not None:
                self.note(f"health: {finding.text}")
        faults = [finding.text for finding in findings if finding is not None and finding.fatal]
        if faults:
            raise Unhealthy("; ".join(faults))

    def report(self, **values: Any) -> None:
        """Records numbers that decide nothing but belong beside the verdict. Estimates are recorded whole."""
        shown = {key: _fields(value) if isinstance(value, Estimate) else plain(value) for key, value in values.items()}
        self._write(events.Report(shown))

    def answer(self, number: int, text: str, *tables: list[dict[str, Any]]) -> None:
        """Answers a research question, by its number from 1, in words and with tables (lists of rows) for the card.

        Raises ValueError where the experiment asks no such question.
        """
        if not 1 <= number <= len(self.cell.questions):
            asked = len(self.cell.questions)
            raise ValueError(
                f"there is no question {number}; {self.cell.experiment} asks {asked}: @experiment(questions=)"
            )
        self._write(events.Answer(number, text, list(tables)))

    def keep(self, result: Keeps) -> None:
        """Records what a result says is worth keeping: its rows, its summary and its plots."""
        kept = result.kept()
        for name, rows in kept.rows.items():
            self.rows(name, rows)
        if kept.summary:
            self.report(**kept.summary)
        for name, drawn in kept.plots.items():
            draw, *size = drawn if isinstance(drawn, tuple) else (drawn,)
            self.plot(name, draw, **({"size": size[0]} if size else {}))

    def rows(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Keeps raw rows (prompts, texts, scores). They reach the experiment's own results file, not the tables."""
        self._write(events.Rows(name, rows))

    def arrays(self, name: str, arrays: Mapping[str, ArrayLike]) -> Path:
        """Keeps arrays by label in a file of the results folder; returns its path.

        `lab.record.store.load_arrays` reads it.

            evidence.arrays("mean activations", {"mcq": mean})

        Float64 is kept as float32. Raises TypeError for what is no array of numbers, ValueError for a name used twice.
        """
        if name in self.kept:
            raise ValueError(f"arrays {name!r} were kept already; give the second ones a name of their own")
        return self._keep(events.Arrays, name, *store.keep_arrays(self._folder("arrays"), name, arrays))

    def raw(self, name: str, rows: Iterable[Mapping[str, Any]]) -> Path:
        """Keeps rows in a file of the results folder and not in the journal; returns its path.

        For single answers, of which there are many: `lab.record.store.load_rows` reads them one by one.
        Raises ValueError for a name used twice.
        """
        if name in self.kept:
            raise ValueError(f"{name!r} was kept already; give the second rows a name of their own")
        return self._keep(events.Raw, name, *store.keep_rows(self._folder("raw"), name, rows))

    def file(self, name: str, path: Path) -> Path:
        """Notes a file in the results folder that was written by others and belongs to this cell; returns its path.

        Where it is gone or has changed, the cell is not replayed. Raises ValueError for a name used twice.
        """
        if name in self.kept:
            raise ValueError(f"{name!r} was kept already; give the second file a name of its own")
        return self._keep(events.Raw, name, path, checksum_of(path))

    def note(self, text: str) -> None:
        """Keeps a remark about how the cell was run, as that memory ran out and batches were made smaller; once."""
        if events.Noted(text) not in [line.event for line in self.events]:
            self._write(events.Noted(text))

    def plot(self, name: str, draw: Callable[[Axes], object], *, size: tuple[float, float] = (5.0, 3.6)) -> Path:
        """Draws on fresh axes of `size` inches and keeps the picture as PNG; returns its path.

        The file appears whole or not at all. The cell's next run, under whatever knobs, draws over it; its checksum
        in the journal says whose picture it is, and a cell whose picture is another's is not replayed.
        """
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        with matplotlib.rc_context(_LOOK):
            figure = Figure(figsize=size, layout="constrained")
            canvas: Any = FigureCanvasAgg(figure)
            draw(figure.add_subplot())
            picture = io.BytesIO()
            canvas.print_png(picture, metadata={"Software": None})
        path = write_whole(self._folder("plots") / f"{file_name(name)}.png", picture.getvalue())
        self.plots[name], checksum = path, hashlib.sha256(picture.getvalue()).hexdigest()
        self._write(events.Plot(name, str(path.relative_to(self._results)), checksum))
        return path

    def _keep(self, event: type[events.Arrays | events.Raw], name: str, path: Path, checksum: str | None) -> Path:
        """Remembers a file of the cell and writes down where it is and what it holds."""
        self.kept[name] = path
        self._write(event(name, str(path.relative_to(self._results)), checksum))
        return path

    def _folder(self, kind: str) -> Path:
        """Where the cell's files of a kind are."""
        return self._results / kind / file_name(self.cell.experiment) / file_name(self.cell.id)

    def configured(self, config: Mapping[str, Any], folder: str, reproduce: str) -> None:
        """Writes the effective configuration, the cell's own folder in the results, and the command that repeats it."""
        self._write(events.Configured(dict(config), folder, reproduce))

    def registered(self, what: Registered) -> None:
        """Writes down what is claimed before the data, for the lock."""
        self._write(events.Registered(what))

    def registration(self, status: str) -> None:
        """Writes how the cell stands to the lock: as registered, changed since, or exploratory."""
        self._write(events.Registration(status))

    def finish(self, verdict: str, reason: str, *, shown: str = "") -> None:
        """Writes what the cell came to: PASS, FAIL, INCONCLUSIVE or SKIPPED; or INVALID, as the event `failed`.

        `shown` is how a failure was shown, for `replay`.
        """
        seconds = time.monotonic() - self._begun if self._seconds is None else self._seconds
        self.effort = DONE.since(self._before)
        event = events.Failed if verdict == "INVALID" else events.Finished
        self._write(event(verdict, reason, round(seconds, 3), self.effort, shown, self.replayed))

    @property
    def broken(self) -> list[Control]:
        """Controls that came to FAIL."""
        return [control for control in self.controls if control.outcome == "FAIL"]

    def _judge(self, name: str, verdict: Verdict) -> None:
        """Keeps a measured estimate's verdict."""
        self.judged.append(verdict)
        v = verdict
        self._write(events.Judged(name, v.claim, v.outcome, v.reason, v.point, v.against))

    def _write(self, event: Event) -> None:
        self.events.append(self._journal.write(self.cell.id, event, key=self.key))


_LOOK: Any = {
    "figure.dpi": 100,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
}


def _fields(estimate: Estimate) -> dict[str, Any]:
    return {f.name: getattr(estimate, f.name) for f in dataclasses.fields(Estimate)}
