"""`lab.subjects`, this project's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.work import Work, tokenizer
from lab.subjects import Subject
from lab.subjects import wrap as wrap_subject

PACKAGES = ("lab-hypotheses",)


def wrap(model: Any) -> Subject:
    return wrap_subject(model, tokenizer(model.config.vocab_size))


def capture(subject: Subject, work: Work) -> np.ndarray:
    return subject.capture(work.prompts, at=subject.resid_post(), position="last").array


def sweep(subject: Subject, work: Work) -> np.ndarray:
    swept = subject.patch_sweep(work.prompts, work.corrupted_prompts, at="resid_post", positions="last")
    return np.asarray(swept.logits)[:, 0]


def generate(subject: Subject, work: Work) -> np.ndarray:
    steer = subject.steer(subject.resid_post(work.steered), work.vector.cpu().numpy())  # at all tokens
    written = subject.generate(work.prompts, max_new_tokens=work.setting.new_tokens, edit=steer)
    return np.array(written.tokens)


def choose(subject: Subject, work: Work) -> np.ndarray:
    return subject.choose(work.prompts, [" ".join(map(str, option)) for option in work.options]).logprobs


WAYS = {
    "capture": {"capture": capture},
    "sweep": {"patch_sweep": sweep},
    "overhead": {"capture": capture},
    "generate": {"generate": generate},
    "choose": {"choose": choose},
    "memory": {"capture": capture},
}
