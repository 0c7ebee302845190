"""Plain Hugging Face with torch's own hooks.

The first way of each task is what people write, and what every contender's result and time are held against.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from benchmarks.work import Work

PACKAGES = ("transformers",)


def wrap(model: Any) -> Any:
    return model


@contextmanager
def hooked(model: Any, layers: Any, see: Callable[[int, torch.Tensor], Any]) -> Iterator[None]:
    """A hook on each of these blocks, called as see(layer, output)."""
    handles = [
        model.transformer.h[layer].register_forward_hook(lambda _m, _a, output, layer=layer: see(layer, output))
        for layer in layers
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def last_residuals(model: Any, work: Work, forward: Callable[[torch.Tensor], Any]) -> torch.Tensor:
    """The residual stream at the last token, [n, layers, d_model]."""
    kept: list[torch.Tensor] = []
    with hooked(model, work.layers, lambda _layer, output: kept.append(output[:, -1])):
        forward(work.ids)
    return torch.stack(kept, dim=1)


def capture_hooks(model: Any, work: Work) -> np.ndarray:
    return last_residuals(model, work, model).cpu().numpy()


def capture_hooks_without_head(model: Any, work: Work) -> np.ndarray:
    return last_residuals(model, work, model.transformer).cpu().numpy()


def capture_hidden_states(model: Any, work: Work) -> np.ndarray:
    """The last of them is after the final norm, so the last block needs a hook all the same."""
    last: list[torch.Tensor] = []
    with hooked(model, [work.layers[-1]], lambda _layer, output: last.append(output)):
        states = model(work.ids, output_hidden_states=True).hidden_states
    return torch.stack([state[:, -1] for state in (*states[1:-1], last[0])], dim=1).cpu().numpy()


def bare_blocks(model: Any, work: Work) -> None:
    model.transformer(work.ids)


def bare_forward(model: Any, work: Work) -> None:
    model(work.ids)


def sweep_hooks(model: Any, work: Work, **few: int) -> np.ndarray:
    clean = last_residuals(model, work, model.transformer)

    def patch(layer: int, output: torch.Tensor) -> torch.Tensor:
        output = output.clone()
        output[:, -1] = clean[:, layer]
        return output

    logits = []
    for layer in work.layers:
        with hooked(model, [layer], patch):
            logits.append(model(work.corrupted, **few).logits[:, -1])
    return torch.stack(logits).cpu().numpy()


def sweep_hooks_one_logit(model: Any, work: Work) -> np.ndarray:
    return sweep_hooks(model, work, logits_to_keep=1)


def generate_hook(model: Any, work: Work) -> np.ndarray:
    with hooked(model, [work.steered], lambda _layer, output: output + work.vector):
        written = model.generate(
            work.ids,
            attention_mask=torch.ones_like(work.ids),
            max_new_tokens=work.setting.new_tokens,
            do_sample=False,
        )
    return written[:, work.ids.shape[1] :].cpu().numpy()


def score_options(model: Any, work: Work, prompts_at_once: int, **few: int) -> np.ndarray:
    """The summed log-probability of each option's tokens, every prompt with every option as one row of a batch."""
    options = torch.tensor(work.options, device=work.ids.device)
    k, length = options.shape
    scores = []
    for prompts in work.ids.split(prompts_at_once):
        tails = options.repeat(len(prompts), 1)
        rows = torch.cat([prompts.repeat_interleave(k, dim=0), tails], dim=1)
        logits = model(rows, **few).logits[:, -length - 1 : -1]
        chosen = logits.log_softmax(-1).gather(-1, tails[..., None])[..., 0]
        scores.append(chosen.sum(1).view(len(prompts), k))
    return torch.cat(scores).cpu().numpy()


def choose_batch_a_prompt(model: Any, work: Work) -> np.ndarray:
    return score_options(model, work, 1)


def choose_eight_prompts(model: Any, work: Work) -> np.ndarray:
    return score_options(model, work, 8)


def choose_few_logits(model: Any, work: Work) -> np.ndarray:
    return score_options(model, work, 8, logits_to_keep=len(work.options[0]) + 1)


WAYS = {
    "capture": {
        "hooks": capture_hooks,
        "hooks, no LM head": capture_hooks_without_head,
        "output_hidden_states": capture_hidden_states,
        "bare forward of the blocks (reads nothing)": bare_blocks,
        "bare forward (reads nothing)": bare_forward,
    },
    "sweep": {"hooks": sweep_hooks, "hooks, logits_to_keep=1": sweep_hooks_one_logit},
    "overhead": {"hooks": capture_hooks},
    "generate": {"hook": generate_hook},
    "choose": {
        "a batch a prompt": choose_batch_a_prompt,
        "eight prompts a batch": choose_eight_prompts,
        "eight prompts a batch, logits_to_keep": choose_few_logits,
    },
    "memory": {
        "hooks": capture_hooks,
        "hooks, no LM head": capture_hooks_without_head,
        "output_hidden_states": capture_hidden_states,
    },
}
