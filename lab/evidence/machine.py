"""Where and from what was a result made? Machine, versions, commit and command: the first line of every journal."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.evidence.code import versions


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
        },
        "versions": versions(),
    }


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
