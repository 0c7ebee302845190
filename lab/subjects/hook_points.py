"""Hook points: which there are, and which a subject has. Plain values, no torch; `hooks` reads and changes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lab.subjects.errors import StructureError

POINTS = {
    "resid_pre": "the residual stream that enters a block",
    "attn_out": "what the attention branch adds to the stream",
    "resid_mid": "the residual stream between attention and MLP",
    "mlp_out": "what the MLP branch adds to the stream",
    "resid_post": "the residual stream that leaves a block, before any final norm",
    "head_out": "each head's output before the output projection (TransformerLens calls it z)",
    "attn_pattern": "each head's attention weights (eager attention only)",
    "norm_out": "the output of a norm inside a block, under the norm's own name",
}


@dataclass(frozen=True)
class Layer:
    """The paths of the modules in one block that carry its hook points, as `architecture.Block` has them.

    `children` are the block's own modules, for errors that tell a user what there is.
    """

    attn_out: str | None
    mlp_out: str | None
    reads_mid: str | None
    head_out: str | None
    norms: tuple[str, ...]
    children: tuple[str, ...]


@dataclass(frozen=True)
class Outline:
    """A subject without its weights: enough to name hook points, and to say what they hold.

    `owner` is the class of the model, `context` the longest prompt in tokens; `n_heads` and `d_head` are None
    where no heads were found. `adapters` are the names of the LoRA adapters attached to it.
    """

    owner: str
    layers: tuple[Layer, ...]
    d_model: int
    n_heads: int | None
    d_head: int | None
    context: int
    n_parameters: int
    adapters: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it; `restored` makes it an outline again."""
        return asdict(self)

    @classmethod
    def restored(cls, plain: Mapping[str, Any]) -> Outline:
        layers = tuple(
            Layer(**{**layer, "norms": tuple(layer["norms"]), "children": tuple(layer["children"])})
            for layer in plain["layers"]
        )
        return cls(**{**plain, "layers": layers, "adapters": tuple(plain["adapters"])})


@dataclass(frozen=True)
class HookPoint:
    """A hook point at some layers, as `subject.resid_post(0.5)` makes it.

    `norm` names the norm of a `norm_out`; `heads` the heads of a `head_out` or `attn_pattern`, None for all.
    """

    point: str
    layers: tuple[int, ...]
    norm: str | None = None
    heads: tuple[int, ...] | None = None

    @property
    def name(self) -> str:
        """The point as results should name it: "resid_post", "norm_out(ln_2)"."""
        return f"{self.point}({self.norm})" if self.norm else self.point


def require(outline: Outline, point: str, layers: tuple[int, ...]) -> None:
    """Raises StructureError where one of these blocks has no such point, and says why."""
    if max(layers) >= len(outline.layers):
        raise StructureError(f"{outline.owner} has no layer {max(layers)}; the hook point is another subject's")
    if point in ("resid_pre", "resid_post", "norm_out"):
        return
    for index in layers:
        layer = outline.layers[index]
        has = {
            "attn_out": layer.attn_out,
            "mlp_out": layer.mlp_out,
            "resid_mid": layer.reads_mid,
            "head_out": layer.head_out,
            "attn_pattern": layer.head_out,
        }[point]
        if has is not None:
            continue
        if point == "resid_mid" and layer.attn_out is not None:
            raise StructureError(
                f"{outline.owner} has no resid_mid: its blocks are parallel, nothing reads the stream between attention"
                " and MLP; use resid_pre or resid_post"
            )
        if point in ("head_out", "attn_pattern"):
            why = "no attention with an output projection was found in it"
        else:
            why = "no two of its modules add up to what it writes to the stream"
        raise StructureError(
            f"{outline.owner}: block {index} has no {point}: {why} (modules: {', '.join(layer.children)}). If it has "
            'one, name it by hand: wrap(model, tokenizer, names={"attn_out": "path.in.block", '
            '"mlp_out": "path.in.block"})'
        )


def features(outline: Outline, at: HookPoint) -> tuple[int, ...]:
    """Shape of one token's value at this hook point: (d_model,), or (heads, d_head). Patterns depend on the prompt."""
    if at.point != "head_out":
        return (outline.d_model,)
    assert outline.n_heads is not None
    assert outline.d_head is not None
    return (len(at.heads) if at.heads is not None else outline.n_heads, outline.d_head)
