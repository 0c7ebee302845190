"""Whether this is still the same code: a fingerprint of an experiment's sources, the laboratory, and what they run on.

The texts of prompts count as code: everything that is asked is made of them.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from types import ModuleType

from lab.files import texts
from lab.study import studies

LAB = Path(__file__).resolve().parents[1]
SHOWING = ("views", "commands", "studies")
"""Parts of `lab` that determine no result, or count where they are imported."""
RUNS_ON = tuple("lab-hypotheses numpy scipy scikit-learn pandas pingouin torch transformers".split())
ONLY_WHERE_USED = {name: (name, "lab.stats.second_opinion") for name in ("pandas", "pingouin")}
"""Packages that count only for experiments that import one of these: nothing else of this library uses them."""


def fingerprint(modules: tuple[str, ...], root: Path) -> str:
    """Of the sources of these modules, of all they import beneath `root` or from a study, of the laboratory, its
    prompts, and its environment.

    What only shows results (`lab.views`, `lab.commands`, and what of a study no experiment imports) does not count.
    """
    paths, names = _sources(modules, root)
    unused = {package for package, users in ONLY_WHERE_USED.items() if names.isdisjoint(users)}
    made = hashlib.sha256(_environment(frozenset(unused)).encode())
    for path in sorted(paths):
        made.update(hashlib.sha256(path.read_bytes()).digest())
    return made.hexdigest()[:16]


@lru_cache
def _sources(modules: tuple[str, ...], root: Path) -> tuple[frozenset[Path], frozenset[str]]:
    """The files of modules and of what they import, and import in turn, beneath a folder or from a study; and all names
    that they import."""
    studied = _study_packages()
    found: dict[str, Path] = {}
    names: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = _of_study(name, studied) or _beneath(name, root)
        if name in found or path is None:
            continue
        found[name] = path
        imported = _imported(path, name)
        names.update(imported)
        waiting += imported
    return frozenset(found.values()), frozenset(names)


def _study_packages() -> dict[str, Path]:
    """The packages of all studies with their folders, and modules with their files, wherever they are installed."""
    packages = {"lab.studies": LAB / "studies"}
    for study in studies():
        for module in study.plugins:
            top = module.partition(".")[0]
            if top != "lab" and (path := _file(sys.modules.get(top))) is not None:
                packages[top] = path.parent if path.name == "__init__.py" else path
    return packages


def _of_study(name: str, packages: Mapping[str, Path]) -> Path | None:
    """The file of a study's module, whether it is loaded yet or not: a key must not hang on what ran before."""
    for package, folder in packages.items():
        if name == package and folder.is_file():
            return folder
        if name == package or name.startswith(f"{package}."):
            at = folder.joinpath(*name.removeprefix(package).split(".")[1:])
            return next((path for path in (at.with_suffix(".py"), at / "__init__.py") if path.is_file()), None)
    return None


def _beneath(name: str, root: Path) -> Path | None:
    """The file of a module that is loaded and lies beneath a folder, but for the laboratory: it counts as a whole."""
    path = _file(sys.modules.get(name))
    if path is None or root not in path.parents or "site-packages" in path.parts or LAB in path.parents:
        return None
    return path


def _imported(path: Path, module: str) -> list[str]:
    """Names of modules that a file may import: each `import a.b`, each `from a import b` as a and as a.b."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = node.level - (path.name == "__init__.py")
                above = module.split(".")
                base = ".".join([*above[: len(above) - up], *filter(None, [base])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return names


def _file(module: ModuleType | None) -> Path | None:
    path = getattr(module, "__file__", None)
    return Path(path).resolve() if path and path.endswith(".py") else None


@lru_cache
def _environment(unused: frozenset[str]) -> str:
    """Versions of Python and of the packages that compute, but for the unused, and hashes of the laboratory's sources
    and of all prompts.
    """
    used = sorted((name, version) for name, version in versions().items() if name not in unused)
    made = hashlib.sha256()
    for path in sorted(LAB.rglob("*.py")):
        if path.relative_to(LAB).parts[0] not in SHOWING:
            made.update(path.read_bytes())
    return f"{sys.version_info[:3]} {used} {made.hexdigest()} {texts.fingerprint()}"


@lru_cache
def versions() -> dict[str, str]:
    """Of the packages that compute, those that are installed."""
    found = {}
    for package in RUNS_ON:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
