"""Shared by all tests: pytester, and a quiet environment for the pytest runs inside of it."""

import sys

import _pytest.pytester
import pytest
from hypothesis import settings

pytest_plugins = ["pytester"]

settings.register_profile("lab", deadline=None)  # a first call imports scipy
settings.load_profile("lab")


def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=2, help="how often a suite is killed and resumed, at least")


class _OwnModules:
    """After an inner run, forgets the modules of tests' own folders and no others: torch cannot be imported twice."""

    folder = ""

    def __init__(self, preserve):
        pass

    def restore(self):
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None)).startswith(self.folder):
                del sys.modules[name]


_pytest.pytester.SysModulesSnapshot = _OwnModules


@pytest.fixture(scope="session", autouse=True)
def _tests_own_folders(tmp_path_factory):
    _OwnModules.folder = str(tmp_path_factory.getbasetemp())


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
    """Outer options must not reach inner runs, which need no hypothesis: to import it takes half of their start."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest")
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
        monkeypatch.delenv(name, raising=False)
