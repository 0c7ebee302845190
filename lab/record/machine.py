"""Where and from what a result was made: machine, versions, commit and command, the first line of every journal."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.record.code import versions


def describe(command: Sequence[str], root: Path) -> dict[str, Any]:
    """What a run's journal begins with. Holds nothing of the environment's variables, so no secret."""
    return {
        "command": shlex.join(command),
        "commit": commit(root),
        "machine": {
            "name": platform.node(),
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "gpus": gpus(),
            "setup_seconds": setup_seconds(),
        },
        "versions": versions(),
    }


def gpus() -> list[str]:
    """The names of the GPUs, as their driver tells them; torch, which would too, takes seconds to import."""
    try:
        asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        told = subprocess.run(asked, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in told.stdout.splitlines() if line.strip()] if told.returncode == 0 else []


def setup_seconds() -> float | None:
    """What it took to make this environment, where `make setup` made it, which puts that down."""
    try:
        return float((Path(sys.prefix) / ".ready").read_text())
    except (OSError, ValueError):
        return None


def commit(root: Path) -> str | None:
    """The checkout's commit, with a + where files were changed since; None outside of a repository."""
    found = _git(root, "rev-parse", "HEAD")
    if found is None:
        return None
    return found + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")


def _git(root: Path, *arguments: str) -> str | None:
    try:
        made = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return made.stdout.strip() if made.returncode == 0 else None
