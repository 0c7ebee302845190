"""TransformerLens 4's `TransformerBridge`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from transformer_lens.model_bridge import TransformerBridge

from benchmarks.work import Work, tokenizer

PACKAGES = ("transformer-lens",)


def wrap(model: Any) -> Any:
    """It replaces modules of the model and sets its attention to eager; weights stay Hugging Face's."""
    words = tokenizer(model.config.vocab_size)
    return TransformerBridge.boot_transformers("gpt2", hf_model=model, tokenizer=words, device=str(model.device))


def names(work: Work) -> list[str]:
    return [f"blocks.{layer}.hook_resid_post" for layer in work.layers]


def capture(bridge: Any, work: Work, **few: int) -> np.ndarray:
    """No early stop: `stop_at_layer` stops before a block, and there is none after the last."""
    _, cache = bridge.run_with_cache(work.ids, names_filter=names(work), pos_slice=-1, return_cache_object=False, **few)
    return torch.stack([cache[name].flatten(1) for name in names(work)], dim=1).cpu().numpy()


def capture_one_logit(bridge: Any, work: Work) -> np.ndarray:
    return capture(bridge, work, logits_to_keep=1)


def capture_everything(bridge: Any, work: Work) -> np.ndarray:
    _, cache = bridge.run_with_cache(work.ids)
    return torch.stack([cache[name][:, -1] for name in names(work)], dim=1).cpu().numpy()


def sweep(bridge: Any, work: Work, **few: int) -> np.ndarray:
    clean = torch.from_numpy(capture_one_logit(bridge, work)).to(work.ids.device)
    found = []
    for layer, name in enumerate(names(work)):

        def patch(resid: torch.Tensor, hook: Any, layer: int = layer) -> torch.Tensor:
            resid[:, -1] = clean[:, layer]
            return resid

        found.append(bridge.run_with_hooks(work.corrupted, fwd_hooks=[(name, patch)], **few)[:, -1])
    return torch.stack(found).cpu().numpy()


def sweep_one_logit(bridge: Any, work: Work) -> np.ndarray:
    return sweep(bridge, work, logits_to_keep=1)


def sweep_start_at_layer(bridge: Any, work: Work) -> np.ndarray:
    """The corrupted residuals are cached once; each patched run starts from the one it changes."""
    clean = torch.from_numpy(capture_one_logit(bridge, work)).to(work.ids.device)
    keep = {"names_filter": names(work), "return_cache_object": False, "logits_to_keep": 1}
    _, corrupted = bridge.run_with_cache(work.corrupted, **keep)
    found = []
    for layer, name in enumerate(names(work)):
        resid = corrupted[name].clone()
        resid[:, -1] = clean[:, layer]
        if layer + 1 < len(work.layers):
            logits = bridge(resid, start_at_layer=layer + 1, logits_to_keep=1)
        else:  # no block is left to start at
            logits = bridge.unembed(bridge.ln_final(resid[:, -1:]))
        found.append(logits[:, -1])
    return torch.stack(found).cpu().numpy()


def generate(bridge: Any, work: Work) -> np.ndarray:
    def add(resid: torch.Tensor, hook: Any) -> torch.Tensor:
        return resid + work.vector

    with bridge.hooks(fwd_hooks=[(names(work)[work.steered], add)]):
        written = bridge.generate(
            work.ids,
            max_new_tokens=work.setting.new_tokens,
            do_sample=False,
            stop_at_eos=False,
            return_type="tokens",
            verbose=False,
        )
    return written[:, work.ids.shape[1] :].cpu().numpy()


WAYS = {
    "capture": {
        "run_with_cache(resid_post), logits_to_keep=1": capture_one_logit,
        "run_with_cache(resid_post)": capture,
        "run_with_cache(everything)": capture_everything,
    },
    "sweep": {
        "run_with_hooks, logits_to_keep=1": sweep_one_logit,
        "run_with_hooks": sweep,
        "start_at_layer, logits_to_keep=1": sweep_start_at_layer,
    },
    "overhead": {
        "run_with_cache(resid_post)": capture,
        "run_with_cache(everything)": capture_everything,
    },
    "generate": {"hooks, generate": generate},
    "memory": {
        "run_with_cache(resid_post), logits_to_keep=1": capture_one_logit,
        "run_with_cache(resid_post)": capture,
        "run_with_cache(everything)": capture_everything,
    },
}
