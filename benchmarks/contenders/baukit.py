"""baukit's `Trace` and `TraceDict`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.work import Work

PACKAGES = ("baukit",)


def _nethook() -> Any:
    """baukit/nethook.py by itself: the package imports widgets and torchvision before it."""
    package: Any = importlib.util.find_spec("baukit")
    if package is None:
        raise ModuleNotFoundError("baukit is not installed")
    spec: Any = importlib.util.spec_from_file_location("nethook", Path(package.origin).with_name("nethook.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


nethook = _nethook()


def wrap(model: Any) -> Any:
    return model


def last_residuals(model: Any, work: Work) -> torch.Tensor:
    names = [f"transformer.h.{layer}" for layer in work.layers]
    with nethook.TraceDict(model, names, stop=True) as traces:
        model(work.ids)
    return torch.stack([traces[name].output[:, -1] for name in names], dim=1)


def capture(model: Any, work: Work) -> np.ndarray:
    return last_residuals(model, work).cpu().numpy()


def replace_last(value: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """An `edit_output` of one argument: a second one, even with a default, baukit fills with the layer's name."""

    def edit(output: torch.Tensor) -> torch.Tensor:
        output[:, -1] = value
        return output

    return edit


def sweep(model: Any, work: Work, **few: int) -> np.ndarray:
    clean = last_residuals(model, work)
    logits = []
    for layer in work.layers:
        patch = replace_last(clean[:, layer])
        with nethook.Trace(model, f"transformer.h.{layer}", retain_output=False, edit_output=patch):
            logits.append(model(work.corrupted, **few).logits[:, -1])
    return torch.stack(logits).cpu().numpy()


def sweep_one_logit(model: Any, work: Work) -> np.ndarray:
    return sweep(model, work, logits_to_keep=1)


def generate(model: Any, work: Work) -> np.ndarray:
    def add(output: torch.Tensor) -> torch.Tensor:
        return output + work.vector

    with nethook.Trace(model, f"transformer.h.{work.steered}", retain_output=False, edit_output=add):
        written = model.generate(
            work.ids,
            attention_mask=torch.ones_like(work.ids),
            max_new_tokens=work.setting.new_tokens,
            do_sample=False,
        )
    return written[:, work.ids.shape[1] :].cpu().numpy()


WAYS = {
    "capture": {"TraceDict, stop": capture},
    "sweep": {"Trace(edit_output), logits_to_keep=1": sweep_one_logit, "Trace(edit_output)": sweep},
    "overhead": {"TraceDict, stop": capture},
    "generate": {"Trace(edit_output)": generate},
    "memory": {"TraceDict, stop": capture},
}
