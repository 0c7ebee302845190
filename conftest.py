"""Brings the suite's own pytest fixtures: every module that lies in fixtures/. All others come with the plugin."""

from pathlib import Path

pytest_plugins = [f"fixtures.{path.stem}" for path in sorted(Path(__file__).parent.glob("fixtures/[a-z]*.py"))]
