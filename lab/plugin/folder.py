"""The lock on the results folder: it must be writable, and no other run may be at work in it."""

from __future__ import annotations

import json
import os
import platform
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from tempfile import gettempdir
from typing import IO, Any

import pytest
from filelock import FileLock, Timeout

from lab.files.whole import write_whole
from lab.plugin.knobs import EXPERIMENT
from lab.plugin.options import SETTINGS, Settings

_TAKEN = pytest.StashKey[bool]()
_LOCK, _HOLDER = ".lock", ".running.json"
_PATIENCE = 5.0
"""Seconds that a share waits for the first of its run, which holds the folder alone for a moment."""


def take(session: pytest.Session) -> None:
    """Takes the folder for a run that has cells; ordinary tests write nothing and may run beside anything."""
    if _writes(session) and not session.config.stash[SETTINGS].is_worker:
        _take(session.config)


def tell(session: pytest.Session) -> None:
    """On a worker that has cells, tells the controller, which takes the folder."""
    if _writes(session) and session.config.stash[SETTINGS].is_worker:
        _word(session.config.stash[SETTINGS]).touch()


def _writes(session: pytest.Session) -> bool:
    settings = session.config.stash[SETTINGS]
    works = not (session.config.option.collectonly or settings.plan)
    return works and (settings.merges or any(EXPERIMENT in item.stash for item in session.items))


def take_if_told(config: pytest.Config) -> None:
    """The controller collects nothing; it takes the folder when a worker has found cells, before one of them runs."""
    if _word(config.stash[SETTINGS]).exists():
        _take(config)


def _word(settings: Settings) -> Path:
    """The file by which a worker tells its controller that there are cells; xdist has no channel for that."""
    return Path(gettempdir()) / f"lab-{settings.session}"


def _take(config: pytest.Config) -> None:
    if _TAKEN in config.stash:
        return
    settings = config.stash[SETTINGS]
    folder = settings.results
    config.add_cleanup(lambda: _word(settings).unlink(missing_ok=True))
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    holder = {"process": os.getpid(), "machine": platform.node(), "since": since, "run": settings.run}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if settings.share is None:
            lock = FileLock(folder / _LOCK)
            lock.acquire(blocking=False)
            write_whole(folder / _HOLDER, json.dumps(holder).encode())
            config.add_cleanup(lock.release)
            config.add_cleanup(lambda: (folder / _HOLDER).unlink(missing_ok=True))  # cleanups run last first
        else:
            config.add_cleanup(_join(folder, holder).close)
    except Timeout:
        raise pytest.UsageError(
            f"another run is writing to {folder} ({_told(folder)}); wait for it, or name another folder with "
            "--lab-results"
        ) from None
    except OSError as error:
        raise pytest.UsageError(
            f"cannot write to {folder}: {error.strerror or error}; name another folder with --lab-results"
        ) from None
    config.stash[_TAKEN] = True


def _join(folder: Path, holder: dict[str, Any]) -> IO[bytes]:
    """Takes the folder for a share, together with the others of its run: a shared lock on `FileLock`'s own file.

    The first of them says whose it is, before others may join. Closing the file gives the folder back. Raises Timeout.
    """
    import fcntl  # clusters are no Windows

    file = (folder / _LOCK).open("ab")
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        write_whole(folder / _HOLDER, json.dumps(holder).encode())
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > until:
                file.close()
                raise Timeout(str(folder / _LOCK)) from None
            time.sleep(0.05)
    if _read(folder).get("run") != holder["run"]:
        file.close()
        raise Timeout(str(folder / _LOCK))
    return file


def _read(folder: Path) -> dict[str, Any]:
    """Who holds the folder; nothing where that cannot be read, as for a moment after a run began."""
    try:
        holder = json.loads((folder / _HOLDER).read_bytes())
    except (OSError, ValueError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _told(folder: Path) -> str:
    holder = _read(folder)
    if not {"process", "machine", "since"} <= holder.keys():
        return "process unknown"
    return f"process {holder['process']} on {holder['machine']}, since {holder['since']}"
