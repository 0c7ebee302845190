"""Flags and ini settings. What holds for a project and not for one run alone has both, named in the flag's help."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lab.plugin.share_file import Shards, Share, journal_stem
from lab.subjects.errors import LoadError
from lab.subjects.names import MODEL_OPTIONS, SERVER_OPTIONS, TARGET_OPTIONS, organisms, served

POLICIES = ("ok", "exit6", "fail")
CACHE_MODES = ("off", "read", "write")
SEED = "lab_seed"
"""The parameter under which a cell runs once for each of --lab-seeds."""
DEFAULT_SEED, SEVERAL_SEEDS = 42, "42,123,456,789,1000"
SWEEP = "lab_sweep"
"""The parameter under which a cell runs once for each combination of swept knobs."""
_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
SWEPT_SEEDS = 3
"""A grid under fewer seeds tells no difference between its cells from chance."""


@dataclass(frozen=True)
class Settings:
    """What the command line and the ini file ask for."""

    models: tuple[str, ...] | None
    """Subjects under study; None where nobody named any, which means the embedded organisms."""
    overrides: tuple[tuple[str | None, str, str], ...]
    """Knobs that were set, as (experiment or None for all, knob, text): the ini file's, then the command line's."""
    asked_overrides: tuple[tuple[str | None, str, str], ...]
    """Those of the command line, which must exist."""
    sweeps: tuple[tuple[str | None, str, str], ...]
    """Knobs of the grid, as (experiment or None for all, knob, its values as one text)."""
    load: dict[str, Any]
    """How models are loaded, by the name of the option."""
    inconclusive: str
    """What an INCONCLUSIVE verdict does to the exit code: one of `POLICIES`."""
    refuted: Mapping[str, str]
    """Why claims are known to be refuted, by cell."""
    results: Path
    """Folder of the results, absolute."""
    run: str
    """Name of the run, shared by all its processes; later runs sort after it."""
    worker: str
    """xdist's id of this process; "" outside of xdist and on its controller."""
    part: str
    """Name of this share of a run that was dealt out to several jobs; "" where one job runs it all."""
    seeds: tuple[int, ...]
    """Seeds under each of which each cell runs."""
    resume: bool
    """Go on with what was interrupted."""
    cache: str
    """Whether what is known is read, and what is new is kept: one of `CACHE_MODES`."""
    force: bool
    """Open every gate, and sweep under few seeds."""
    freeze: bool
    """Write the lock, and run nothing."""
    plan: bool
    """Say what would be done; run and write nothing."""
    dry_run: bool
    """Write configurations and cards, and run nothing."""
    supersedes: str | None
    """An earlier run that this one corrects."""
    owner: str
    """Who answers for these experiments, for reports."""
    links: tuple[tuple[str, str, str], ...]
    """Links beside the cells in reports, as (pattern of experiments, name, URL)."""
    command: tuple[str, ...]
    """The command line; on a worker the controller's."""
    deal: tuple[int, Path] | None = None
    """Into how many shards, and into which file, the tests are to be dealt out; None in any other run."""
    shards: Shards | None = None
    """The run that was dealt out, of which this process runs a share or merges all; None in any other run."""
    share: Share | None = None
    """What this job runs of it; None where it merges."""

    @property
    def replays(self) -> bool:
        """Whether a cell that was finished before is taken from the journal."""
        return self.resume or self.cache != "off"

    @property
    def is_worker(self) -> bool:
        return bool(self.worker)

    @property
    def merges(self) -> bool:
        """Whether this process makes the tables of what several jobs ran, and runs nothing."""
        return self.shards is not None and self.share is None

    @property
    def session(self) -> str:
        """Names the controller and its workers: the run, or this part of it."""
        return ".".join(filter(None, [self.run, self.part]))

    @property
    def process(self) -> str:
        """Names this process within the run."""
        return ".".join(filter(None, [self.part, self.worker])) or "main"


SETTINGS = pytest.StashKey[Settings]()


def add(parser: pytest.Parser) -> None:
    group = parser.getgroup("lab", "laboratory for language models")
    group.addoption(
        "--lab-models",
        metavar="NAMES",
        default=None,
        help="subjects, separated by commas: organisms, folders, hub names, or untrained:NAME "
        "(default: the embedded organisms) [ini: lab_models]",
    )
    group.addoption(
        "--lab-set",
        metavar="KNOB=VALUE",
        action="append",
        default=[],
        help="give a knob another value, as n_samples=2000 or DEPTH1.depth=0.75; may be repeated [ini: lab_set]",
    )
    group.addoption(
        "--lab-sweep",
        metavar="KNOB=V1,V2",
        action="append",
        default=[],
        help="run each cell with each of these values of a knob, as DEPTH1.depth=0,0.5; repeated, every combination. "
        f"Takes at least {SWEPT_SEEDS} --lab-seeds, or --lab-force. Values of a knob that is a list are separated "
        "by semicolons",
    )
    group.addoption(
        "--lab-load",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="how models are loaded, as device=cuda:1, dtype=bfloat16, quantize=nf4, device_map=auto, "
        "trust_remote_code=true, enable_hooks=false, target=api or base_url=http://...; may be repeated "
        "[ini: lab_load]",
    )
    group.addoption(
        "--lab-inconclusive",
        choices=POLICIES,
        default=None,
        help="what an INCONCLUSIVE verdict does to the exit code: nothing, exit 6, or failure (default: ok) "
        "[ini: lab_inconclusive]",
    )
    group.addoption(
        "--lab-results",
        metavar="DIR",
        default=None,
        help="folder of journal, tables and plots (default: results) [ini: lab_results]",
    )
    group.addoption(
        "--lab-seeds",
        metavar="NUMBERS",
        nargs="?",
        const=SEVERAL_SEEDS,
        default=None,
        help=f"run each cell under each of these seeds, and add mean and std over them; without a value "
        f"{SEVERAL_SEEDS} (default: {DEFAULT_SEED}) [ini: lab_seeds]",
    )
    group.addoption(
        "--lab-resume",
        action="store_true",
        default=False,
        help="go on where an interrupted run ended: finished cells and finished items are not done again",
    )
    group.addoption(
        "--lab-cache",
        choices=CACHE_MODES,
        default=None,
        help="take what is known from earlier runs, and keep what is new (write), only take it (read), or do all "
        "anew (off); default: write [ini: lab_cache]",
    )
    group.addoption(
        "--lab-force",
        action="store_true",
        default=False,
        help="run cells although an experiment that they need did not come to PASS, each says so; and a sweep although "
        "it has few seeds [ini: lab_force]",
    )
    group.addoption(
        "--lab-freeze",
        action="store_true",
        default=False,
        help="run nothing; write every cell's claim, bars, knobs and data to preregistration.json, for later runs to "
        "be held against",
    )
    group.addoption(
        "--lab-plan",
        action="store_true",
        default=False,
        help="run nothing and write nothing; say what a run would do: cells, models to load, passes, tokens, requests",
    )
    group.addoption(
        "--lab-dry-run",
        action="store_true",
        default=False,
        help="run nothing; write every cell's configuration and experiment card, with the command that runs it",
    )
    group.addoption(
        "--lab-supersedes",
        metavar="RUN",
        default=None,
        help="an earlier run that this one corrects; the registry keeps both and says so",
    )
    # Of `lab submit`, which explains them; nobody else needs them.
    group.addoption("--lab-deal", metavar="N", type=int, default=None, help=argparse.SUPPRESS)
    group.addoption("--lab-shards", metavar="FILE", type=Path, default=None, help=argparse.SUPPRESS)
    group.addoption("--lab-share", metavar="WAVE.SHARD", default=None, help=argparse.SUPPRESS)
    parser.addini("lab_force", "default of --lab-force", type="bool", default=False)
    parser.addini("lab_seeds", "default of --lab-seeds", default=str(DEFAULT_SEED))
    parser.addini("lab_cache", "default of --lab-cache", default="write")
    parser.addini("lab_models", "default of --lab-models", default="")
    parser.addini("lab_set", "knobs, one KNOB=VALUE a line; --lab-set comes after them", type="linelist", default=[])
    parser.addini("lab_load", "one KEY=VALUE a line; --lab-load comes after them", type="linelist", default=[])
    parser.addini("lab_inconclusive", "default of --lab-inconclusive", default="ok")
    parser.addini(
        "lab_refuted",
        "claims known to be refuted, one CELL: WHY a line; they fail as ever, and alone leave the exit code 0",
        type="linelist",
        default=[],
    )
    parser.addini("lab_owner", "who answers for these experiments, for reports", default="")
    parser.addini(
        "lab_links",
        "links for reports, one EXPERIMENTS: NAME URL a line, as `PM*: plan https://example.org/{experiment}`; "
        "{experiment} and {phase} are filled in",
        type="linelist",
        default=[],
    )
    parser.addini("lab_results", "default of --lab-results, relative to the root folder", default="results")


def read(config: pytest.Config) -> Settings:
    """The settings of this process. Raises UsageError for what makes no sense."""
    worker: dict[str, Any] = getattr(config, "workerinput", {})
    policy = config.option.lab_inconclusive or config.getini("lab_inconclusive")
    if policy not in POLICIES:
        raise pytest.UsageError(f"lab_inconclusive = {policy!r}: choose one of {', '.join(POLICIES)}")
    cache = config.option.lab_cache or config.getini("lab_cache")
    if cache not in CACHE_MODES:
        raise pytest.UsageError(f"lab_cache = {cache!r}: choose one of {', '.join(CACHE_MODES)}")
    named = config.option.lab_models if config.option.lab_models is not None else config.getini("lab_models")
    load = dict(map(_loading, [*config.getini("lab_load"), *config.option.lab_load]))
    models = _served([name.strip() for name in named.split(",") if name.strip()], load.get("target"))
    if config.option.lab_models is not None and not models:
        raise pytest.UsageError("--lab-models names no model; separate names by commas")
    if config.option.lab_plan and config.option.lab_freeze:
        raise pytest.UsageError("--lab-plan and --lab-freeze each say something else without a run; give one of them")
    standing = tuple(_override(text) for text in config.getini("lab_set"))
    asked = tuple(_override(text) for text in config.option.lab_set)
    sweeps = tuple(_override(text, "--lab-sweep", "KNOB=V1,V2") for text in config.option.lab_sweep)
    seeds = _seeds(config.option.lab_seeds or config.getini("lab_seeds"))
    force = config.option.lab_force or config.getini("lab_force")
    _check_sweeps(sweeps, asked, seeds, force)
    folder = Path(config.option.lab_results or config.rootpath / config.getini("lab_results"))
    if not folder.is_absolute():
        folder = config.invocation_params.dir / folder
    if folder.exists() and not folder.is_dir():
        raise pytest.UsageError(f"--lab-results: {folder} is a file; name a folder")
    shards, share, part = _shards(config)
    command = shards.arguments if shards else map(str, config.invocation_params.args)
    return Settings(
        models=models or None,
        overrides=standing + asked,
        asked_overrides=asked,
        sweeps=sweeps,
        load=load,
        inconclusive=policy,
        refuted=dict(map(_refuted, config.getini("lab_refuted"))),
        results=Path(worker.get("lab_results", folder)),
        run=worker.get("lab_run") or (shards.run if shards else _new_run()),
        worker=worker.get("workerid", ""),
        part=worker.get("lab_part", part),
        seeds=seeds,
        resume=config.option.lab_resume,
        cache=cache,
        force=force,
        freeze=config.option.lab_freeze,
        plan=config.option.lab_plan,
        dry_run=config.option.lab_dry_run,
        supersedes=config.option.lab_supersedes,
        owner=config.getini("lab_owner").strip(),
        links=tuple(map(_link, config.getini("lab_links"))),
        command=tuple(worker.get("lab_command") or ("pytest", *command)),
        deal=_deal(config),
        shards=shards,
        share=share,
    )


def _new_run() -> str:
    """When it began, to 15 microseconds: runs sort by their names, also those of one second."""
    now = datetime.now(UTC)
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond * 2**16 // 10**6:04x}"


def _deal(config: pytest.Config) -> tuple[int, Path] | None:
    """Into how many shards the tests are to be dealt out, and into which file."""
    if config.option.lab_deal is None:
        return None
    for flag in ("plan", "freeze", "dry_run"):
        if getattr(config.option, f"lab_{flag}"):
            raise pytest.UsageError(f"--lab-{flag.replace('_', '-')} runs nothing, so there is nothing to submit")
    return config.option.lab_deal, config.option.lab_shards


def _shards(config: pytest.Config) -> tuple[Shards | None, Share | None, str]:
    """The run that this process has a part in, its share, None where it merges, and the name of that part."""
    file, name = config.option.lab_shards, config.option.lab_share
    if file is None or config.option.lab_deal is not None:
        return None, None, ""

    try:
        shards = Shards.read(file)
        share = None if name is None else shards.share(name)
    except LookupError:
        raise pytest.UsageError(f"--lab-share {name}: {file} has {[share.name for share in shards.shares]}") from None
    except (OSError, ValueError) as error:
        raise pytest.UsageError(f"--lab-shards: {error}") from None
    return shards, share, f"{journal_stem(share)}.{secrets.token_hex(2)}"  # each attempt has a journal of its own


def _refuted(line: str) -> tuple[str, str]:
    cell, _, why = line.partition(": ")
    if not why.strip():
        raise pytest.UsageError(f"lab_refuted = {line!r}: write the cell and why, as DEPTH1[gpt2]: it errs at random")
    return cell.strip(), why.strip()


def _link(line: str) -> tuple[str, str, str]:
    pattern, _, rest = line.partition(": ")
    name, _, url = rest.strip().rpartition(" ")
    if "://" not in url:
        raise pytest.UsageError(f"lab_links = {line!r}: write EXPERIMENTS: NAME URL, as PM*: plan https://example.org")
    return pattern.strip(), name.strip() or url, url


def _seeds(text: str) -> tuple[int, ...]:
    try:
        seeds = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise pytest.UsageError(f"--lab-seeds {text}: write whole numbers, separated by commas") from None
    if min(seeds) < 0:
        raise pytest.UsageError(f"--lab-seeds {text}: a seed is 0 or more")
    return seeds


def _check_sweeps(
    sweeps: tuple[tuple[str | None, str, str], ...],
    asked: tuple[tuple[str | None, str, str], ...],
    seeds: tuple[int, ...],
    force: bool,
) -> None:
    names = [(owner, knob) for owner, knob, _ in sweeps]
    for owner, knob in names:
        shown = f"{owner}.{knob}" if owner else knob
        if names.count((owner, knob)) > 1:
            raise pytest.UsageError(f"--lab-sweep: {shown} is swept twice; write all its values in one, as {shown}=1,2")
        if any((knob == other and None in (owner, by)) or (owner, knob) == (by, other) for by, other, _ in asked):
            raise pytest.UsageError(f"{shown} is both swept and set; leave out --lab-set {shown}=...")
    if sweeps and len(seeds) < SWEPT_SEEDS and not force:
        given = "one seed" if len(seeds) == 1 else f"{len(seeds)} seeds"
        raise pytest.UsageError(
            f"--lab-sweep under {given} cannot tell a difference between its cells from chance; write "
            f"--lab-seeds {','.join(SEVERAL_SEEDS.split(',')[:SWEPT_SEEDS])} (at least {SWEPT_SEEDS}), or --lab-force"
        )


def _override(text: str, flag: str = "--lab-set", form: str = "KNOB=VALUE") -> tuple[str | None, str, str]:
    name, equals, value = text.partition("=")
    experiment, dot, knob = name.strip().rpartition(".")
    if not equals or not knob or (dot and not experiment):
        raise pytest.UsageError(f"{flag} {text}: write {form}, or EXPERIMENT.{form}")
    return experiment or None, knob, value.strip()


def _served(models: list[str], target: str | None) -> tuple[str, ...]:
    """The models, each once, under the names by which this target serves them; organisms where none is named."""
    try:
        for name in organisms() if target and not models else ():
            served(name, target)
        return tuple(dict.fromkeys(served(name, target) for name in models))
    except LoadError as error:
        raise pytest.UsageError(f"--lab-load: {error}") from None


def _loading(text: str) -> tuple[str, Any]:
    known = {**MODEL_OPTIONS, **SERVER_OPTIONS, **TARGET_OPTIONS}
    key, _, value = (part.strip() for part in text.partition("="))
    if key not in known or not value:
        raise pytest.UsageError(f"--lab-load {text}: write KEY=VALUE with one of {', '.join(known)}")
    kind = known[key]
    try:
        return key, _TRUTHS[value.lower()] if kind is bool else kind(value)
    except (ValueError, KeyError):
        what = "neither true nor false" if kind is bool else f"no {kind.__name__}"
        raise pytest.UsageError(f"--lab-load {text}: {value!r} is {what}") from None
