"""What does a test function write down when it is only planned? Everything, but not to any file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.estimate import Estimate, Verdict
from lab.record.events import Event, Line
from lab.record.notebook import Notebook


@dataclass(frozen=True, eq=False)
class _Hopeful(Estimate):
    """An estimate that meets every bar, so that nothing after an assertion is missed."""

    def health(self, *findings: Any) -> None:
        pass  # a plan's numbers are made up

    def _decided(self, verdict: Verdict) -> Verdict:
        return dataclasses.replace(verdict, outcome="PASS")


class ThrowawayNotebook(Notebook):
    """A notebook that is kept in memory, and draws nothing."""

    def measure(self, name: str, estimate: Estimate) -> Estimate:
        super().measure(name, estimate)
        return _Hopeful(**{field.name: getattr(estimate, field.name) for field in dataclasses.fields(Estimate)})

    def health(self, *findings: Any) -> None:
        pass  # a plan's numbers are made up

    def _decided(self, *_: Any) -> bool:
        return False  # nobody knows when it will be; a plan says the most it may take

    def plot(self, name: str, draw: Any, **_: Any) -> Path:
        return self._results / name

    def arrays(self, name: str, arrays: Any) -> Path:
        return self._results / name

    def raw(self, name: str, rows: Any) -> Path:
        return self._results / name

    def _write(self, event: Event) -> None:
        self.events.append(Line("", self.cell.id, self.key, "", event))
