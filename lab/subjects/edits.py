"""Patches and steering vectors: what is changed, at which token of which prompt, and the change as it is made.

Knows no torch before a model runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lab.subjects.errors import SubjectError
from lab.subjects.hook_points import HookPoint, features, require
from lab.subjects.prompts import Position, Prompt, resolve

if TYPE_CHECKING:
    import torch

    from lab.subjects.batches import Batch
    from lab.subjects.hooks import Tap
    from lab.subjects.running import Runner

How = Literal["replace", "add", "add_scaled", "replace_scaled"]


@dataclass(frozen=True)
class Edit:
    """A change of activations, as `subject.patch`, `subject.steer` and `subject.inject` make it.

    `values` [n or 1, layers, positions or 1, *features] are put in place of the stream ("replace"),
    added to it ("add"), or, as multiples of the stream's own norm, added ("add_scaled": h + c |h| v/|v|) or put in its
    place ("replace_scaled": c |h| v/|v|).
    They act at `position` of each prompt and, with `decoding`, at every token that is generated.
    """

    at: HookPoint
    values: np.ndarray
    position: Position
    decoding: bool
    how: How


Edits = Edit | Sequence[Edit] | None
"""One, several or none, as a user passes them."""


def shaped(at: HookPoint, values: Any, d: tuple[int, ...], *, per_prompt: bool) -> np.ndarray:
    """`values` as [n or 1, layers, positions or 1, *d], from the shapes that `patch` and `steer` take."""
    array = np.asarray(values, dtype=np.float32)
    lead, layers = array.shape[: array.ndim - len(d)], len(at.layers)
    if array.shape[array.ndim - len(d) :] == d:
        if per_prompt and len(lead) == 1 and layers == 1:
            return array[:, None, None]
        if per_prompt and len(lead) in (2, 3) and lead[1] == layers:
            return array.reshape(lead[0], layers, *(lead[2:] or (1,)), *d)
        if not per_prompt and len(lead) == 0:
            return np.broadcast_to(array, (1, layers, 1, *d))
        if not per_prompt and lead == (layers,):
            return array[None, :, None]
    width = ", ".join(map(str, d))
    wanted = (
        f"(n, {width}) at one layer or (n, {layers}, {width})" if per_prompt else f"({width}) or ({layers}, {width})"
    )
    raise SubjectError(f"the values have shape {array.shape}, but {at.name} at {layers} layer(s) needs {wanted}")


class Plan:
    """Edits laid out on the rows of one encoding: which token of which prompt gets which value."""

    def __init__(self, runner: Runner, edits: Sequence[Edit], prompts: Sequence[Prompt], rows: list[list[int]]) -> None:
        self.edits = edits
        self.tokens: list[np.ndarray] = []
        for edit in self.edits:
            require(runner.outline, edit.at.point, edit.at.layers)
            tokens, _ = resolve(edit.position, prompts, rows, runner.tokenizer)
            n, _, p, *_ = edit.values.shape
            if n not in (1, len(rows)):
                d = ", ".join(map(str, features(runner.outline, edit.at)))
                raise SubjectError(f"the patch has values for {n} prompts, but {len(rows)} need ({len(rows)}, {d})")
            if p not in (1, tokens.shape[1]) or (p > 1 and edit.decoding):
                also = " and the decoded tokens" if edit.decoding else ""
                raise SubjectError(f"the edit has values for {p} positions, but it acts at {tokens.shape[1]}{also}")
            wanted = edit.values if p == 1 else edit.values.swapaxes(1, 2)[np.broadcast_to(tokens >= 0, (n, p))]
            if not np.isfinite(wanted).all():
                raise SubjectError("the edit's values have NaN or infinity; pass finite numbers")
            self.tokens.append(tokens)

    def taps(self, batch: Batch, *, start: int = 0, copies: int = 1) -> Iterator[Tap]:
        """Hooks for passes over `copies` of a batch, one below the other; the first pass begins at column `start`.

        The passes must come in order, each where the last one ended: a prompt in one or several pieces,
        then what is decoded. Columns beyond the batch are decoded tokens.
        """
        for edit, tokens in zip(self.edits, self.tokens, strict=True):
            columns = np.tile(batch.columns(tokens), (copies, 1))
            yield from _taps(edit, columns, np.tile(batch.rows, copies), start, batch.width)

    def taps_within(self, batch: Batch, prompts: list[int], lengths: list[int]) -> Iterator[Tap]:
        """Hooks for one pass over rows that are a prompt (which one, how long) and its continuation in one."""
        owners, ends = np.array(prompts), batch.first + np.array(lengths)
        for edit, tokens in zip(self.edits, self.tokens, strict=True):
            columns = np.where(tokens[owners] < 0, -1, tokens[owners] + batch.first[:, None])
            if edit.decoding:
                later = np.arange(batch.width)[None] + ends[:, None]
                inside = later < (batch.first + batch.lengths)[:, None]
                columns = np.concatenate([columns, np.where(inside, later, -1)], axis=1)
            yield from _taps(edit, columns, owners, 0, batch.width)


def _taps(edit: Edit, columns: np.ndarray, prompts: np.ndarray, start: int, width: int) -> Iterator[Tap]:
    for k, layer in enumerate(edit.at.layers):
        yield edit.at, layer, _Change(edit, k, columns, prompts, start, width)


class _Change:
    """One edit at one layer, following the passes through a batch."""

    def __init__(
        self, edit: Edit, layer: int, columns: np.ndarray, prompts: np.ndarray, start: int, width: int
    ) -> None:
        import torch

        self.edit, self.columns, self.prompts = edit, columns, prompts
        self.values = torch.from_numpy(edit.values[:, layer].copy())
        self.start, self.width = start, width

    def __call__(self, stream: torch.Tensor) -> torch.Tensor | None:
        import torch

        start, stop = self.start, self.start + stream.shape[1]
        self.start = stop
        rows, which = np.nonzero((self.columns >= start) & (self.columns < stop))
        columns = self.columns[rows, which] - start
        if self.edit.decoding and stop > self.width:
            first = max(start, self.width)
            decoded = np.arange(first - start, stop - start)
            rows = np.concatenate([rows, np.repeat(np.arange(len(stream)), len(decoded))])
            columns = np.concatenate([columns, np.tile(decoded, len(stream))])
            which = np.concatenate([which, np.zeros(len(stream) * len(decoded), dtype=int)])
        if not len(rows):
            return None
        n, p = self.values.shape[:2]
        values = self.values[self.prompts[rows] if n > 1 else 0 * rows, which if p > 1 else 0 * which]
        here = torch.from_numpy(rows), torch.from_numpy(columns)
        changed = stream.clone()
        changed[here] = _new(stream[here], values.to(stream.device), self.edit.how).to(stream)
        return changed


def _new(old: torch.Tensor, values: torch.Tensor, how: How) -> torch.Tensor:
    if how == "replace":
        return values
    if how == "add":
        return old.float() + values
    size: torch.Tensor = old.float().norm(dim=-1, keepdim=True)
    return size * values if how == "replace_scaled" else old.float() + size * values
