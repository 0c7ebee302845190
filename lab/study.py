"""What a study brings to the laboratory, and how the laboratory finds it.

The laboratory knows no study by name. A study declares one `Study`, and its package names it as an entry point:

    [project.entry-points."lab.studies"]
    mine = "my_package.my_study:STUDY"

A project that is not installed names it in its pytest.ini: `lab_studies = my_study:STUDY`.

Functions are named as "package.module:function" and imported when they are needed, so that to know all studies costs
no import of what they do. This module imports nothing but the standard library.
"""

from __future__ import annotations

import sys
import tomllib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from configparser import ConfigParser
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

GROUP = "lab.studies"
"""The entry points of installed packages that name a `Study`."""
INI = "lab_studies"
"""The ini option by which a project names studies of its own that no installed package names, as "module:STUDY"."""


@dataclass(frozen=True)
class Headline:
    """How a table speaks of an experiment that it always lists, whether it ran or not.

    Attributes
    ----------
    metric
        The name of the metric in the row of an experiment that did not run.
    label
        What the experiment's summary calls its mean over all cells.
    estimate
        The estimate whose mean that is.
    """

    metric: str
    label: str
    estimate: str


@dataclass(frozen=True, kw_only=True)
class Study:
    """One study, as it registers with the laboratory.

    Attributes
    ----------
    name
        One word, as "ratings".
    plugins
        Modules with pytest fixtures and hooks; they are registered when pytest is configured.
    models
        A function without arguments that names the subjects studied by default: "package.module:function".
    commands
        Commands of `lab NAME`: a function that takes the arguments and returns the exit status, by name.
    parts
        Parts of `lab report`: a function of a record and of the places to write to, by name, in the order in which
        they are made.
    on_request
        Those of `parts` that `lab report` makes only when they are named.
    untimed
        Those of `parts` whose time is not put down, as one that tells how long the others took.
    reports
        Commands of `lab report NAME` with options of their own, by name.
    readers
        How written answers are read again: a function of raw rows and a judge, by the column that these rows have.
    headlines
        Experiments that the table of a run lists together, by id: if one ran, the others have a row as well.
    card
        A function of a cell's knobs that gives the `lab.views.cards.Fields` which its card tells.
    data
        Data sets that come with the study: a file in the folder of embedded data, by name as "STUDY/SCHEMA".
    critical
        Phases whose cells reports mark as critical, because what follows hangs on them.
    compared
        Names of rows that an experiment's summary shows as a table.
    """

    name: str
    plugins: tuple[str, ...] = ()
    models: str = ""
    commands: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    on_request: tuple[str, ...] = ()
    untimed: tuple[str, ...] = ()
    reports: Mapping[str, str] = field(default_factory=dict)
    readers: Mapping[str, str] = field(default_factory=dict)
    headlines: Mapping[str, Headline] = field(default_factory=dict)
    card: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    critical: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()


class BrokenStudy(Exception):
    """Something that a study registers is not there. Its text is one line."""


_REGISTERED: dict[str, Study] = {}


def register(study: Study) -> None:
    """Adds a study that no installed package names, as a project's own conftest may; `lab` commands read no conftest.

    Raises ValueError where another study has its name.
    """
    known = {one.name: one for one in studies()}
    if known.setdefault(study.name, study) != study:
        raise ValueError(f"there is a study {study.name!r} already; give this one another name")
    _REGISTERED[study.name] = study


def studies() -> tuple[Study, ...]:
    """All studies, by name."""
    return tuple(one for _, one in sorted({**_installed(), **_REGISTERED}.items()))


@lru_cache
def _installed() -> dict[str, Study]:
    loaded: dict[str, Study] = {}
    for point in entry_points(group=GROUP):
        try:
            study = point.load()
        except Exception as error:  # whatever another package's code does at import
            warnings.warn(f"the study {point.name} cannot be loaded: {type(error).__name__}: {error}", stacklevel=2)
        else:
            loaded[study.name] = study
    return loaded


def named(where: str) -> Callable[..., Any]:
    """The function that "package.module:function" names. Raises BrokenStudy where there is none."""
    module, _, name = where.partition(":")
    try:
        function: Callable[..., Any] = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise BrokenStudy(f"{where} is registered, and cannot be had: {error}") from error
    return function


def register_named(names: Iterable[str], folder: Path) -> None:
    """Registers studies by "module:STUDY", of modules that may lie in a folder. Raises BrokenStudy."""
    for name in names:
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
        module, _, attribute = name.partition(":")
        study: Any = named(f"{module}:{attribute or 'STUDY'}")
        if not isinstance(study, Study):
            raise BrokenStudy(f"{name} is no lab.study.Study but a {type(study).__name__}")
        register(study)


def of_project(folder: Path) -> list[str]:
    """The studies that a folder's pytest.ini or pyproject.toml lists as `lab_studies`, as pytest reads them."""
    ini, project = folder / "pytest.ini", folder / "pyproject.toml"
    value: str | list[str] = ""
    if ini.is_file():
        parser = ConfigParser(interpolation=None)
        parser.read(ini, encoding="utf-8")
        value = parser.get("pytest", INI, fallback="")
    elif project.is_file():
        tool = tomllib.loads(project.read_text(encoding="utf-8")).get("tool", {}).get("pytest", {})
        value = {**tool.get("ini_options", {}), **tool}.get(INI, "")
    lines = value.split("\n") if isinstance(value, str) else value
    return [line.strip() for line in lines if line.strip()]


def merged(place: str) -> dict[str, Any]:
    """What all studies registered in one of their mappings, by key.

    Raises ValueError where two studies have the same key.
    """
    values: dict[str, Any] = {}
    for study in studies():
        for key, value in getattr(study, place).items():
            if values.setdefault(key, value) is not value:
                raise ValueError(f"two studies register {key!r} in {place}; {study.name} is one of them")
    return values


def default_models() -> tuple[str, ...]:
    """Names of the subjects that are studied where a run names none: a project's own choice, else the packages'."""
    own = [study for study in _REGISTERED.values() if study.models]
    return tuple(name for study in own or studies() if study.models for name in named(study.models)())


def compared() -> Iterator[str]:
    """Names of rows that an experiment's summary shows as a table."""
    for study in studies():
        yield from study.compared
