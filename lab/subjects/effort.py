"""What this process has done with its subjects, as the journal and plans tell it: loads, passes, tokens."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class Effort:
    """Models loaded, forward passes, padded tokens in them and those a server counted, requests to it, cache hits.

    `load_seconds` is what the loading took.
    """

    loads: int = 0
    passes: int = 0
    tokens: int = 0
    requests: int = 0
    hits: int = 0
    load_seconds: float = 0.0

    def since(self, before: dict[str, Any]) -> dict[str, Any]:
        """What was added to the counts since they were `asdict(...)`."""
        return {name: round(count - before[name], 3) for name, count in asdict(self).items()}


DONE = Effort()
"""Of this process, since it began."""


@dataclass
class Price:
    """What all results that were given took when they were computed, be it now or, where they were kept, before.

    Passes, padded tokens in them, and seconds; loading and trying out a model is in none of them.
    """

    passes: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def add(self, passes: int, tokens: int, seconds: float) -> None:
        self.passes, self.tokens, self.seconds = self.passes + passes, self.tokens + tokens, self.seconds + seconds


PRICE = Price()
"""Of this process, since it began."""
