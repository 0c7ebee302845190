"""What has this process done with its subjects? Counts that the journal and plans tell: loads, passes, tokens."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass
class Effort:
    """Models loaded, forward passes and padded tokens in them, requests to a server, results found in the cache."""

    loads: int = 0
    passes: int = 0
    tokens: int = 0
    requests: int = 0
    hits: int = 0

    def since(self, before: dict[str, int]) -> dict[str, int]:
        """What was added to the counts since they were `asdict(...)`."""
        return {name: count - before[name] for name, count in asdict(self).items()}


DONE = Effort()
"""Of this process, since it began."""
