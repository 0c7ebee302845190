"""What a result says is worth keeping of it, for `evidence.keep`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Kept:
    """What `Notebook.keep` records of a result.

    `rows` are tables by name, `summary` what is reported by name, `plots` by name how each is drawn, with its size in
    inches where it is not the usual one.
    """

    rows: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    plots: Mapping[str, Callable[[Axes], object] | tuple[Callable[[Axes], object], tuple[float, float]]] = field(
        default_factory=dict
    )


class Keeps(Protocol):
    """A result that knows what of it is worth keeping."""

    def kept(self) -> Kept: ...
