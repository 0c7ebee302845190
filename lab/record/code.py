"""Is this still the same code? A fingerprint of an experiment's sources, of the laboratory, and of what they run on.

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


def fingerprint(modules: tuple[str, ...], root: Path) -> str:
    """Of the sources of these modules, of all they import beneath `root`, of this library, its prompts, and its
    environment.
    """
    made = hashlib.sha256(_environment().encode())
    for path in sorted(_sources(modules, root)):
        made.update(hashlib.sha256(path.read_bytes()).digest())
    return made.hexdigest()[:16]


@lru_cache
def _sources(modules: tuple[str, ...], root: Path) -> frozenset[Path]:
    """The files of modules and of what they import, and import in turn, beneath a folder."""
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = _file(sys.modules.get(name))
        if name in found or path is None or root not in path.parents or "site-packages" in path.parts:
            continue
        found[name] = path
        waiting += _imported(path, name)
    return frozenset(found.values())


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
    return [name for name in names if not name.startswith("lab.")]  # the laboratory counts as a whole


def _file(module: ModuleType | None) -> Path | None:
    path = getattr(module, "__file__", None)
    return Path(path).resolve() if path and path.endswith(".py") else None


@lru_cache
def _environment() -> str:
    """Versions of Python and of the packages that compute, and hashes of this library's sources and of all prompts."""
    made = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        made.update(path.read_bytes())
    return f"{sys.version_info[:3]} {sorted(versions().items())} {made.hexdigest()} {texts.fingerprint()}"


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
