"""Where do captured arrays go? Into memory, or row by row into a safetensors file that is then mapped."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from lab.subjects.errors import SubjectError

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
