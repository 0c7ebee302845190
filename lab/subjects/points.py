"""What is a hook point, and how is it read or changed? One primitive, `tap`, does both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from lab.subjects.architecture import Anatomy, Block, hidden, stream_in, with_hidden
from lab.subjects.errors import StructureError

POINTS = {
    "resid_pre": "the residual stream that enters a block",
    "attn_out": "what the attention branch adds to the stream",
    "resid_mid": "the residual stream between attention and MLP",
    "mlp_out": "what the MLP branch adds to the stream",
    "resid_post": "the residual stream that leaves a block, before any final norm",
    "head_out": "each head's output before the output projection (TransformerLens calls it z)",
    "attn_pattern": "each head's attention weights (eager attention only)",
    "norm_out": "the output of a norm inside a block, under the norm's own name",
}

See = Callable[[torch.Tensor], torch.Tensor | None]


@dataclass(frozen=True)
class Site:
    """A hook point at some layers, as `subject.resid_post(0.5)` makes it.

    `norm` names the norm of a `norm_out`; `heads` the heads of a `head_out` or `attn_pattern`, None for all.
    """

    point: str
    layers: tuple[int, ...]
    norm: str | None = None
    heads: tuple[int, ...] | None = None

    @property
    def name(self) -> str:
        """The point as results should name it: "resid_post", "norm_out(ln_2)"."""
        return f"{self.point}({self.norm})" if self.norm else self.point


def require(anatomy: Anatomy, point: str, layers: tuple[int, ...]) -> None:
    """Raises StructureError where one of these blocks has no such point, and says why."""
    if max(layers) >= len(anatomy.blocks):
        raise StructureError(f"{anatomy.owner} has no layer {max(layers)}; the hook point is another subject's")
    if point in ("resid_pre", "resid_post", "norm_out"):
        return
    for layer in layers:
        block = anatomy.blocks[layer]
        has = {
            "attn_out": block.attn_out,
            "mlp_out": block.mlp_out,
            "resid_mid": block.reads_mid,
            "head_out": block.head_out,
            "attn_pattern": block.head_out,
        }[point]
        if has is not None:
            continue
        if point == "resid_mid" and block.attn_out is not None:
            raise StructureError(
                f"{anatomy.owner} has no resid_mid: its blocks are parallel, nothing reads the stream between attention"
                " and MLP; use resid_pre or resid_post"
            )
        if point in ("head_out", "attn_pattern"):
            why = "no attention with an output projection was found in it"
        else:
            why = "no two of its modules add up to what it writes to the stream"
        children = ", ".join(name for name, _ in block.module.named_children())
        raise StructureError(
            f"{anatomy.owner}: block {layer} has no {point}: {why} (modules: {children}). If it has one, name it by "
            f'hand: wrap(model, tokenizer, names={{"attn_out": "path.in.block", "mlp_out": "path.in.block"}})'
        )


def features(anatomy: Anatomy, site: Site) -> tuple[int, ...]:
    """Shape of one token's value at this site: (d_model,), or (heads, d_head). Patterns depend on the prompt."""
    if site.point != "head_out":
        return (anatomy.d_model,)
    assert anatomy.n_heads is not None
    assert anatomy.d_head is not None
    return (len(site.heads) if site.heads is not None else anatomy.n_heads, anatomy.d_head)


def tap(anatomy: Anatomy, site: Site, layer: int, see: See) -> list[Any]:
    """Calls `see` with the site's value in every pass, [batch, seq, *features]; what it returns replaces the value.

    `see` must not change its argument in place. Returns the hooks' handles; the caller removes them.
    """
    block = anatomy.blocks[layer]
    if site.point == "resid_pre":
        return [_on_input(block.module, see)]
    if site.point == "resid_post":
        return [block.module.register_forward_hook(lambda _m, _a, output: _replace(output, see))]
    if site.point == "head_out":
        assert block.head_out is not None
        return [_on_input(block.part(block.head_out), _by_head(anatomy, site, see))]
    if site.point == "attn_pattern":
        return [_on_pattern(anatomy, block, site, see)]
    if site.point == "resid_mid":
        return _on_mid(block, see)
    path = {"attn_out": block.attn_out, "mlp_out": block.mlp_out, "norm_out": site.norm}[site.point]
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


def _by_head(anatomy: Anatomy, site: Site, see: See) -> See:
    assert anatomy.n_heads is not None
    assert anatomy.d_head is not None
    size = anatomy.n_heads, anatomy.d_head

    def split(joined: torch.Tensor) -> torch.Tensor | None:
        heads = joined.view(*joined.shape[:-1], *size)
        if site.heads is None:
            new = see(heads)
        else:
            chosen = list(site.heads)
            part = see(heads[..., chosen, :])
            if part is None:
                return None
            new = heads.clone()
            new[..., chosen, :] = part
        return None if new is None else new.flatten(-2)

    return split


def _on_pattern(anatomy: Anatomy, block: Block, site: Site, see: See) -> Any:
    """Attention weights [batch, query, heads, key], from what the attention module returns under eager attention."""
    assert block.attention is not None
    owner = anatomy.owner

    def hook(_module: Any, _args: Any, output: Any) -> None:
        rest = output[1:] if isinstance(output, tuple) else ()
        weights = next((t for t in rest if torch.is_tensor(t) and t.dim() == 4 and t.shape[1] == anatomy.n_heads), None)
        if weights is None:
            raise StructureError(f"{owner}: its attention returns no weights, even in the eager implementation")
        chosen = weights if site.heads is None else weights[:, list(site.heads)]
        see(chosen.transpose(1, 2))

    return block.part(block.attention).register_forward_hook(hook)
