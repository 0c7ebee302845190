"""Digests by which equal values are recognised: of texts, numbers, arrays, tables and records of them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any


def digest(value: Any) -> str:
    """Sixteen hexadecimal digits that equal values share, in whatever process they were made.

    Knows None, bool, int, float, str, bytes, paths (their text), sequences, sets, mappings (in any order of keys),
    numpy arrays and numbers (with dtype and shape), pandas frames, dataclasses, enums' and functions' names, and
    whatever has a `fingerprint` of its own. Raises TypeError, naming the type, for anything else.
    """
    made = hashlib.sha256()
    _feed(made, value)
    return made.hexdigest()[:16]


def _feed(made: Any, value: Any) -> None:
    """Feeds a tagged, self-delimiting form of `value`."""
    if value is None or isinstance(value, bool | int | float | str | Path):
        text = f"{type(value).__name__ if not isinstance(value, Path) else 'path'}:{value!s}".encode()
        made.update(f"{len(text)}|".encode() + text)
    elif isinstance(value, bytes | bytearray | memoryview):
        made.update(f"b{len(value)}|".encode() + bytes(value))
    elif hasattr(value, "fingerprint"):
        found = value.fingerprint
        _feed(made, ["fingerprint", found() if callable(found) else found])
    elif hasattr(value, "dtype") and hasattr(value, "tobytes"):  # numpy, without importing it
        made.update(f"a{value.dtype.str}{value.shape}|".encode())
        _feed(made, value.tolist() if value.dtype.hasobject else value.tobytes())
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        _feed(made, [f"record {type(value).__qualname__}", fields])
    elif isinstance(value, Mapping):
        made.update(f"m{len(value)}|".encode())
        for key, item in sorted((digest(key), item) for key, item in value.items()):
            made.update(key.encode())
            _feed(made, item)
    elif isinstance(value, Set):
        _feed(made, ["set", *sorted(digest(item) for item in value)])
    elif isinstance(value, Sequence):
        made.update(f"s{len(value)}|".encode())
        for item in value:
            _feed(made, item)
    elif hasattr(value, "to_numpy") and hasattr(value, "columns"):  # a pandas frame
        _feed(made, ["frame", [str(name) for name in value.columns], *(value[name].tolist() for name in value.columns)])
    elif hasattr(value, "tolist"):  # numbers, and pandas series
        _feed(made, value.tolist())
    elif callable(value) and hasattr(value, "__qualname__"):
        _feed(made, f"{value.__module__}.{value.__qualname__}")
    else:
        raise TypeError(f"a {type(value).__name__} has no digest; give it a `fingerprint`, or pass plain values")
