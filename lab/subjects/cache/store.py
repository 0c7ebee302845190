"""Entries on disk by a key of what determines them, each with a checksum of its own."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lab.files.whole import write_whole

if TYPE_CHECKING:
    import numpy as np

LIMIT = 10 * 2**30
"""Bytes that a cache may take where nothing else is said."""
SHARE = 10
"""No entry takes more than one part in so many of the limit: it is held in memory twice while it is written."""
KEPT = 0.9
"""How much of the limit is still taken after the oldest entries went."""

Mode = Literal["off", "read", "write"]


@dataclass(frozen=True)
class Entry:
    """What is kept under a key: `facts` and `rows` in JSON's own types, and numpy arrays by name."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    rows: Sequence[Any] = ()


class Cache:
    """Entries in a folder that several processes may share.

    cache = Cache(Path("results/cache"), "write")
    cache.put(key, Entry({"point": "resid_post"}, {"array": activations}))
    cache.get(key)                          # the entry, or None

    An entry with arrays is a safetensors file, any other a JSONL file. One that is cut, changed or under another's
    name is a miss, with a warning. Where nothing can be written, one warning says so and the cache is read only
    from then on.

    Parameters
    ----------
    folder
        Made with the first entry.
    mode
        "write" reads and writes, "read" writes nothing, "off" touches nothing.
    limit
        Bytes. When a new entry makes it more, those go that were not used for longest.

    Raises ValueError for another mode.
    """

    def __init__(self, folder: Path, mode: Mode = "write", *, limit: int = LIMIT) -> None:
        if mode not in ("off", "read", "write"):
            raise ValueError(f"no cache mode {mode!r}; there are off, read and write")
        self.folder, self.mode, self.limit = folder, mode, limit
        self._unseen = limit  # bytes written since the folder was last looked through

    def get(self, key: str) -> Entry | None:
        """The entry of this key, as new arrays, or None."""
        if self.mode == "off":
            return None
        for path in self._paths(key):
            try:
                data = path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                self._warn(f"the cache's {path} cannot be read ({error.strerror}); its content is computed anew")
                continue
            entry = _unpacked(path.suffix, key, data)
            if entry is None:
                self._warn(f"the cache's {path} is damaged or another entry's; its content is computed anew")
                continue
            if self.mode == "write":
                with contextlib.suppress(OSError):
                    os.utime(path)  # it was used, so it is not the next to go
            return entry
        return None

    def put(self, key: str, entry: Entry) -> None:
        """Keeps an entry, in place of what the key held. Raises TypeError for facts or rows that are not JSON."""
        if self.mode != "write":
            return
        size = sum(array.nbytes for array in entry.arrays.values())
        if size > self.limit // SHARE:
            self._warn(f"{size / 1e9:.2g} GB are too many for a cache of {self.limit / 1e9:.2g} GB and are not kept")
            return
        table, lines = self._paths(key)
        path, data = (table, _table(key, entry)) if entry.arrays else (lines, _lines(key, entry))
        try:
            write_whole(path, data)
            self._unseen += len(data)
            if self._unseen > self.limit // SHARE // 5:  # others write too, so not only when it is full by our count
                self._evict()
                self._unseen = 0
        except OSError as error:
            self.mode = "read"
            self._warn(f"nothing more can be kept in {self.folder} ({error.strerror}); the run goes on without")

    def _paths(self, key: str) -> tuple[Path, Path]:
        place = self.folder / key[:2]
        return place / f"{key}.safetensors", place / f"{key}.jsonl"

    def _evict(self) -> None:
        """Deletes what was not used for longest, where the folder is over its limit."""
        files = []
        for path in self.folder.glob("??/*"):
            with contextlib.suppress(FileNotFoundError):  # another process was faster
                found = path.stat()
                files.append((found.st_mtime_ns, found.st_size, path))
        total = sum(size for _, size, _ in files)
        if total <= self.limit:
            return
        for _, size, path in sorted(files):
            if total <= KEPT * self.limit:
                return
            path.unlink(missing_ok=True)
            total -= size

    def _warn(self, text: str) -> None:
        warnings.warn(text, stacklevel=4)


# Files -----------------------------------------------------------------------------------------------


def _table(key: str, entry: Entry) -> bytes:
    import numpy as np
    from safetensors.numpy import save

    arrays = {name: np.asarray(array, order="C") for name, array in entry.arrays.items()}
    facts, rows = json.dumps(dict(entry.facts)), json.dumps(list(entry.rows))
    return save(arrays, {"key": key, "sha256": _checksum(key, facts, rows, arrays), "facts": facts, "rows": rows})


def _lines(key: str, entry: Entry) -> bytes:
    facts, rows = json.dumps(dict(entry.facts)), "\n".join(map(json.dumps, entry.rows))
    head = json.dumps({"key": key, "sha256": _checksum(key, facts, rows, {}), "facts": facts})
    return f"{head}\n{rows}".encode()


def _unpacked(suffix: str, key: str, data: bytes) -> Entry | None:
    """The entry in a file, or None where the file is not just what was written under this key."""
    try:
        if suffix == ".jsonl":
            head, _, rows = data.decode().partition("\n")
            kept, arrays = json.loads(head), {}
            found = [json.loads(line) for line in rows.split("\n")] if rows else []
        else:
            from safetensors.numpy import load

            arrays = load(data)
            kept = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
            rows = kept["rows"]
            found = json.loads(rows)
        if (kept["key"], kept["sha256"]) != (key, _checksum(key, kept["facts"], rows, arrays)):
            return None
        return Entry(json.loads(kept["facts"]), arrays, found)
    except Exception:  # a damaged file breaks safetensors, json or us in ways of its own
        return None


def _checksum(key: str, facts: str, rows: str, arrays: Mapping[str, np.ndarray]) -> str:
    made = hashlib.sha256()
    for part in (key, facts, rows):
        made.update(f"{len(part)}|{part}".encode())
    for name, array in sorted(arrays.items()):
        made.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        made.update(array.ravel().data)
    return made.hexdigest()
