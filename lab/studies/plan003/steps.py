"""The plan's steps: their names and flags, read from a YAML file beside the hypotheses."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

PLAN = Path("hypotheses/plan003/plan.yaml")
FOLDERS = ("pre_mortems", "experiments", "figures", "paper")
"""Of the results, made before the first step; those that are there stay as they are."""

_COMMON = {
    "seed": ("seed of the run, or several separated by commas", "--lab-seeds", ""),
    "batch_size": ("at most so many rows at once", "--lab-load", "batch_size="),
    "device": ("cpu, cuda, cuda:1", "--lab-load", "device="),
    "results_dir": ("folder of the results", "--lab-results", ""),
}
"""Flags of every step: help, the option of pytest that each becomes, and what stands before its value."""


class PlanError(ValueError):
    """The plan, or what is asked of it, makes no sense. Its text is one line: what is wrong, what to do."""


@dataclass(frozen=True)
class Step:
    """One step of the plan.

    Attributes
    ----------
    name
        As the plan calls its script.
    does
        One line of help.
    tests
        Node ids of pytest; none where the step makes a report.
    log
        Where in the results folder its text log goes; `{behavior}` in it is what the flag --behavior chose, or "all".
    subjects
        "models" (several), "model" (one), or "target and source", which are named in this order.
    knobs
        Flag to knob: `--prompts 50` becomes `--lab-set n_samples=50`.
    choices
        Flag to {value: node ids}: which tests a value picks.
    report
        The part of `lab report` that the step is, instead of tests.
    """

    name: str
    does: str
    tests: tuple[str, ...]
    log: str
    subjects: str
    knobs: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    report: str = ""

    def parser(self) -> ArgumentParser:
        """Takes the plan's own flags, and after `--` whatever pytest, or reports, take."""
        made = ArgumentParser(prog=f"lab run {self.name}", description=self.does)
        if self.report:
            made.add_argument("--results_dir", metavar="DIR", help="folder of the results")
            made.add_argument("--output", "--output_dir", metavar="DIR", help="where to write (default: there)")
            return made
        for flag in _SUBJECTS[self.subjects]:
            made.add_argument(f"--{flag}", metavar="NAME", help=f"{flag} under study (default: the embedded organisms)")
        for flag, knob in self.knobs.items():
            made.add_argument(f"--{flag}", metavar="VALUE", help=f"knob {knob}")
        for flag, values in self.choices.items():
            made.add_argument(f"--{flag}", choices=sorted(values), help="default: all")
        for flag, (told, *_) in _COMMON.items():
            made.add_argument(f"--{flag}", metavar="VALUE", help=told)
        return made

    def arguments(self, given: Namespace) -> list[str]:
        """The module to run, and what it is called with. Raises PlanError for a source without a target."""
        asked = {flag: value for flag, value in vars(given).items() if value is not None}
        if self.report:
            places = {flag: str(_whole(asked[flag])) for flag in ("results_dir", "output") if flag in asked}
            return [
                "lab",
                "report",
                self.report,
                *chain.from_iterable((f"--{flag}", at) for flag, at in places.items()),
            ]
        tests = list(self.tests)
        for flag, values in self.choices.items():
            if flag in asked:
                tests = list(values[asked[flag]])
        made = ["pytest", *tests, *self._subjects(asked)]
        for flag, knob in self.knobs.items():
            if flag in asked:
                made += ["--lab-set", f"{knob}={asked[flag]}"]
        for flag, (_, option, before) in _COMMON.items():
            if flag in asked:
                made += [option, f"{before}{asked[flag]}"]
        return made

    def results_of(self, given: Namespace) -> Path:
        """The results folder of this call."""
        asked = given.results_dir or "results"
        return _whole(asked) if self.report else Path(asked)

    def log_of(self, given: Namespace) -> str:
        """Where the log of this call goes: one for each choice and for each seed that was asked for."""
        chosen = {flag: getattr(given, flag) or "all" for flag in self.choices}
        path = Path(self.log.format(**chosen))
        seed = f"_seed_{given.seed.replace(',', '_')}" if getattr(given, "seed", None) else ""
        return str(path.with_stem(path.stem + seed))

    def _subjects(self, asked: Mapping[str, str]) -> list[str]:
        named = [asked[flag] for flag in _SUBJECTS[self.subjects] if flag in asked]
        if not named:
            return []
        if len(named) < len(_SUBJECTS[self.subjects]):
            raise PlanError(f"{self.name} is from one model to another; give both --source and --target")
        return ["--lab-models", ",".join(named)]


_SUBJECTS = {"models": ("models",), "model": ("model",), "target and source": ("target", "source")}


def _whole(folder: str) -> Path:
    """The results folder where the plan's own commands name a part of it, as results/experiments or results/figures."""
    named = Path(folder)
    return named.parent if named.name in FOLDERS and not (named / "journal").is_dir() else named


def steps(plan: Path) -> dict[str, Step]:
    """The steps of a plan by name. Raises PlanError for a file that is none."""
    import yaml

    try:
        told = yaml.safe_load(plan.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PlanError(f"there is no {plan}; run this where the hypotheses are, or name a plan by --plan") from None
    except yaml.YAMLError as error:
        raise PlanError(f"{plan} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(told, dict):
        raise PlanError(f"{plan} is no plan; it must map names to steps")
    return {name: _step(plan, name, entry) for name, entry in told.items()}


def _step(plan: Path, name: str, entry: Any) -> Step:
    try:
        choices = {
            flag: {value: _listed(tests) for value, tests in values.items()}
            for flag, values in entry.get("choices", {}).items()
        }
        subjects = entry.get("subjects", "model")
        if subjects not in _SUBJECTS:
            raise PlanError(f"{plan}: step {name} has subjects {subjects!r}; write one of {', '.join(_SUBJECTS)}")
        report = entry.get("report", "")
        tests, log = () if report else _listed(entry["tests"]), entry["log"]
        return Step(name, entry["does"], tests, log, subjects, entry.get("knobs", {}), choices, report)
    except (KeyError, AttributeError, TypeError) as error:
        raise PlanError(f"{plan}: step {name} needs `does`, `tests` and `log` ({error})") from None


def _listed(tests: str | list[str]) -> tuple[str, ...]:
    return (tests,) if isinstance(tests, str) else tuple(tests)
