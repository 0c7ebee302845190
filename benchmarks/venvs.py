"""Where does each peer live? In a virtual environment of its own, made when it is first wanted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
PEERS = ("transformer_lens", "nnsight", "nnterp", "baukit")
BAUKIT = "git+https://github.com/davidbau/baukit"


class InstallError(Exception):
    """pip could not install a peer; the message is one line."""


def interpreter(peer: str) -> str:
    """The Python that has this peer; made anew where `peers/PEER*.txt` changed since. Raises InstallError.

    `peers/PEER.no-deps.txt`, where there is one, is installed last, without what it depends on.
    """
    folder = HERE / ".venvs" / peer
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    lists = [path for path in (HERE / "peers" / f"{peer}.txt", HERE / "peers" / f"{peer}.no-deps.txt") if path.exists()]
    wanted = sys.version + "".join(path.read_text() for path in lists)
    ready = folder / "installed.txt"
    if ready.exists() and ready.read_text() == wanted:
        return str(python)
    print(f"installing {peer} into {folder} ...", file=sys.stderr, flush=True)
    if folder.exists():
        shutil.rmtree(folder)
    venv.create(folder, with_pip=True)
    for path in lists:
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(path)]
        if path.name.endswith(".no-deps.txt"):
            pip.append("--no-deps")
        env = {"BAUKIT_SOURCE": BAUKIT, **os.environ}
        done = subprocess.run(pip, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise InstallError(f"cannot be installed ({_reason(done.stderr)})")
    ready.write_text(wanted)
    return str(python)


def _reason(stderr: str) -> str:
    """The line that says most: git's own, or else pip's first."""
    lines = [line.strip() for line in stderr.splitlines()]
    said = [line for start in ("fatal:", "ERROR:", "error:") for line in lines if line.startswith(start)]
    return said[0] if said else "pip gave no reason"
