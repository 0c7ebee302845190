"""bitsandbytes as it computes on a CPU with AVX-512 BF16, emulated on any other: it packs, and multiplies in bfloat16."""

from copy import copy

import bitsandbytes
import torch
from bitsandbytes import functional


def emulate(monkeypatch):
    """Until the test ends, 4-bit layers on the CPU are packed by bitsandbytes' own function and read by this one."""
    monkeypatch.setattr(bitsandbytes.nn.modules, "has_avx512bf16", lambda: True)
    monkeypatch.setattr(functional, "gemv_4bit", _multiply)


def _multiply(a, packed, out=None, *, state):
    """What bitsandbytes' kernel gives: inputs, scales and results in bfloat16, sums in float32."""
    assert state.packing_format_for_cpu
    assert state.absmax.dtype == torch.bfloat16
    plain = copy(state)  # the inverse changes the state that it is given, and would round the scales once more
    plain.original_nested = False
    weights, _ = functional._convert_weight_packed_for_cpu_inverse(packed, plain)
    plain.absmax, plain.dtype = state.absmax.T.reshape(-1).float(), torch.float32
    weights = functional.dequantize_4bit(weights, plain).bfloat16().float()
    return (a.bfloat16().float() @ weights.T).bfloat16().to(a.dtype)
