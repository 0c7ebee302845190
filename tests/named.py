"""Which tests does a file have? For pages that name them."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]


@cache
def functions(file: str) -> frozenset[str]:
    """Names of all functions of a file, by its path in the project."""
    tree = ast.parse((ROOT / file).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
