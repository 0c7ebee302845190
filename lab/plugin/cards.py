"""Each cell has a folder of its own: experiment card, configuration, results. Begun when the cell starts.

`results/experiments/DATE/TIME_EXPERIMENT_MODEL_...` holds config.json, config.yaml and EXPERIMENT.md before anything
is loaded, and results.json when the cell has ended. A cell that failed has its folder marked.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from lab.files.plain import plain
from lab.files.whole import write_whole
from lab.plugin.cells import EXPERIMENT, KNOBS, ignored
from lab.plugin.experiment import GENERATION, Experiment, knob_text, parse_knob
from lab.plugin.notebook import NOTEBOOK
from lab.plugin.options import SETTINGS, Settings
from lab.plugin.summary import CELLS
from lab.record import Notebook, gather
from lab.subjects.names import API, MODEL_OPTIONS, SERVER_OPTIONS, UNTRAINED, resolve
from lab.views import cards

_WRITTEN = pytest.StashKey[int]()
"""How many events the card on disk tells of."""
_MODELS = ("model", "other_model")
_DEFAULTS = {"device": "auto", "trust_remote_code": False, "enable_hooks": True}
"""Of `lab.subjects.load`; what is not among them the model's own files decide."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Writes the configuration and the card of a cell that begins; under --lab-dry-run that is all."""
    notebook = item.stash.get(NOTEBOOK, None)
    settings = item.config.stash[SETTINGS]
    if notebook is None or settings.plan:
        return
    begin(item, notebook)
    if settings.dry_run:
        pytest.skip("dry run: its configuration and its card are written")


def begin(item: pytest.Item, notebook: Notebook) -> None:
    """Makes the cell's folder and writes what is known beforehand."""
    settings, cell = item.config.stash[SETTINGS], notebook.cell
    config = configuration(item, notebook)
    at = datetime.fromisoformat(notebook.events[0].time)
    others = [f"{name}={value}" for name, value in cell.params.items() if name not in _MODELS]
    name = cards.folder_name(at, cell.experiment, cell.subject, cell.knobs, others)
    folder = _fresh(settings.results / "experiments" / name)
    reproduce = cards.command(item.nodeid, asked_for(item, notebook))
    notebook.configured(config, str(folder.relative_to(settings.results)), reproduce)
    (record,) = gather(notebook.events)
    for file, text in {**cards.configuration(record), cards.CARD: cards.card(record, running=True)}.items():
        write_whole(folder / file, text.encode())
    reporter: Any = item.config.pluginmanager.get_plugin("terminalreporter")
    if item.config.option.verbose > 1 and reporter:
        reporter.write_line(f"\n{cards.as_yaml(config)}")


def _fresh(folder: Path) -> Path:
    """A new folder of this name, or of the next one where it is taken."""
    for number in range(1, 1000):
        made = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        try:
            if made.with_name(made.name + cards.FAILED).exists():
                continue
            made.mkdir(parents=True)
        except FileExistsError:
            continue
        return made
    raise FileExistsError(f"{folder} and 999 others of its name are taken; clear some")


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outermost: the verdict is written by then
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    notebook = item.stash.get(NOTEBOOK, None)
    if notebook is None or notebook.events[-1].kind not in ("finished", "failed"):
        return report
    if item.stash.get(_WRITTEN, 0) < len(notebook.events):
        item.stash[_WRITTEN] = len(notebook.events)
        try:
            end(item.config.stash[SETTINGS].results, notebook)
        except OSError as fault:  # the journal has it all, and the card can be made from it
            notebook.note(f"its card cannot be written: {fault}; free the disk and run `lab report card`")
    return report


def end(results: Path, notebook: Notebook) -> None:
    """Writes the card and the results of a cell that has ended."""
    (record,) = gather(notebook.events)
    if record.folder:
        cards.write(results, record)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Writes the cards of cells whose worker died; nobody else could."""
    results = config.stash[SETTINGS].results
    for record in [each for cell in config.stash.get(CELLS, []) for each in (*cell.abandoned, cell)]:
        folder = results / record.folder
        if record.folder and folder.is_dir() and not (folder / cards.RESULTS).exists():
            cards.write(results, record)


def configuration(item: pytest.Item, notebook: Notebook) -> dict[str, Any]:
    """The effective configuration of a cell, in plain values: nothing in it differs between equal runs."""
    settings, cell, declared = item.config.stash[SETTINGS], notebook.cell, item.stash[EXPERIMENT]
    subjects = [_subject(cell.params[name], settings, cell.knobs) for name in _MODELS if name in cell.params]
    config: dict[str, Any] = {
        "test": item.nodeid,
        "experiment": {
            "id": declared.id,
            "title": declared.title or declared.id,
            "claim": declared.claim,
            "phase": declared.phase,
            "knobs": cell.knobs,
            "ignored": ignored(declared, settings),
            "changed": [k for k, value in cell.knobs.items() if knob_text(value) != knob_text(declared.knobs[k])],
        },
        "models": subjects,
        "params": dict(cell.params),
        "seed": cell.seed,
        "dry_run": settings.dry_run,
    }
    if "panel" in getattr(item, "fixturenames", ()):
        config["panel"] = list(settings.models) if settings.models else "all organisms"
    made: dict[str, Any] = plain(config)
    return made


def _subject(name: str, settings: Settings, knobs: Mapping[str, Any]) -> dict[str, Any]:
    """A subject by its name, how it is loaded, and how it writes.

    None leaves a setting of the backend to the model's own files, and says of one of `GENERATION` that the experiment
    has no such knob.
    """
    api = name.startswith(API)
    origin = None if api else resolve(name)
    full = name if origin is None else (UNTRAINED if origin.untrained else "") + origin.source
    loaded = {key: settings.load.get(key, _DEFAULTS.get(key)) for key in (SERVER_OPTIONS if api else MODEL_OPTIONS)}
    return {
        "name": name if Path(full.removeprefix(UNTRAINED)).is_absolute() else full,
        "variant": cards.variant(name, loaded.get("adapter")),
        "generation": {knob: knobs.get(knob) for knob in GENERATION},
        "safe_name": cards.safe_name(name),
        "backend": {"target": "api" if api else "hf", "enable_hooks": not api, **loaded},
    }


def asked_for(item: pytest.Item, notebook: Notebook) -> list[str]:
    """Options under which the cell has this very configuration: models, loading, seeds and all knobs."""
    settings, cell = item.config.stash[SETTINGS], notebook.cell
    named = [cell.params[name] for name in _MODELS if name in cell.params]
    if "panel" in getattr(item, "fixturenames", ()) or not named:
        named = list(settings.models or ())
    options = ["--lab-models", ",".join(named)] if named else []
    options += ["--lab-seeds", ",".join(map(str, settings.seeds))]
    for key, value in settings.load.items():
        options += ["--lab-load", f"{key}={value}"]
    for knob, text in _texts(item.stash[EXPERIMENT], item.stash[KNOBS]).items():
        options += ["--lab-set", f"{cell.experiment}.{knob}={text}"]
    for knob, value in ignored(item.stash[EXPERIMENT], settings).items():
        options += ["--lab-set", f"{cell.experiment}.{knob}={value}"]
    gated = bool(item.stash[EXPERIMENT].needs)  # what it needs may not have run where the command is given
    options += ["--lab-force"] * (settings.force or gated) + ["--lab-dry-run"] * settings.dry_run
    return options


def _texts(declared: Experiment, knobs: Any) -> dict[str, str]:
    """Knobs as --lab-set takes them. A default that cannot be written there, as one with a space in front, is left."""
    found = {}
    for name, value in knobs.items():
        text = knob_text(value)
        try:
            same = parse_knob(name, declared.knobs[name], text.strip()) == value
        except ValueError:
            same = False
        if same:
            found[name] = text
    return found
