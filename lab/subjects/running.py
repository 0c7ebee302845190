"""Running a model: one pass over a batch, with hooks that come and go, in batches that fit the memory."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch

from lab.subjects import adapters, operations, prefix
from lab.subjects.architecture import Anatomy, stream_in, text_config
from lab.subjects.batches import Batch, by_length, pad
from lab.subjects.effort import DONE
from lab.subjects.errors import OutOfMemory, Stop, StructureError, SubjectError, is_out_of_memory
from lab.subjects.hook_points import HookPoint, Layer, Outline
from lab.subjects.hooks import See, Tap, tap
from lab.subjects.names import ways_out
from lab.subjects.prompts import Prompt, Side, encode

TOKENS_PER_BATCH = 8192


class Runner:
    """A model that is never changed, and what has to be known to run it.

    `tokens_per_batch` bounds a batch; when memory runs out it is halved, for good, and `notes` says so. `batch_size`,
    where it is not None, bounds its rows.
    """

    def __init__(self, model: Any, tokenizer: Any, anatomy: Anatomy, name: str) -> None:
        self.model: Any = model
        self.tokenizer, self.anatomy, self.name = tokenizer, anatomy, name
        self.side: Side = "left"
        self.tokens_per_batch = TOKENS_PER_BATCH
        self.batch_size: int | None = None
        self.notes: list[str] = []
        self.mixes: dict[str, bool] = {}
        config = text_config(model)
        lengths = (getattr(config, name, None) for name in ("max_position_embeddings", "max_seq_len", "n_positions"))
        limits = (next(filter(None, lengths), None), getattr(tokenizer, "model_max_length", None))
        self.context = int(min(limit for limit in (*limits, 10**9) if limit))
        embedding: Any = self.model.get_input_embeddings()
        self.vocabulary = int(embedding.num_embeddings)
        # `is not None`, because 0 is a good token id; and a pad token may have been added without a row for it.
        ids = (getattr(tokenizer, "pad_token_id", None), getattr(tokenizer, "eos_token_id", None), 0)
        self.fill = next(int(i) for i in ids if i is not None and int(i) < self.vocabulary)
        accepted = inspect.signature(_innermost(model).forward).parameters
        open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values())
        self._takes_positions = "position_ids" in accepted or (open_ended and model is not _innermost(model))
        self._keeps_few_logits = "logits_to_keep" in accepted
        self.changes_beyond = _rope_limit(config)
        self._shares: bool | None = None
        self._groups = False
        self.outline = self._outline()
        self._check_padding()

    def _outline(self) -> Outline:
        layers = tuple(
            Layer(
                b.attn_out, b.mlp_out, b.reads_mid, b.head_out, b.norms, tuple(n for n, _ in b.module.named_children())
            )
            for b in self.anatomy.blocks
        )
        found = self.anatomy
        return Outline(
            found.owner,
            layers,
            found.d_model,
            found.n_heads,
            found.d_head,
            self.context,
            sum(p.numel() for p in self.model.parameters()),
            tuple(adapters.known(self.model)),
        )

    @torch.no_grad()
    def _check_padding(self) -> None:
        """Compares two passes with a plain one of Hugging Face's: positions given, and three tokens padded either way.

        Models with positions of their own are run without ours; where pads leak into the numbers, only
        prompts of equal length share a batch.
        """
        ids = torch.arange(1, 6, device=self.device) % self.vocabulary
        ones = torch.ones((1, 3), dtype=torch.long, device=self.device)
        plain = self.model(input_ids=ids[None, :3], attention_mask=ones, use_cache=False).logits[0, -1].float()
        self.n_logits = len(plain)
        spread = float(plain.max() - plain.min())
        tolerance = spread * (1e-3 if self.model.dtype == torch.float32 else 0.1)

        def same(logits: torch.Tensor) -> bool:
            return bool((logits.float() - plain).abs().max() <= tolerance)

        rows = [ids.tolist(), ids[:3].tolist()]
        if not same(self.forward(self.pad(rows, [1])).logits[0, -1]):
            self._takes_positions = False
        left, right = (self.forward(self.pad(rows, [0, 1], side=side)).logits[1] for side in ("left", "right"))
        self.mixes = {"left": same(left[-1]), "right": same(right[2])}
        if not self.mixes["left"]:
            self.side = "right" if self.mixes["right"] else "left"
            leaks = "on the left" if self.mixes["right"] else "on either side"
            self.note(f"pads {leaks} change its numbers; only prompts of equal length are padded there together")

    @property
    def device(self) -> torch.device:
        """Where token ids go: where the embedding is."""
        embedding = self.model.get_input_embeddings()
        device: torch.device = next((embedding or self.model).parameters()).device
        return device if device.type != "meta" else torch.device(self.model.device)

    @property
    def place(self) -> str:
        """The kind of device, as "cpu" or "cuda"."""
        return self.device.type

    @property
    def shares_prefix(self) -> bool:
        """Can tokens that several rows have in common be computed once? Tried out on the model when first asked."""
        if self._shares is None:
            self._groups = self.mixes["left"] and self._reads_prefix(copied=False)
            self._shares = self._groups or (self.mixes["left"] and self._reads_prefix(copied=True))
            if not self._shares:
                self.note("its cache cannot be shared between rows; shared prompts are computed anew for each row")
        return self._shares

    @torch.no_grad()
    def _reads_prefix(self, *, copied: bool) -> bool:
        """Whether rows after a shared prefix give the logits of whole prompts: three tokens and two of two rows.

        Once with all blocks, once with all but the last skipped and what they gave put in their place.
        """
        ids = (torch.arange(1, 11, device=self.device).view(2, 5) * 7) % self.vocabulary
        ids[1, :3] = ids[0, :3]
        positions = torch.arange(5, device=self.device).expand(2, 5)
        below = max(1, len(self.anatomy.blocks) - 1)
        at, kept = HookPoint("resid_post", (below - 1,)), []

        def keep(stream: torch.Tensor) -> None:
            kept.append(stream[:, 3:])

        try:
            with self.tapped([(at, below - 1, keep)]):
                whole = self.step(ids, None, positions).logits[:, -1]
            cache = prefix.empty()
            self.step(ids[:1, :3], None, positions[:1, :3], cache=cache)
            reader = prefix.shared(cache, 3, copied=copied)
            parts = [self.step(ids[:, 3:], None, positions[:, 3:], cache=reader).logits[:, -1]]
            with self.skipping(below), self.tapped([(at, below - 1, lambda _stream: kept[0])]):
                parts.append(self.step(ids[:, 3:], None, positions[:, 3:], cache=reader).logits[:, -1])
        except Exception as error:  # recurrent and other caches fail in ways of their own
            if is_out_of_memory(error):
                raise
            return False
        signal = float((whole[0] - whole[1]).float().abs().max())  # what the last two tokens change
        tolerance = signal * (1e-3 if whole.dtype == torch.float32 else 0.1)
        return all(float((part - whole).float().abs().max()) <= tolerance for part in parts)

    @property
    def stop(self) -> Tap:
        """Ends a pass that only fills a cache, before the last block's output projection."""

        def end(_stream: torch.Tensor) -> None:
            raise Stop

        last = len(self.anatomy.blocks) - 1
        ends_early = self.anatomy.blocks[last].head_out is not None and self.anatomy.d_head
        return HookPoint("head_out" if ends_early else "resid_post", (last,)), last, end

    def may_share(self, longest: int) -> bool:
        """Whether rows of up to so many tokens can share a prefix; some rotary embeddings change with the length."""
        if self.changes_beyond is not None and longest > self.changes_beyond:
            self.note(
                f"beyond {self.changes_beyond} tokens its rotary embedding depends on the length of the text; such "
                "prompts are computed whole, with others of equal length"
            )
            return False
        return self.shares_prefix

    def reader(self, cache: Any, width: int, rows: slice | torch.Tensor | None = None, *, new: int) -> Any:
        """`prefix.shared` for passes of `new` tokens a row, in the way that moves less memory."""
        fewer = new <= 2 * (self.anatomy.d_head or 1)  # scores of grouped attention against copies of keys and values
        return prefix.shared(cache, width, rows, copied=not (self._groups and fewer))

    def note(self, text: str) -> None:
        """Keeps a remark about how this model had to be run."""
        if text not in self.notes:
            self.notes.append(text)

    # Batches ------------------------------------------------------------------------------------------

    def encode(self, prompts: Sequence[Prompt], room: int = 0) -> list[list[int]]:
        return encode(self.tokenizer, prompts, context=self.context, vocabulary=self.vocabulary, room=room)

    def in_batches(
        self,
        rows: Sequence[Sequence[int]],
        run: Callable[[list[int]], None],
        *,
        doing: str,
        copies: int = 1,
        more: int = 0,
        side: Side | None = None,
        divisible: bool = False,
    ) -> None:
        """Calls `run` with indices of rows, longest first, at most `tokens_per_batch` padded tokens and
        `batch_size` rows at once.

        `doing` is what a user sees while it lasts, "" where `run` tells it itself.
        Each row counts `copies` times, and `more` tokens beside its own. Out of memory halves the batch and goes
        on with what is not done; `run` must be able to start a batch anew. Raises OutOfMemory for a batch of one
        row, unless `run` is `divisible`: then it heeds `tokens_per_batch` itself. Rows of different length stay
        apart where padding on `side`, or the length itself, would change the numbers.
        """
        if self.model.training:
            raise SubjectError(f"{self.name} is in training mode, with dropout; call model.eval() first")
        todo = by_length(rows)
        telling = operations.of(doing, total=len(rows), unit="prompts") if doing else nullcontext(lambda _count: None)
        with telling as advance:
            while todo:
                size = max(1, self.tokens_per_batch // ((len(rows[todo[0]]) + more) * copies))
                if self.batch_size is not None:
                    size = min(size, max(1, self.batch_size // copies))
                chosen = todo[:size]
                if not self.mixes[side or self.side] or self._depends_on_length(len(rows[chosen[0]]) + more):
                    chosen = [i for i in chosen if len(rows[i]) == len(rows[chosen[0]])]
                fault = None
                try:
                    run(chosen)
                except (torch.OutOfMemoryError, RuntimeError, MemoryError) as error:
                    if not is_out_of_memory(error):
                        raise
                    fault = (str(error) or "MemoryError").splitlines()[0]
                if fault is None:
                    todo = todo[len(chosen) :]
                    advance(len(chosen))
                else:  # outside of `except`, where the traceback no longer holds the batch's tensors
                    self._step_down(
                        len(chosen), len(rows[chosen[0]]), (len(rows[chosen[0]]) + more) * copies, fault, divisible
                    )

    def _depends_on_length(self, length: int) -> bool:
        return self.changes_beyond is not None and length > self.changes_beyond

    def _step_down(self, size: int, width: int, cost: int, fault: str, divisible: bool) -> None:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if size == 1 and divisible and self.tokens_per_batch > 1:
            self.tokens_per_batch = min(self.tokens_per_batch, cost) // 2 or 1
            self.note(f"out of memory with one prompt of {width} tokens; went on with a smaller part of its runs")
            return
        if size == 1:
            raise OutOfMemory(
                f"{self.name} ran out of memory on one prompt of {width} tokens ({fault}); try shorter prompts, "
                "load(..., dtype='bfloat16'), quantize='nf4' or device_map='auto' (in a run --lab-load dtype=bfloat16) "
                f"or {ways_out(self.name, self.device.type)}"
            )
        self.tokens_per_batch = size // 2 * cost
        self.note(f"out of memory with {size} prompts of {width} tokens in a batch; went on with {size // 2}")

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
            # Indices, not a number: with a number some models cut the stream itself in their upper layers.
            extra["logits_to_keep"] = torch.arange(-logits, 0, device=self.device)
        if getattr(self.model.config, "return_dict", True) is False:
            extra["return_dict"] = True
        attention = getattr(cache, "lab_attention", None)
        DONE.passes += 1
        DONE.tokens += ids.numel()
        with self.attending(attention) if attention else nullcontext():
            return self.model(input_ids=ids, attention_mask=mask, **extra)

    def decode(
        self, ids: torch.Tensor, mask: torch.Tensor, start: int, config: Any, sampling: Any, **extra: Any
    ) -> torch.Tensor:
        """What Hugging Face's decoding writes after these rows [n, new], of which a cache holds the first `start`."""
        written = self.model.generate(
            input_ids=ids, attention_mask=mask, generation_config=config, logits_processor=sampling, **extra
        )
        new: torch.Tensor = written[:, ids.shape[1] :]
        self.count_decoding(ids, start, new.shape[1])
        return new

    def count_decoding(self, ids: torch.Tensor, start: int, new: int) -> None:
        """Passes of decoding: one over what no cache holds of the rows, then one for each new token but the last."""
        DONE.passes += new
        DONE.tokens += len(ids) * (ids.shape[1] - start + new - 1)

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
    def tapped(self, taps: Iterable[Tap]) -> Iterator[None]:
        """While it lasts, `see` is called at each (hook point, layer). A Stop ends the pass; only our own hooks go."""
        width = [0]

        def note(_module: Any, args: Any, kwargs: Any) -> None:
            width[0] = stream_in(args, kwargs).shape[1]

        def whole(at: HookPoint, layer: int, see: See) -> See:
            def checked(stream: torch.Tensor) -> torch.Tensor | None:
                if stream.shape[1] != width[0]:
                    raise StructureError(
                        f"{self.name}: layer {layer} sees {stream.shape[1]} of {width[0]} tokens at {at.name}, so "
                        "its positions cannot be told; choose a lower layer"
                    )
                return see(stream)

            return checked

        handles: list[Any] = []
        try:
            first = self.anatomy.blocks[0].module
            handles.append(first.register_forward_pre_hook(note, with_kwargs=True))
            for at, layer, see in taps:
                handles += tap(self.anatomy, at, layer, whole(at, layer, see))
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
    def attending(self, how: str) -> Iterator[None]:
        """While it lasts, attention is computed in this implementation: "eager" shows its weights."""
        config = text_config(self.model)  # its modules ask it in every pass; Falcon has no other switch
        before = config._attn_implementation
        config._attn_implementation = how
        try:
            yield
        finally:
            config._attn_implementation = before


def _pass_on(returns: int, /, *args: Any, **kwargs: Any) -> Any:
    stream = stream_in(args, kwargs)
    return (stream, *[None] * (returns - 1)) if returns else stream


def _innermost(model: Any) -> Any:
    """The Hugging Face model within wrappers of peft and torch.compile, whose `forward` names its arguments."""
    if hasattr(model, "get_base_model"):
        return _innermost(model.get_base_model())
    return _innermost(model._orig_mod) if hasattr(model, "_orig_mod") else model


def _rope_limit(config: Any) -> int | None:
    """The length beyond which rotary frequencies depend on that of the text (longrope, dynamic); None elsewhere."""
    given = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    kinds = [given, *(value for value in given.values() if isinstance(value, dict))]
    for kind in kinds:
        if kind.get("rope_type", kind.get("type")) in ("longrope", "dynamic"):
            limit = kind.get("original_max_position_embeddings") or getattr(
                config, "original_max_position_embeddings", None
            )
            return int(limit or config.max_position_embeddings)
    return None
