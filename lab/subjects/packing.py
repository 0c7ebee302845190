"""Whether this processor can run a model's 4-bit layers: bitsandbytes packs them on some, by blocks of a fixed size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lab.subjects.errors import LoadError

OUTPUTS = 32
"""Outputs of a layer that bitsandbytes packs together (`block_n` of `_convert_weight_packed_for_cpu`)."""


def is_packable(inputs: int, outputs: int, block: int = 64) -> bool:
    """Whether bitsandbytes can pack a layer of this width.

    Parameters
    ----------
    inputs, outputs
        Features of the layer. Its weights are [outputs, inputs].
    block
        Weights that share a scale. Packing needs whole blocks in each row.
    """
    return inputs % block == 0 and outputs % OUTPUTS == 0


def check(model: Any, name: str) -> None:
    """Refuses a 4-bit model that this CPU cannot run.

    On a CPU with AVX-512 BF16, bitsandbytes 0.50.2 packs the weights of a `Linear4bit` in its first pass. A layer of
    another width than it packs ends there, with a message about shapes. Any width runs on other CPUs and on GPUs.
    Layers through which no text passes, as those of a vision tower, may have any width.

    Parameters
    ----------
    model
        As transformers loaded it, before its first pass.
    name
        What the user calls it.

    Raises LoadError, which names the first such layer and what to do.
    """
    from bitsandbytes.nn.modules import Linear4bit

    run = set(model.get_decoder().modules())
    for path, layer in model.named_modules():
        if layer not in run or not isinstance(layer, Linear4bit):
            continue
        weight: Any = layer.weight
        # A release without this attribute packs on no processor.
        packs = weight.device.type == "cpu" and getattr(layer, "support_avx512bf16_for_cpu", False)
        block = weight.blocksize
        if packs and not is_packable(layer.in_features, layer.out_features, block):
            raise LoadError(
                f"{name} does not run in 4 bits on this CPU: {path} has {layer.in_features} inputs and "
                f"{layer.out_features} outputs, and with AVX-512 BF16 bitsandbytes packs multiples of {block} and "
                f'{OUTPUTS}; leave out quantize="nf4", load it on a GPU, or take a wider model'
            )


@contextmanager
def kept(model: Any) -> Iterator[None]:
    """Leaves packed weights as they were before.

    `model.state_dict()`, which transformers calls where it attaches an adapter, unpacks them, and bitsandbytes 0.50.2
    then gives their scales other values (its inverse of packing is a "best-effort" one): the bare model would answer
    otherwise than before the adapter came.
    """
    weights = [m.weight for m in model.modules() if hasattr(getattr(m, "weight", None), "quant_state")]
    packed = [w for w in weights if getattr(w.quant_state, "packing_format_for_cpu", False)]
    before = [(w, w.data, w.quant_state, dict(vars(w.quant_state))) for w in packed]
    try:
        yield
    finally:
        for weight, data, state, fields in before:
            vars(state).clear()
            vars(state).update(fields)
            weight.data, weight.quant_state = data, state
