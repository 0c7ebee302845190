"""docs/coverage.md names only tests that are there."""

import re

from tests.named import ROOT, functions


def test_every_test_that_is_named_exists():
    told, missing = 0, []
    for line in (ROOT / "docs" / "coverage.md").read_text().splitlines():
        file = ""
        for place, name in re.findall(r"`([\w/]+\.py)?(?:::(\w+))?`", line):
            file = place or file
            if not file.startswith("tests/") or not name:
                continue
            told += 1
            if name not in functions(file):
                missing.append(f"{file}::{name}")
    assert told > 100
    assert missing == []
