"""Activation patching from clean to corrupted runs, at every layer and position at once.

A patch at token p of layer l changes nothing before p and nothing below l. So the tokens before the first
patched one are computed once and stay in the key-value cache, and each patched run is only its last tokens,
as one more row of a batch; where the patched runs fill several batches, each begins at its lowest layer.
Counted in tokens, for n prompts of T tokens, L layers and a patch at the last token: 2 n T (both runs) + n L
instead of n T (L + 1), and what clean and corrupted share is computed once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from lab.subjects import operations, prefix
from lab.subjects.errors import PromptError, SubjectError
from lab.subjects.hook_points import HookPoint, features, require
from lab.subjects.hooks import See, Tap
from lab.subjects.prompts import Position, Prompt, resolve
from lab.subjects.results import Sweep
from lab.subjects.running import Runner

SHORTEST_PREFIX = 4
"""A shared prefix below this many tokens is not worth a pass of its own."""
PATCHED_TOKENS = {"cpu": 256, "cuda": 4096}
"""Tokens of patched runs in one batch: enough to fill the machine, few enough to skip the layers below."""
READ_TOKENS = 64
"""Keys and values that one layer of a batch may read, in tokens for each of `tokens_per_batch`."""
BIGGEST = 8e9
"""Bytes of logits that a sweep may return."""


@torch.no_grad()
def patch_sweep(
    runner: Runner,
    clean: Sequence[Prompt],
    corrupted: Sequence[Prompt],
    at: HookPoint,
    positions: Position,
    answers: tuple[Sequence[int] | np.ndarray, Sequence[int] | np.ndarray] | None,
) -> Sweep:
    """`Subject.patch_sweep`; see there."""
    require(runner.outline, at.point, at.layers)
    if at.point in ("attn_pattern", "norm_out"):
        raise SubjectError(f"{at.name} cannot be swept; choose a residual stream, attn_out, mlp_out or head_out")
    good, bad = runner.encode(clean), runner.encode(corrupted)
    if len(good) != len(bad):
        raise PromptError(f"{len(good)} clean prompts but {len(bad)} corrupted ones; pass them in pairs")
    source, _ = resolve(positions, clean, good, runner.tokenizer)
    target, _ = resolve(positions, corrupted, bad, runner.tokenizer)
    if not runner.mixes["left"] and any(len(a) != len(b) for a, b in zip(good, bad, strict=True)):
        raise PromptError(f"pads change the numbers of {runner.name}; use pairs of equal token length")
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
        at: HookPoint,
        source: np.ndarray,
        target: np.ndarray,
        answers: tuple[Sequence[int] | np.ndarray, Sequence[int] | np.ndarray] | None,
    ) -> None:
        self.runner, self.at, self.clean, self.corrupted = runner, at, clean, corrupted
        self.source, self.target = source, target
        n = len(clean)
        self.heads = tuple(at.heads or range(features(runner.outline, at)[0])) if at.point == "head_out" else None
        # One unit is one patch: a layer, or a head of a layer. Sorted, so that neighbours skip the same layers below.
        self.units = [(k, h) for k in np.argsort(at.layers, kind="stable") for h in range(len(self.heads or (0,)))]
        self.answers = None
        vocabulary = runner.n_logits
        if answers is not None:
            if any(np.size(a) not in (1, n) for a in answers):
                raise PromptError(f"answers are one token id for all pairs, or one for each of the {n}")
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
        shares = self.shares = self.runner.may_share(max(map(len, pairs)))
        patches = len(self.units) * int((self.target >= 0).sum())
        with operations.of("patch sweep", total=patches, unit="patches") as self.advance:
            self.runner.in_batches(
                pairs, lambda chosen: _Pairs(self, chosen).run(), doing="", copies=2, side="left", divisible=True
            )
        effect = self.effect if self.heads is not None else self.effect[:, 0]
        logits, difference = (effect, None) if self.answers is None else (None, effect)
        way = "shared prefix" if shares else "plain"
        ends = self.ends["baseline"], self.ends["clean"]
        return Sweep(self.at.layers, self.target, *ends, way, logits, difference, self.heads)

    def measure(self, logits: torch.Tensor, rows: Sequence[int]) -> np.ndarray:
        """Logits [n, vocab] of these prompts as they are kept: all of them, or the difference [n]."""
        if self.answers is None:
            return logits.float().cpu().numpy()
        right, wrong = (torch.from_numpy(a[list(rows)]).to(logits.device)[:, None] for a in self.answers)
        return (logits.gather(1, right) - logits.gather(1, wrong))[:, 0].float().cpu().numpy()


class _Pairs:
    """Some pairs, run together: clean rows above, corrupted ones below, padded so that all end in the last column."""

    def __init__(self, sweep: _Sweep, chosen: list[int]) -> None:
        self.sweep, self.runner, self.chosen, self.n = sweep, sweep.runner, chosen, len(chosen)
        rows = [*chosen, *(len(sweep.clean) + i for i in chosen)]
        self.both = self.runner.pad(sweep.clean + sweep.corrupted, rows, side="left")
        self.take = _columns(sweep.source[chosen], self.both.first[: self.n])
        self.put = _columns(sweep.target[chosen], self.both.first[self.n :])
        self.first = 0
        self.cache: Any = None
        if sweep.shares:
            self.first = int(min(self.take[self.take >= 0].min(), self.put[self.put >= 0].min()))
            self.cache = prefix.empty()
        # Patched runs come in groups of units. A group starts at its lowest block, from the stream that enters it.
        widest = (self.both.width - self.first) * self.n
        room = min(PATCHED_TOKENS.get(self.runner.place, PATCHED_TOKENS["cuda"]), self.runner.tokens_per_batch)
        self.most = max(1, READ_TOKENS * self.runner.tokens_per_batch // (self.n * self.both.width))
        self.room, self.group = room, max(1, min(room // widest, self.most))
        self.streams: dict[int, torch.Tensor] = {}

    def run(self) -> None:
        if self.cache is not None:
            self._fill_prefix()
        clean = self._finish_both()
        for j in range(self.put.shape[1]):
            present = np.flatnonzero(self.put[:, j] >= 0)
            if len(present):
                self._patch(clean[:, :, j], j, present)

    def _fill_prefix(self) -> None:
        """The columns before the first patched one, for both runs; what they share is computed once."""
        both, n, first = self.both, self.n, self.first
        same = (both.ids[:n] == both.ids[n:]).all(0) & (both.mask[:n] == both.mask[n:]).all(0)
        common = int(same.long().cumprod(0)[:first].sum())
        if common < SHORTEST_PREFIX:
            common = 0
        else:
            self._fill(slice(0, n), 0, common)
            for layer in self.cache.layers:
                layer.keys, layer.values = (torch.cat([t, t]) for t in (layer.keys, layer.values))
        if common < first:
            self._fill(slice(0, 2 * n), common, first)

    def _fill(self, rows: slice, start: int, stop: int) -> None:
        """A pass for its keys and values alone: it ends before the last block's output projection."""
        with self.runner.tapped([self.runner.stop]):
            self._step(rows, start, stop, self.cache)

    def _step(self, rows: slice | torch.Tensor, start: int, stop: int, cache: Any, copies: int = 1) -> Any:
        def part(tensor: torch.Tensor, begin: int) -> torch.Tensor:
            return tensor[rows, begin:stop].repeat(copies, 1)

        mask = part(self.both.mask, 0) if self.both.padded else None
        ids, positions = part(self.both.ids, start), part(self.both.positions, start)
        return self.runner.step(ids, mask, positions, logits=1, cache=cache)

    def _finish_both(self) -> torch.Tensor:
        """The rest of both runs, and their ends. Returns clean values [n, layers, positions, *features]."""
        rows, which = np.nonzero(self.take >= 0)
        here = torch.from_numpy(rows), torch.from_numpy(self.take[rows, which] - self.first)
        there = torch.from_numpy(which)
        kept: dict[int, torch.Tensor] = {}

        def read(layer: int) -> See:
            def see(stream: torch.Tensor) -> None:
                values = stream.new_zeros((self.n, self.take.shape[1], *stream.shape[2:]))
                values[here[0], there] = stream[here]
                kept[layer] = values

            return see

        def keep(block: int) -> See:
            def see(stream: torch.Tensor) -> None:
                self.streams[block] = stream[self.n :].clone()

            return see

        at = self.sweep.at
        starts = {self._lowest(k) for k, _ in self.sweep.units[:: self.group]} if self.cache is not None else set()
        taps = [(at, layer, read(layer)) for layer in set(at.layers)]
        taps += [(HookPoint("resid_post", (b - 1,)), b - 1, keep(b)) for b in starts if b > 0]
        with self.runner.tapped(taps):
            output = self._step(slice(0, 2 * self.n), self.first, self.both.width, self.cache)
        ends = self.sweep.measure(output.logits[:, -1], [*self.chosen, *self.chosen])
        self.sweep.ends["clean"][self.chosen], self.sweep.ends["baseline"][self.chosen] = ends[: self.n], ends[self.n :]
        device = self.runner.device
        return torch.stack([kept[layer].to(device) for layer in at.layers], dim=1)

    def _lowest(self, k: int) -> int:
        """The first block that a patch at the k-th layer of the sweep has to run."""
        return self.sweep.at.layers[k] + (self.sweep.at.point == "resid_post")

    def _patch(self, clean: torch.Tensor, j: int, present: np.ndarray) -> None:
        """Corrupted runs from the j-th patched token on, one row for each layer (or head) and prompt."""
        start = 0 if self.cache is None else int(self.put[present, j].min())
        everyone = len(present) == self.n
        index = torch.from_numpy(present).to(self.both.ids.device)
        rows: slice | torch.Tensor = slice(self.n, 2 * self.n) if everyone else self.n + index
        reader = None
        if self.cache is not None:
            reader = self.runner.reader(self.cache, start, rows, new=self.both.width - start)
        tokens = (self.both.width - start) * len(present)
        size = self.group * max(1, min(self.room // tokens, self.most) // self.group)
        prompts = [self.chosen[i] for i in present]
        for begin in range(0, len(self.sweep.units), size):
            units = self.sweep.units[begin : begin + size]
            taps = list(self._writers(units, clean, present, torch.from_numpy(self.put[present, j] - start)))
            lowest = self._lowest(units[0][0]) if reader is not None else 0
            if lowest > 0:
                stream = self.streams[lowest][torch.from_numpy(present), start - self.first :]
                taps.insert(0, _begin(lowest, stream.repeat(len(units), 1, 1)))
            with self.runner.skipping(lowest), self.runner.tapped(taps):
                output = self._step(rows, start, self.both.width, reader, copies=len(units))
            found = self.sweep.measure(output.logits[:, -1], prompts * len(units))
            for (k, h), values in zip(units, np.split(found, len(units)), strict=True):
                self.sweep.effect[k, h, j, prompts] = values
            self.sweep.advance(len(found))

    def _writers(
        self, units: list[tuple[int, int]], clean: torch.Tensor, present: np.ndarray, columns: torch.Tensor
    ) -> Iterator[Tap]:
        """Hooks that put clean values into the rows of their own unit."""
        count, by_head = len(present), self.sweep.heads is not None
        for k in dict.fromkeys(k for k, _ in units):
            mine = [(u, h) for u, (other, h) in enumerate(units) if other == k]
            values = clean[torch.from_numpy(present), k]

            def put(stream: torch.Tensor, mine: Any = mine, values: torch.Tensor = values) -> torch.Tensor:
                stream = stream.clone()
                for u, h in mine:
                    here = torch.arange(u * count, (u + 1) * count), columns
                    if by_head:
                        stream[(*here, h)] = values[:, h].to(stream)
                    else:
                        stream[here] = values.to(stream)
                return stream

            yield self.sweep.at, self.sweep.at.layers[k], put


def _columns(tokens: np.ndarray, first: np.ndarray) -> np.ndarray:
    return np.where(tokens < 0, -1, tokens + first[:, None])


def _begin(block: int, stream: torch.Tensor) -> Tap:
    """A hook that lets `block` see this stream, whatever the blocks below it passed on."""
    return HookPoint("resid_post", (block - 1,)), block - 1, lambda _stream: stream
