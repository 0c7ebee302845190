"""Brings the suite's own pytest fixtures: every module that lies in fixtures/. All others come with the plugin."""

from pathlib import Path


def pytest_configure(config):
    """After the plugin has brought the studies' fixtures, so that one of the same name here goes before theirs."""
    for path in sorted(Path(__file__).parent.glob("fixtures/[a-z]*.py")):
        config.pluginmanager.import_plugin(f"fixtures.{path.stem}")
