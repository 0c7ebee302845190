"""How do the measurements read? Raw times in, Markdown out."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.tasks import TASKS, Setting

LEGEND = """\
Seconds and MB are medians, with the range in brackets. `/ ours` and `/ plain` divide by the first row of ours and of
plain Hugging Face: 2.00 takes twice as long. The difference is the largest absolute one from plain's first result. A
plain forward of the same prompts, by an untouched model in the contender's own process, shows that the processes are
equal.
"""


@dataclass
class Row:
    """One contender's one way: every measured value, and the plain forwards in its process (seconds)."""

    contender: str
    way: str
    version: str = ""
    values: list[float] = field(default_factory=list)
    disturbed: list[bool] = field(default_factory=list)
    forwards: list[float] = field(default_factory=list)
    difference: str = ""
    error: str = ""

    def add(self, answer: dict[str, Any]) -> None:
        """Takes a worker's answer, disturbed if others took over a tenth of a core (and over two clock ticks)."""
        self.error = answer.get("error", "")
        if not self.error:
            self.values.append(answer["value"])
            self.disturbed.append(answer["others"] > 0.1 * answer["wall"] + 0.02)


@dataclass
class Table:
    """One task in one setting."""

    task: str
    setting: str
    size: Setting
    rows: list[Row]

    def markdown(self) -> str:
        size = self.size
        parts = [
            f"{size.n} x {size.tokens} tokens",
            f"{size.layers} layers x {size.width}, vocabulary {size.vocab}",
        ]
        parts += [f"first {size.shared} tokens shared by clean and corrupted"] * bool(size.shared)
        parts += [f"{size.new_tokens} new tokens"] * bool(size.new_tokens)
        parts += [f"{size.options} options of {size.option_tokens} tokens"] * bool(size.options)
        columns = ["contender", "way", "version", self.heading, "/ ours", "/ plain", "difference", "plain forward, ms"]
        rounds = max((len(row.values) for row in self.rows), default=0)
        disturbed = [each for row in self.rows for each in row.disturbed]
        lines = [
            f"### {self.task}, {self.setting}",
            "",
            f"{TASKS[self.task].what}. {'; '.join(parts)}. Rounds: {rounds}. "
            f"Disturbed by other processes: {sum(disturbed)} of {len(disturbed)} measurements.",
            "",
            "| " + " | ".join(columns) + " |",
            "|" + " --- |" * len(columns),
            *("| " + " | ".join(self.cells(row)) + " |" for row in self.rows),
        ]
        return "\n".join(lines) + "\n"

    @property
    def heading(self) -> str:
        return {"overhead": "extra ms (of all, ms)", "memory": "MB"}.get(self.task, "seconds")

    def typical(self, contender: str) -> float | None:
        """The median of a contender's first way."""
        return next((median(row.values) for row in self.rows if row.contender == contender and row.values), None)

    def cells(self, row: Row) -> list[str]:
        if not row.values:
            return [row.contender, row.way, row.version, f"not measured: {row.error}", "", "", "", ""]
        value = median(row.values)
        forward = median(row.forwards) if row.forwards else None
        if self.task == "overhead" and forward is not None:
            shown = f"{1e3 * (value - forward):+.2f} ({1e3 * value:.2f})"
        elif self.task == "memory":
            shown = f"{value:.0f} ({min(row.values):.0f} to {max(row.values):.0f})"
        else:
            shown = f"{value:.3g} ({min(row.values):.3g} to {max(row.values):.3g})"
        ratios = [f"{value / other:.2f}" if other else "" for other in (self.typical("ours"), self.typical("plain"))]
        plain_forward = f"{1e3 * forward:.3g}" if forward is not None else ""
        return [row.contender, row.way, row.version, shown, *ratios, row.error or row.difference, plain_forward]
