"""Shared by all tests: pytester, and a quiet environment for the pytest runs inside of it."""

import pytest
from hypothesis import settings

pytest_plugins = ["pytester"]

settings.register_profile("lab", deadline=None)  # a first call imports scipy
settings.load_profile("lab")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    """Outer options must not reach inner runs."""
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
        monkeypatch.delenv(name, raising=False)
