"""What is there to read in a subject? Its depth, width and hook points, as plain values that need no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


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
