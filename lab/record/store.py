"""The files of a cell beside the journal: arrays as safetensors, read without torch, and rows as JSON lines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.files.plain import plain
from lab.files.whole import checksum_of, file_name, write_parts, write_whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike


_ORDER = "order"
"""Where a file says in which order its arrays were given; the format sorts them."""


class Damaged(ValueError):
    """A file does not hold what was written to it. Its text is one line."""


def keep_arrays(folder: Path, name: str, arrays: Mapping[str, ArrayLike]) -> tuple[Path, str]:
    """Writes arrays by label to one file in `folder`; returns its path and its SHA-256.

    Float64 is kept as float32. The file's name ends in its checksum, so that no later content replaces it; one that
    was damaged since is written anew. It appears whole or not at all. Raises TypeError for what is no array of numbers.
    """
    import numpy as np
    from safetensors.numpy import save

    made = {label: np.ascontiguousarray(array) for label, array in arrays.items()}
    wrong = [label for label, array in made.items() if array.dtype.kind not in "biuf"]
    if wrong or not made:
        why = f"; {wrong[0]!r} is none" if wrong else ", and one at least"
        raise TypeError(f"arrays({name!r}, ...) takes arrays of numbers by label{why}")
    whole = {label: array.astype(np.float32) if array.dtype == np.float64 else array for label, array in made.items()}
    data = save(whole, metadata={_ORDER: json.dumps(list(whole))})
    checksum = hashlib.sha256(data).hexdigest()
    path = folder / f"{file_name(name)}-{checksum[:12]}.safetensors"
    return (path if checksum_of(path) == checksum else write_whole(path, data)), checksum


def load_arrays(path: str | Path, sha256: str | None = None) -> dict[str, np.ndarray]:
    """The arrays of a file, by label, in the order in which they were given.

    Raises Damaged where it is spoilt, or its checksum is another; OSError.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as read

    data = Path(path).read_bytes()
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise Damaged(f"{path} has changed since it was written; run its experiment again with --lab-cache=off")
    try:
        found = read(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        order = json.loads(header.get("__metadata__", {}).get(_ORDER, "null"))
        return {label: found[label] for label in order or found}
    except (SafetensorError, ValueError, KeyError) as error:
        raise Damaged(f"{path} is no whole safetensors file ({error}); run its experiment again") from None


def keep_rows(folder: Path, name: str, rows: Iterable[Mapping[str, Any]]) -> tuple[Path, str]:
    """Writes rows, one JSON object a line, to a file in `folder`; returns its path and its SHA-256.

    The file's name ends in its checksum, so that no later content replaces it. It appears whole or not at all, and
    one row at a time is in memory.
    """
    made = hashlib.sha256()

    def written() -> Iterator[bytes]:
        for row in rows:
            line = json.dumps(plain(dict(row)), ensure_ascii=False, allow_nan=False).encode() + b"\n"
            made.update(line)
            yield line

    path = write_parts(folder / file_name(name), written(), lambda: f"{file_name(name)}-{made.hexdigest()[:12]}.jsonl")
    return path, made.hexdigest()


def load_rows(path: str | Path, sha256: str | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a file, one at a time. Raises Damaged where its checksum is another, before the first; OSError."""
    path = Path(path)
    if sha256 is not None and checksum_of(path) != sha256:
        raise Damaged(f"{path} is gone or has changed since it was written; run its experiment again")
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
