"""Each room of `lab` says in its first line what it holds, and imports nothing that it says it does not know."""

import ast
import re

import pytest

from tests.docs.pages import ROOT
from tests.test_house import imports

MODELS = {"torch", "transformers"}
NEVER = {
    "commands": {"pytest"},
    "data": {"pytest", "lab.subjects", *MODELS},
    "files": {"pytest", "numpy", r"lab\.(?!files)\w+", *MODELS},
    "forecast": {"pytest"},
    "judging": {"pytest", "lab.subjects", *MODELS},
    "plugin": MODELS,
    "record": {"pytest", *MODELS},
    "stats": {"pytest", "matplotlib", "lab.files", *MODELS},
    "studies": set(),
    "subjects": {"pytest", "matplotlib"},
    "views": {"pytest", "lab.subjects", *MODELS},
}
"""Of each room, patterns of what it never imports; `tests/test_house.py` has the order in which rooms import others."""
PACKAGES = sorted((ROOT / "lab").rglob("__init__.py"))


def first_line(path):
    """The first line of a module's docstring; empty where there is none."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]


def test_every_room_has_a_rule():
    assert sorted(path.parent.name for path in (ROOT / "lab").glob("*/__init__.py")) == sorted(NEVER)


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_its_first_line_is_a_statement(path):
    first = first_line(path)
    assert first.endswith("."), first or "there is none"


def test_no_module_begins_with_a_question():
    """Pages of `--help` are made of some of these lines."""
    lines = {path.relative_to(ROOT).as_posix(): first_line(path) for path in (ROOT / "lab").rglob("*.py")}
    assert len(lines) > len(PACKAGES)
    assert {path: line for path, line in lines.items() if "?" in line} == {}


@pytest.mark.parametrize("room", sorted(NEVER))
def test_it_imports_nothing_that_it_says_it_does_not_know(room):
    never = re.compile(rf"({'|'.join(sorted(NEVER[room]))})(\.|$)" if NEVER[room] else "$^")
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / "lab" / room).rglob("*.py")
        for name in imports(path)
        if never.match(name)
    }
    assert found == set()


@pytest.mark.parametrize(
    "readme", sorted((ROOT / "lab" / "studies").glob("*/README.md")), ids=lambda path: path.parent.name
)
def test_a_study_names_all_its_pages(readme):
    pages = "".join(path.read_text() for path in (ROOT / "hypotheses" / readme.parent.name).rglob("test_*.py"))
    assert set(re.findall(r'^    id="(\w+)"', pages, re.M)) <= set(re.findall(r"\w+", readme.read_text()))
