"""What has this process done with its subjects? Counts that the journal and plans tell: loads, passes, tokens."""

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
