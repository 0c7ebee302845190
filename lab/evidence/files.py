"""How does a file appear whole or not at all, and under a safe name?"""

from __future__ import annotations

import hashlib
import os
import re
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
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
