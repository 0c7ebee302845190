"""The README's own-hypothesis example runs as written, in an empty folder, from an installed wheel; that of models too."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def example():
    text = (ROOT / "README.md").read_text()
    return re.search(r"<!-- own hypothesis -->\n```python\n(.*?)```", text, re.DOTALL).group(1)


def test_the_example_runs_after_pip_install(installed, tmp_path):
    (tmp_path / "test_done.py").write_text(example())
    assert "5 passed, 5 xfailed" in installed.output("pytest -p no:cacheprovider", tmp_path)
    assert "DONE" in (tmp_path / "results" / "summary_table.md").read_text()


def test_the_example_of_reading_and_changing_runs_and_has_the_shapes_it_says():
    text = (ROOT / "docs" / "models.md").read_text()
    code = re.search(r"<!-- subjects -->\n```python\n(.*?)```", text, re.DOTALL).group(1)
    names: dict = {}
    exec(code, names)
    said = re.findall(r"^(\S+\.shape) +# (\(.*?\))", code, re.MULTILINE)
    assert len(said) == 2
    for expression, shape in said:
        assert str(eval(expression, names)) == shape
