"""What subjects share: asking one for answers, and naming hook points and edits in one whose weights may be elsewhere.

Needs no torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lab.subjects.edits import Edit, Edits, How, shaped
from lab.subjects.errors import NoActivationsError, PromptError, StructureError, SubjectError
from lab.subjects.hook_points import POINTS, HookPoint, Outline, features, require
from lab.subjects.prompts import POOLED, Position, Prompt, plain

Where = float | int | Sequence[float | int] | slice | None


def check_drawing(temperature: float, top_p: float) -> None:
    """Raises SubjectError for settings under which no answer can be drawn."""
    if temperature < 0:
        raise SubjectError(f"temperature {temperature} is negative; 0 is greedy")
    if not 0 < top_p <= 1:
        raise SubjectError(f"top_p {top_p} is no share to draw from; pass one above 0, and 1 for all tokens")


def sample_seed(seed: int, i: int, j: int) -> int:
    """The seed of sample j of prompt i, the same for a model here and one behind an API."""
    return int(np.random.SeedSequence((seed, i, j)).generate_state(1)[0])


class Speaker(ABC):
    """A subject that can be asked: a Hugging Face model, a model behind an API, or either of them behind a cache."""

    name: str

    @abstractmethod
    def chats(
        self,
        conversations: Sequence[Prompt],
        seeds: Sequence[int],
        *,
        n: int = 1,
        temperature: float = 0.0,
        top_p: float = 1.0,
        max_new_tokens: int = 64,
    ) -> list[list[list[str]]]:
        """As `chat` under each of several seeds, [seeds][conversations][n]."""

    def chat(
        self,
        conversations: Sequence[Prompt],
        *,
        n: int = 1,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        max_new_tokens: int = 64,
        edit: Edits = None,
    ) -> list[list[str]]:
        """n answers to each conversation (chat messages, or a string).

        Greedy answers, at temperature 0, are all equal, so they are written once. Above it sample j of conversation i
        draws from a seed made of (seed, i, j), from the fewest of the likeliest tokens that have `top_p` of the
        probability together.

        A Hugging Face model continues a string as it is, and reads a conversation once for all its samples; `edit`
        acts as in `generate`. Behind an API a string is the one message of a user, and a reasoning model's thoughts
        count as new tokens. Not every server honours seeds, so that only the cache makes a second run equal; a seed or
        a `top_p` that is refused is noted.

        Raises PromptError, and SubjectError where a server does not answer.
        """
        more: dict[str, Any] = {} if edit is None else {"edit": edit}  # an API's model takes none
        (texts,) = self.chats(
            conversations, [seed], n=n, temperature=temperature, top_p=top_p, max_new_tokens=max_new_tokens, **more
        )
        return texts


class HookPoints(ABC):
    """What can be named in a subject of which no more than the outline is known: its weights may be elsewhere.

    `n_layers` and `d_model` are depth and width of the residual stream, `n_heads` the heads of a layer (None
    where no heads were found), and `context` is the longest prompt, in tokens.
    """

    name: str
    hooked: bool = True
    """Whether it may be read and changed at its hook points."""

    @property
    @abstractmethod
    def outline(self) -> Outline:
        """Depth, width and hook points as plain values."""

    @property
    def n_layers(self) -> int:
        return len(self.outline.layers)

    @property
    def d_model(self) -> int:
        return self.outline.d_model

    @property
    def n_heads(self) -> int | None:
        return self.outline.n_heads

    @property
    def context(self) -> int:
        return self.outline.context

    @property
    def n_parameters(self) -> int:
        return self.outline.n_parameters

    # Hook points -------------------------------------------------------------------------------------

    def resid_post(self, where: Where = None) -> HookPoint:
        """The residual stream after a block, before any final norm.

        `where` is a fraction of the depth (0.5 is layer int(0.5 * n_layers), 1.0 the last), a layer
        index, a list of them, a slice (`slice(None, None, 2)` is every second), or nothing for all layers.
        Raises SubjectError out of range.
        """
        return HookPoint("resid_post", self._layers(where))

    def resid_pre(self, where: Where = None) -> HookPoint:
        """The residual stream before a block; `where` as in `resid_post`."""
        return HookPoint("resid_pre", self._layers(where))

    def resid_mid(self, where: Where = None) -> HookPoint:
        """The residual stream between attention and MLP. Raises StructureError for parallel blocks, which have none."""
        return self._point("resid_mid", where)

    def attn_out(self, where: Where = None) -> HookPoint:
        """What a block's attention adds to the residual stream, after any norm of its own."""
        return self._point("attn_out", where)

    def mlp_out(self, where: Where = None) -> HookPoint:
        """What a block's MLP adds to the residual stream, after any norm of its own."""
        return self._point("mlp_out", where)

    def head_out(self, where: Where = None, heads: Sequence[int] | None = None) -> HookPoint:
        """Each head's output before the output projection, [heads, d_head] a token; TransformerLens calls it z."""
        return self._point("head_out", where, heads)

    def attn_pattern(self, where: Where = None, heads: Sequence[int] | None = None) -> HookPoint:
        """Each head's attention weights, [heads, keys] a query token. Read under eager attention, while it is read."""
        return self._point("attn_pattern", where, heads)

    def norm_out(self, where: Where = None, norm: str | None = None) -> HookPoint:
        """The output of a norm inside a block, under its own name: not the residual stream.

        Without a name, the last norm of the block. That is what reports 000 and 001 read as "residual"
        (`post_feedforward_layernorm` in Gemma, `post_attention_layernorm` in Llama, `ln_2` in GPT-2).
        Raises StructureError for a norm that a block has not.
        """
        layers = self._layers(where)
        for layer in layers:
            known = self.outline.layers[layer].norms
            if not known or (norm is not None and norm not in known):
                said = f"no norm {norm!r}" if norm else "no norm"
                raise StructureError(
                    f"block {layer} of {self.name} has {said}; its norms: {', '.join(known) or 'none'}"
                )
        return HookPoint("norm_out", layers, norm or self.outline.layers[layers[0]].norms[-1])

    def _point(self, point: str, where: Where, heads: Sequence[int] | None = None) -> HookPoint:
        layers = self._layers(where)
        require(self.outline, point, layers)
        if point == "head_out" and self.outline.d_head is None:
            raise StructureError(f"{self.name}: its layers have heads of different sizes; none can be read")
        if heads is not None:
            n_heads = self.n_heads or 0
            if not len(heads) or any(not -n_heads <= head < n_heads for head in heads):
                raise SubjectError(f"no heads {list(heads)} in {self.name}; a layer has heads 0 to {n_heads - 1}")
            return HookPoint(point, layers, heads=tuple(int(head) % n_heads for head in heads))
        return HookPoint(point, layers)

    def _named(self, at: str | HookPoint) -> HookPoint:
        """A hook point, all layers of it where only its name is given."""
        self._check_hooked()
        if isinstance(at, HookPoint):
            return at
        if at not in POINTS:
            raise SubjectError(f"no hook point {at!r}; there are {', '.join(POINTS)}")
        point: HookPoint = getattr(self, at)()
        return point

    def _layers(self, where: Where) -> tuple[int, ...]:
        self._check_hooked()
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

    # Changes -----------------------------------------------------------------------------------------

    def patch(self, at: HookPoint, values: np.ndarray, *, position: Position = "last", decoding: bool = False) -> Edit:
        """Activations to put in place of the model's own, by default at each prompt's last token, in the prompt pass.

        `values` is [n, d_model] for one layer, or as `capture` gives it: [n, layers, d_model], or
        [n, layers, positions, d_model] with the same `position`. Tokens decoded later attend to what the
        patch left, and are patched themselves only with `decoding`. Raises SubjectError for a wrong shape.
        """
        return self._edit(at, values, position, decoding, "replace", per_prompt=True)

    def steer(
        self,
        at: HookPoint,
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
        only (`decoding=False`). `norm_matched` adds coefficient * |h| * v / |v| instead of coefficient * v.
        Raises SubjectError for a wrong shape.
        """
        array = _units(vector) if norm_matched else np.asarray(vector, dtype=np.float32)
        how: How = "add_scaled" if norm_matched else "add"
        return self._edit(at, array * np.float32(coefficient), position, decoding, how, per_prompt=False)

    def inject(
        self, at: HookPoint, vectors: np.ndarray, coefficient: float = 1.0, *, position: Position, replace: bool = False
    ) -> Edit:
        """Each prompt's own activations at its own tokens, in the prompt pass only: h + coefficient * |h| * v / |v|.

        So activation oracles are told what to read (Karvonen et al. 2025). `vectors` are shaped as in `patch`; with
        `replace`, coefficient * |h| * v / |v| takes the place of h. Raises SubjectError for a wrong shape, or a vector
        of length 0.
        """
        how: How = "replace_scaled" if replace else "add_scaled"
        return self._edit(at, _units(vectors) * np.float32(coefficient), position, False, how, per_prompt=True)

    def _check_hooked(self) -> None:
        if not self.hooked:
            raise NoActivationsError(
                f"{self.name} was loaded with enable_hooks=false, so its activations are neither read nor changed; "
                "load it with enable_hooks=true for that"
            )

    def _listed(self, edit: Edits) -> list[Edit]:
        """No edit, one, or several, as a list."""
        listed = [edit] if isinstance(edit, Edit) else list(edit or ())
        if listed:
            self._check_hooked()
        return listed

    def _edit(
        self, at: HookPoint, values: Any, position: Position, decoding: bool, how: How, *, per_prompt: bool
    ) -> Edit:
        self._check_hooked()
        if at.point in ("attn_pattern", "norm_out"):
            changeable = ", ".join(point for point in POINTS if point not in ("attn_pattern", "norm_out"))
            raise SubjectError(f"{at.name} can be read but not changed; choose among {changeable}")
        position = plain(position)
        if position in POOLED:
            raise PromptError(f"position {position!r} names no tokens to change; use 'last', 'all' or numbers")
        made = shaped(at, values, features(self.outline, at), per_prompt=per_prompt)
        if made.shape[2] == 1 and not np.isfinite(made).all():
            raise SubjectError("the values have NaN or infinity; pass finite numbers")
        return Edit(at, made, position, decoding, how)


def _units(vectors: np.ndarray) -> np.ndarray:
    """Vectors [..., d_model] of length 1 in the same directions."""
    array = np.asarray(vectors, dtype=np.float32)
    length = np.linalg.norm(array, axis=-1, keepdims=True)
    if not length.all():
        raise SubjectError("a vector of length 0 has no direction, and what is scaled to the stream's norm needs one")
    return np.asarray(array / length)
