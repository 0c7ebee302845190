"""How is an answer drawn? Which settings there are, and the seed of each sample; the same here and behind an API."""

from __future__ import annotations

import numpy as np

from lab.subjects.errors import SubjectError


def check(temperature: float, top_p: float) -> None:
    """Raises SubjectError for settings under which nothing can be drawn."""
    if temperature < 0:
        raise SubjectError(f"temperature {temperature} is negative; 0 is greedy")
    if not 0 < top_p <= 1:
        raise SubjectError(f"top_p {top_p} is no share to draw from; pass one above 0, and 1 for all tokens")


def sample_seed(seed: int, i: int, j: int) -> int:
    """The seed of sample j of prompt i."""
    return int(np.random.SeedSequence((seed, i, j)).generate_state(1)[0])
