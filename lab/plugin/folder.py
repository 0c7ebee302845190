"""May this run write into its results folder? It must be writable, and no other run may be at work in it."""

from __future__ import annotations

import json
import os
import platform
from datetime import datetime
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest
from filelock import FileLock, Timeout

from lab.evidence.files import write_whole
from lab.plugin.cells import EXPERIMENT
from lab.plugin.options import SETTINGS, Settings

_TAKEN = pytest.StashKey[FileLock]()
_LOCK, _HOLDER = ".lock", ".running.json"


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Takes the folder for a run that has cells; ordinary tests write nothing and may run beside anything."""
    if _writes(session) and not session.config.stash[SETTINGS].is_worker:
        _take(session.config)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    if _writes(session) and session.config.stash[SETTINGS].is_worker:
        _word(session.config.stash[SETTINGS]).touch()


def _writes(session: pytest.Session) -> bool:
    works = not (session.config.option.collectonly or session.config.stash[SETTINGS].plan)
    return works and any(EXPERIMENT in item.stash for item in session.items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any) -> None:
    """The controller collects nothing; it takes the folder when a worker has found cells, before one of them runs."""
    if _word(node.config.stash[SETTINGS]).exists():
        _take(node.config)


def _word(settings: Settings) -> Path:
    """The file by which a worker tells its controller that there are cells; xdist has no channel for that."""
    return Path(gettempdir()) / f"lab-{settings.run}"


def _take(config: pytest.Config) -> None:
    if _TAKEN in config.stash:
        return
    settings = config.stash[SETTINGS]
    folder, lock = settings.results, FileLock(settings.results / _LOCK)
    config.add_cleanup(lambda: _word(settings).unlink(missing_ok=True))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
        since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        holder = {"process": os.getpid(), "machine": platform.node(), "since": since}
        write_whole(folder / _HOLDER, json.dumps(holder).encode())
    except Timeout:
        raise pytest.UsageError(
            f"another run is writing to {folder} ({_told(folder)}); wait for it, or name another folder with "
            "--lab-results"
        ) from None
    except OSError as error:
        raise pytest.UsageError(
            f"cannot write to {folder}: {error.strerror or error}; name another folder with --lab-results"
        ) from None
    config.stash[_TAKEN] = lock
    config.add_cleanup(lock.release)
    config.add_cleanup(lambda: (folder / _HOLDER).unlink(missing_ok=True))  # cleanups run last first


def _told(folder: Path) -> str:
    """Who holds the folder. For a moment after its run began, and where that cannot be read, nobody knows."""
    try:
        holder = json.loads((folder / _HOLDER).read_bytes())
        return f"process {holder['process']} on {holder['machine']}, since {holder['since']}"
    except (OSError, ValueError, LookupError, TypeError):
        return "process unknown"
