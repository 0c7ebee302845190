"""What a clone has, `pip install` has: the wheel in a fresh venv, in folders in which no file of the clone is seen."""

import re
import shlex
from pathlib import Path

from lab.commands.new import with_pages
from lab.subjects.names import controls
from lab.subjects.names import organisms as names
from tests.docs.pages import PAGES, ROOT

HINT = re.compile(r"""pip install ((?:-c \S+ |-e )*(?:"[^"]+"|'[^']+'|[\w-]+))""")
"""What a message or a page tells somebody to install; of the clone itself, `pip install .`, that is no hint."""
MINE = {
    "pyproject.toml": """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "coins"
version = "1"

[project.entry-points."lab.studies"]
coins = "coins:STUDY"
""",
    "coins.py": '''
"""A study of coins: what it registers, a fixture, and a figure."""

import pytest

from lab.study import Study

STUDY = Study(name="coins", plugins=("coins",), parts={"coins": "coins:figures"})


@pytest.fixture(scope="session")
def tosses():
    """A thousand tosses."""
    return [toss * toss % 8 == 1 for toss in range(1000)]


def heads(record):
    from lab.views.drawing import Drawing

    (cell,) = record.of("COIN")
    share = cell.measures[0].estimate.value
    return Drawing(
        data={"heads": share},
        size=(3, 2),
        caption="How often heads came up",
        cells=(cell.cell,),
        draw=lambda figure: figure.subplots().bar(["heads", "tails"], [share, 1 - share]),
    )


def figures(record, places):
    from lab.views.panels import draw_all

    return draw_all({"heads": heads}, record, places.figures)
''',
    "hypotheses/test_coin.py": '''
"""Is the coin fair?"""

from lab.plugin import experiment
from lab.stats import intervals


@experiment(id="COIN", claim="Heads come up as often as tails, to 5 points", phase="coins")
def test_the_coin_is_fair(tosses, evidence):
    assert evidence.measure("heads", intervals.wilson(tosses)).within(0.45, 0.55)
''',
}
"""A study as its author writes it: three files, of which none lies in the laboratory."""


def test_the_wheel_holds_the_library_and_what_is_embedded_and_nothing_else(installed):
    top = {path.name for path in installed.site.iterdir() if not path.name.endswith(".dist-info")}
    assert top == {"lab", "needed.pth"}
    embedded = installed.site / "lab" / "embedded"
    weights = embedded / "organisms"
    assert sorted(path.parent.name for path in weights.rglob("model.safetensors")) == sorted((*names(), *controls()))
    assert (embedded / "prompts" / "ratings.yaml").is_file()
    assert (embedded / "templates" / "page.html").is_file()
    assert sorted(path.name for path in (embedded / "hypotheses").iterdir()) == with_pages()
    for path in filter(Path.is_file, weights.rglob("*")):
        assert path.stat().st_mode & 0o044 == 0o044, f"{path.name} cannot be read by others"


def test_a_new_project_runs_and_is_reported(installed, tmp_path):
    installed.output("lab new first", tmp_path)
    told = installed.output("pytest first -p no:cacheprovider", tmp_path)
    assert "5 passed, 5 xfailed" in told
    project = tmp_path / "first"
    assert "| ORDER[clinic-gpt2] | " in installed.output("lab report", project)
    installed.output("lab report page", project)
    assert "Claims that held (5)" in (project / "results" / "page.html").read_text()
    assert "organisms     OK clinic-gemma" in installed.output("lab check", project)


def test_a_study_s_pages_are_copied_and_find_their_fixtures(installed, tmp_path):
    for study in with_pages():
        installed.output(f"lab new {study} --study {study}", tmp_path)
    told = installed.output(f"pytest {shlex.join(with_pages())} --collect-only -q -p no:cacheprovider", tmp_path)
    collected = {Path(line.partition("::")[0]).name for line in told.splitlines() if "::" in line}
    assert collected == {path.name for path in (ROOT / "hypotheses").rglob("test_*.py")}
    planned = installed.output("pytest preferences --lab-plan -k POSITION -p no:cacheprovider", tmp_path)
    assert "POSITION[clinic-llama]" in planned  # which makes the fixtures, and runs nothing


def test_every_fixture_of_a_clone_is_there(installed, tmp_path):
    told = installed.output("pytest --fixtures -p no:cacheprovider -q", tmp_path)
    brought = {
        line[1]
        for path in (ROOT / "lab").rglob("*.py")
        for line in re.finditer(r"^@pytest\.fixture[^\n]*\ndef ([a-z]\w+)\(", path.read_text(), re.MULTILINE)
    }
    assert {"model", "evidence", "judges", "dataset", "comparing", "asking", "concepts", "systems"} <= brought
    assert [name for name in sorted(brought) if not re.search(rf"^{name}( \[|$| --)", told, re.MULTILINE)] == []


def test_a_study_of_three_files_brings_a_fixture_a_page_and_a_figure(installed, tmp_path):
    for name, text in MINE.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    installed.output("python -m pip install -q --no-index --no-deps --no-build-isolation --target site .", tmp_path)
    site = {"PYTHONPATH": str(tmp_path / "site")}
    told = installed.output("pytest hypotheses -p no:cacheprovider", tmp_path, **site)
    assert re.search(r"COIN +heads 50 % .* PASS", told)
    installed.output("lab report", tmp_path, **site)
    assert (tmp_path / "results" / "figures" / "heads.png").is_file()


def test_what_one_is_told_to_install_can_be_installed_outside_a_clone(installed, tmp_path):
    """Without an index, for all of it is here already: pip has to know its name, and to find no file of a clone."""
    hints = {hint for path in [*PAGES, *(ROOT / "lab").rglob("*.py")] for hint in HINT.findall(path.read_text())}
    assert len(hints) > 5
    installed.output(f"python -m pip install --no-index --dry-run --quiet {' '.join(sorted(hints))}", tmp_path)
