"""Shared by all tests: pytester, and a quiet environment for the pytest runs inside of it."""

import gc
import os
import sys
from pathlib import Path

import _pytest.pytester
import pytest
from filelock import FileLock
from hypothesis import settings

from tests.installed import Installed, build

pytest_plugins = ["pytester"]

settings.register_profile("lab", deadline=None)  # a first call imports scipy
settings.load_profile("lab")


def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=1, help="how often a suite is killed and resumed, at least")
    parser.addoption("--truths", action="store_true", help="measure every truth planted in every organism's weights")


class _OwnModules:
    """After an inner run, forgets the tests that it collected and no others: torch cannot be imported twice.

    These are in tests' own folders, or the project's own hypotheses: their copies in another folder are other modules.
    """

    folders = (str(Path(__file__).parents[1] / "hypotheses"),)

    def __init__(self, preserve):
        pass

    def restore(self):
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None)).startswith(self.folders):
                del sys.modules[name]


_pytest.pytester.SysModulesSnapshot = _OwnModules


@pytest.fixture(scope="session", autouse=True)
def _tests_own_folders(tmp_path_factory):
    _OwnModules.folders += (str(tmp_path_factory.getbasetemp()),)


@pytest.fixture(scope="module", autouse=True)
def _old_objects_are_no_garbage():
    """To look for garbage among all that torch brought along takes 0.3 s, and subjects look whenever memory runs out."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """Makes a folder that all workers share: `once("site", build)` calls `build(folder)` in one of them."""
    own = tmp_path_factory.getbasetemp()
    base = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def made(name, build):
        folder, done = base / name, base / f"{name}.done"
        with FileLock(base / f"{name}.lock"):
            if not done.exists():
                folder.mkdir()
                build(folder)
                done.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def installed(once):
    """A fresh venv with the wheel."""
    return Installed(once("wheel", build) / "venv")


@pytest.fixture
def inner(pytester):
    """Runs pytest on what was written to `pytester.path`: in a process of its own where it has workers.

    Without workers it runs in this process, ten times as fast.
    """

    def run(*arguments, alone=False):
        if alone or any(str(argument).startswith("-n") for argument in arguments):
            return pytester.runpytest_subprocess(*arguments)
        return pytester.runpytest_inprocess(*arguments)

    return run


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    """Outer options must not reach inner runs, which need neither hypothesis nor anyio: they take half of their start.

    A process of its own keeps its bytecode, whatever this one does: to compile the library takes as long again. This
    one keeps none, for a file that is written twice within a second would be read from the first one's.
    """
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest -p no:anyio")
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
        monkeypatch.delenv(name, raising=False)
