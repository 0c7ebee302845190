"""A model under study: read it, change it, let it choose, let it speak.

Torch is imported with the first subject, so that the signatures can be had without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.subjects import adapters
from lab.subjects.base import HookPoints, Speaker
from lab.subjects.edits import Edits
from lab.subjects.errors import SubjectError
from lab.subjects.hook_points import HookPoint, Outline
from lab.subjects.prompts import Position, Prompt, Side, encode_all, plain
from lab.subjects.results import Activations, Choice, Generation, Said, Sweep

if TYPE_CHECKING:
    import torch
    from torch import nn

    from lab.subjects.running import Runner


class Subject(Speaker, HookPoints):
    """A Hugging Face causal language model, as it is: hooks come and go, the model is never changed.

    Attributes
    ----------
    name
        What the user calls it.
    model, tokenizer
        The user's own objects.
    anatomy
        Where its hook points are; `lab describe MODEL` prints it.
    n_layers, d_model, n_heads
        Depth and width of the residual stream, and the heads of a layer (None where no heads were found).
    context
        The longest prompt, in tokens.
    padding_side
        Where batches are padded, "left" or "right"; either gives the same numbers. Generation and sweeps
        pad on the left whatever stands here, so that on the left a prompt is read as it is generated from.
    tokens_per_batch
        The largest batch, in padded tokens; halved when memory runs out.
    batch_size
        The largest batch, in rows; None, as it is at first, leaves it to `tokens_per_batch`.
    notes
        How the model had to be run: batches made smaller, a cache that could not be shared.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Any,
        *,
        name: str,
        blocks: nn.ModuleList | None = None,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self.tokenizer = name, tokenizer
        self.model: Any = model.eval()
        self._by_hand: dict[str, Any] = {"blocks": blocks, "names": names}
        self._look()

    def _look(self) -> None:
        """Finds the hook points, anew after an adapter has come."""
        from lab.subjects import architecture
        from lab.subjects.running import Runner

        before: Runner | None = self.__dict__.get("_runner")
        self.anatomy = architecture.dissect(self.model, **self._by_hand)
        self._runner = Runner(self.model, self.tokenizer, self.anatomy, self.name)
        if before is not None:
            self._runner.side, self._runner.tokens_per_batch = before.side, before.tokens_per_batch
            self._runner.batch_size = before.batch_size
            self._runner.notes = before.notes

    @property
    def blocks(self) -> list[nn.Module]:
        return [block.module for block in self.anatomy.blocks]

    @property
    def device(self) -> torch.device:
        return self._runner.device

    @property
    def outline(self) -> Outline:
        return self._runner.outline

    @property
    def padding_side(self) -> Side:
        return self._runner.side

    @padding_side.setter
    def padding_side(self, side: Side) -> None:
        if side not in ("left", "right"):
            raise SubjectError(f"padding_side is 'left' or 'right', not {side!r}")
        self._runner.side = side

    @property
    def tokens_per_batch(self) -> int:
        return self._runner.tokens_per_batch

    @tokens_per_batch.setter
    def tokens_per_batch(self, tokens: int) -> None:
        if tokens < 1:
            raise SubjectError(f"tokens_per_batch={tokens} is no batch; use at least 1")
        self._runner.tokens_per_batch = tokens

    @property
    def batch_size(self) -> int | None:
        return self._runner.batch_size

    @batch_size.setter
    def batch_size(self, rows: int | None) -> None:
        if rows is not None and rows < 1:
            raise SubjectError(f"batch_size={rows} is no batch; use at least 1")
        self._runner.batch_size = rows

    @property
    def shares_prefix(self) -> bool:
        """Whether tokens that rows have in common are computed once; tried out on the model when first asked."""
        return self._runner.shares_prefix

    @property
    def thinks(self) -> bool:
        """Whether it has a thinking mode: its chat template knows `enable_thinking`."""
        return "enable_thinking" in str(getattr(self.tokenizer, "chat_template", None))

    @property
    def notes(self) -> list[str]:
        return self._runner.notes

    def __repr__(self) -> str:
        return f"Subject({self.name!r}, {self.n_layers} layers, d_model {self.d_model})"

    # Reading -----------------------------------------------------------------------------------------

    def capture(
        self,
        prompts: Sequence[Prompt],
        at: str | HookPoint,
        position: Position = "last",
        *,
        pooled: bool = False,
        edit: Edits = None,
        max_tokens: int | None = None,
        out: str | Path | None = None,
    ) -> Activations:
        """The activations of each prompt at the layers of `at`, in their order.

        Parameters
        ----------
        prompts
            Strings, conversations (lists of chat messages), or lists of token ids.
        at
            A hook point, as `subject.resid_post(0.5)`, or its name for all layers.
        position
            One token of each prompt: "last" (its last real one), "assistant" (the first of the assistant's turn
            in a conversation), a number (from its first token, or -1 from its last), or a list with a number for
            each prompt. Several: "all", a slice, or a list of lists. Pooled over real tokens: "mean", or
            "attention", weighted by the layer's attention from the last token, mean over heads.
        pooled
            Takes the mean over the tokens that `position` names, as over an answer's own, in place of each of them.
        edit
            Patches or steering to read under.
        max_tokens
            Longer prompts keep their last `max_tokens` tokens; `.truncated` counts them. By default a prompt
            beyond the model's context is an error.
        out
            A file to write to instead of memory (safetensors, tensor "activations"); `.array` then maps it.

        Only what is asked for leaves the model: values are taken inside the hooks, no layer after the last
        one wanted is run, and no LM head. See `Activations` for the shape. Raises PromptError, SubjectError.
        """
        from lab.subjects import reading

        return reading.capture(
            self._runner,
            prompts,
            self._named(at),
            plain(position),
            pooled=pooled,
            edits=self._listed(edit),
            max_tokens=max_tokens,
            out=out,
        )

    def choose(
        self,
        prompts: Sequence[Prompt],
        options: Sequence[str] | Sequence[Sequence[str]],
        *,
        per_token: bool = False,
        edit: Edits = None,
    ) -> Choice:
        """The exact probability of each option as the text that follows each prompt; nothing is sampled.

        `options` is one list of k texts for all prompts, or a list of k texts for each. An option is
        its whole text (mind the space before a word). What follows it does not count, but for another option: a text
        that begins with 10 names 10 and not 1. `per_token` divides its log-probability by its
        token count. One pass over the prompts; later tokens of options read the prompt from the cache.
        `edit` acts while prompt and (with `decoding`) option are read. Raises PromptError for options that
        do not fit the prompts.
        """
        from lab.subjects import scoring

        return scoring.choose(self._runner, prompts, options, per_token=per_token, edits=self._listed(edit))

    # Speaking ----------------------------------------------------------------------------------------

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int = 16,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seeds: Sequence[int] | Sequence[Sequence[int]] | None = None,
        edit: Edits = None,
    ) -> Generation:
        """Continues each prompt, greedily at temperature 0.

        At a higher temperature every prompt draws from its own seed (by default its index), so that a
        batch writes what its prompts would have written one by one; below a `top_p` of 1 from the fewest of the
        likeliest tokens that have this share of the probability together. With a row of seeds for each prompt
        [n, samples] that many continuations of each stand side by side, and a prompt is read once for all of them.
        `edit` acts in the prompt pass and, with `decoding`, on every decoded token. Raises PromptError.
        """
        from lab.subjects import speaking

        drawn = np.arange(len(prompts)) if seeds is None else np.asarray(seeds)
        drawn = drawn[:, None] if drawn.ndim == 1 else drawn
        return speaking.generate(
            self._runner,
            prompts,
            samples=drawn.shape[1],
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
            seeds=drawn,
            edits=self._listed(edit),
        )

    def chats(
        self,
        conversations: Sequence[Prompt],
        seeds: Sequence[int],
        *,
        n: int = 1,
        temperature: float = 0.0,
        top_p: float = 1.0,
        max_new_tokens: int = 64,
        edit: Edits = None,
    ) -> list[list[list[str]]]:
        """As `chat` under each of several seeds, [seeds][conversations][n]; a conversation is read once for all."""
        from lab.subjects import speaking

        if n < 1:
            raise SubjectError(f"n={n} answers were asked for; ask for at least one")
        greedy = temperature == 0
        drawn, samples = (seeds[:1], 1) if greedy else (seeds, n)
        by_seed = [speaking.sample_seeds(seed, len(conversations), samples) for seed in drawn]
        texts = speaking.generate(
            self._runner,
            conversations,
            samples=len(drawn) * samples,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
            seeds=np.concatenate(by_seed, axis=1),
            edits=self._listed(edit),
        ).texts
        said = [
            [texts[i + k * samples : i + (k + 1) * samples] for i in range(0, len(texts), len(drawn) * samples)]
            for k in range(len(drawn))
        ]
        return [[each * n for each in said[0]] for _ in seeds] if greedy else said

    def replies(self, conversations: Sequence[Prompt], *, max_new_tokens: int, effort: str | None = None) -> list[Said]:
        """A greedy answer to each conversation, with whether it is whole; one that does not fit stops no other.

        One that leaves less than `max_new_tokens` of the context is answered in so much. `effort` is for models
        behind an API. Raises PromptError for what is no prompt.
        """
        lengths = [len(ids) for ids in encode_all(self.tokenizer, conversations, vocabulary=self._runner.vocabulary)]
        rooms = [min(max_new_tokens, self.context - length) for length in lengths]
        said = [Said(fault=f"it leaves no room in the model's context of {self.context} tokens")] * len(rooms)
        for room in sorted({room for room in rooms if room > 0}):
            these = [i for i in range(len(rooms)) if rooms[i] == room]
            made = self.generate([conversations[i] for i in these], max_new_tokens=room)
            for i, text, tokens in zip(these, made.texts, made.tokens, strict=True):
                said[i] = Said(text, cut=len(tokens) == room)
        return said

    # Sweeping ----------------------------------------------------------------------------------------

    def patch_sweep(
        self,
        clean: Sequence[Prompt],
        corrupted: Sequence[Prompt],
        at: str | HookPoint = "resid_post",
        positions: Position = "last",
        *,
        answers: tuple[Sequence[int], Sequence[int]] | None = None,
    ) -> Sweep:
        """Activation patching from the clean into the corrupted run, at each layer and position in turn.

        Parameters
        ----------
        clean, corrupted
            Prompts in pairs. Positions other than "last" need pairs of equal token length.
        at
            "resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "head_out" (each head in turn), or
            a hook point with some of the layers.
        positions
            As in `capture`: "last", "all", a number, a slice, or a list for each prompt.
        answers
            Token ids of the right and the wrong answer, one for each pair or one for all: the sweep then keeps
            their logit difference instead of all logits.

        Tokens before the first patched one are computed once, and all layers ride in one batch on the rest;
        the results equal one whole run a patch. See `Sweep`. Raises PromptError, StructureError, SubjectError.
        """
        from lab.subjects import sweeping

        return sweeping.patch_sweep(self._runner, clean, corrupted, self._named(at), plain(positions), answers)

    # Adapters ----------------------------------------------------------------------------------------

    def add_adapter(self, folder: str | Path, name: str = "default") -> None:
        """Attaches a LoRA adapter (a peft folder or hub name) and turns it on. Raises LoadError."""
        adapters.add(self.model, folder, name)
        self._look()

    def adapter(self, name: str | None) -> adapters.Switched:
        """`with subject.adapter(None):` runs without adapters, `with subject.adapter("judge"):` with that one."""
        return adapters.Switched(self.model, name)


def wrap(
    model: nn.Module,
    tokenizer: Any,
    *,
    name: str | None = None,
    blocks: nn.ModuleList | None = None,
    names: Mapping[str, str] | None = None,
) -> Subject:
    """A subject of a model that is already loaded; the model is left as it is, but for `eval()`.

    `blocks` names the list of blocks by hand, `names` the modules inside a block that carry a hook point
    (`{"attn_out": "attention.dense", "mlp_out": "mlp"}`). Raises StructureError where the model is not understood.
    """
    return Subject(model, tokenizer, name=name or type(model).__name__, blocks=blocks, names=names)
