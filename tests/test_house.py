"""The parts import downwards only, hypotheses hold no machinery, and the plugin is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ORDER = [
    "shipped",
    "estimate",
    "hub",
    "prompts",
    "data",
    "stats",
    "methods",
    "subjects",
    "evidence",
    "organisms",
    "plugin",
    "commands",
    "__main__",
]
"""From the bottom up: each part may import those before it."""


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", sorted((ROOT / "lab").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_parts_import_downwards_only(path):
    own = path.relative_to(ROOT / "lab").with_suffix("").parts[0]
    if own == "__init__":
        return
    used = {name.split(".")[1] for name in imports(path) if name.startswith("lab.")}
    above = {part for part in used if ORDER.index(part) > ORDER.index(own)}
    assert not above
    if own in ("stats", "methods", "estimate"):
        assert not [name for name in imports(path) if name.split(".")[0] in ("torch", "transformers", "pytest")]


@pytest.mark.parametrize("path", sorted((ROOT / "hypotheses").rglob("*.py")), ids=lambda p: p.name)
def test_a_hypothesis_uses_methods_plugin_and_estimate_alone(path):
    deeper = [
        n for n in imports(path) if n.startswith("lab.") and n.split(".")[1] not in ("methods", "plugin", "estimate")
    ]
    assert not deeper
    assert "import torch" not in path.read_text()


def test_reports_never_load_a_model():
    used = {name for path in (ROOT / "reports").rglob("*.py") for name in imports(path)}
    assert not [n for n in used if n.split(".")[0] in ("torch", "transformers") or n.startswith("lab.subjects")]


def test_the_plugin_loads_nothing_heavy():
    code = (
        "import sys, lab.plugin.register; "
        "print([m for m in ('torch', 'transformers', 'numpy', 'scipy', 'sklearn', 'matplotlib') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_collecting_the_hypotheses_loads_no_heavy_library():
    """Together they take five seconds to import, on every worker; each is imported where it is used."""
    heavy = "torch transformers scipy sklearn statsmodels pingouin pandas matplotlib".split()
    code = (
        "import sys, pytest; pytest.main(['hypotheses', '--collect-only', '-q', '-p', 'no:cacheprovider']); "
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert "tests collected" in run.stdout
    assert run.stdout.splitlines()[-1] == "[]"


def test_no_pickle_anywhere():
    used = [p for folder in ("lab", "fixtures", "hypotheses", "reports") for p in (ROOT / folder).rglob("*.py")
            if {"pickle", "joblib", "dill", "shelve"} & {name.split(".")[0] for name in imports(p)}]  # fmt: skip
    assert used == []
