"""The file that deals a run out to several jobs: which tests each of them runs, in which wave."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.files.whole import write_whole


@dataclass(frozen=True)
class Share:
    """Node ids of the tests of one job, in the order in which they run; their models, and estimated seconds."""

    shard: int
    wave: int
    tests: tuple[str, ...]
    models: tuple[str, ...]
    seconds: float

    @property
    def name(self) -> str:
        return f"{self.wave}.{self.shard}"


@dataclass(frozen=True)
class Shards:
    """A run that was dealt out: pytest's own arguments, the folder they are given in, the results, and the shares."""

    run: str
    results: str
    shares: tuple[Share, ...]
    arguments: tuple[str, ...] = ()
    folder: str = "."

    @classmethod
    def read(cls, path: Path) -> Shards:
        """Raises OSError where there is no such file, ValueError for one that does not hold shards."""
        told = json.loads(path.read_text())
        try:
            shares = [Share(**s | {name: tuple(s[name]) for name in ("tests", "models")}) for s in told["shares"]]
            return cls(**told | {"shares": tuple(shares), "arguments": tuple(told["arguments"])})
        except (TypeError, LookupError, AttributeError):
            raise ValueError(f"{path} does not hold shards; `lab submit` writes them") from None

    def write(self, path: Path) -> Path:
        return write_whole(path, (json.dumps(asdict(self), indent=1) + "\n").encode())

    def share(self, name: str) -> Share:
        """Raises LookupError where there is none of this name."""
        return {share.name: share for share in self.shares}[name]

    @property
    def waves(self) -> list[list[Share]]:
        numbers = sorted({share.wave for share in self.shares})
        return [[share for share in self.shares if share.wave == number] for number in numbers]


def journal_stem(share: Share | None) -> str:
    """What the journals of a share's processes are called within the run; None is who merges."""
    return "merged" if share is None else f"shard{share.name}"
