"""What is to be changed in a model while it runs? Patches and steering vectors, at named tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lab.subjects.errors import SubjectError
from lab.subjects.places import Site
from lab.subjects.prompts import Position

How = Literal["replace", "add", "add_scaled", "replace_scaled"]


@dataclass(frozen=True)
class Edit:
    """A change of activations, as `subject.patch`, `subject.steer` and `subject.inject` make it.

    `values` [n or 1, layers, positions or 1, *features] are put in place of the stream ("replace"),
    added to it ("add"), or, as multiples of the stream's own norm, added ("add_scaled": h + c |h| v/|v|) or put in its
    place ("replace_scaled": c |h| v/|v|).
    They act at `position` of each prompt and, with `decoding`, at every token that is generated.
    """

    at: Site
    values: np.ndarray
    position: Position
    decoding: bool
    how: How


def shaped(site: Site, values: Any, d: tuple[int, ...], *, per_prompt: bool) -> np.ndarray:
    """`values` as [n or 1, layers, positions or 1, *d], from the shapes that `patch` and `steer` take."""
    array = np.asarray(values, dtype=np.float32)
    lead, layers = array.shape[: array.ndim - len(d)], len(site.layers)
    if array.shape[array.ndim - len(d) :] == d:
        if per_prompt and len(lead) == 1 and layers == 1:
            return array[:, None, None]
        if per_prompt and len(lead) in (2, 3) and lead[1] == layers:
            return array.reshape(lead[0], layers, *(lead[2:] or (1,)), *d)
        if not per_prompt and len(lead) == 0:
            return np.broadcast_to(array, (1, layers, 1, *d))
        if not per_prompt and lead == (layers,):
            return array[None, :, None]
    width = ", ".join(map(str, d))
    wanted = (
        f"(n, {width}) at one layer or (n, {layers}, {width})" if per_prompt else f"({width}) or ({layers}, {width})"
    )
    raise SubjectError(f"the values have shape {array.shape}, but {site.name} at {layers} layer(s) needs {wanted}")
