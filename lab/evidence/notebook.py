"""What does an experiment write down while it runs? The `evidence` fixture is a Notebook."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.estimate import Estimate, Outcome, Verdict
from lab.evidence.files import file_name, write_whole
from lab.evidence.journal import Journal, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Cell:
    """One experiment with its parameters: what was claimed, of whom, under which settings.

    `params` are the test's parameters as strings ("model": "clinic-gpt2"); `negative` says why this
    cell is known to refute the claim, where it is a negative control.
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


@dataclass(frozen=True)
class Control:
    """A check that the experiment itself is sound."""

    name: str
    outcome: Outcome
    reason: str


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
    """

    def __init__(self, cell: Cell, journal: Journal, results: Path) -> None:
        self.cell, self.seed = cell, cell.seed
        self.controls: list[Control] = []
        self.judged: list[Verdict] = []
        self.measured: dict[str, Estimate] = {}
        self.asked: Verdict | None = None
        self.plots: dict[str, Path] = {}
        self.events: list[dict[str, Any]] = []
        self._journal, self._results = journal, results
        self._write("started", **dataclasses.asdict(cell) | {"id": None})

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
        self._write("measured", estimate=values)
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
        self._write("control", **dataclasses.asdict(control))

    def report(self, **values: Any) -> None:
        """Records numbers that decide nothing but belong beside the verdict. Estimates are recorded whole."""
        shown = {key: _fields(value) if isinstance(value, Estimate) else plain(value) for key, value in values.items()}
        self._write("report", values=shown)

    def rows(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Keeps raw rows (prompts, texts, scores). They reach the experiment's own results file, not the tables."""
        self._write("rows", name=name, rows=rows)

    def note(self, text: str) -> None:
        """Keeps a remark about how the cell was run, as that memory ran out and batches were made smaller."""
        self._write("noted", text=text)

    def plot(self, name: str, draw: Callable[[Axes], object], *, size: tuple[float, float] = (5.0, 3.6)) -> Path:
        """Draws on fresh axes of `size` inches and keeps the picture as PNG; returns its path.

        The file appears whole or not at all.
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
        folder = self._results / "plots" / file_name(self.cell.experiment) / file_name(self.cell.id)
        path = write_whole(folder / f"{file_name(name)}.png", picture.getvalue())
        self.plots[name] = path
        self._write("plot", name=name, file=str(path.relative_to(self._results)))
        return path

    def finish(self, verdict: str, reason: str) -> None:
        """Writes what the cell came to: PASS, FAIL, INCONCLUSIVE, INVALID or SKIPPED."""
        self._write("finished", verdict=verdict, reason=reason)

    @property
    def broken(self) -> list[Control]:
        """Controls that came to FAIL."""
        return [control for control in self.controls if control.outcome == "FAIL"]

    def _judge(self, name: str, verdict: Verdict) -> None:
        """Keeps a measured estimate's verdict."""
        self.judged.append(verdict)
        self._write(
            "judged",
            name=name,
            claim=verdict.claim,
            outcome=verdict.outcome,
            reason=verdict.reason,
            point=verdict.point,
        )

    def _write(self, event: str, **fields: Any) -> None:
        self.events.append(self._journal.write(self.cell.id, event, **fields))


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
