"""A model's activations on prompts; only what is asked for leaves the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch

from lab.subjects.batches import Batch
from lab.subjects.edits import Edit, Plan
from lab.subjects.errors import Stop, SubjectError
from lab.subjects.hook_points import HookPoint, features, require
from lab.subjects.hooks import See, Tap
from lab.subjects.prompts import POOLED, Position, Prompt, encode_all, plain, resolve, truncate
from lab.subjects.results import Activations, Store
from lab.subjects.running import Runner


@torch.no_grad()
def capture(
    runner: Runner,
    prompts: Sequence[Prompt],
    at: HookPoint,
    position: Position,
    *,
    pooled: bool = False,
    edits: Sequence[Edit] = (),
    max_tokens: int | None = None,
    out: str | Path | None = None,
) -> Activations:
    """`Subject.capture`; see there."""
    require(runner.outline, at.point, at.layers)
    pattern = at.point == "attn_pattern"
    whole = position in POOLED
    if (whole or pooled) and pattern:
        raise SubjectError("attention patterns are read at query positions, not pooled; use 'last', 'all' or a number")
    if position == "attention" and at.point not in ("resid_post", "mlp_out"):
        raise SubjectError(f"{at.name} is not pooled by attention, which comes after it; choose resid_post or mlp_out")
    if position == "attention":
        require(runner.outline, "attn_pattern", at.layers)
    truncated = 0
    if max_tokens is None:
        rows = runner.encode(prompts)
    else:
        every = encode_all(runner.tokenizer, prompts, vocabulary=runner.vocabulary)
        rows, truncated = truncate(every, min(max_tokens, runner.context))
    named = [position] * (not whole) + [plain(edit.position) for edit in edits]
    if truncated and any(name not in ("last", "all") for name in named):
        raise SubjectError(f"{truncated} prompts are cut to {max_tokens} tokens, which moves positions; use 'last'")
    plan = Plan(runner, edits, prompts, rows)
    tokens, several = (None, False) if whole else resolve(position, prompts, rows, runner.tokenizer)
    several &= not pooled
    heads = len(at.heads or range(runner.outline.n_heads or 0))
    value = (heads, max(map(len, rows))) if pattern else features(runner.outline, at)
    places = tokens.shape[1] if several and tokens is not None else 1
    shape = (len(rows), len(at.layers), *((places,) if several else ()), *value)
    with Store(shape, out) as store, runner.attending("eager") if pattern or position == "attention" else nullcontext():

        def run(chosen: list[int]) -> None:
            batch = runner.pad(rows, chosen)
            buffer = torch.full((len(chosen), len(at.layers), places, *value), float("nan"), device=runner.device)
            with runner.tapped([*plan.taps(batch), *_readers(runner, at, batch, tokens, position, pooled, buffer)]):
                runner.forward(batch, logits=1)
            store.put(chosen, _to_host(buffer).reshape(len(chosen), *shape[1:]))

        runner.in_batches(rows, run, doing="capture")
    return Activations(store.array, at.layers, at.name, tokens, truncated)


def _to_host(buffer: torch.Tensor) -> np.ndarray:
    """One copy, one synchronisation a batch; through pinned memory where it comes from a GPU."""
    if buffer.device.type == "cpu":
        return buffer.numpy()
    host = torch.empty(buffer.shape, dtype=buffer.dtype, pin_memory=buffer.device.type == "cuda")
    host.copy_(buffer, non_blocking=True)
    if buffer.device.type == "cuda":
        torch.cuda.current_stream(buffer.device).synchronize()
    return host.numpy()


def _readers(
    runner: Runner,
    at: HookPoint,
    batch: Batch,
    tokens: np.ndarray | None,
    position: Position,
    pooled: bool,
    buffer: torch.Tensor,
) -> Iterator[Tap]:
    """Hooks that write what they see into `buffer` [rows, layers, positions, *features]; the deepest ends the pass."""
    deepest = max(at.layers)
    weights: dict[int, torch.Tensor] = {}
    if position == "attention":
        last = torch.from_numpy(batch.first + batch.lengths - 1)

        def weigh(layer: int) -> See:
            def see(pattern: torch.Tensor) -> None:
                mean = pattern[torch.arange(len(last)), last.to(pattern.device)].float().mean(1)
                weights[layer] = mean * batch.mask.to(mean)

            return see

        yield from ((HookPoint("attn_pattern", (layer,)), layer, weigh(layer)) for layer in at.layers)
    elif position == "mean":
        uniform = batch.mask.float() / batch.mask.sum(1, keepdim=True)
        weights = dict.fromkeys(at.layers, uniform)
    if tokens is not None:
        columns = batch.columns(tokens)
        rows, which = np.nonzero(columns >= 0)
    if tokens is not None and pooled:
        inside = torch.zeros(batch.mask.shape)
        inside[rows, columns[rows, which]] = 1.0
        weights = dict.fromkeys(at.layers, inside.to(runner.device))
    elif tokens is not None:
        # On the device once, so that no layer waits for them.
        here = tuple(torch.from_numpy(x).to(runner.device) for x in (rows, columns[rows, which]))
        there = torch.from_numpy(which).to(runner.device)

    def read(layer: int) -> See:
        slots = [k for k, wanted in enumerate(at.layers) if wanted == layer]

        def see(stream: torch.Tensor) -> None:
            if tokens is None or pooled:
                weight = weights[layer].to(stream.device)
                real = stream.float()
                if batch.padded:  # what a model computes on pads is nobody's business, and may be NaN
                    real = real.masked_fill(weight.view(*weight.shape, *[1] * (real.dim() - 2)) == 0, 0.0)
                value = torch.einsum("ns,ns...->n...", weight / weight.sum(1, keepdim=True), real)
                for k in slots:
                    buffer[:, k, 0] = value.to(buffer, non_blocking=True)
            else:
                values = stream[tuple(x.to(stream.device, non_blocking=True) for x in here)].float()
                if at.point == "attn_pattern":
                    values = _own_keys(values, batch, rows, buffer.shape[-1])
                for k in slots:
                    buffer[here[0], k, there] = values.to(buffer, non_blocking=True)
            if layer == deepest:
                raise Stop

        return see

    yield from ((at, layer, read(layer)) for layer in sorted(set(at.layers)))


def _own_keys(weights: torch.Tensor, batch: Batch, rows: np.ndarray, longest: int) -> torch.Tensor:
    """[k, heads, columns] to [k, heads, longest]: each prompt's own keys from its first token on, then NaN."""
    keys = torch.arange(longest)[None] + torch.from_numpy(batch.first[rows])[:, None]
    inside = torch.arange(longest)[None] < torch.from_numpy(batch.lengths[rows])[:, None]
    keys = keys.clamp(max=weights.shape[-1] - 1).to(weights.device)
    picked = weights.gather(2, keys[:, None].expand(-1, weights.shape[1], -1))
    return picked.masked_fill(~inside[:, None].to(weights.device), float("nan"))
