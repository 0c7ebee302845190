"""Whether this is still the same code: a fingerprint of an experiment's sources, the laboratory, and what they run on.

The texts of prompts count as code: everything that is asked is made of them.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from types import ModuleType

from lab.files import texts

RUNS_ON = tuple("lab-hypotheses numpy scipy scikit-learn pandas statsmodels pingouin torch transformers".split())
ONLY_WHERE_USED = {name: (name, "lab.stats.second_opinion") for name in ("pandas", "pingouin")}
"""Packages that count only for experiments that import one of these: nothing else of this library uses them."""


def fingerprint(modules: tuple[str, ...], root: Path) -> str:
    """Of the sources of these modules, of all they import beneath `root`, of this library, its prompts, and its
    environment.
    """
    paths, names = _sources(modules, root)
    unused = {package for package, users in ONLY_WHERE_USED.items() if names.isdisjoint(users)}
    made = hashlib.sha256(_environment(frozenset(unused)).encode())
    for path in sorted(paths):
        made.update(hashlib.sha256(path.read_bytes()).digest())
    return made.hexdigest()[:16]


@lru_cache
def _sources(modules: tuple[str, ...], root: Path) -> tuple[frozenset[Path], frozenset[str]]:
    """The files of modules and of what they import, and import in turn, beneath a folder; all names they import."""
    found: dict[str, Path] = {}
    names: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = _file(sys.modules.get(name))
        if name in found or path is None or root not in path.parents or "site-packages" in path.parts:
            continue
        found[name] = path
        imported = _imported(path, name)
        names.update(imported)
        waiting += [one for one in imported if not one.startswith("lab.")]  # the laboratory counts as a whole
    return frozenset(found.values()), frozenset(names)


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
    """Versions of Python and of the packages that compute, but for the unused, and hashes of this library's sources and
    of all prompts.
    """
    used = sorted((name, version) for name, version in versions().items() if name not in unused)
    made = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
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
