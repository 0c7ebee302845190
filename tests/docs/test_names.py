"""What pages and docstrings name is there: files, modules of `lab`, and commands."""

import ast
import re

import pytest

from lab.__main__ import COMMANDS
from lab.commands.report import REPORTS, STATISTICS
from lab.study import merged
from lab.views import parts
from tests.docs.pages import PAGES, ROOT
from tests.named import functions

FOLDERS = "benchmarks|docs|fixtures|hypotheses|lab|reports|tests"
FILE = re.compile(rf"(?<![\w./@-])((?:{FOLDERS})/[\w./-]*)(?:::(\w+))?")
MODULE = re.compile(r"(?<![\w./])lab((?:\.[a-z_]\w*)+)")
COMMAND = re.compile(r"(?<![\w./-])lab (report )?([a-z][\w-]*)(?=[ `\n]|$)")
"""Of `lab` in code; placeholders as NAME and flags are left out."""
MOVED = re.compile(r"python -m (?:lab|reports)\b")
TEXTS = [
    *PAGES,
    *sorted(ROOT.glob("benchmarks/*.md")),
    *sorted(ROOT.glob("hypotheses/**/*.md")),
    *sorted(ROOT.glob("lab/**/*.md")),
    *sorted(ROOT.glob("reports/templates/*.md")),
]
MODULES = [path for folder in FOLDERS.split("|") for path in sorted((ROOT / folder).rglob("*.py"))]
GONE = {"reports/__main__.py", "lab/data/__main__.py", "lab/organisms.py", "lab/subjects/__main__.py"}
"""They stand where a command was, and name it."""


def docstrings(path):
    """All docstrings of a module, those after an assignment too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def code(text):
    """What stands as code in a page."""
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.M | re.S)
    return "\n".join([*blocks, *re.findall(r"`[^`\n]+`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))])


def lost(text):
    """What a text names that is not there: files by their path in the project, tests, modules and what they define."""
    for found in FILE.finditer(text):
        name = found[1].rstrip(".")
        if "NAME" in name:  # stands for any
            continue
        if not (ROOT / name).exists() or (found[2] and found[2] not in functions(name)):
            yield found[0].rstrip(".")
    for found in MODULE.finditer(text):
        if not defined(found[1].split(".")[1:]):
            yield found[0]


def defined(names):
    """Whether lab.NAMES is a module, or what comes behind one stands in it."""
    place, names = ROOT / "lab", list(names)
    while names and (place / names[0]).is_dir():
        place /= names.pop(0)
    module = place / "__init__.py"
    if names and (place / f"{names[0]}.py").is_file():
        module = place / f"{names.pop(0)}.py"
    return not names or re.search(rf"\b{names[0]}\b", module.read_text()) is not None


def unknown(text):
    """Commands of `lab` that there are not, and calls of modules that commands have replaced."""
    commands, reports = COMMANDS | merged("commands"), {*REPORTS, *merged("reports"), *parts.names(), STATISTICS}
    for found in COMMAND.finditer(text):
        if found[2] not in (reports if found[1] else commands):
            yield found[0]
    yield from MOVED.findall(text)


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_names_what_is_there(page):
    text = page.read_text()
    assert [*lost(text), *unknown(code(text))] == []


def test_docstrings_name_what_is_there():
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in MODULES
        if path.relative_to(ROOT).as_posix() not in GONE
        for text in docstrings(path)
        for name in [*lost(text), *unknown(code(text))]
    }
    assert found == set()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("`lab/methods/probing.py` and lab/stats/", ["lab/methods/probing.py"]),
        ("see tests/test_house.py::test_no_pickle_anywhere.", []),
        ("tests/test_house.py::test_pickles", ["tests/test_house.py::test_pickles"]),
        ("lab.methods.probing, lab.stats.intervals.wilson, lab.stats.intervals.wilsson", ["lab.methods.probing", "lab.stats.intervals.wilsson"]),
        ("`lab.subjects.load(name)` and lab.record", []),
    ],
)  # fmt: skip
def test_what_is_not_there_is_found(text, names):
    assert list(lost(text)) == names


def test_a_command_that_is_not_there_is_found():
    text = (
        "`lab report html`, `lab report NAME`, `lab reprot`, `lab report tabels`, `python -m reports`, our lab is old"
    )
    assert list(unknown(code(text))) == ["lab reprot", "lab report tabels", "python -m reports"]
