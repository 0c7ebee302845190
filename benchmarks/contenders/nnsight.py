"""nnsight 0.8: ordinary code inside `with model.trace()`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from nnsight import TransformersModel

from benchmarks.work import Work, tokenizer

PACKAGES = ("nnsight",)


def wrap(model: Any) -> Any:
    return TransformersModel(model, tokenizer=tokenizer(model.config.vocab_size))


def last_residuals(model: Any, work: Work) -> torch.Tensor:
    with model.trace(work.ids) as tracer:
        kept = [].save()
        for layer in work.layers:
            kept.append(model.transformer.h[layer].output[:, -1])
        tracer.stop()
    return torch.stack(kept, dim=1)


def capture(model: Any, work: Work) -> np.ndarray:
    return last_residuals(model, work).cpu().numpy()


def capture_cache(model: Any, work: Work) -> np.ndarray:
    """`tracer.cache` keeps whole outputs, on the CPU."""
    blocks = [model.transformer.h[layer] for layer in work.layers]
    with model.trace(work.ids) as tracer:
        cache = tracer.cache(modules=blocks)
    return torch.stack([cache[block.path].output[:, -1] for block in blocks], dim=1).numpy()


def sweep(model: Any, work: Work, **few: int) -> np.ndarray:
    clean = last_residuals(model, work)
    found = []
    for layer in work.layers:
        with model.trace(work.corrupted, **few):
            model.transformer.h[layer].output[:, -1] = clean[:, layer]
            logits = model.lm_head.output[:, -1].save()
        found.append(logits)
    return torch.stack(found).cpu().numpy()


def sweep_one_logit(model: Any, work: Work) -> np.ndarray:
    return sweep(model, work, logits_to_keep=1)


def generate(model: Any, work: Work) -> np.ndarray:
    steps = work.setting.new_tokens
    with model.generate(work.ids, max_new_tokens=steps, do_sample=False) as tracer:
        for _step in tracer.iter[:steps]:
            model.transformer.h[work.steered].output += work.vector
        written = tracer.result.save()
    return written[:, work.ids.shape[1] :].cpu().numpy()


WAYS = {
    "capture": {"trace, save, stop": capture, "tracer.cache": capture_cache},
    "sweep": {"a trace a layer, logits_to_keep=1": sweep_one_logit, "a trace a layer": sweep},
    "overhead": {"trace, save, stop": capture},
    "generate": {"generate, tracer.iter": generate},
    "memory": {"trace, save, stop": capture, "tracer.cache": capture_cache},
}
