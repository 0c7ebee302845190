"""Does an activation carry what a model says? Put it into another prompt and see what changes."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lab.estimate import Estimate
from lab.stats.intervals import paired_difference, wilson

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class PatchingEffect:
    """How often a patch changed the continuation, prompt by prompt.

    Attributes
    ----------
    rate
        Share of prompts whose continuation the clean activation changed.
    random_rate
        The same for a random activation at the same distance.
    answered_rate
        Share of prompts that were rightly answered without a patch, where that is known.
    excess
        Share of prompts whose right answer the patch changed, less the share whose right answer the
        random one changed; paired by prompt. What is not answered cannot be changed: a network that
        knows nothing may change its continuation at any disturbance, and has no excess.
    identity_rate
        Share that their own activation, put back, changed; anything but 0 is a fault of the machinery.
    restored_rate
        Share in which the continuation became the clean prompt's own.
    random_restored_rate
        The same for the random activation.
    """

    rate: Estimate
    random_rate: Estimate
    answered_rate: Estimate
    excess: Estimate
    identity_rate: float
    restored_rate: Estimate
    random_restored_rate: Estimate

    def plot(self, ax: Axes) -> None:
        """The four shares with their intervals, and the identity patch."""
        bars = {
            "clean\nchanges": self.rate,
            "clean\nrestores": self.restored_rate,
            "random\nchanges": self.random_rate,
            "random\nrestores": self.random_restored_rate,
        }
        for i, e in enumerate(bars.values()):
            error = [[100 * (e.value - e.low)], [100 * (e.high - e.value)]]
            ax.bar(i, 100 * e.value, yerr=error, capsize=3, color="C0" if i < 2 else "0.7")
        ax.bar(len(bars), 100 * self.identity_rate, color="C3")
        ax.set_xticks(range(len(bars) + 1), [*bars, "identity\nchanges"], fontsize=7)
        ax.set(ylabel="% of prompts", ylim=(0, 105), title="Activation patching")


def changes(
    *,
    base: Sequence[Hashable],
    clean: Sequence[Hashable],
    patched: Sequence[Hashable],
    identity: Sequence[Hashable],
    random: Sequence[Hashable],
    answered: Sequence[bool] | None = None,
) -> PatchingEffect:
    """Compares continuations, one a prompt.

    Parameters
    ----------
    base, clean
        What the model says to the corrupted and to the clean prompts, unpatched.
    patched, identity, random
        What it says to the corrupted prompts with the clean activation, with their own, and with a
        random one in place.
    answered
        Whether `base` is the right answer; by default all count as answers.

    Raises ValueError for different lengths.
    """
    if len({len(texts) for texts in (base, clean, patched, identity, random)}) != 1:
        raise ValueError("all continuations must be of the same prompts, one each")
    changed, noise = _differ(base, patched), _differ(base, random)
    right = np.ones(len(base), dtype=bool) if answered is None else np.asarray(answered, dtype=bool)
    if right.shape != (len(base),):
        raise ValueError(f"{len(base)} prompts need {len(base)} marks of being answered, not {right.shape}")
    return PatchingEffect(
        rate=wilson(changed),
        random_rate=wilson(noise),
        answered_rate=wilson(right),
        excess=paired_difference(changed & right, noise & right),
        identity_rate=float(_differ(base, identity).mean()),
        restored_rate=wilson(changed & ~_differ(clean, patched)),
        random_restored_rate=wilson(noise & ~_differ(clean, random)),
    )


def random_at_distance(base: np.ndarray, clean: np.ndarray, *, seed: int) -> np.ndarray:
    """Random activations as far from `base` as `clean` is, row by row; all [n, d_model]."""
    direction = np.random.default_rng(seed).standard_normal(base.shape)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    distance = np.linalg.norm(np.asarray(clean, dtype=float) - base, axis=1, keepdims=True)
    return np.asarray(base + distance * direction)


def _differ(a: Sequence[Hashable], b: Sequence[Hashable]) -> np.ndarray:
    return np.array([x != y for x, y in zip(a, b, strict=True)], dtype=bool)
