"""Every hook of the plugin stands in one file, once."""

import ast
from collections import Counter
from pathlib import Path

from lab.plugin import lifecycle

PLUGIN = Path(lifecycle.__file__).parent
TWICE = {"pytest_generate_tests", "pytest_runtest_makereport"}
"""Hooks in which one step comes before those of other plugins and another one after them."""


def hooks(path):
    """The hooks that a module implements, by the names that pytest knows."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("pytest_"):
            keywords = [k for mark in node.decorator_list if isinstance(mark, ast.Call) for k in mark.keywords]
            yield next((k.value.value for k in keywords if k.arg == "specname"), node.name)


def test_hooks_stand_in_the_lifecycle_alone():
    elsewhere = {path.name: set(hooks(path)) for path in PLUGIN.glob("*.py") if path.name != "lifecycle.py"}
    assert {name: found for name, found in elsewhere.items() if found} == {
        "register.py": {"pytest_addoption", "pytest_configure"}
    }


def test_each_hook_stands_once():
    counts = Counter(hooks(PLUGIN / "lifecycle.py"))
    assert len(counts) > 20
    assert {name: n for name, n in counts.items() if n > 1} == dict.fromkeys(TWICE, 2)
