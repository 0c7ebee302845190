"""What does each layer and position carry? Activation patching from clean to corrupted runs, everywhere at once.

A patch at token p of layer l changes nothing before p and nothing below l. So the tokens before the first
patched one are computed once and stay in the key-value cache, and each patched run is only its last tokens,
as one more row of a batch. Counted in tokens, for n prompts of T tokens, L layers and a patch at the last
token: 2 n T (both runs) + n L instead of n T (L + 1), and what clean and corrupted share is computed once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from lab.subjects import prefix
from lab.subjects.errors import PromptError, SubjectError
from lab.subjects.points import See, Site, features, require
from lab.subjects.prompts import Batch, Position, Prompt, resolve
from lab.subjects.results import Sweep
from lab.subjects.running import Runner

SHORTEST_PREFIX = 4
"""A shared prefix below this many tokens is not worth a pass of its own."""
PATCHED_TOKENS = 2048
"""Tokens of patched runs in one batch: enough to fill the machine, few enough to skip the layers below."""
BIGGEST = 8e9
"""Bytes of logits that a sweep may return."""


@torch.no_grad()
def patch_sweep(
    runner: Runner,
    clean: Sequence[Prompt],
    corrupted: Sequence[Prompt],
    at: Site,
    positions: Position,
    answers: tuple[Sequence[int] | np.ndarray, Sequence[int] | np.ndarray] | None,
) -> Sweep:
    """`Subject.patch_sweep`; see there."""
    require(runner.anatomy, at.point, at.layers)
    if at.point in ("attn_pattern", "norm_out"):
        raise SubjectError(f"{at.name} cannot be swept; choose a residual stream, attn_out, mlp_out or head_out")
    good, bad = runner.encode(clean), runner.encode(corrupted)
    if len(good) != len(bad):
        raise PromptError(f"{len(good)} clean prompts but {len(bad)} corrupted ones; pass them in pairs")
    source, _ = resolve(positions, clean, good, runner.tokenizer)
    target, _ = resolve(positions, corrupted, bad, runner.tokenizer)
    uneven = [i for i, (a, b) in enumerate(zip(good, bad, strict=True)) if len(a) != len(b)]
    if positions != "last" and uneven:
        i = uneven[0]
        raise PromptError(
            f"pair {i} has {len(good[i])} clean and {len(bad[i])} corrupted tokens, so its positions do not match; "
            'use pairs of equal length, or positions="last"'
        )
    return _Sweep(runner, good, bad, at, source, target, answers).run()


class _Sweep:
    def __init__(
        self,
        runner: Runner,
        clean: list[list[int]],
        corrupted: list[list[int]],
        at: Site,
        source: np.ndarray,
        target: np.ndarray,
        answers: tuple[Sequence[int] | np.ndarray, Sequence[int] | np.ndarray] | None,
    ) -> None:
        self.runner, self.at, self.clean, self.corrupted = runner, at, clean, corrupted
        self.source, self.target = source, target
        n = len(clean)
        self.heads = tuple(at.heads or range(features(runner.anatomy, at)[0])) if at.point == "head_out" else None
        # One unit is one patch: a layer, or a head of a layer. Sorted, so that neighbours skip the same layers below.
        self.units = [(k, h) for k in np.argsort(at.layers, kind="stable") for h in range(len(self.heads or (0,)))]
        self.answers = None
        vocabulary = int(runner.model.get_output_embeddings().weight.shape[0])
        if answers is not None:
            right, wrong = (np.broadcast_to(np.asarray(a, dtype=np.int64), (n,)) for a in answers)
            if min(right.min(), wrong.min()) < 0 or max(right.max(), wrong.max()) >= vocabulary:
                raise PromptError(f"answers are token ids below {vocabulary}, one for each pair or one for all")
            self.answers = right, wrong
        tail = () if answers is not None else (vocabulary,)
        shape = (len(at.layers), len(self.heads or (0,)), source.shape[1], n, *tail)
        if 4 * float(np.prod(shape)) > BIGGEST:
            raise SubjectError(
                f"the logits of this sweep take {4e-9 * float(np.prod(shape)):.2g} GB; pass answers=(right, wrong) for "
                "logit differences, or fewer layers, positions or prompts at once"
            )
        self.effect = np.full(shape, np.nan, dtype=np.float32)
        self.ends = {name: np.empty((n, *tail), dtype=np.float32) for name in ("clean", "baseline")}

    def run(self) -> Sweep:
        pairs = [a if len(a) >= len(b) else b for a, b in zip(self.clean, self.corrupted, strict=True)]
        shares = self.runner.shares_prefix
        self.runner.in_batches(pairs, self._batch, copies=2)
        effect = self.effect if self.heads is not None else self.effect[:, 0]
        logits, difference = (effect, None) if self.answers is None else (None, effect)
        way = "shared prefix" if shares else "plain"
        ends = self.ends["baseline"], self.ends["clean"]
        return Sweep(self.at.layers, self.target, *ends, way, logits, difference, self.heads)

    def _measure(self, logits: torch.Tensor, rows: Sequence[int]) -> np.ndarray:
        """Logits [n, vocab] of these prompts as they are kept: all of them, or the difference [n]."""
        if self.answers is None:
            return logits.float().cpu().numpy()
        right, wrong = (torch.from_numpy(a[list(rows)]).to(logits.device)[:, None] for a in self.answers)
        return (logits.gather(1, right) - logits.gather(1, wrong))[:, 0].float().cpu().numpy()

    def _batch(self, chosen: list[int]) -> None:
        runner, n = self.runner, len(chosen)
        # Clean and corrupted rows in one batch, padded on the left, so that all end in the last column.
        both = runner.pad(self.clean + self.corrupted, [*chosen, *(len(self.clean) + i for i in chosen)], side="left")
        wanted, at = self.source[chosen], self.target[chosen]
        take = np.where(wanted < 0, -1, wanted + both.first[:n, None])
        put = np.where(at < 0, -1, at + both.first[n:, None])
        first, cache = 0, None
        if runner.shares_prefix:
            first = int(min(take[take >= 0].min(), put[put >= 0].min()))
            cache = self._prefix(both, n, first)
        kept, ends = self._both(both, n, first, cache, take)
        self.ends["clean"][chosen], self.ends["baseline"][chosen] = ends[:n], ends[n:]
        for j in range(put.shape[1]):
            present = np.flatnonzero(put[:, j] >= 0)
            if len(present):
                self._patched(both, n, cache, kept[:, :, j], put[:, j], present, chosen, j)

    def _prefix(self, both: Batch, n: int, first: int) -> object:
        """A cache of the columns before `first`, for clean and corrupted rows; what they share is computed once."""
        same = (both.ids[:n] == both.ids[n:]).all(0) & (both.mask[:n] == both.mask[n:]).all(0)
        common = int(same.long().cumprod(0)[:first].sum()) if first else 0
        cache = prefix.empty()
        if common >= SHORTEST_PREFIX:
            self._fill(both, slice(0, n), 0, common, cache)
            for layer in cache.layers:
                layer.keys, layer.values = (torch.cat([t, t]) for t in (layer.keys, layer.values))
        else:
            common = 0
        if common < first:
            self._fill(both, slice(0, 2 * n), common, first, cache)
        return cache

    def _fill(self, both: Batch, rows: slice, start: int, stop: int, cache: object) -> None:
        """A pass for its keys and values alone: it ends before the last block's output projection."""
        site = prefix.stop_site(self.runner)
        with self.runner.tapped([(site, site.layers[0], prefix.end)]):
            self._step(both, rows, start, stop, cache)

    def _step(self, both: Batch, rows: slice | torch.Tensor, start: int, stop: int, cache: object, copies: int = 1):  # type: ignore[no-untyped-def]
        def part(tensor: torch.Tensor, begin: int) -> torch.Tensor:
            return tensor[rows, begin:stop].repeat(copies, 1)

        mask = part(both.mask, 0) if both.padded else None
        return self.runner.step(part(both.ids, start), mask, part(both.positions, start), logits=1, cache=cache)

    def _both(
        self, both: Batch, n: int, first: int, cache: object, take: np.ndarray
    ) -> tuple[torch.Tensor, np.ndarray]:
        """The rest of both runs: clean activations [n, layers, positions, *features], and what stands at their ends."""
        rows, which = np.nonzero(take >= 0)
        here = torch.from_numpy(rows), torch.from_numpy(take[rows, which] - first)
        there = torch.from_numpy(which)
        kept: dict[int, torch.Tensor] = {}

        def read(layer: int) -> See:
            def see(stream: torch.Tensor) -> None:
                values = stream.new_zeros((n, take.shape[1], *stream.shape[2:]))
                values[here[0], there] = stream[here]
                kept[layer] = values

            return see

        with self.runner.tapped((self.at, layer, read(layer)) for layer in set(self.at.layers)):
            output = self._step(both, slice(0, 2 * n), first, both.width, cache)
        ends = self._measure(output.logits[:, -1], [*both.rows[:n], *both.rows[:n]])
        device = self.runner.device
        return torch.stack([kept[layer].to(device) for layer in self.at.layers], dim=1), ends

    def _patched(
        self,
        both: Batch,
        n: int,
        cache: object,
        kept: torch.Tensor,
        columns: np.ndarray,
        present: np.ndarray,
        chosen: list[int],
        j: int,
    ) -> None:
        """Corrupted runs from the patched token on, one row for each layer (or head) and prompt."""
        start = 0 if cache is None else int(columns[present].min())
        everyone = len(present) == n
        rows: slice | torch.Tensor = slice(n, 2 * n) if everyone else n + torch.from_numpy(present).to(both.ids.device)
        reader = None if cache is None else prefix.shared(cache, start, rows)
        tokens = (both.width - start) * len(present)
        size = max(1, min(PATCHED_TOKENS, self.runner.tokens_per_batch) // tokens)
        inside = torch.from_numpy(columns[present] - start)
        for begin in range(0, len(self.units), size):
            units = self.units[begin : begin + size]
            with self.runner.tapped(self._writers(units, kept, present, inside)):
                output = self._step(both, rows, start, both.width, reader, copies=len(units))
            prompts = [chosen[i] for i in present]
            found = self._measure(output.logits[:, -1], prompts * len(units))
            for u, (k, h) in enumerate(units):
                self.effect[k, h, j, prompts] = found[u * len(present) : (u + 1) * len(present)]

    def _writers(self, units: list[tuple[int, int]], kept: torch.Tensor, present: np.ndarray, inside: torch.Tensor):  # type: ignore[no-untyped-def]
        """Hooks that put clean values into the rows of their own unit."""
        count = len(present)
        for k in dict.fromkeys(k for k, _ in units):
            mine = [(u, h) for u, (other, h) in enumerate(units) if other == k]

            def put(stream: torch.Tensor, k: int = k, mine: list[tuple[int, int]] = mine) -> torch.Tensor:
                stream = stream.clone()
                for u, h in mine:
                    here = torch.arange(u * count, (u + 1) * count), inside
                    values = kept[torch.from_numpy(present), k].to(stream)
                    if self.heads is None:
                        stream[here] = values
                    else:
                        stream[(*here, h)] = values[:, h]
                return stream

            yield self.at, self.at.layers[k], put
