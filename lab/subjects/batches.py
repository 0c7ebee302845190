"""Batches: rows of tokens padded to one width, on the left or on the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lab.subjects.prompts import Side


@dataclass(frozen=True)
class Batch:
    """Some prompts, padded to one width. `rows` are their indices; `ids`, `mask`, `positions` are [n, width].

    `first` [n] is the column of each prompt's first token.
    """

    rows: list[int]
    ids: torch.Tensor
    mask: torch.Tensor
    positions: torch.Tensor
    first: np.ndarray
    lengths: np.ndarray

    @property
    def width(self) -> int:
        return int(self.ids.shape[1])

    @property
    def padded(self) -> bool:
        return bool((self.lengths < self.width).any())

    def columns(self, indices: np.ndarray) -> np.ndarray:
        """Columns [n, p] of token indices [all prompts, p]; -1 stays -1."""
        own = indices[self.rows]
        return np.where(own < 0, -1, own + self.first[:, None])


def pad(rows: Sequence[Sequence[int]], chosen: list[int], *, fill: int, side: Side, device: torch.device) -> Batch:
    """The chosen rows as one batch. Positions count real tokens only, so that padding moves nothing."""
    lengths = np.array([len(rows[i]) for i in chosen])
    width = int(lengths.max())
    first = width - lengths if side == "left" else np.zeros_like(lengths)
    ids = np.full((len(chosen), width), fill)
    mask = np.zeros((len(chosen), width), dtype=np.int64)
    for r, i in enumerate(chosen):
        where = slice(first[r], first[r] + lengths[r])
        ids[r, where], mask[r, where] = rows[i], 1
    positions = np.maximum(mask.cumsum(1) - 1, 0)
    ids_, mask_, positions_ = (torch.from_numpy(x).to(device, non_blocking=True) for x in (ids, mask, positions))
    return Batch(list(chosen), ids_, mask_, positions_, first, lengths)


def by_length(rows: Sequence[Sequence[int]]) -> list[int]:
    """Indices of the rows, longest first."""
    return sorted(range(len(rows)), key=lambda i: (-len(rows[i]), i))
