"""Where are a cell's arrays, and are they what was written? Safetensors files, read back without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lab.files.whole import checksum_of, file_name, write_whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike


_ORDER = "order"
"""Where a file says in which order its arrays were given; the format sorts them."""


class Damaged(ValueError):
    """A file does not hold what was written to it. Its text is one line."""


def keep(folder: Path, name: str, arrays: Mapping[str, ArrayLike]) -> tuple[Path, str]:
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


def load(path: str | Path, sha256: str | None = None) -> dict[str, np.ndarray]:
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
