"""What comes back from a subject: activations, choices, texts. Plain arrays, no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Activations:
    """What `capture` read.

    `array` float32: [n, layers, d_model], and [n, layers, positions, d_model] where several positions were
    asked for; instead of d_model it is (heads, d_head) for `head_out` and (heads, keys) for `attn_pattern`.
    Where a prompt has fewer positions or keys than another, the rest is NaN. With `out=` it is a
    read-only view of that file.

    `layers` are true layer indices, `point` says what was read ("resid_post", "norm_out(ln_2)").
    `positions` [n, p]: which token of each prompt, counted from its first, -1 for none; None for pooled ones.
    `truncated`: how many prompts were cut to `max_tokens`.
    """

    array: np.ndarray
    layers: tuple[int, ...]
    point: str = "resid_post"
    positions: np.ndarray | None = None
    truncated: int = 0


@dataclass(frozen=True)
class Sweep:
    """What `patch_sweep` measured: the effect of each patch at the end of each prompt.

    `logits` float32 [layers, positions, n, vocab], or `logit_diff` [layers, positions, n] where answers
    were given (logit of the right answer minus the wrong one). A sweep over heads has [layers, heads,
    positions, n, ...]. `baseline` is the corrupted run and `clean` the clean one: [n, vocab], or [n].
    `layers` and `positions` [n, p] (tokens of the corrupted prompts) name the axes; where a prompt has
    fewer positions than another the rest is NaN. `way` says how it was computed: "shared prefix", or "plain".
    """

    layers: tuple[int, ...]
    positions: np.ndarray
    baseline: np.ndarray
    clean: np.ndarray
    way: str
    logits: np.ndarray | None = None
    logit_diff: np.ndarray | None = None
    heads: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Choice:
    """What `choose` read, one row a prompt.

    `logprobs` [n, k]: log-probability of each option's text after the prompt, in nats (divided by its
    token count where asked). `method` says where they come from: "exact" (logits) or "log-probabilities"
    (an API's), or "sampled" with `samples` answers a prompt; only then `low` and `high` [n, k] hold
    Wilson's 95 % interval of each probability.
    """

    logprobs: np.ndarray
    method: str = "exact"
    samples: int | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None

    @property
    def probabilities(self) -> np.ndarray:
        """[n, k]: normalised over the options."""
        p = np.exp(self.logprobs - self.logprobs.max(1, keepdims=True))
        return np.asarray(p / p.sum(1, keepdims=True))

    @property
    def picked(self) -> np.ndarray:
        """[n]: index of the likeliest option."""
        return np.asarray(self.logprobs.argmax(1))


@dataclass(frozen=True)
class Generation:
    """What `generate` wrote: `texts` and `tokens` (new ones only, without pads), one row a prompt."""

    texts: list[str]
    tokens: list[list[int]]
