"""What comes back from a subject: activations, in memory or in a file, choices and texts. Plain arrays, no torch."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lab.subjects.errors import SubjectError


@dataclass(frozen=True)
class Activations:
    """What `capture` read.

    `array` float32: [n, layers, d_model], and [n, layers, positions, d_model] where several positions were
    asked for; instead of d_model it is (heads, d_head) for `head_out` and (heads, keys) for `attn_pattern`.
    Where a prompt has fewer positions or keys than another, the rest is NaN. With `out=` it is a
    read-only view of that file.

    `layers` are true layer indices, `point` says what was read ("resid_post", "norm_out(ln_2)").
    `positions` [n, p]: which token of each prompt, counted from its first, -1 for none; None for pooled ones.
    `truncated`: how many prompts were cut to `max_tokens`.
    """

    array: np.ndarray
    layers: tuple[int, ...]
    point: str = "resid_post"
    positions: np.ndarray | None = None
    truncated: int = 0


@dataclass(frozen=True)
class Sweep:
    """What `patch_sweep` measured: the effect of each patch at the end of each prompt.

    `logits` float32 [layers, positions, n, vocab], or `logit_diff` [layers, positions, n] where answers
    were given (logit of the right answer minus the wrong one). A sweep over heads has [layers, heads,
    positions, n, ...]. `baseline` is the corrupted run and `clean` the clean one: [n, vocab], or [n].
    `layers` and `positions` [n, p] (tokens of the corrupted prompts) name the axes; where a prompt has
    fewer positions than another the rest is NaN. `way` says how it was computed: "shared prefix", or "plain".
    """

    layers: tuple[int, ...]
    positions: np.ndarray
    baseline: np.ndarray
    clean: np.ndarray
    way: str
    logits: np.ndarray | None = None
    logit_diff: np.ndarray | None = None
    heads: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Choice:
    """What `choose` read, one row a prompt.

    `logprobs` [n, k]: log-probability of each option's text after the prompt, in nats (divided by its
    token count where asked). `method` says where they come from: "exact" (logits) or "log-probabilities"
    (an API's), or "sampled" with `samples` answers a prompt; only then `low` and `high` [n, k] hold
    Wilson's 95 % interval of each probability.
    """

    logprobs: np.ndarray
    method: str = "exact"
    samples: int | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None

    @property
    def probabilities(self) -> np.ndarray:
        """[n, k]: normalised over the options."""
        p = np.exp(self.logprobs - self.logprobs.max(1, keepdims=True))
        return np.asarray(p / p.sum(1, keepdims=True))

    @property
    def picked(self) -> np.ndarray:
        """[n]: index of the likeliest option."""
        return np.asarray(self.logprobs.argmax(1))


@dataclass(frozen=True)
class Said:
    """An answer as `replies` gives it: its text, whether the token limit `cut` it, or the `fault` why there is none."""

    text: str = ""
    cut: bool = False
    fault: str = ""


@dataclass(frozen=True)
class Generation:
    """What `generate` wrote: `texts` and `tokens` (new ones only, without pads), one row a prompt."""

    texts: list[str]
    tokens: list[list[int]]


# Files --------------------------------------------------------------------------------------------

KEY = "activations"


class Store:
    """A float32 array to be filled row by row.

    With a path it is written straight to disk, so that no more than a batch is ever in memory, under
    another name until it is whole. Afterwards `array` is a read-only map of that file; any safetensors
    reader finds it as "activations".
    """

    def __init__(self, shape: tuple[int, ...], path: str | Path | None = None) -> None:
        self.shape, self.path = shape, None if path is None else Path(path)
        self.array = np.empty(shape, dtype=np.float32) if path is None else np.empty(0, dtype=np.float32)

    def __enter__(self) -> Store:
        if self.path is None:
            return self
        size = 4 * int(np.prod(self.shape))
        entry = {KEY: {"dtype": "F32", "shape": list(self.shape), "data_offsets": [0, size]}}
        header = json.dumps(entry).encode()
        header += b" " * (-len(header) % 8)
        self._offset = 8 + len(header)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.is_dir():
                raise SubjectError(f"cannot write {self.path}: it is a folder; name a file in it")
            free = shutil.disk_usage(self.path.parent).free
            if free < size + self._offset:
                raise SubjectError(f"{self.path} needs {size / 1e9:.1f} GB, but only {free / 1e9:.1f} are free there")
            handle, partial = tempfile.mkstemp(dir=self.path.parent, prefix=f"{self.path.name}.", suffix=".partial")
        except OSError as error:
            raise SubjectError(f"cannot write {self.path}: {error.strerror}; choose another file") from None
        self._partial, self._file = Path(partial), os.fdopen(handle, "wb")
        try:
            self._file.write(len(header).to_bytes(8, "little") + header)
            self._file.truncate(self._offset + size)
        except OSError as error:
            raise self._failed(error) from None
        return self

    def put(self, rows: list[int], values: np.ndarray) -> None:
        """Writes `values` [len(rows), ...] as those rows."""
        if self.path is None:
            self.array[rows] = values
            return
        width = values[0].nbytes
        try:
            for row, value in zip(rows, np.ascontiguousarray(values, dtype=np.float32), strict=True):
                self._file.seek(self._offset + row * width)
                self._file.write(value.data)
        except OSError as error:
            raise self._failed(error) from None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.path is None:
            return
        if kind is not None:
            self._discard()
            return
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._partial.chmod(0o666 & ~_umask())
            os.replace(self._partial, self.path)
        except OSError as error:
            raise self._failed(error) from None
        self.array = np.memmap(self.path, dtype=np.float32, mode="r", offset=self._offset, shape=self.shape)

    def _failed(self, error: OSError) -> SubjectError:
        self._discard()
        return SubjectError(f"cannot write {self.path}: {error.strerror}; nothing of it was kept; choose another file")

    def _discard(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()  # it may have more to write, and no room
        self._partial.unlink(missing_ok=True)


def _umask() -> int:
    """The process's own, which `mkstemp` does not heed."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
