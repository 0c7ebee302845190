"""Attention over a shared prefix: a key-value cache that many rows read together, without a copy of it for each.

Queries of all rows that share a prefix meet its keys in one product, each row's own keys in another, and one
softmax goes over both. Registered with transformers under `NAME`; models with an attention of their own do not
ask there, which `Runner.shares_prefix` finds out.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

NAME = "lab_grouped"
HARMLESS = ("position_ids", "cache_position")
"""Tensors that a model may pass along beside queries, keys, values and mask without changing what attention is."""


def empty() -> Any:
    """A cache that keeps every token of every layer, sliding windows too: their masks hide what is out of sight."""
    from transformers import DynamicCache

    return DynamicCache()


def shared(cache: Any, width: int, rows: slice | torch.Tensor | None = None, *, copied: bool = False) -> Any:
    """The first `width` columns of a cache (and some of its rows) for passes of k times as many rows.

    Row r of a pass reads row r % n of the cache. A pass adds nothing, so one prefix serves any number of
    passes. Passes run under grouped attention, unless the prefix is `copied` for each row, layer by layer.
    """
    from transformers.cache_utils import Cache, DynamicLayer

    class Layer(DynamicLayer):  # type: ignore[misc]
        def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> Any:
            if copied:
                return _joined(self.keys, key_states), _joined(self.values, value_states)
            return _after((self.keys, self.values), key_states), value_states

    layers = []
    for full in cache.layers:
        layer = Layer()
        layer.lazy_initialization(full.keys, full.values)
        chosen = slice(None) if rows is None else rows
        layer.keys, layer.values = full.keys[chosen, :, :width], full.values[chosen, :, :width]
        layers.append(layer)
    made = Cache(layers=layers)
    made.lab_attention = None if copied else register()
    return made


def _joined(kept: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """`kept` [n, heads, t, d] before `new` [k * n, heads, s, d], copied once."""
    (n, _, t, _), (rows, heads, s, d) = kept.shape, new.shape
    out = new.new_empty((rows, heads, t + s, d))
    out.view(rows // n, n, heads, t + s, d)[..., :t, :] = kept
    out[..., t:, :] = new
    return out


@cache
def register() -> str:
    """Makes `NAME` an attention implementation, with the masks of `sdpa`, and returns it."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    return NAME


def _after(kept: tuple[torch.Tensor, torch.Tensor], new: torch.Tensor) -> torch.Tensor:
    """New keys [k * n, heads, s, d] that know the keys and values [n, heads, t, d] of what came before them."""
    new = new.view_as(new)  # a mark on this tensor alone
    new.lab_kept = kept  # type: ignore[attr-defined]
    return new


def attend(
    _module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of rows u * n + i to prefix i and to themselves, [rows, tokens, heads, d].

    Raises NotImplementedError for what it does not know (sinks, biases).
    """
    strange = [name for name, given in others.items() if isinstance(given, torch.Tensor) and name not in HARMLESS]
    if strange or dropout:
        raise NotImplementedError(f"attention with {', '.join(strange) or 'dropout'}")
    keys, values = key.lab_kept  # type: ignore[attr-defined]
    (rows, heads, s, d), (n, shared, t, _), width = query.shape, keys.shape, value.shape[-1]
    k, g = rows // n, heads // shared

    def together(x: torch.Tensor) -> torch.Tensor:  # [k n, heads, s, ?] to [n, shared, k g s, ?]
        return x.reshape(k, n, shared, g, s, -1).permute(1, 2, 0, 3, 4, 5).reshape(n, shared, k * g * s, -1)

    def apart(x: torch.Tensor) -> torch.Tensor:  # and back, to [k n, shared, g, s, ?]
        return x.view(n, shared, k, g, s, -1).permute(2, 0, 1, 3, 4, 5).reshape(rows, shared, g, s, -1)

    far = apart(together(query) @ keys.transpose(-1, -2))
    near = query.reshape(rows, shared, g * s, d) @ key.transpose(-1, -2)
    scores = torch.cat([far, near.view(rows, shared, g, s, s)], -1) * (d**-0.5 if scaling is None else scaling)
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    if attention_mask is None and s > 1:  # sdpa would be told is_causal
        attention_mask = torch.ones((1, 1, s, t + s), dtype=torch.bool, device=scores.device).tril(t)
    if attention_mask is not None:
        mask = attention_mask[:, :, None]
        lowest = torch.finfo(scores.dtype).min
        scores = scores.masked_fill(~mask, lowest) if mask.dtype == torch.bool else scores + mask
    weights = scores.softmax(-1, dtype=torch.float32).to(value.dtype)
    far = apart(together(weights[..., :t].reshape(rows, heads, s, t)) @ values)
    near = (weights[..., t:].reshape(rows, shared, g * s, s) @ value).view(rows, shared, g, s, width)
    return (far + near).reshape(rows, heads, s, width).transpose(1, 2).contiguous(), None
