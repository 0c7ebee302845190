"""docs/coverage.md names only tests that are there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_test_that_is_named_exists():
    told, missing = 0, []
    for line in (ROOT / "docs" / "coverage.md").read_text().splitlines():
        file = ""
        for place, name in re.findall(r"`([\w/]+\.py)?(?:::(\w+))?`", line):
            file = place or file
            if not file.startswith("tests/") or not name:
                continue
            told += 1
            tree = ast.parse((ROOT / file).read_text())
            if name not in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}:
                missing.append(f"{file}::{name}")
    assert told > 100
    assert missing == []
