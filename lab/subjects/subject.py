"""What can be done with a model under study? Read it, change it, let it choose, let it speak."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lab.subjects import adapters, architecture, reading, scoring, speaking, sweeping
from lab.subjects.edits import Edit, shaped
from lab.subjects.errors import PromptError, StructureError, SubjectError
from lab.subjects.points import POINTS, Site, features, require
from lab.subjects.prompts import POOLED, Position, Prompt, Side, plain
from lab.subjects.results import Activations, Choice, Generation, Sweep
from lab.subjects.running import Runner

Where = float | int | Sequence[float | int] | slice | None
Edits = Edit | Sequence[Edit] | None


class Subject:
    """A Hugging Face causal language model, as it is: hooks come and go, the model is never changed.

    Attributes
    ----------
    name
        What the user calls it.
    model, tokenizer
        The user's own objects.
    anatomy
        Where its hook points are; `python -m lab.subjects describe MODEL` prints it.
    n_layers, d_model, n_heads
        Depth and width of the residual stream, and the heads of a layer (None where no heads were found).
    context
        The longest prompt, in tokens.
    padding_side
        Where batches are padded, "left" or "right"; either gives the same numbers. Generation and sweeps
        pad on the left whatever stands here, so that on the left a prompt is read as it is generated from.
    tokens_per_batch
        The largest batch, in padded tokens; halved when memory runs out.
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
        before: Runner | None = self.__dict__.get("_runner")
        self.anatomy = architecture.dissect(self.model, **self._by_hand)
        self._runner = Runner(self.model, self.tokenizer, self.anatomy, self.name)
        if before is not None:
            self._runner.side, self._runner.tokens_per_batch = before.side, before.tokens_per_batch
            self._runner.notes = before.notes
        self.n_layers, self.d_model = len(self.anatomy.blocks), self.anatomy.d_model
        self.n_heads, self.context = self.anatomy.n_heads, self._runner.context

    @property
    def blocks(self) -> list[nn.Module]:
        return [block.module for block in self.anatomy.blocks]

    @property
    def device(self) -> torch.device:
        return self._runner.device

    @property
    def n_parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters())

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
    def shares_prefix(self) -> bool:
        """Whether tokens that rows have in common are computed once; tried out on the model when first asked."""
        return self._runner.shares_prefix

    @property
    def notes(self) -> list[str]:
        return self._runner.notes

    def __repr__(self) -> str:
        return f"Subject({self.name!r}, {self.n_layers} layers, d_model {self.d_model})"

    # Hook points -------------------------------------------------------------------------------------

    def resid_post(self, where: Where = None) -> Site:
        """The residual stream after a block, before any final norm.

        `where` is a fraction of the depth (0.5 is layer int(0.5 * n_layers), 1.0 the last), a layer
        index, a list of them, a slice (`slice(None, None, 2)` is every second), or nothing for all layers.
        Raises SubjectError out of range.
        """
        return Site("resid_post", self._layers(where))

    def resid_pre(self, where: Where = None) -> Site:
        """The residual stream before a block; `where` as in `resid_post`."""
        return Site("resid_pre", self._layers(where))

    def resid_mid(self, where: Where = None) -> Site:
        """The residual stream between attention and MLP. Raises StructureError for parallel blocks, which have none."""
        return self._site("resid_mid", where)

    def attn_out(self, where: Where = None) -> Site:
        """What a block's attention adds to the residual stream, after any norm of its own."""
        return self._site("attn_out", where)

    def mlp_out(self, where: Where = None) -> Site:
        """What a block's MLP adds to the residual stream, after any norm of its own."""
        return self._site("mlp_out", where)

    def head_out(self, where: Where = None, heads: Sequence[int] | None = None) -> Site:
        """Each head's output before the output projection, [heads, d_head] a token; TransformerLens calls it z."""
        return self._site("head_out", where, heads)

    def attn_pattern(self, where: Where = None, heads: Sequence[int] | None = None) -> Site:
        """Each head's attention weights, [heads, keys] a query token. Read under eager attention, while it is read."""
        return self._site("attn_pattern", where, heads)

    def norm_out(self, where: Where = None, norm: str | None = None) -> Site:
        """The output of a norm inside a block, under its own name: not the residual stream.

        Without a name, the last norm of the block. That is what reports 000 and 001 read as "residual"
        (`post_feedforward_layernorm` in Gemma, `post_attention_layernorm` in Llama, `ln_2` in GPT-2).
        Raises StructureError for a norm that a block has not.
        """
        layers = self._layers(where)
        for layer in layers:
            known = self.anatomy.blocks[layer].norms
            if not known or (norm is not None and norm not in known):
                said = f"no norm {norm!r}" if norm else "no norm"
                raise StructureError(
                    f"block {layer} of {self.name} has {said}; its norms: {', '.join(known) or 'none'}"
                )
        return Site("norm_out", layers, norm or self.anatomy.blocks[layers[0]].norms[-1])

    def _site(self, point: str, where: Where, heads: Sequence[int] | None = None) -> Site:
        layers = self._layers(where)
        require(self.anatomy, point, layers)
        if point == "head_out" and self.anatomy.d_head is None:
            raise StructureError(f"{self.name}: its layers have heads of different sizes; none can be read")
        if heads is not None:
            n_heads = self.n_heads or 0
            if not len(heads) or any(not -n_heads <= head < n_heads for head in heads):
                raise SubjectError(f"no heads {list(heads)} in {self.name}; a layer has heads 0 to {n_heads - 1}")
            return Site(point, layers, heads=tuple(int(head) % n_heads for head in heads))
        return Site(point, layers)

    def _named(self, at: str | Site) -> Site:
        """A hook point, all layers of it where only its name is given."""
        if isinstance(at, Site):
            return at
        if at not in POINTS:
            raise SubjectError(f"no hook point {at!r}; there are {', '.join(POINTS)}")
        site: Site = getattr(self, at)()
        return site

    def _layers(self, where: Where) -> tuple[int, ...]:
        if where is None:
            layers: Sequence[int] = range(self.n_layers)
        elif isinstance(where, slice):
            layers = range(self.n_layers)[where]
        elif isinstance(where, Iterable) and not isinstance(where, str):
            layers = [self._layer(i) for i in where]
        else:
            layers = [self._layer(where)]
        wrong = [i for i in layers if not -self.n_layers <= i < self.n_layers]
        if wrong or not layers:
            raise SubjectError(f"no layer {wrong or where} in {self.name}; it has layers 0 to {self.n_layers - 1}")
        return tuple(i % self.n_layers for i in layers)

    def _layer(self, where: Any) -> int:
        if isinstance(where, int | np.integer) and not isinstance(where, bool):
            return int(where)
        if not isinstance(where, float | np.floating):
            raise SubjectError(f"no layer {where!r}; name layers by index, fraction of the depth, list or slice")
        if not 0 <= where <= 1:
            raise SubjectError(f"depth {where} is not a fraction between 0 and 1; pass an int for a layer index")
        return min(int(where * self.n_layers), self.n_layers - 1)

    # Reading -----------------------------------------------------------------------------------------

    def capture(
        self,
        prompts: Sequence[Prompt],
        at: str | Site,
        position: Position = "last",
        *,
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
        return reading.capture(
            self._runner,
            prompts,
            self._named(at),
            plain(position),
            edits=_listed(edit),
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
        its whole text (mind the space before a word). `per_token` divides its log-probability by its
        token count. One pass over the prompts; later tokens of options read the prompt from the cache.
        `edit` acts while prompt and (with `decoding`) option are read. Raises PromptError for options that
        do not fit the prompts.
        """
        return scoring.choose(self._runner, prompts, options, per_token=per_token, edits=_listed(edit))

    # Speaking ----------------------------------------------------------------------------------------

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int = 16,
        temperature: float = 0.0,
        seeds: Sequence[int] | None = None,
        edit: Edits = None,
    ) -> Generation:
        """Continues each prompt, greedily at temperature 0.

        At a higher temperature every prompt draws from its own seed (by default its index), so that a
        batch writes what its prompts would have written one by one. `edit` acts in the prompt pass and,
        with `decoding`, on every decoded token. Raises PromptError.
        """
        drawn = np.arange(len(prompts)) if seeds is None else np.asarray(seeds)
        return speaking.generate(
            self._runner,
            prompts,
            samples=1,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seeds=drawn.reshape(-1, 1),
            edits=_listed(edit),
        )

    def chat(
        self,
        conversations: Sequence[Prompt],
        *,
        n: int = 1,
        temperature: float = 0.0,
        seed: int = 0,
        max_new_tokens: int = 64,
        edit: Edits = None,
    ) -> list[list[str]]:
        """n answers to each conversation (chat messages, or strings as they are).

        Sample j of conversation i draws from a seed made of (seed, i, j); a conversation is read once for
        all its samples. Greedy answers are all equal, so they are written once. Raises PromptError.
        """
        if n < 1:
            raise SubjectError(f"n={n} answers were asked for; ask for at least one")
        samples = n if temperature > 0 else 1
        texts = speaking.generate(
            self._runner,
            conversations,
            samples=samples,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seeds=speaking.sample_seeds(seed, len(conversations), samples),
            edits=_listed(edit),
        ).texts
        return [texts[i : i + samples] * (n // samples) for i in range(0, len(texts), samples)]

    # Changing ----------------------------------------------------------------------------------------

    def patch(self, at: Site, values: np.ndarray, *, position: Position = "last", decoding: bool = False) -> Edit:
        """Activations to put in place of the model's own, by default at each prompt's last token, in the prompt pass.

        `values` is [n, d_model] for one layer, or as `capture` gives it: [n, layers, d_model], or
        [n, layers, positions, d_model] with the same `position`. Tokens decoded later attend to what the
        patch left, and are patched themselves only with `decoding`. Raises SubjectError for a wrong shape.
        """
        return self._edit(at, values, position, decoding, "replace", per_prompt=True)

    def steer(
        self,
        at: Site,
        vector: np.ndarray,
        coefficient: float = 1.0,
        *,
        position: Position = "all",
        decoding: bool = True,
        norm_matched: bool = False,
    ) -> Edit:
        """A steering vector, by default added at every token, read or written.

        `vector` is [d_model], or [layers, d_model] with one for each layer of `at`. The three common modes:
        all tokens (the default), the last position of every pass (`position="last"`), and the prompt pass
        only (`decoding=False`). `norm_matched` adds coefficient * |h| * v / |v| instead of coefficient * v,
        as activation oracles are injected. Raises SubjectError for a wrong shape.
        """
        array = np.asarray(vector, dtype=np.float32)
        if norm_matched:
            length = np.linalg.norm(array, axis=-1, keepdims=True)
            if not length.all():
                raise SubjectError("a vector of length 0 has no direction; norm_matched steering needs one")
            array = array / length
        how = "add_scaled" if norm_matched else "add"
        return self._edit(at, array * np.float32(coefficient), position, decoding, how, per_prompt=False)

    def _edit(self, at: Site, values: Any, position: Position, decoding: bool, how: Any, *, per_prompt: bool) -> Edit:
        if at.point in ("attn_pattern", "norm_out"):
            changeable = ", ".join(point for point in POINTS if point not in ("attn_pattern", "norm_out"))
            raise SubjectError(f"{at.name} can be read but not changed; choose among {changeable}")
        position = plain(position)
        if position in POOLED:
            raise PromptError(f"position {position!r} names no tokens to change; use 'last', 'all' or numbers")
        made = shaped(at, values, features(self.anatomy, at), per_prompt=per_prompt)
        if made.shape[2] == 1 and not np.isfinite(made).all():
            raise SubjectError("the values have NaN or infinity; pass finite numbers")
        return Edit(at, made, position, decoding, how)

    def patch_sweep(
        self,
        clean: Sequence[Prompt],
        corrupted: Sequence[Prompt],
        at: str | Site = "resid_post",
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
        return sweeping.patch_sweep(self._runner, clean, corrupted, self._named(at), plain(positions), answers)

    # Adapters ----------------------------------------------------------------------------------------

    def add_adapter(self, folder: str | Path, name: str = "default") -> None:
        """Attaches a LoRA adapter (a peft folder or hub name) and turns it on. Raises LoadError."""
        adapters.add(self.model, folder, name)
        self._look()

    def adapter(self, name: str | None) -> adapters.Switched:
        """`with subject.adapter(None):` runs without adapters, `with subject.adapter("judge"):` with that one."""
        return adapters.Switched(self.model, name)


def _listed(edit: Edits) -> Sequence[Edit]:
    return [edit] if isinstance(edit, Edit) else list(edit or ())


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
