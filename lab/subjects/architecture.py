"""The places of a model's hook points, found by running three tokens through it, not by a list of names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations
from typing import Any

import torch
from torch import nn

from lab.subjects.errors import StructureError

BY_HAND = "name the blocks by hand: wrap(model, tokenizer, blocks=model.path.to.blocks)"
NAMEABLE = ("attn_out", "mlp_out", "head_out")
"""Hook points that a user may name by hand, each by a module's path inside a block."""


@dataclass(frozen=True)
class Block:
    """One block, and the paths of the modules inside it that carry its hook points; None where it has no such point.

    `attn_out`, `mlp_out`: the module whose output is added to the residual stream, after any norm of its own.
    `reads_mid`: the first module that reads the stream between both. `head_out`: the output projection,
    whose input is the heads' outputs side by side. `norms`: all norms, in the order in which they run.
    `flat`: modules that see [batch * seq, d] instead of [batch, seq, d]. `returns`: how many things the block
    returns in a tuple, 0 where it returns the stream itself.
    """

    module: nn.Module
    attn_out: str | None = None
    mlp_out: str | None = None
    reads_mid: str | None = None
    head_out: str | None = None
    norms: tuple[str, ...] = ()
    flat: frozenset[str] = frozenset()
    returns: int = 0

    def part(self, path: str) -> nn.Module:
        return self.module.get_submodule(path)

    @property
    def attention(self) -> str | None:
        """The module that holds the output projection; with eager attention it also returns the pattern."""
        return None if self.head_out is None else self.head_out.rpartition(".")[0]


@dataclass(frozen=True)
class Anatomy:
    """What was found in a model: its blocks, where they lie in the module tree, and its width and heads."""

    owner: str
    path: str
    blocks: tuple[Block, ...]
    d_model: int
    n_heads: int | None
    d_head: int | None


def text_config(model: nn.Module) -> Any:
    """The configuration of the text decoder, also inside a multimodal model."""
    config: Any = model.config
    return config.get_text_config(decoder=True) if hasattr(config, "get_text_config") else config


def hidden(output: Any) -> Any:
    """The stream in what a module returns: the tensor itself, or the first of a tuple or list."""
    return output[0] if isinstance(output, tuple | list) else output


def with_hidden(output: Any, value: torch.Tensor) -> Any:
    """`output` with its stream replaced; nothing is changed in place."""
    return type(output)([value, *output[1:]]) if isinstance(output, tuple | list) else value


def stream_in(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """The stream among a module's arguments: the first positional one, or `hidden_states`."""
    return args[0] if args else kwargs.get("hidden_states")


def dissect(
    model: nn.Module, *, blocks: nn.ModuleList | None = None, names: Mapping[str, str] | None = None
) -> Anatomy:
    """Finds the blocks and hook points of a decoder, and checks each by running it.

    Passes of three tokens: one that records every module, one with other tokens before the last (attention
    carries them to the last position, an MLP does not), one with the heads of those tokens changed (which must
    stay where they are), and one with the last block's output changed (the logits must follow). Every block must
    run once, in order, and return [1, 3, d_model].

    `blocks` and `names` (`{"attn_out": "path.in.block"}`) name by hand what structure does not tell.
    Raises StructureError, with the candidates and what to write.
    """
    owner, config = type(model).__name__, text_config(model)
    unknown = sorted(set(names or ()) - set(NAMEABLE))
    if unknown:
        raise StructureError(f"names: no hook point {', '.join(unknown)}; those nameable are {', '.join(NAMEABLE)}")
    lists = {name: m for name, m in model.named_modules() if isinstance(m, nn.ModuleList | nn.Sequential)}
    if blocks is None:
        # Of an encoder-decoder's configuration, `num_hidden_layers` may count the encoder.
        depth = getattr(config, "decoder_layers", None) or getattr(config, "num_hidden_layers", None)
        path, found = _find_blocks(model, owner, lists, depth)
    else:
        path = next((name for name, module in lists.items() if module is blocks), "blocks")
        found = list(blocks)
    vocabulary = int(getattr(config, "vocab_size", 3))
    ids = torch.arange(1, 4, device=_device(model))[None] % vocabulary
    with _watching(found) as seen:
        plain = _logits(model, ids)
    order = [index for index, *_ in seen.ran]
    if order != list(range(len(found))):
        raise StructureError(f"{owner}: its {len(found)} blocks ran in the order {order}, not one by one; {BY_HAND}")
    d_model = _width(owner, config, seen)
    other = ids.clone()
    other[0, :2] = (ids[0, :2] + 1) % vocabulary
    with _watching(found[:1]) as moved:
        _logits(model, other)
    heads = getattr(config, "num_attention_heads", None)
    made = _blocks(owner, found, seen, moved, heads if isinstance(heads, int) else None, names or {})
    made = _with_true_heads(model, made, ids, seen)
    _check_edit(model, owner, found[-1], ids, plain)
    widths = {seen.inputs[i][b.head_out].shape[-1] for i, b in enumerate(made) if b.head_out is not None}
    d_head = widths.pop() // heads if len(widths) == 1 and isinstance(heads, int) else None
    return Anatomy(owner, path, tuple(made), d_model, heads if d_head else None, d_head)


def _device(model: nn.Module) -> torch.device:
    embedding = getattr(model, "get_input_embeddings", lambda: None)()
    weights = next((embedding if embedding is not None else model).parameters())
    return next(model.parameters()).device if weights.is_meta else weights.device


@torch.no_grad()
def _logits(model: nn.Module, ids: torch.Tensor) -> torch.Tensor:
    logits: torch.Tensor = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits
    return logits


def _find_blocks(
    model: nn.Module, owner: str, lists: dict[str, nn.ModuleList | nn.Sequential], depth: int | None
) -> tuple[str, list[nn.Module]]:
    """The outermost module list that is as long as the configuration says, and all of which a text pass runs."""
    fitting = {name: module for name, module in lists.items() if len(module) == depth}
    outermost = {n: m for n, m in fitting.items() if not any(n.startswith(other + ".") for other in fitting)}
    if len(outermost) > 1:  # a vision tower may be as deep as the decoder, but text does not pass through it
        ran: set[str] = set()

        def note(path: str) -> Any:
            return lambda _module, _args, _output: ran.add(path)

        first = {name: next(iter(module.children())) for name, module in outermost.items()}
        handles = [module.register_forward_hook(note(name)) for name, module in first.items()]
        try:
            _logits(model, torch.ones((1, 3), dtype=torch.long, device=_device(model)))
        finally:
            for handle in handles:
                handle.remove()
        outermost = {n: m for n, m in outermost.items() if n in ran}
    if len(outermost) == 1:
        path, module = next(iter(outermost.items()))
        return path, list(module.children())
    candidates = ", ".join(f"{name} ({len(module)})" for name, module in lists.items()) or "none"
    raise StructureError(
        f"{owner}: expected one module list of {depth} blocks, found {len(outermost)}; module lists: {candidates}. "
        f"{BY_HAND[0].upper()}{BY_HAND[1:]}"
    )


@dataclass
class _Seen:
    """What a pass showed: blocks (index, input, output, things returned) and, per block, what each of its modules
    took and gave, in the order in which they ended.
    """

    ran: list[tuple[int, torch.Tensor, torch.Tensor, int]] = field(default_factory=list)
    inputs: list[dict[str, torch.Tensor]] = field(default_factory=list)
    outputs: list[dict[str, torch.Tensor]] = field(default_factory=list)
    twice: list[set[str]] = field(default_factory=list)


@contextmanager
def _watching(blocks: Sequence[nn.Module]) -> Iterator[_Seen]:
    seen = _Seen()
    handles = []

    def before(_module: nn.Module, args: Any, kwargs: Any, *, index: int, path: str) -> None:
        stream = stream_in(args, kwargs)
        if torch.is_tensor(stream):
            if path in seen.inputs[index]:
                seen.twice[index].add(path)
            seen.inputs[index][path] = stream.clone()  # a copy: Falcon adds into its MLP's output

    def after(_module: nn.Module, _args: Any, output: Any, *, index: int, path: str) -> None:
        stream = hidden(output)
        if not torch.is_tensor(stream):
            return
        if path == "":
            returned = len(output) if isinstance(output, tuple | list) else 0
            seen.ran.append((index, seen.inputs[index][""], stream.clone(), returned))
        else:
            seen.outputs[index][path] = stream.clone()

    for index, block in enumerate(blocks):
        seen.inputs.append({})
        seen.outputs.append({})
        seen.twice.append(set())
        for path, module in block.named_modules():
            look = partial(before, index=index, path=path)
            handles.append(module.register_forward_pre_hook(look, with_kwargs=True))
            handles.append(module.register_forward_hook(partial(after, index=index, path=path)))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _width(owner: str, config: Any, seen: _Seen) -> int:
    shapes = sorted({tuple(stream.shape) for _, x, y, _ in seen.ran for stream in (x, y)})
    expected = getattr(config, "hidden_size", shapes[0][-1])
    if shapes != [(1, 3, expected)]:
        raise StructureError(
            f"{owner}: its blocks take and return shapes {shapes}, expected (1, 3, {expected}); {BY_HAND}"
        )
    return int(expected)


def _check_edit(model: nn.Module, owner: str, last: nn.Module, ids: torch.Tensor, plain: torch.Tensor) -> None:
    handle = last.register_forward_hook(lambda _m, _a, output: with_hidden(output, hidden(output).flip(-1) + 1))
    try:
        changed = _logits(model, ids)
    finally:
        handle.remove()
    if torch.equal(plain, changed):
        raise StructureError(
            f"{owner}: changing its last block's output did not change the logits, so these are not its blocks; "
            f"{BY_HAND}"
        )


def _blocks(
    owner: str, modules: list[nn.Module], seen: _Seen, moved: _Seen, heads: int | None, names: Mapping[str, str]
) -> list[Block]:
    made: list[Block] = []
    found: tuple[str, str] | None = None
    for (index, x, y, returned), module in zip(seen.ran, modules, strict=True):
        inputs = seen.inputs[index]
        outputs = {p: t for p, t in seen.outputs[index].items() if p not in seen.twice[index]}
        pair = _branches(x, y, outputs, found)
        if pair is not None and not made and not _carries(pair[0], seen, moved) and _carries(pair[1], seen, moved):
            pair = pair[::-1]  # what runs first and keeps to its own token is the MLP
        found = pair or found
        attn, mlp = pair or (None, None)
        attn, mlp = names.get("attn_out", attn), names.get("mlp_out", mlp)
        for path in (attn, mlp, names.get("head_out")):
            if path is not None and path not in outputs:
                raise StructureError(
                    f"{owner}: block {index} ran no module {path!r}; its modules are {', '.join(outputs)}"
                )
        mid = None
        if attn in outputs and outputs[attn].numel() == x.numel():
            between = x + outputs[attn].reshape(x.shape)
            mid = next((p for p in outputs if p in inputs and _equal(inputs[p], between)), None)
        projection = names.get("head_out") or _projection(module, attn, inputs, outputs, heads)
        if names and attn is not None and mlp is not None and not _nearly(x, y, outputs[attn], outputs[mlp]):
            raise StructureError(
                f"{owner}: block {index} does not write its input plus {attn} plus {mlp}, so these are not its "
                "attn_out and mlp_out; leave them unnamed and use resid_pre and resid_post"
            )
        flat = frozenset(p for p, t in outputs.items() if t.dim() == 2 and len(t) == 3)
        norms = tuple(p for p in outputs if "." not in p and _is_norm(module.get_submodule(p)))
        made.append(Block(module, attn, mlp, mid, projection, norms, flat, returned))
    return made


def _equal(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.numel() == b.numel() and torch.equal(a.reshape(b.shape), b)


def _branches(
    x: torch.Tensor, y: torch.Tensor, outputs: dict[str, torch.Tensor], known: tuple[str, str] | None
) -> tuple[str, str] | None:
    """The two modules whose outputs a block adds to its input, in the order they ran; None where no two do.

    A sum in the model's own precision is equal to the bit in one of the orders of addition. Of modules
    that return the same (a dropout passes its input on), the outermost counts, then the earliest.
    """
    if known and outputs.keys() >= set(known) and _adds_up(x, y, outputs[known[0]], outputs[known[1]]):
        return known
    order = {path: i for i, path in enumerate(outputs)}
    fitting = [path for path, out in outputs.items() if out.numel() == x.numel()]
    ranked = sorted(fitting, key=lambda path: (path.count("."), order[path]))
    pairs = sorted(combinations(ranked, 2), key=lambda pair: sum(path.count(".") for path in pair))
    for pair in pairs:
        if _adds_up(x, y, *(outputs[path] for path in pair)):
            first, second = sorted(pair, key=order.__getitem__)
            return first, second
    return None


def _adds_up(x: torch.Tensor, y: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> bool:
    """To the bit, in one of the orders of addition; and neither so small that it might as well be another's."""
    a, b = a.reshape(x.shape), b.reshape(x.shape)
    if any(torch.equal(x + one, y) and bool(other.any()) for one, other in ((a, b), (b, a))):
        return False
    return any(torch.equal(total, y) for total in ((x + a) + b, x + (a + b), (x + b) + a))


def _nearly(x: torch.Tensor, y: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> bool:
    if a.numel() != x.numel() or b.numel() != x.numel():
        return False
    error = (x + a.reshape(x.shape) + b.reshape(x.shape) - y).float().abs().max()
    return bool(error <= 0.01 * (y - x).float().abs().max())


def _carries(path: str, seen: _Seen, moved: _Seen) -> bool:
    """Does this module of the first block bring news of the first token to the last?"""
    before, after = seen.outputs[0][path], moved.outputs[0][path]
    return not torch.equal(before.reshape(3, -1)[2], after.reshape(3, -1)[2])


def _projection(
    module: nn.Module,
    attn: str | None,
    inputs: dict[str, torch.Tensor],
    outputs: dict[str, torch.Tensor],
    heads: int | None,
) -> str | None:
    """The last matrix of the attention branch: its input is the heads' outputs, side by side."""
    if attn is None or heads is None:
        return None
    ended = list(outputs)
    before = ended[: ended.index(attn) + 1]
    matrices = {p for p in before if _is_matrix(module.get_submodule(p))}
    whole = [p for p in before if p in matrices and not any(p.startswith(f"{other}.") for other in matrices)]
    return next((p for p in reversed(whole) if inputs[p].shape[-1] % heads == 0), None)


def _with_true_heads(model: nn.Module, blocks: list[Block], ids: torch.Tensor, seen: _Seen) -> list[Block]:
    """Blocks without their `head_out` where it is none: outside of an attention, or read before tokens mix.

    What the heads of earlier tokens give must reach those tokens, and not the last one, within its block.
    One pass for each kind of block.
    """
    sound: dict[tuple[Any, ...], bool] = {}
    kept = []
    for index, block in enumerate(blocks):
        if block.head_out is None or block.attention is None or block.attn_out is None:
            kept.append(replace(block, head_out=None))
            continue
        kind = (block.head_out, block.attn_out, type(block.part(block.attention)))
        if kind not in sound:
            named = "att" in kind[2].__name__.lower() or "att" in block.head_out.lower()
            sound[kind] = named and _keeps_to_its_token(model, block, ids, seen.outputs[index][block.attn_out])
        kept.append(block if sound[kind] else replace(block, head_out=None))
    return kept


def _keeps_to_its_token(model: nn.Module, block: Block, ids: torch.Tensor, before: torch.Tensor) -> bool:
    assert block.head_out is not None
    assert block.attn_out is not None
    after: list[torch.Tensor] = []

    def change(_module: nn.Module, args: Any, kwargs: Any) -> Any:
        stream = stream_in(args, kwargs).clone()
        stream.view(3, -1)[:2] += 1
        return ((stream, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": stream})

    def keep(_module: nn.Module, _args: Any, output: Any) -> None:
        after.append(hidden(output).clone())

    handles = [
        block.part(block.head_out).register_forward_pre_hook(change, with_kwargs=True),
        block.part(block.attn_out).register_forward_hook(keep),
    ]
    try:
        _logits(model, ids)
    finally:
        for handle in handles:
            handle.remove()
    old, new = before.reshape(3, -1), after[0].reshape(3, -1)
    return torch.equal(old[2], new[2]) and not torch.equal(old[0], new[0])


def _is_matrix(module: nn.Module) -> bool:
    """A matrix of weights, plain, quantized, or with LoRA matrices of peft's round it."""
    weight = getattr(module, "weight", None)
    plain = not any(True for _ in module.children()) or hasattr(module, "base_layer")
    return isinstance(weight, torch.Tensor) and weight.dim() == 2 and plain


def _is_norm(module: nn.Module) -> bool:
    return "norm" in type(module).__name__.lower()
