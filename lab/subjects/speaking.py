"""What a model writes: Hugging Face's own decoding, with seeds of each sample's own and edits at every step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from lab.subjects import base, prefix
from lab.subjects.batches import Batch
from lab.subjects.edits import Edit, Plan
from lab.subjects.errors import PromptError, SubjectError
from lab.subjects.prompts import Prompt
from lab.subjects.results import Generation
from lab.subjects.running import Runner


@torch.no_grad()
def generate(
    runner: Runner,
    prompts: Sequence[Prompt],
    *,
    samples: int,
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    seeds: np.ndarray,
    edits: Sequence[Edit],
) -> Generation:
    """`samples` continuations of each prompt, those of one prompt side by side; `seeds` [n, samples]."""
    rows = runner.encode(prompts, room=max_new_tokens)
    if max_new_tokens < 1:
        raise SubjectError(f"max_new_tokens={max_new_tokens} writes nothing; ask for at least 1")
    base.check_drawing(temperature, top_p)
    if seeds.shape != (len(rows), samples):
        raise PromptError(f"{len(rows)} prompts but {len(seeds)} seeds; pass one seed for each")
    plan = Plan(runner, edits, prompts, rows)
    stops = _stops(runner)
    tokens: list[list[list[int]]] = [[[] for _ in range(samples)] for _ in rows]

    def run(chosen: list[int]) -> None:
        batch = runner.pad(rows, chosen, side="left")
        some = max(1, runner.tokens_per_batch // (batch.width * len(chosen)))  # samples at once
        for begin in range(0, samples, some):
            own = seeds[chosen, begin : begin + some]
            drawn = own.T.ravel().tolist() if temperature > 0 else None  # row j * n + i is sample j of prompt i
            sampling = None if drawn is None else _SeededSampling(drawn, temperature, top_p)
            written = _decode(runner, batch, own.shape[1], max_new_tokens, sampling, plan, stops)
            for r, row in enumerate(written.tolist()):
                tokens[chosen[r % len(chosen)]][begin + r // len(chosen)] = _until(row, set(stops))

    runner.in_batches(rows, run, doing="generate", copies=samples, side="left", divisible=samples > 1)
    flat = [answer for answers in tokens for answer in answers]
    return Generation(runner.tokenizer.batch_decode(flat, skip_special_tokens=True), flat)


def _stops(runner: Runner) -> list[int]:
    ends = getattr(runner.model.generation_config, "eos_token_id", None)
    if ends is None:
        ends = runner.tokenizer.eos_token_id
    return [] if ends is None else list(ends) if isinstance(ends, list | tuple) else [ends]


def _decode(
    runner: Runner,
    batch: Batch,
    samples: int,
    max_new_tokens: int,
    sampling: _SeededSampling | None,
    plan: Plan,
    stops: list[int],
) -> torch.Tensor:
    """New tokens [samples * n, new]; the prompts' own pass is made once for all samples."""
    from transformers import GenerationConfig, LogitsProcessorList

    config = GenerationConfig(
        do_sample=False, max_new_tokens=max_new_tokens, pad_token_id=runner.fill, eos_token_id=stops or None
    )
    processors = LogitsProcessorList([] if sampling is None else [sampling])
    start, extra = 0, {}
    if samples > 1 and batch.width > 1 and runner.may_share(batch.width):
        start = batch.width - 1
        extra["past_key_values"] = _prefill(runner, batch, start, samples, plan)
    ids, mask = batch.ids.repeat(samples, 1), batch.mask.repeat(samples, 1)
    with runner.tapped(plan.taps(batch, start=start, copies=samples)), _own_decoding(runner.model):
        return runner.decode(ids, mask, start, config, processors, **extra)


def _prefill(runner: Runner, batch: Batch, stop: int, samples: int, plan: Plan) -> Any:
    """A cache of every prompt but its last token, repeated for each sample."""
    cache = prefix.empty()
    mask = batch.mask[:, :stop] if batch.padded else None
    with runner.tapped([*plan.taps(batch), runner.stop]):
        runner.step(batch.ids[:, :stop], mask, batch.positions[:, :stop], logits=1, cache=cache)
    for layer in cache.layers:
        layer.keys, layer.values = (t.repeat(samples, 1, 1, 1) for t in (layer.keys, layer.values))
    return cache


@contextmanager
def _own_decoding(model: Any) -> Iterator[None]:
    """Keeps the checkpoint's own settings (a repetition penalty, say) out of greedy and sampled decoding."""
    from transformers import GenerationConfig

    kept, model.generation_config = model.generation_config, GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = kept


def sample_seeds(seed: int, n: int, samples: int) -> np.ndarray:
    """One seed for each sample j of each prompt i, from (seed, i, j): [n, samples]."""
    made = [[base.sample_seed(seed, i, j) for j in range(samples)] for i in range(n)]
    return np.array(made, dtype=np.int64).reshape(n, samples)


class _SeededSampling:
    """Sampling as a logits processor: argmax of scores / T + Gumbel noise is a draw from softmax(scores / T).

    Below a `top_p` of 1 of the nucleus alone (Holtzman et al. 2020): the fewest of the likeliest tokens that have
    this share together, as transformers cuts it. Each row's noise comes from its own seed, on the CPU, so neither
    batch nor device changes a draw.
    """

    def __init__(self, seeds: Sequence[int], temperature: float, top_p: float) -> None:
        from transformers import TopPLogitsWarper

        self.generators = [np.random.default_rng(seed) for seed in seeds]
        self.temperature = temperature
        self.nucleus: Any = TopPLogitsWarper(top_p) if top_p < 1 else None

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        noise = np.stack([generator.gumbel(size=scores.shape[1]) for generator in self.generators])
        scores = scores.float() / self.temperature
        if self.nucleus is not None:
            scores = self.nucleus(ids, scores)
        return scores + torch.from_numpy(noise).to(scores.device, torch.float32)


def _until(tokens: list[int], stops: set[int]) -> list[int]:
    """The tokens before the first stop token."""
    end = next((i for i, token in enumerate(tokens) if token in stops), len(tokens))
    return tokens[:end]
