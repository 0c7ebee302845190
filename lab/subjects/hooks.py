"""Hooks that read a hook point or change it: one primitive, `tap`, does both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from lab.subjects.architecture import Anatomy, Block, hidden, stream_in, with_hidden
from lab.subjects.errors import StructureError
from lab.subjects.hook_points import HookPoint

See = Callable[[torch.Tensor], torch.Tensor | None]
"""Takes what stands at a hook point, and returns what is to stand there, None to leave it."""
Tap = tuple[HookPoint, int, See]
"""Whom to call at which hook point of which layer."""


def tap(anatomy: Anatomy, at: HookPoint, layer: int, see: See) -> list[Any]:
    """Calls `see` with the hook point's value in every pass, [batch, seq, *features]; what it returns replaces that.

    `see` must not change its argument in place. Returns the hooks' handles; the caller removes them.
    """
    block = anatomy.blocks[layer]
    if at.point == "resid_pre":
        return [_on_input(block.module, see)]
    if at.point == "resid_post":
        return [block.module.register_forward_hook(lambda _m, _a, output: _replace(output, see))]
    if at.point == "head_out":
        assert block.head_out is not None
        return [_on_input(block.part(block.head_out), _by_head(anatomy, at, see))]
    if at.point == "attn_pattern":
        return [_on_pattern(anatomy, block, at, see)]
    if at.point == "resid_mid":
        return _on_mid(block, see)
    path = {"attn_out": block.attn_out, "mlp_out": block.mlp_out, "norm_out": at.norm}[at.point]
    assert path is not None
    return _on_output(block, path, see)


def _replace(output: Any, see: See) -> Any:
    new = see(hidden(output))
    return None if new is None else with_hidden(output, new)


def _on_input(module: torch.nn.Module, see: See) -> Any:
    def hook(_module: Any, args: Any, kwargs: Any) -> Any:
        new = see(stream_in(args, kwargs))
        if new is None:
            return None
        return ((new, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": new})

    return module.register_forward_pre_hook(hook, with_kwargs=True)


def _on_output(block: Block, path: str, see: See) -> list[Any]:
    module = block.part(path)
    if path not in block.flat:
        return [module.register_forward_hook(lambda _m, _a, output: _replace(output, see))]
    lead: list[torch.Size] = [torch.Size()]  # this module sees [batch * seq, d]; the block knows batch and seq

    def note(_module: Any, args: Any, kwargs: Any) -> None:
        lead[0] = stream_in(args, kwargs).shape[:2]

    def hook(_module: Any, _args: Any, output: Any) -> Any:
        stream = hidden(output)
        new = see(stream.reshape(*lead[0], -1))
        return None if new is None else with_hidden(output, new.reshape(stream.shape))

    return [
        block.module.register_forward_pre_hook(note, with_kwargs=True),
        module.register_forward_hook(hook),
    ]


def _on_mid(block: Block, see: See) -> list[Any]:
    """resid_mid is resid_pre + attn_out, as the model adds them; a change of it is made through attn_out."""
    assert block.attn_out is not None
    before: list[torch.Tensor] = []

    def note(_module: Any, args: Any, kwargs: Any) -> None:
        before[:] = [stream_in(args, kwargs)]

    def between(branch: torch.Tensor) -> torch.Tensor | None:
        middle = before.pop() + branch
        new = see(middle)
        return None if new is None else branch + (new - middle)

    handle = block.module.register_forward_pre_hook(note, with_kwargs=True)
    return [handle, *_on_output(block, block.attn_out, between)]


def _by_head(anatomy: Anatomy, at: HookPoint, see: See) -> See:
    assert anatomy.n_heads is not None
    assert anatomy.d_head is not None
    size = anatomy.n_heads, anatomy.d_head

    def split(joined: torch.Tensor) -> torch.Tensor | None:
        heads = joined.view(*joined.shape[:-1], *size)
        if at.heads is None:
            new = see(heads)
        else:
            chosen = list(at.heads)
            part = see(heads[..., chosen, :])
            if part is None:
                return None
            new = heads.clone()
            new[..., chosen, :] = part
        return None if new is None else new.flatten(-2)

    return split


def _on_pattern(anatomy: Anatomy, block: Block, at: HookPoint, see: See) -> Any:
    """Attention weights [batch, query, heads, key], from what the attention module returns under eager attention."""
    assert block.attention is not None
    owner = anatomy.owner

    def hook(_module: Any, _args: Any, output: Any) -> None:
        rest = output[1:] if isinstance(output, tuple) else ()
        weights = next((t for t in rest if torch.is_tensor(t) and t.dim() == 4 and t.shape[1] == anatomy.n_heads), None)
        if weights is None:
            raise StructureError(f"{owner}: its attention returns no weights, even in the eager implementation")
        chosen = weights if at.heads is None else weights[:, list(at.heads)]
        see(chosen.transpose(1, 2))

    return block.part(block.attention).register_forward_hook(hook)
