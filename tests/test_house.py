"""The laboratory knows no study, parts import downwards only, pages hold no machinery, and the plugin is light."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lab.study import studies

ROOT = Path(__file__).parents[1]
LAB, STUDIES = ROOT / "lab", ROOT / "lab" / "studies"
ORDER = [
    "study",
    "estimate",
    "files",
    "stats",
    "data",
    "subjects",
    "judging",
    "record",
    "forecast",
    "views",
    "plugin",
    "commands",
    "__main__",
    "studies",
]
"""From the bottom up: each part may import those before it."""
PAGES = sorted((ROOT / "hypotheses").rglob("*.py"))
LABORATORY = [path for path in sorted(LAB.rglob("*.py")) if STUDIES not in path.parents]
OWN = [path for folder in ("fixtures", "reports") for path in sorted((ROOT / folder).rglob("*.py"))]


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def texts(path):
    """All strings of a module, docstrings among them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def named(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", sorted(LAB.rglob("*.py")), ids=named)
def test_parts_import_downwards_only(path):
    own = path.relative_to(LAB).with_suffix("").parts[0]
    if own == "__init__" or path.name == "organisms.py":
        return
    used = {name.split(".")[1] for name in imports(path) if name.startswith("lab.")}
    above = {part for part in used if ORDER.index(part) > ORDER.index(own)}
    assert not above
    if own in ("stats", "estimate"):
        assert not [name for name in imports(path) if name.split(".")[0] in ("torch", "transformers", "pytest")]


def circles(uses):
    """Groups of modules that import each other in a circle: what is left when modules without imports are taken out."""
    left = dict(uses)
    while ended := [name for name, used in left.items() if not used & left.keys()]:
        for name in ended:
            del left[name]
    while begun := [name for name in left if not any(name in used for used in left.values())]:
        for name in begun:
            del left[name]
    return sorted(left)


def test_no_modules_import_each_other_in_a_circle():
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in LAB.rglob("*.py")}
    rooms = {name: name.removesuffix(".__init__") for name in modules}
    uses = {
        rooms[name]: {used for used in imports(path) if used in rooms.values()} - {rooms[name]}
        for name, path in modules.items()
        if not name.endswith("__init__")
    }
    assert circles(uses) == []


@pytest.mark.parametrize("path", sorted(STUDIES.rglob("*.py")), ids=named)
def test_studies_meet_in_shared_alone(path):
    own = path.relative_to(STUDIES).parts[0]
    used = {name.split(".")[2] for name in imports(path) if name.startswith("lab.studies.")}
    assert used <= {own, "shared"}


def experiments():
    """Ids and phases of all pages, and the rows and plots that they keep."""
    found = {"id": set(), "phase": set(), "rows": set(), "plot": set()}
    for path in PAGES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "experiment":
                for keyword in node.keywords:
                    if keyword.arg in found:
                        found[keyword.arg].add(keyword.value.value)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in found:
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant):
                    found[node.func.attr].add(first.value)
    return found


def test_the_laboratory_names_no_experiment_phase_organism_or_row():
    """A word counts where a string is that word; an id with a figure in it, and an organism, also inside a string."""
    found = experiments()
    assert {"PM1", "POSITION"} <= found["id"]
    words = (
        found["id"] | found["phase"] | {word for word in found["rows"] | found["plot"] if " " in word or "_" in word}
    )
    ids = "|".join(sorted((one for one in found["id"] if re.search(r"\d", one)), key=len, reverse=True))
    inside = re.compile(rf"\b({ids})\b|\bclinic\b|\bclinic-|pre-mortem")
    told = {
        named(path): hits
        for path in LABORATORY
        if path.parent.name != "stats"  # whose functions speak of ratings as of any numbers
        if (hits := sorted({text[:60] for text in texts(path) if text in words or inside.search(text)}))
    }
    assert not told


def test_the_laboratory_names_no_study():
    names = {study.name for study in studies()} - {"shared", "activations"}  # which are what models have
    laboratory = [path for path in LABORATORY if path.parent.name != "stats"]
    told = [named(path) for path in laboratory for text in texts(path) if text in names]
    assert not told


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_a_page_uses_studies_plugin_and_stats_alone(path):
    deeper = [
        n
        for n in imports(path)
        if n.startswith("lab.") and n.split(".")[1] not in ("studies", "plugin", "estimate", "stats")
    ]
    assert not deeper
    assert "import torch" not in path.read_text()


def test_views_and_reports_never_load_a_model():
    paths = [*(LAB / "views").rglob("*.py"), *STUDIES.rglob("reports/*.py"), *OWN]
    used = {name for path in paths for name in imports(path)}
    assert not [n for n in used if n.split(".")[0] in ("torch", "transformers")]
    assert not [n for path in (LAB / "views").rglob("*.py") for n in imports(path) if n.startswith("lab.subjects")]


def test_the_plugin_loads_nothing_heavy():
    code = (
        "import sys, lab.plugin.register; "
        "print([m for m in ('torch', 'transformers', 'numpy', 'scipy', 'sklearn', 'matplotlib') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_to_know_all_studies_loads_nothing_of_them():
    code = "import sys; from lab.study import studies; print(len(studies()), 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["7", "False"]


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
    used = [
        path
        for path in [*LAB.rglob("*.py"), *PAGES, *OWN]
        if {"pickle", "joblib", "dill", "shelve"} & {name.split(".")[0] for name in imports(path)}
    ]
    assert used == []
