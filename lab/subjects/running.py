"""How is a model run? One pass over a batch, with hooks that come and go, in batches that fit the memory."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from lab.subjects import prefix
from lab.subjects.architecture import Anatomy, stream_in, text_config
from lab.subjects.errors import OutOfMemory, Stop, is_out_of_memory
from lab.subjects.points import See, Site, tap
from lab.subjects.prompts import Batch, Prompt, Side, by_length, cut, encode, pad

TOKENS_PER_BATCH = 8192


class Runner:
    """A model that is never changed, and what has to be known to run it.

    `tokens_per_batch` bounds a batch; when memory runs out it is halved, for good, and `notes` says so.
    """

    def __init__(self, model: nn.Module, tokenizer: Any, anatomy: Anatomy, name: str) -> None:
        self.model: Any = model
        self.tokenizer, self.anatomy, self.name = tokenizer, anatomy, name
        self.side: Side = "left"
        self.tokens_per_batch = TOKENS_PER_BATCH
        self.notes: list[str] = []
        limits = (
            getattr(text_config(model), "max_position_embeddings", None),
            getattr(tokenizer, "model_max_length", None),
        )
        self.context = int(min(limit for limit in (*limits, 10**9) if limit))
        # `is not None`, because 0 is a good token id.
        ids = (getattr(tokenizer, "pad_token_id", None), getattr(tokenizer, "eos_token_id", None), 0)
        self.fill = next(int(i) for i in ids if i is not None)
        accepted = inspect.signature(model.forward).parameters
        self._takes_positions, self._keeps_few_logits = "position_ids" in accepted, "logits_to_keep" in accepted
        self._shares: bool | None = None

    @property
    def device(self) -> torch.device:
        """Where token ids go: where the embedding is."""
        embedding = self.model.get_input_embeddings()
        device: torch.device = next((embedding or self.model).parameters()).device
        return device if device.type != "meta" else torch.device(self.model.device)

    @property
    def shares_prefix(self) -> bool:
        """Can tokens that several rows have in common be computed once? Tried out on the model when first asked."""
        if self._shares is None:
            self._shares = prefix.works(self)
            if not self._shares:
                self.note("its cache cannot be shared between rows; shared prompts are computed anew for each row")
        return self._shares

    def note(self, text: str) -> None:
        """Keeps a remark about how this model had to be run."""
        if text not in self.notes:
            self.notes.append(text)

    # Batches ------------------------------------------------------------------------------------------

    def encode(self, prompts: Sequence[Prompt], room: int = 0) -> list[list[int]]:
        return encode(self.tokenizer, prompts, context=self.context, room=room)

    def in_batches(self, rows: Sequence[Sequence[int]], run: Callable[[list[int]], None], *, copies: int = 1) -> None:
        """Calls `run` with indices of rows, longest first, at most `tokens_per_batch` padded tokens at once.

        Each row counts `copies` times. Out of memory halves the batch and goes on with what is not done;
        `run` must be able to start a batch anew. Raises OutOfMemory for a batch of one row.
        """
        todo = by_length(rows)
        while todo:
            chosen = next(cut(todo, rows, self.tokens_per_batch // copies))
            fault = None
            try:
                run(chosen)
            except (torch.OutOfMemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                fault = str(error).splitlines()[0]
            if fault is None:
                todo = todo[len(chosen) :]
            else:  # outside of `except`, where the traceback no longer holds the batch's tensors
                self._step_down(len(chosen), len(rows[chosen[0]]) * copies, fault)

    def _step_down(self, size: int, width: int, fault: str) -> None:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if size == 1:
            raise OutOfMemory(
                f"{self.name} ran out of memory on one prompt of {width} tokens ({fault}); try shorter prompts, "
                "load(..., dtype='bfloat16'), quantize='nf4', device_map='auto' or device='cpu' (in a run "
                "--lab-load dtype=bfloat16), or a smaller model (--lab-models)"
            )
        self.tokens_per_batch = max(1, size // 2) * width
        self.note(f"out of memory with {size} prompts of {width} tokens in a batch; went on with {max(1, size // 2)}")

    def pad(self, rows: Sequence[Sequence[int]], chosen: list[int], side: Side | None = None) -> Batch:
        return pad(rows, chosen, fill=self.fill, side=side or self.side, device=self.device)

    # Passes -------------------------------------------------------------------------------------------

    def forward(self, batch: Batch, *, logits: int | None = None, cache: Any = None) -> Any:
        """One pass over a batch. `logits` keeps only the last so many positions' logits, where the model can."""
        mask = batch.mask if batch.padded else None
        return self.step(batch.ids, mask, batch.positions, logits=logits, cache=cache)

    def step(
        self,
        ids: torch.Tensor,
        mask: torch.Tensor | None,
        positions: torch.Tensor,
        *,
        logits: int | None = None,
        cache: Any = None,
    ) -> Any:
        """One pass over columns of a batch; `mask` also covers what the cache holds, None where nothing is padded."""
        extra: dict[str, Any] = {"use_cache": False} if cache is None else {"past_key_values": cache, "use_cache": True}
        if self._takes_positions:
            extra["position_ids"] = positions
        if logits is not None and self._keeps_few_logits:
            extra["logits_to_keep"] = logits
        return self.model(input_ids=ids, attention_mask=mask, **extra)

    def last_logits(self, output: Any, batch: Batch) -> torch.Tensor:
        """Logits after each prompt's last token, [n, vocab], of a pass that kept all or the last logits."""
        logits: torch.Tensor = output.logits
        columns = torch.from_numpy(batch.first + batch.lengths - 1).to(logits.device)
        if logits.shape[1] == 1:
            return logits[:, -1]
        return logits[torch.arange(len(columns), device=logits.device), columns]

    def keep(self, batch: Batch) -> int | None:
        """For `forward(logits=)`: 1 where every prompt ends in the last column, so that no other logits are needed."""
        return 1 if (batch.first + batch.lengths == batch.width).all() else None

    @contextmanager
    def tapped(self, taps: Iterable[tuple[Site, int, See]]) -> Iterator[None]:
        """While it lasts, `see` is called at each (site, layer). A Stop ends the pass; only our own hooks go."""
        handles: list[Any] = []
        try:
            for site, layer, see in taps:
                handles += tap(self.anatomy, site, layer, see)
            yield
        except Stop:
            pass
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def skipping(self, below: int) -> Iterator[None]:
        """While it lasts, the blocks below this one pass on what they get; what they would have done is known."""
        skipped = self.anatomy.blocks[:below]
        before = [block.module.__dict__.get("forward") for block in skipped]
        try:
            for block in skipped:
                block.module.forward = partial(_pass_on, block.returns)
            yield
        finally:
            for block, own in zip(skipped, before, strict=True):
                if own is None:
                    block.module.__dict__.pop("forward", None)
                else:  # accelerate keeps its own there
                    block.module.forward = own

    @contextmanager
    def eager(self) -> Iterator[None]:
        """While it lasts, attention is computed in the implementation that shows its weights."""
        config = text_config(self.model)  # its modules ask it in every pass; Falcon has no other switch
        before = config._attn_implementation
        config._attn_implementation = "eager"
        try:
            yield
        finally:
            config._attn_implementation = before


def _pass_on(returns: int, /, *args: Any, **kwargs: Any) -> Any:
    stream = stream_in(args, kwargs)
    return (stream, *[None] * (returns - 1)) if returns else stream
