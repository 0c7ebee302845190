"""The README's own-hypothesis example runs as written, in an empty folder, from an installed wheel; that of models too."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lab.subjects.names import controls
from lab.subjects.names import organisms as names

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(once):
    """A folder with the package as `pip install .` leaves it: no checkout, no fixtures/ beside it."""

    def install(site):
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
        done = subprocess.run([*command, "--target", site, str(ROOT)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    return once("site", install)


def example():
    text = (ROOT / "README.md").read_text()
    return re.search(r"<!-- own hypothesis -->\n```python\n(.*?)```", text, re.DOTALL).group(1)


def test_the_example_runs_after_pip_install(installed, tmp_path):
    (tmp_path / "test_done.py").write_text(example())
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(installed)}, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert "5 passed, 5 xfailed" in run.stdout
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


def test_the_wheel_holds_the_library_and_the_organisms_and_nothing_else(installed):
    top = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert top == {"lab"}
    weights = installed / "lab" / "embedded" / "organisms"
    assert sorted(path.parent.name for path in weights.rglob("model.safetensors")) == sorted((*names(), *controls()))
    assert (installed / "lab" / "embedded" / "prompts" / "ratings.yaml").is_file()
    for path in filter(Path.is_file, weights.rglob("*")):
        assert path.stat().st_mode & 0o044 == 0o044, f"{path.name} cannot be read by others"
