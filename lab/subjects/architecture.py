"""Where in this model are its blocks? Found by structure, checked by running the model once."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from lab.subjects.errors import StructureError


def text_config(model: nn.Module) -> Any:
    """The configuration of the text decoder, also inside a multimodal model."""
    config: Any = model.config
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def find_blocks(model: nn.Module) -> nn.ModuleList:
    """The decoder's list of blocks: the one `nn.ModuleList` as long as the configuration says the model is deep.

    Raises StructureError, naming every candidate, where there is none or more than one.
    """
    depth = getattr(text_config(model), "num_hidden_layers", None)
    lists = {name: module for name, module in model.named_modules() if isinstance(module, nn.ModuleList)}
    fitting = {name: module for name, module in lists.items() if len(module) == depth}
    outermost = {n: m for n, m in fitting.items() if not any(n.startswith(other + ".") for other in fitting)}
    if len(outermost) == 1:
        return next(iter(outermost.values()))
    found = ", ".join(f"{name} ({len(module)})" for name, module in lists.items()) or "none"
    raise StructureError(
        f"{type(model).__name__}: expected one module list of {depth} blocks, found {len(outermost)}; module lists: "
        f"{found}. Name it by hand: wrap(model, tokenizer, blocks=model.path.to.blocks)"
    )


def hidden(output: Any) -> torch.Tensor:
    """The residual stream in what a block returns: the tensor, or the first of a tuple."""
    stream: torch.Tensor = output[0] if isinstance(output, tuple) else output
    return stream


def with_hidden(output: Any, value: torch.Tensor) -> Any:
    """`output` with its residual stream replaced; nothing is changed in place."""
    return (value, *output[1:]) if isinstance(output, tuple) else value


@torch.no_grad()
def verify(model: nn.Module, blocks: nn.ModuleList, d_model: int) -> None:
    """Runs three tokens through the model and checks what was found.

    Every block must run once and in order, return `[1, 3, d_model]`, and an edit of its output must
    change the logits. Raises StructureError otherwise. Costs two forward passes of three tokens.
    """
    device = next(model.parameters()).device
    ids = torch.arange(3, device=device)[None] % int(text_config(model).vocab_size)
    ran: list[int] = []
    shapes: list[tuple[int, ...]] = []
    edited = False

    def watch(index: int) -> Any:
        def hook(_module: nn.Module, _args: Any, output: Any) -> Any:
            ran.append(index)
            shapes.append(tuple(hidden(output).shape))
            return with_hidden(output, hidden(output).flip(-1) + 1) if edited and index == len(blocks) - 1 else None

        return hook

    handles = [block.register_forward_hook(watch(i)) for i, block in enumerate(blocks)]
    try:
        asked = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "use_cache": False}
        plain = model(**asked).logits
        edited = True
        changed = model(**asked).logits
    finally:
        for handle in handles:
            handle.remove()
    name = type(model).__name__
    if ran != 2 * list(range(len(blocks))):
        raise StructureError(f"{name}: its {len(blocks)} blocks ran in the order {ran[: len(blocks)]}, not one by one")
    if set(shapes) != {(1, 3, d_model)}:
        raise StructureError(f"{name}: a block returned shapes {sorted(set(shapes))}, expected (1, 3, {d_model})")
    if torch.equal(plain, changed):
        raise StructureError(
            f"{name}: changing the last block's output did not change the logits; these are not its blocks"
        )
