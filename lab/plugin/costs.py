"""What a part of an experiment costs: passes, tokens and seconds, counted while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from lab.subjects.effort import DONE, PRICE


@dataclass
class Cost:
    """Forward passes, padded tokens in them, and seconds, of what the subjects were asked; without loading them.

    Of calls that were answered from the cache, `cached` of them, it is what they took when they were computed.
    """

    passes: int = 0
    tokens: int = 0
    seconds: float = 0.0
    cached: int = 0


@contextmanager
def counted() -> Iterator[Cost]:
    """`with counted() as cost:` fills `cost` when its block ends, for subjects of the fixtures."""
    before, hits, cost = asdict(PRICE), DONE.hits, Cost()
    try:
        yield cost
    finally:
        cost.passes, cost.tokens = PRICE.passes - before["passes"], PRICE.tokens - before["tokens"]
        cost.seconds, cost.cached = round(PRICE.seconds - before["seconds"], 3), DONE.hits - hits
