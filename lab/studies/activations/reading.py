"""What a model holds of a run: where and how its activations are read, as the fixture `reading`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from lab.record.kept import Kept
from lab.studies.activations.activation_compare import Summary, compare, summarise
from lab.studies.activations.variants import Run

if TYPE_CHECKING:
    from lab.record import Notebook
    from lab.subjects import Subject
    from lab.subjects.hook_points import HookPoint


@dataclass(frozen=True, eq=False)
class Read:
    """A run as a model reads it.

    `resid` [n, layers, d_model] are its activations at the true `layers`; `truncated` counts prompts that were cut.
    """

    run: Run
    resid: np.ndarray
    layers: tuple[int, ...]
    truncated: int

    @cached_property
    def summary(self) -> Summary:
        """Its mean vectors and their norms."""
        return summarise(self.resid, self.layers)

    @property
    def whole(self) -> bool:
        """Whether every item contributed to the means."""
        return self.summary.n == len(self.run.prompts)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """What `evidence.arrays` keeps of it."""
        return self.summary.arrays(self.run.name)

    def kept(self) -> Kept:
        """Its norms, and what it was made of."""
        summary = {"run": self.run.told(), **self.summary.table(), "truncated": self.truncated}
        return Kept(summary=summary, plots={"norms": self.summary.plot})


@dataclass(frozen=True, eq=False)
class Reading:
    """Reads runs: `reading(model, run)`. A run that was read before is not read again.

    Attributes
    ----------
    layers, layer_stride
        Indices of layers; without any, each `layer_stride`-th.
    point
        Where in a block, as "resid_post".
    pooling
        At which position, or how positions are pooled.
    max_input_tokens, allow_truncation
        After how many tokens prompts are cut, at most the model's context, and whether they may be.
    batch_size
        Prompts at a time; 0 for as many as fit.
    """

    evidence: Notebook
    layers: Sequence[int]
    layer_stride: int
    point: str
    pooling: str
    max_input_tokens: int
    allow_truncation: bool
    batch_size: int
    known: dict[str, Read] = field(default_factory=dict)

    def at(self, model: Subject) -> HookPoint:
        """Where activations are read."""
        site: HookPoint = getattr(model, self.point)(self.layers or slice(None, None, self.layer_stride))
        return site

    def told(self, model: Subject) -> dict[str, Any]:
        """What a report says of it."""
        return {"pooling": self.pooling, "layer_stride": self.layer_stride, "point": self.at(model).name}

    def __call__(self, model: Subject, run: Run) -> Read:
        """A run's activations, with two controls: prompts give alone what they give in a batch, and none was cut."""
        if run.name not in self.known:
            self.known[run.name] = self._read(model, run)
        return self.known[run.name]

    def _read(self, model: Subject, run: Run) -> Read:
        how: Mapping[str, Any] = {
            "at": self.at(model),
            "position": self.pooling,
            "max_tokens": min(self.max_input_tokens, model.context),
        }
        parts = [model.capture(batch, **how) for batch in run.batches(self.batch_size)]
        resid, truncated = np.concatenate([part.array for part in parts]), sum(part.truncated for part in parts)
        again = summarise(np.concatenate([model.capture([prompt], **how).array for prompt in run.prompts[:8]]))
        apart = compare(summarise(resid[:8]), again, names=("in a batch", "alone")).relative_l2.max()
        self.evidence.control(f"{run.name}: prompts give in a batch what they give alone", apart < 0.02)
        whole = self.allow_truncation or not truncated
        self.evidence.control(f"{run.name}: no prompt was cut (allow_truncation)", whole)
        return Read(run, resid, tuple(how["at"].layers), truncated)


@pytest.fixture
def reading(
    evidence: Notebook,
    *,
    layers: Sequence[int] = (),
    layer_stride: int = 1,
    point: str = "resid_post",
    pooling: str = "last",
    max_input_tokens: int = 1024,
    allow_truncation: bool = False,
    batch_size: int = 0,
) -> Reading:
    """Reads runs: `reading(model, run)` gives activations, `.summary` their means."""
    return Reading(evidence, layers, layer_stride, point, pooling, max_input_tokens, allow_truncation, batch_size)
