"""nnterp: nnsight 0.7 with the same names for every architecture."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from nnterp import StandardizedTransformer
from nnterp.nnsight_utils import get_token_activations

from benchmarks.work import Work, tokenizer

PACKAGES = ("nnterp", "nnsight")


def wrap(model: Any) -> Any:
    return StandardizedTransformer(model, tokenizer=tokenizer(model.config.vocab_size))


def capture(model: Any, work: Work) -> np.ndarray:
    """nnterp's own helper: last token, all layers, to the CPU, then stop."""
    return get_token_activations(model, work.ids).transpose(0, 1).numpy()


def sweep(model: Any, work: Work, **few: int) -> np.ndarray:
    clean = get_token_activations(model, work.ids).to(work.ids.device)
    found = []
    for layer in work.layers:
        with model.trace(work.corrupted, **few):
            model.layers_output[layer][:, -1] = clean[layer]
            logits = model.logits[:, -1].save()
        found.append(logits)
    return torch.stack(found).cpu().numpy()


def sweep_one_logit(model: Any, work: Work) -> np.ndarray:
    return sweep(model, work, logits_to_keep=1)


def generate(model: Any, work: Work) -> np.ndarray:
    steps = work.setting.new_tokens
    with model.generate(work.ids, max_new_tokens=steps, do_sample=False) as tracer:
        for _step in tracer.iter[:steps]:
            model.steer(work.steered, work.vector)
        written = tracer.result.save()
    return written[:, work.ids.shape[1] :].cpu().numpy()


WAYS = {
    "capture": {"get_token_activations": capture},
    "sweep": {"a trace a layer, logits_to_keep=1": sweep_one_logit, "a trace a layer": sweep},
    "overhead": {"get_token_activations": capture},
    "generate": {"generate, steer": generate},
    "memory": {"get_token_activations": capture},
}
