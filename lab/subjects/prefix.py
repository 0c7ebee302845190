"""How are tokens that many rows share computed once? A key-value cache that rows read together and never grow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from lab.subjects import grouped
from lab.subjects.errors import Stop, is_out_of_memory
from lab.subjects.places import Site

if TYPE_CHECKING:
    from lab.subjects.running import Runner


def empty() -> Any:
    """A cache that keeps every token of every layer, sliding windows too: their masks hide what is out of sight."""
    from transformers import DynamicCache

    return DynamicCache()


def shared(cache: Any, width: int, rows: slice | torch.Tensor | None = None, *, copied: bool = False) -> Any:
    """The first `width` columns of a cache (and some of its rows) for passes of k times as many rows.

    Row r of a pass reads row r % n of the cache. A pass adds nothing, so one prefix serves any number of
    passes. Passes run under `grouped` attention, unless the prefix is `copied` for each row, layer by layer.
    """
    from transformers.cache_utils import Cache, DynamicLayer

    class Layer(DynamicLayer):  # type: ignore[misc]
        def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> Any:
            if copied:
                return _joined(self.keys, key_states), _joined(self.values, value_states)
            return grouped.after((self.keys, self.values), key_states), value_states

    layers = []
    for full in cache.layers:
        layer = Layer()
        layer.lazy_initialization(full.keys, full.values)
        chosen = slice(None) if rows is None else rows
        layer.keys, layer.values = full.keys[chosen, :, :width], full.values[chosen, :, :width]
        layers.append(layer)
    made = Cache(layers=layers)
    made.lab_attention = None if copied else grouped.register()
    return made


def _joined(kept: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """`kept` [n, heads, t, d] before `new` [k * n, heads, s, d], copied once."""
    (n, _, t, _), (rows, heads, s, d) = kept.shape, new.shape
    out = new.new_empty((rows, heads, t + s, d))
    out.view(rows // n, n, heads, t + s, d)[..., :t, :] = kept
    out[..., t:, :] = new
    return out


def stop_site(runner: Runner) -> Site:
    """Where a pass that only fills a cache may end: before the last block's output projection."""
    last = len(runner.anatomy.blocks) - 1
    point = "head_out" if runner.anatomy.blocks[last].head_out is not None and runner.anatomy.d_head else "resid_post"
    return Site(point, (last,))


def end(_stream: torch.Tensor) -> None:
    """What a hook at `stop_site` does."""
    raise Stop


@torch.no_grad()
def works(runner: Runner, *, copied: bool) -> bool:
    """Do rows after a shared prefix give the logits of whole prompts? Three tokens and two of two rows, tried out.

    Once with all blocks, once with all but the last skipped and what they gave put in their place.
    """
    vocabulary = runner.model.get_input_embeddings().num_embeddings
    ids = (torch.arange(1, 11, device=runner.device).view(2, 5) * 7) % vocabulary
    ids[1, :3] = ids[0, :3]
    positions = torch.arange(5, device=runner.device).expand(2, 5)
    below = max(1, len(runner.anatomy.blocks) - 1)
    site, kept = Site("resid_post", (below - 1,)), []

    def keep(stream: torch.Tensor) -> None:
        kept.append(stream[:, 3:])

    try:
        with runner.tapped([(site, below - 1, keep)]):
            whole = runner.step(ids, None, positions).logits[:, -1]
        cache = empty()
        runner.step(ids[:1, :3], None, positions[:1, :3], cache=cache)
        reader = shared(cache, 3, copied=copied)
        parts = [runner.step(ids[:, 3:], None, positions[:, 3:], cache=reader).logits[:, -1]]
        with runner.skipping(below), runner.tapped([(site, below - 1, lambda _stream: kept[0])]):
            parts.append(runner.step(ids[:, 3:], None, positions[:, 3:], cache=reader).logits[:, -1])
    except Exception as error:  # recurrent and other caches fail in ways of their own
        if is_out_of_memory(error):
            raise
        return False
    signal = float((whole[0] - whole[1]).float().abs().max())  # what the last two tokens change
    tolerance = signal * (1e-3 if whole.dtype == torch.float32 else 0.1)
    return all(float((part - whole).float().abs().max()) <= tolerance for part in parts)
