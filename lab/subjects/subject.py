"""What can be done with a model under study? Read it, change it, let it choose, let it speak."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from lab.subjects import architecture
from lab.subjects.errors import PromptError, SubjectError
from lab.subjects.prompts import Batch, Prompt, batches, encode

Where = float | int | Sequence[int] | slice | None
Position = Literal["last", "mean"]


@dataclass(frozen=True)
class Site:
    """The residual stream after some blocks, as `subject.resid_post(0.5)` makes it."""

    layers: tuple[int, ...]


@dataclass(frozen=True)
class Activations:
    """What `capture` read: `array` [n, layers, d_model] float32, and the true index of each layer."""

    array: np.ndarray
    layers: tuple[int, ...]


@dataclass(frozen=True)
class Patch:
    """Activations to put in place of a model's own, in the prompt pass only.

    `values` [n, d_model] replace the residual stream after one layer at each prompt's last token.
    """

    at: Site
    values: np.ndarray


@dataclass(frozen=True)
class Choice:
    """What `choose` read, one row a prompt.

    `logprobs` [n, k]: log-probability of each option's text after the prompt, in nats (divided by its
    token count where asked). `probabilities` [n, k]: the same, normalised over the options.
    `picked` [n]: index of the likeliest option.
    """

    logprobs: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        p = np.exp(self.logprobs - self.logprobs.max(1, keepdims=True))
        return np.asarray(p / p.sum(1, keepdims=True))

    @property
    def picked(self) -> np.ndarray:
        return np.asarray(self.logprobs.argmax(1))


@dataclass(frozen=True)
class Generation:
    """What `generate` wrote: `texts` and `tokens` (new ones only, without pads), one row a prompt."""

    texts: list[str]
    tokens: list[list[int]]


class _Stop(Exception):
    """Raised by a hook when the last layer that anybody asked for has run."""


class Subject:
    """A Hugging Face causal language model, as it is: hooks come and go, the model is never changed.

    Attributes
    ----------
    name
        What the user calls it.
    model, tokenizer
        The user's own objects.
    n_layers, d_model
        Depth and width of the residual stream.
    context
        The longest prompt, in tokens.
    padding_side
        Where batches are padded, "left" or "right"; either gives the same numbers. Generation pads on
        the left whatever stands here, so that on the left a prompt is read as it is generated from.
    """

    padding_side: Literal["left", "right"] = "left"

    def __init__(self, model: nn.Module, tokenizer: Any, *, name: str, blocks: nn.ModuleList | None = None) -> None:
        config = architecture.text_config(model)
        self.name, self.tokenizer = name, tokenizer
        self.model: Any = model.eval()
        self.blocks = architecture.find_blocks(model) if blocks is None else blocks
        self.n_layers, self.d_model = len(self.blocks), int(config.hidden_size)
        limits = (getattr(config, "max_position_embeddings", None), getattr(tokenizer, "model_max_length", None))
        self.context = int(min(limit for limit in (*limits, 10**9) if limit))
        # `is not None`, because 0 is a good token id.
        ids = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)
        self._pad = next(int(i) for i in ids if i is not None)
        accepted = inspect.signature(model.forward).parameters
        self._takes_positions, self._keeps_few_logits = "position_ids" in accepted, "logits_to_keep" in accepted
        architecture.verify(model, self.blocks, self.d_model)

    @property
    def device(self) -> torch.device:
        device: torch.device = next(self.model.parameters()).device
        return device

    @property
    def n_parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters())

    def __repr__(self) -> str:
        return f"Subject({self.name!r}, {self.n_layers} layers, d_model {self.d_model})"

    # Hook points -------------------------------------------------------------------------------------

    def resid_post(self, where: Where = None) -> Site:
        """The residual stream after a block, before any final norm.

        `where` is a fraction of the depth (0.5 is layer int(0.5 * n_layers), 1.0 the last), a layer
        index, a list of them, a slice, or nothing for all layers. Raises SubjectError out of range.
        """
        if where is None:
            layers: Sequence[int] = range(self.n_layers)
        elif isinstance(where, slice):
            layers = range(self.n_layers)[where]
        elif isinstance(where, float):
            if not 0 <= where <= 1:
                raise SubjectError(f"depth {where} is not a fraction between 0 and 1; pass an int for a layer index")
            layers = [min(int(where * self.n_layers), self.n_layers - 1)]
        else:
            layers = [int(where)] if isinstance(where, int | np.integer) else [int(i) for i in where]
        wrong = [i for i in layers if not -self.n_layers <= i < self.n_layers]
        if wrong or not layers:
            raise SubjectError(f"no layer {wrong or where} in {self.name}; it has layers 0 to {self.n_layers - 1}")
        return Site(tuple(i % self.n_layers for i in layers))

    # Reading -----------------------------------------------------------------------------------------

    @torch.no_grad()
    def capture(self, prompts: Sequence[Prompt], at: Site, position: Position = "last") -> Activations:
        """The residual stream of each prompt, at the layers of `at`, in their order.

        `position` is "last" (each prompt's last real token) or "mean" (over its real tokens). Slices are
        taken inside the hook, no layer after the last one wanted is run, and no LM head.
        Returns float32 [n, layers, d_model]. Raises PromptError.
        """
        if position not in ("last", "mean"):
            raise SubjectError(f"no position {position!r}; there are 'last' and 'mean'")
        rows = encode(self.tokenizer, prompts, context=self.context)
        array = np.empty((len(rows), len(at.layers), self.d_model), dtype=np.float32)
        deepest = max(at.layers)
        for batch in self._batches(rows):
            read: dict[int, np.ndarray] = {}

            def look(layer: int, output: Any, batch: Batch = batch, read: dict[int, np.ndarray] = read) -> None:
                read[layer] = _pool(architecture.hidden(output), batch, position).float().cpu().numpy()
                if layer == deepest:
                    raise _Stop

            with self._hooks(set(at.layers), look):
                try:
                    self._forward(batch)
                except _Stop:
                    pass
            array[batch.rows] = np.stack([read[layer] for layer in at.layers], axis=1)
        return Activations(array, at.layers)

    @torch.no_grad()
    def choose(
        self, prompts: Sequence[Prompt], options: Sequence[str] | Sequence[Sequence[str]], *, per_token: bool = False
    ) -> Choice:
        """The exact probability of each option as the text that follows each prompt; nothing is sampled.

        `options` is one list of k texts for all prompts, or a list of k texts for each. An option is
        its whole text (mind the space before a word). `per_token` divides its log-probability by its
        token count. One forward pass a prompt, and one more for each option of several tokens.
        Raises PromptError for options that do not fit the prompts.
        """
        rows = encode(self.tokenizer, prompts, context=self.context)
        first = options[0] if len(options) else ""
        per_prompt: Sequence[Sequence[str]] = [options] * len(rows) if isinstance(first, str) else options  # type: ignore[list-item]
        if len(per_prompt) != len(rows):
            raise PromptError(f"{len(rows)} prompts but {len(per_prompt)} lists of options; pass one list for each")
        k = len(per_prompt[0])
        if k < 2 or any(len(these) != k for these in per_prompt):
            raise PromptError("every prompt needs the same number of options, at least two")
        tails = [
            [self._tail(prompt, row, option) for option in these]
            for prompt, row, these in zip(prompts, rows, per_prompt, strict=True)
        ]
        logprobs = np.empty((len(rows), k))
        # The first token of every option comes from one pass over the prompts.
        for batch in self._batches(rows):
            scores = self._last_logits(batch).float().log_softmax(-1).cpu().double().numpy()
            for r, i in enumerate(batch.rows):
                logprobs[i] = [scores[r, tail[0]] for tail in tails[i]]
        self._add_later_tokens(rows, tails, logprobs)
        if per_token:
            logprobs /= np.array([[len(tail) for tail in these] for these in tails])
        return Choice(logprobs)

    def _tail(self, prompt: Prompt, row: list[int], option: str) -> list[int]:
        """The tokens that `option` adds to a prompt: as the tokenizer writes both together, where that keeps the
        prompt's own tokens, else as it writes the option alone.
        """
        if isinstance(prompt, str):
            both = list(self.tokenizer(prompt + option)["input_ids"])
            if both[: len(row)] == row and len(both) > len(row):
                return both[len(row) :]
        tail = list(self.tokenizer(option, add_special_tokens=False)["input_ids"])
        if not tail:
            raise PromptError("an option is empty; every option needs at least one token")
        return tail

    def _add_later_tokens(self, rows: list[list[int]], tails: list[list[list[int]]], logprobs: np.ndarray) -> None:
        """Adds the log-probabilities of every option's second and later tokens, in place."""
        longer = [(i, j) for i, these in enumerate(tails) for j, tail in enumerate(these) if len(tail) > 1]
        if not longer:
            return
        # The last token of an option predicts nothing that counts.
        full = encode(self.tokenizer, [rows[i] + tails[i][j][:-1] for i, j in longer], context=self.context)
        for batch in self._batches(full):
            logits = self._forward(batch).logits
            for r, index in enumerate(batch.rows):
                i, j = longer[index]
                tail = torch.tensor(tails[i][j][1:], device=self.device)
                end = int(batch.last[r]) + 1
                scores = logits[r, end - len(tail) : end].float().log_softmax(-1)
                logprobs[i, j] += float(scores.gather(1, tail[:, None]).double().sum())

    # Speaking ----------------------------------------------------------------------------------------

    @torch.no_grad()
    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int = 16,
        temperature: float = 0.0,
        seeds: Sequence[int] | None = None,
        patch: Patch | None = None,
    ) -> Generation:
        """Continues each prompt, greedily at temperature 0.

        At a higher temperature every prompt draws from its own seed, so that a batch writes what its
        prompts would have written one by one. A `patch` acts in the prompt pass alone: tokens decoded
        later attend to what it left, and are not patched themselves. Raises PromptError.
        """
        from transformers import GenerationConfig, LogitsProcessorList

        rows = encode(self.tokenizer, prompts, context=self.context, room=max_new_tokens)
        if patch is not None:
            self._check(patch, len(rows))
        if temperature < 0:
            raise SubjectError(f"temperature {temperature} is negative; 0 is greedy")
        drawn = np.arange(len(rows)) if seeds is None else np.asarray(seeds)
        if len(drawn) != len(rows):
            raise PromptError(f"{len(rows)} prompts but {len(drawn)} seeds; pass one seed for each")
        ends = getattr(self.model.generation_config, "eos_token_id", None)
        if ends is None:
            ends = self.tokenizer.eos_token_id
        config = GenerationConfig(
            do_sample=False, max_new_tokens=max_new_tokens, pad_token_id=self._pad, eos_token_id=ends
        )
        stops = set(ends if isinstance(ends, list) else [ends])
        tokens: list[list[int]] = [[] for _ in rows]
        for batch in self._batches(rows, side="left"):
            sampling = LogitsProcessorList()
            if temperature > 0:
                sampling.append(_SeededSampling(drawn[batch.rows].tolist(), temperature))
            with self._patched(patch, batch), self._own_decoding():
                written = self.model.generate(
                    input_ids=batch.ids, attention_mask=batch.mask, generation_config=config, logits_processor=sampling
                )
            for i, row in zip(batch.rows, written[:, batch.ids.shape[1] :].tolist(), strict=True):
                tokens[i] = _until(row, stops)
        texts = self.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return Generation(texts, tokens)

    @contextmanager
    def _own_decoding(self) -> Iterator[None]:
        """Keeps the checkpoint's own settings (a repetition penalty, say) out of greedy and sampled decoding."""
        from transformers import GenerationConfig

        kept, self.model.generation_config = self.model.generation_config, GenerationConfig()
        try:
            yield
        finally:
            self.model.generation_config = kept

    def chat(
        self,
        conversations: Sequence[Prompt],
        *,
        n: int = 1,
        temperature: float = 0.0,
        seed: int = 0,
        max_new_tokens: int = 64,
    ) -> list[list[str]]:
        """n answers to each conversation (chat messages, or strings as they are).

        Sample j of conversation i draws from a seed made of (seed, i, j). Greedy answers are all equal,
        so they are written once. Raises PromptError.
        """
        if n < 1:
            raise SubjectError(f"n={n} answers were asked for; ask for at least one")
        repeats = n if temperature > 0 else 1
        prompts = [conversation for conversation in conversations for _ in range(repeats)]
        seeds = [
            int(np.random.SeedSequence((seed, i, j)).generate_state(1)[0])
            for i in range(len(conversations))
            for j in range(repeats)
        ]
        texts = self.generate(prompts, max_new_tokens=max_new_tokens, temperature=temperature, seeds=seeds).texts
        return [texts[i : i + repeats] * (n // repeats) for i in range(0, len(texts), repeats)]

    # Changing ----------------------------------------------------------------------------------------

    def patch(self, at: Site, values: np.ndarray) -> Patch:
        """A patch for `generate`: `values` [n, d_model] at one layer, at each prompt's last token.

        Raises SubjectError for several layers or a wrong shape.
        """
        made = Patch(at, np.asarray(values, dtype=np.float32))
        self._check(made, len(made.values))
        return made

    def _check(self, patch: Patch, n: int) -> None:
        if len(patch.at.layers) != 1:
            raise SubjectError(
                f"a patch goes to one layer, not to {len(patch.at.layers)}; name one, as resid_post(0.5)"
            )
        if patch.values.shape != (n, self.d_model):
            raise SubjectError(
                f"the patch has shape {patch.values.shape}, but {n} prompts of {self.name} need ({n}, {self.d_model})"
            )

    @contextmanager
    def _patched(self, patch: Patch | None, batch: Batch) -> Iterator[None]:
        """While it lasts, the first pass through the model (the prompt pass) carries the patch."""
        if patch is None:
            yield
            return
        values = torch.from_numpy(patch.values[batch.rows])
        fresh = True

        def put(_layer: int, output: Any) -> Any:
            nonlocal fresh
            if not fresh:
                return None
            fresh = False
            stream = architecture.hidden(output).clone()
            stream[torch.arange(len(values)), batch.last.cpu()] = values.to(stream)
            return architecture.with_hidden(output, stream)

        with self._hooks(set(patch.at.layers), put):
            yield

    # Underneath --------------------------------------------------------------------------------------

    def _batches(self, rows: Sequence[Sequence[int]], side: Literal["left", "right"] | None = None) -> Iterator[Batch]:
        return batches(rows, pad=self._pad, side=side or self.padding_side, device=self.device)

    def _forward(self, batch: Batch, **extra: Any) -> Any:
        if self._takes_positions:
            extra["position_ids"] = batch.positions
        return self.model(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False, **extra)

    def _last_logits(self, batch: Batch) -> torch.Tensor:
        """Logits after each row's last real token, [n, vocab]; the LM head runs on nothing else where it can."""
        aligned = bool((batch.last == batch.ids.shape[1] - 1).all())
        few = {"logits_to_keep": 1} if aligned and self._keeps_few_logits else {}
        logits: torch.Tensor = self._forward(batch, **few).logits
        if aligned:
            return logits[:, -1]
        return logits[torch.arange(len(batch.rows), device=batch.ids.device), batch.last]

    @contextmanager
    def _hooks(self, layers: set[int], see: Callable[[int, Any], Any]) -> Iterator[None]:
        """Calls `see(layer, output)` after each of these blocks; removes its own hooks and no others."""
        handles = [
            self.blocks[layer].register_forward_hook(lambda _module, _args, output, layer=layer: see(layer, output))
            for layer in layers
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


class _SeededSampling:
    """Sampling as a logits processor: argmax of scores / T + Gumbel noise is a draw from softmax(scores / T).

    Each row's noise comes from its own seed, on the CPU, so neither batch nor device changes a draw.
    """

    def __init__(self, seeds: Sequence[int], temperature: float) -> None:
        self.generators = [np.random.default_rng(seed) for seed in seeds]
        self.temperature = temperature

    def __call__(self, _ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        noise = np.stack([generator.gumbel(size=scores.shape[1]) for generator in self.generators])
        return scores.float() / self.temperature + torch.from_numpy(noise).to(scores.device, torch.float32)


def _pool(stream: torch.Tensor, batch: Batch, position: Position) -> torch.Tensor:
    """[n, seq, d] to [n, d]: the last real token, or the mean over the real ones."""
    if position == "last":
        return stream[torch.arange(len(stream), device=stream.device), batch.last.to(stream.device)]
    mask = batch.mask.to(stream.device, torch.float32)
    return torch.einsum("nsd,ns->nd", stream.float(), mask) / mask.sum(1, keepdim=True)


def _until(tokens: list[int], stops: set[int | None]) -> list[int]:
    """The tokens before the first stop token."""
    end = next((i for i, token in enumerate(tokens) if token in stops), len(tokens))
    return tokens[:end]


def wrap(model: nn.Module, tokenizer: Any, *, name: str | None = None, blocks: nn.ModuleList | None = None) -> Subject:
    """A subject of a model that is already loaded; the model is left as it is, but for `eval()`.

    `blocks` names the list of blocks by hand. Raises StructureError where the model is not understood.
    """
    return Subject(model, tokenizer, name=name or type(model).__name__, blocks=blocks)
