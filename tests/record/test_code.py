"""A fingerprint follows the sources that an experiment uses, and no others."""

import importlib
import re
import shutil
import sys
import textwrap
from pathlib import Path

import pytest

import lab
from lab.files import texts
from lab.files.embedded import folder
from lab.record import code


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    files = {
        "pack/__init__.py": "",
        "pack/test_one.py": "import numpy\nfrom . import near\nfrom pack.sub import deep\n",
        "pack/near.py": "import pack.far\n",
        "pack/far.py": "x = 1\n",
        "pack/sub/__init__.py": "from ..other import y\n",
        "pack/sub/deep.py": "",
        "pack/other.py": "y = 2\n",
        "pack/stranger.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(text))
    importlib.import_module("pack.test_one")
    importlib.import_module("pack.stranger")
    yield tmp_path.resolve()
    for name in [name for name in sys.modules if name.partition(".")[0] == "pack"]:
        del sys.modules[name]


def seen(project):
    code._sources.cache_clear()
    return code.fingerprint(("pack.test_one",), project)


@pytest.mark.parametrize("file", ["test_one", "near", "far", "other", "sub/__init__", "sub/deep"])
def test_a_change_in_anything_imported_changes_it(project, file):
    before = seen(project)
    assert before == seen(project)
    path = project / "pack" / f"{file}.py"
    path.write_text(path.read_text() + "\n# changed\n")
    assert seen(project) != before


def test_a_change_elsewhere_does_not(project):
    before = seen(project)
    (project / "pack" / "stranger.py").write_text("# changed\n")
    assert seen(project) == before


STUDY = """
from lab.study import Study
STUDY = Study(name="coins", plugins=("coins.fixtures",))
"""


@pytest.fixture
def installed(tmp_path_factory, monkeypatch):
    """A study in a folder of packages, of which the module `methods` is imported late, and `drawing` never."""
    folder = tmp_path_factory.mktemp("packages")
    (folder / "coins").mkdir()
    for name, text in {
        "__init__": STUDY,
        "fixtures": "def f():\n    from coins import methods\n",
        "methods": "x = 1\n",
        "drawing": "",
    }.items():
        (folder / "coins" / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(folder)
    coins = importlib.import_module("coins")
    monkeypatch.setattr(code, "studies", lambda: (coins.STUDY,))
    yield folder / "coins"
    for name in [name for name in sys.modules if name.partition(".")[0] == "coins"]:
        del sys.modules[name]


@pytest.mark.parametrize(("file", "counts"), [("fixtures", True), ("methods", True), ("drawing", False)])
def test_an_installed_study_counts_as_far_as_an_experiment_imports_it(installed, project, file, counts):
    def seen():
        code._sources.cache_clear()
        return code.fingerprint(("pack.test_one", "coins.fixtures"), project)

    before = seen()
    (installed / f"{file}.py").write_text((installed / f"{file}.py").read_text() + "# changed\n")
    assert (seen() != before) == counts


def test_of_the_library_only_what_determines_results_counts():
    paths, _ = code._sources(("lab.studies.ratings.concept_fixture",), Path(lab.__file__).parents[1])
    counted = {path.relative_to(code.LAB).as_posix() for path in paths}
    assert {"studies/ratings/concepts.py", "studies/shared/asking.py", "studies/shared/parsing.py"} <= counted
    assert not [name for name in counted if "/reports/" in name or not name.startswith("studies/")]


def test_other_versions_of_what_computes_change_it(project, monkeypatch):
    before = seen(project)
    monkeypatch.setattr(code, "versions", lambda: {"numpy": "0.0"})
    code._environment.cache_clear()
    try:
        assert seen(project) != before
    finally:
        code._environment.cache_clear()


@pytest.mark.parametrize(
    "line", ["import pandas", "from pingouin import anova", "from lab.stats import second_opinion"]
)
def test_pingouin_and_pandas_count_only_for_who_imports_them(project, monkeypatch, line):
    path = project / "pack" / "far.py"

    def of(version):
        monkeypatch.setattr(code, "versions", lambda: {"numpy": "1", "pandas": version, "pingouin": version})
        code._environment.cache_clear()
        return seen(project)

    try:
        assert of("1") == of("2")
        path.write_text(f"def f():\n    {line}\n")
        assert of("1") != of("2")
    finally:
        code._environment.cache_clear()


def test_one_module_of_the_library_uses_them_and_none_imports_it():
    root = Path(lab.__file__).parent
    told = re.compile(r"^\s*(?:import|from) (pandas|pingouin)\b|import_module\(.(pandas|pingouin)", re.MULTILINE)
    users = {str(path.relative_to(root)) for path in root.rglob("*.py") if told.search(path.read_text())}
    assert users == {"stats/second_opinion.py"}
    assert not [path for path in root.rglob("*.py") if "lab.stats.second_opinion" in code._imported(path, "x")]


def test_a_change_in_any_text_of_a_prompt_changes_it(project, tmp_path, monkeypatch):
    """Prompts are also made while a cell runs, so none of its fixtures need show them."""
    shutil.copytree(folder("prompts"), tmp_path / "prompts")
    kept = (code._environment, texts.fingerprint, texts.files)
    before = seen(project)
    monkeypatch.setattr(texts, "folder", lambda kind: tmp_path / kind)
    try:
        for name in ("questions", "ratings", "lexicons"):
            path = tmp_path / "prompts" / f"{name}.yaml"
            for each in kept:
                each.cache_clear()
            assert seen(project) == before
            path.write_text(path.read_text() + "# changed\n")
            for each in kept:
                each.cache_clear()
            assert seen(project) != before
            before = seen(project)
    finally:
        for each in kept:
            each.cache_clear()
