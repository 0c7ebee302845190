"""Atomic writing of files, which appear whole or not at all, with safe file names and checksums."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Callable, Iterable
from pathlib import Path


def file_name(text: str) -> str:
    """`text` as a safe file name."""
    return re.sub(r"[^\w.=,-]+", "-", text).strip("-.") or "unnamed"


def checksum_of(path: Path) -> str | None:
    """The SHA-256 of what a file holds, in hexadecimal digits; None where there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def write_whole(path: Path, data: bytes) -> Path:
    """Writes a file beside its place and moves it there, making the folders on the way; returns `path`.

    Where that fails nothing is left behind, and what was there stays.
    """
    return write_parts(path, [data], lambda: path.name)


def write_parts(path: Path, parts: Iterable[bytes], name: Callable[[], str]) -> Path:
    """As `write_whole`, one part after the other, to the folder of `path`; `name` is asked once all are written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    process = f"{platform.node()}.{os.getpid()}"  # machines may share the folder
    temporary = path.with_name(f".{path.name}.{process}.tmp")
    try:
        with temporary.open("wb") as file:
            file.writelines(parts)
        return temporary.replace(path.with_name(name()))
    finally:
        temporary.unlink(missing_ok=True)
