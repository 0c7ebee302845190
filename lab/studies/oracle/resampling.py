"""The fixture `resampling`: an activation oracle is asked the same questions again and again, and judged."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lab.files.digest import digest
from lab.files.own import file_of
from lab.files.whole import file_name
from lab.plugin.cells import knob_texts
from lab.plugin.judges import API
from lab.plugin.options import SETTINGS, Settings
from lab.record import code, machine
from lab.studies.oracle import results_file
from lab.studies.oracle.design import Decoding, Design, Resampled, design_of
from lab.studies.oracle.keeper import Keeper
from lab.studies.oracle.run import resampled
from lab.studies.oracle.targets import AUTO
from lab.studies.shared.oracle import LARGE
from lab.subjects.identity import identity
from lab.subjects.names import UNTRAINED, options_for, resolve

if TYPE_CHECKING:
    from lab.plugin.judges import Judges
    from lab.record import Notebook

TURN = "the first token that the generation prompt adds: the length of the conversation without it"


class Resampling:
    """Makes a `Resampled`: `resampling(model)`.

    What is asked of one model under one design is asked once a session, and by all cells that want it. It is kept
    target by target, so that an interrupted run goes on; results.json is written anew after each, its pictures at last.
    """

    name = "oracle"

    def __init__(
        self,
        request: pytest.FixtureRequest,
        judges: Judges,
        made: dict[str, Resampled],
        judge: str,
        design: Callable[..., Design],
    ) -> None:
        self._knobs = knob_texts(request.node)
        self._evidence: Notebook | None = request.getfixturevalue("evidence") if self._knobs is not None else None
        self._settings: Settings = request.config.stash[SETTINGS]
        self._root = request.config.rootpath
        self._judges, self._made, self._judge, self._design = judges, made, judge, design

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Of judges and of files that knobs name."""
        paths = [file_of(text) or Path(text) for text in sorted(self._knobs or ()) if file_of(text) or ".json" in text]
        held = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.is_file()}
        return {"judges": self._judges.fingerprint, "files": held}

    @property
    def notes(self) -> list[str]:
        """How the judges had to be run."""
        return self._judges.notes

    def __call__(self, model: Any) -> Resampled:
        """Asks a model. Skips one without an adapter, which is no oracle. Raises Assumption, ValueError."""
        if self._lora(model.name) is None and not model.name.startswith(UNTRAINED):
            pytest.skip(
                f"{model.name} wears no LoRA adapter that makes it an oracle; give it one: --lab-load adapter=NAME"
            )
        design = self._design(model, seed=0 if self._evidence is None else self._evidence.seed)
        meta = self._meta(design)
        mark = digest(
            [model.fingerprint, meta, [asdict(q) for q in design.questions], [asdict(t) for t in design.targets]]
        )
        if mark not in self._made:
            folder = self._settings.results / "oracle" / f"{file_name(model.name)}-{mark[:8]}"
            written = {"commit": machine.commit(self._root), "versions": code.versions()}
            path = folder / results_file.FILE
            self._made[mark] = self._resampled(
                design, Keeper(path, meta | {"code": written}, design, quiet=self._settings.plan)
            )
        result = self._made[mark]
        if self._evidence is not None and not self._settings.plan:
            self._evidence.file("oracle", result.file)
        return result

    def _resampled(self, design: Design, keeper: Keeper) -> Resampled:
        norm = design.oracle.norm_at_placeholder(design.questions[0].text)
        if norm > LARGE and self._evidence is not None:
            self._evidence.note(f"the stream has length {norm:.0f} at the placeholder, which is unusually large")
        read = design.oracle.read([target.messages for target in design.targets])
        keeper.begin(read, norm)
        aside = self._judge.startswith(API) and not self._settings.plan
        ids = [target.id for target in design.targets]

        def work(name: str) -> Any:
            return {} if self._evidence is None else self._evidence.resume(ids, name=name)

        return resampled(design, read, self._judges(self._judge), keeper, work, aside=aside)

    def _lora(self, name: str) -> str | None:
        """The adapter that a subject is loaded with, as it was named; None for none."""
        own = resolve(name).adapter
        given: str | None = options_for(name, self._settings.load).get("adapter")
        return given or (None if own is None else own.name)

    def _meta(self, design: Design) -> dict[str, Any]:
        oracle, given = design.oracle, self._settings.load
        name, judge = oracle.subject.name, self._judges(self._judge).name
        known = identity(name, options_for(name, given))
        return {
            "model_name": name,
            "model_fingerprint": oracle.subject.fingerprint,
            "activation_oracle_lora": self._lora(name),
            "dtype": given.get("dtype"),
            "device": known.get("device"),
            "pool": design.pool,
            "activation_layer": oracle.layer,
            "activation_layer_percent": 100 * oracle.depth,
            "injection_layer": oracle.injected_at,
            "steering_coefficient": oracle.coefficient,
            "injection": "replace" if oracle.replace else "add",
            "placeholder": oracle.mark,
            "ao_decoding": design.decoding.told,
            "seed": design.seed,
            "samples_per_query": design.k,
            "num_targets": len(design.targets),
            "num_questions": len(design.questions),
            "alike": design.alike,
            "judge": {"model": judge, "scheme": f"one call a query, which sees all {design.k} answers; 1 to 10"},
            "assistant_token_definition": TURN,
        }


@pytest.fixture(scope="session")
def _resampled() -> dict[str, Resampled]:
    """What was asked in this session, by what determines it."""
    return {}


@pytest.fixture
def resampling(
    request: pytest.FixtureRequest,
    judges: Judges,
    _resampled: dict[str, Resampled],
    *,
    pool: str = AUTO,
    targets: str = "",
    n_targets: int | None = None,
    n_questions: int | None = 10,
    n_samples: int = 10,
    temperature: float = 0.7,
    top_p: float = 0.9,
    max_new_tokens: int = 16,
    depth: float = 0.5,
    injected_at: int = 1,
    coefficient: float = 1.0,
    replace: bool = False,
    judge: str = "offline",
    alike: float = 1.0,
) -> Resampling:
    """Asks an oracle the same again: `resampling(model).scores`. Its knobs:

    pool, targets
        Of fixtures/prompts/oracle.yaml, or my.yaml:mine; "auto" is the clinic's for organisms, else chats. A JSON file
        of conversations in the place of the pool's.
    n_targets, n_questions, n_samples
        How many targets and questions, drawn with the cell's seed, and how many answers to each question.
    temperature, top_p, max_new_tokens
        Of each answer.
    depth, injected_at, coefficient, replace
        As of `lab.studies.shared.oracle.Oracle`.
    judge
        As of the fixture `judges`; one behind an API judges while the next target is asked about.
    alike
        As of `lab.studies.oracle.similarity.clusters`.
    """
    decoding = Decoding(temperature, top_p, max_new_tokens)
    injection = {"depth": depth, "injected_at": injected_at, "coefficient": coefficient, "replace": replace}
    sizes = (n_targets, n_questions, n_samples)
    design = partial(design_of, pool, targets, sizes, decoding, injection, alike)
    return Resampling(request, judges, _resampled, judge, design)
