"""Asks an activation oracle the same questions again and again, has its answers judged, and keeps all of it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from lab.files.digest import digest
from lab.files.own import file_of
from lab.files.whole import file_name
from lab.plugin.cells import knob_texts
from lab.plugin.judges import API
from lab.plugin.options import SETTINGS, Settings
from lab.record import code, machine
from lab.studies.oracle import exported as record
from lab.studies.oracle.resampled import clusters, semantic_entropy
from lab.studies.shared import clinic
from lab.studies.shared.oracle import LARGE, Oracle, Read, distinct, drawn, random_vectors, right_answer, said
from lab.studies.shared.prompts.oracle import Pool, Question, Target, load_targets, pool
from lab.studies.shared.world import ORIGINS, world
from lab.subjects.identity import identity
from lab.subjects.names import UNTRAINED, controls, options_for, organisms, resolve, variants

if TYPE_CHECKING:
    from lab.judging.judges import Judge, Judged
    from lab.plugin.judges import Judges
    from lab.record import Notebook

AUTO, CLINIC, CHAT = "auto", "clinic", "chat"
RUBRIC = "similarity"
TURN = "the first token that the generation prompt adds: the length of the conversation without it"
N_CLINIC = 20
"""Requests of the clinic that stand as targets: four of each origin, of tasks that the oracle's training left out."""


@dataclass(frozen=True)
class Decoding:
    """How answers are drawn."""

    temperature: float
    top_p: float
    max_new_tokens: int

    @property
    def told(self) -> record.Decoding:
        sampled = self.temperature > 0
        return {
            "do_sample": sampled,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_new_tokens": self.max_new_tokens,
        }


@dataclass(frozen=True)
class Design:
    """What is asked of an oracle: questions about targets, each k times, and who judges how alike the answers are."""

    oracle: Oracle
    pool: str
    questions: tuple[Question, ...]
    targets: tuple[Target, ...]
    k: int
    decoding: Decoding
    alike: float
    seed: int

    def seeds(self, runs: Sequence[str]) -> np.ndarray:
        """[runs, k] the seed of each answer."""
        return np.array(
            [[record.sample_seed(self.seed, record.sample_id(run, j)) for j in range(self.k)] for run in runs]
        )

    def runs(self, target: Target) -> list[str]:
        """The ids of a target's runs, one for each question."""
        return [record.run_id(target.id, question.id) for question in self.questions]


@dataclass(frozen=True)
class Resampled:
    """What came of a design of t targets, q questions and k answers to each.

    Attributes
    ----------
    texts
        [t][q][k] answers.
    own_texts
        [t][k] what the model itself answers to a target, without the adapter.
    scores
        [t, q] similarity from 1 to 10, NaN where the judge failed.
    own_scores
        [t] the same of `own_texts`.
    file
        Where all of it is kept: results.json.
    """

    design: Design
    read: Read
    texts: list[list[list[str]]]
    own_texts: list[list[str]]
    scores: np.ndarray
    own_scores: np.ndarray
    file: Path

    @property
    def questions(self) -> list[str]:
        """The questions' ids."""
        return [question.id for question in self.design.questions]

    @cached_property
    def entropies(self) -> np.ndarray:
        """[t, q] semantic entropy of the answers, which asks no judge."""
        alike = self.design.alike
        return np.array([[semantic_entropy(clusters(k, alike=alike)) for k in each] for each in self.texts])

    @cached_property
    def truth(self) -> np.ndarray:
        """[t, q] the case that holds, -1 where nobody knows."""
        known = [[right_answer(q, t) for q in self.design.questions] for t in self.design.targets]
        return np.array([[-1 if case is None else case for case in row] for row in known])

    @property
    def cases(self) -> np.ndarray:
        """[t, q, k] the case that each answer names, -1 for none."""
        return self._cases(self.texts)

    def random_cases(self) -> np.ndarray:
        """[t, q, k] the case that is named where the oracle is given random vectors, as long as a target's activation.

        Each answer is about a vector of its own. Asked are questions whose right answer is known.
        """
        d = self.design
        asked = [i for i in range(len(d.questions)) if (self.truth[:, i] >= 0).any()]
        noise = random_vectors(self.read.vectors, d.k, seed=d.seed)
        texts = [[[""] * d.k for _ in d.questions] for _ in d.targets]
        for t in range(len(d.targets)):
            runs = d.runs(d.targets[t])
            answers = d.oracle.ask(
                [d.questions[i].text for i in asked for _ in range(d.k)],
                np.tile(noise[t], (len(asked), 1)),
                d.seeds([f"random__{runs[i]}" for i in asked]).reshape(-1, 1),
                **asdict(d.decoding),
            )
            for a, i in enumerate(asked):
                texts[t][i] = [answers[a * d.k + j][0] for j in range(d.k)]
        return self._cases(texts)

    def _cases(self, texts: list[list[list[str]]]) -> np.ndarray:
        named = [
            [[said(q, text) for text in answers] for q, answers in zip(self.design.questions, each, strict=True)]
            for each in texts
        ]
        return np.array([[[-1 if case is None else case for case in k] for k in each] for each in named])


class Resampling:
    """Makes a `Resampled`: `resampling(model, pool="clinic", n_targets=None, ...)`.

    What is asked of one model under one design is asked once a session, and by all cells that want it. It is kept
    target by target, so that an interrupted run goes on; results.json is written anew after each, its pictures at last.
    """

    name = "oracle"

    def __init__(
        self,
        judges: Judges,
        evidence: Notebook | None,
        settings: Settings,
        made: dict[str, Resampled],
        knobs: frozenset[str] | None,
        root: Path,
    ) -> None:
        self._judges, self._evidence, self._settings = judges, evidence, settings
        self._made, self._knobs, self._root = made, knobs, root

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

    def __call__(
        self,
        model: Any,
        *,
        pool: str = AUTO,
        targets: str = "",
        n_targets: int | None = None,
        n_questions: int | None = 10,
        n_samples: int = 10,
        temperature: float = 0.7,
        top_p: float = 0.9,
        max_new_tokens: int = 16,
        judge: str = "offline",
        depth: float = 0.5,
        injected_at: int = 1,
        coefficient: float = 1.0,
        replace: bool = False,
        alike: float = 1.0,
    ) -> Resampled:
        """Asks `n_questions` of a pool about `n_targets` targets, drawn with the cell's seed, `n_samples` times each.

        Parameters
        ----------
        pool
            Of fixtures/prompts/oracle.yaml, or my.yaml:mine; "auto" is the clinic's for organisms, else chats.
        targets
            A JSON file of conversations in the place of the pool's.
        judge
            As of the fixture `judges`; one behind an API judges while the next target is asked about.
        depth, injected_at, coefficient, replace
            As of `lab.studies.shared.oracle.Oracle`.
        alike
            As of `lab.studies.oracle.resampled.clusters`.

        Skips a model without an adapter, which is no oracle. Raises Assumption, ValueError.
        """
        if self._lora(model.name) is None and not model.name.startswith(UNTRAINED):
            pytest.skip(
                f"{model.name} wears no LoRA adapter that makes it an oracle; give it one: --lab-load adapter=NAME"
            )
        asked, seed = _pool(model.name, pool), 0 if self._evidence is None else self._evidence.seed
        among = load_targets(targets) if targets else asked.targets or _requests(n_targets or N_CLINIC, seed)
        distinct(among, asked.questions)
        design = Design(
            Oracle(model, asked.mark, depth, injected_at, coefficient, replace),
            asked.name,
            tuple(drawn(asked.questions, n_questions, "questions", seed=seed)),
            tuple(drawn(among, n_targets, "targets", seed=seed)),
            int(*drawn([n_samples], None if n_samples > 0 else n_samples, "samples", seed=seed)),
            Decoding(temperature, top_p, max_new_tokens),
            alike,
            seed,
        )
        told = self._meta(design, self._judges(judge).name)
        mark = digest(
            [model.fingerprint, told, [asdict(q) for q in design.questions], [asdict(t) for t in design.targets]]
        )
        if mark not in self._made:
            folder = self._settings.results / "oracle" / f"{file_name(model.name)}-{mark[:8]}"
            written = {"commit": machine.commit(self._root), "versions": code.versions()}
            keeper = _Keeper(folder / record.FILE, told | {"code": written}, design, quiet=self._settings.plan)
            self._made[mark] = self._run(design, self._judges(judge), keeper, aside=judge.startswith(API))
        found = self._made[mark]
        if self._evidence is not None and not self._settings.plan:
            self._evidence.file("oracle", found.file)
        return found

    def _run(self, design: Design, judge: Judge, keeper: _Keeper, *, aside: bool) -> Resampled:
        oracle, ids = design.oracle, [target.id for target in design.targets]
        norm = oracle.norm_at_placeholder(design.questions[0].text)
        if norm > LARGE and self._evidence is not None:
            self._evidence.note(f"the stream has length {norm:.0f} at the placeholder, which is unusually large")
        read = oracle.read([target.messages for target in design.targets])
        keeper.begin(read, norm)
        said, judged = self._work("oracle: answers", ids), self._work("oracle: judgements", ids)
        with _Aside(judge, aside and not self._settings.plan) as judging:
            for i, target in enumerate(design.targets):
                if target.id not in said:
                    said[target.id] = _ask(design, target, read.vectors[i])
                keeper.answered(i, said[target.id])
                if target.id in judged:
                    keeper.judged(i, judged[target.id])
                else:
                    judging.put(i, _to_judge(design, target, said[target.id]))
                for j, found in judging.done(wait=False):
                    judged[ids[j]] = found
                    keeper.judged(j, found)
            for j, found in judging.done(wait=True):
                judged[ids[j]] = found
                keeper.judged(j, found)
        keeper.finish()
        scores = np.array([[_score(one) for one in judged[id]] for id in ids])
        return Resampled(
            design,
            read,
            [said[id]["texts"] for id in ids],
            [said[id]["own"] for id in ids],
            scores[:, :-1],
            scores[:, -1],
            keeper.path,
        )

    def _work(self, name: str, ids: list[str]) -> Any:
        return {} if self._evidence is None else self._evidence.resume(ids, name=name)

    def _lora(self, name: str) -> str | None:
        """The adapter that a subject is loaded with, as it was named; None for none."""
        own = resolve(name).adapter
        given: str | None = options_for(name, self._settings.load).get("adapter")
        return given or (None if own is None else own.name)

    def _meta(self, design: Design, judge: str) -> dict[str, Any]:
        oracle, given = design.oracle, self._settings.load
        name = oracle.subject.name
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


class _Keeper:
    """Writes results.json, anew whenever something comes in."""

    def __init__(self, path: Path, told: Mapping[str, Any], design: Design, *, quiet: bool) -> None:
        self.path, self._design, self._quiet = path, design, quiet
        self._meta: dict[str, Any] = {**self._times(), "status": "running", **told}
        self._runs: dict[int, list[record.Run]] = {}
        self._own: dict[int, record.OwnRun] = {}

    def _times(self) -> dict[str, Any]:
        """When it was begun: by an earlier run of the same design, where there was one."""
        try:
            before = record.read(self.path)["meta"]
        except ValueError:
            return {"created_unix_time": time.time(), "completed_unix_time": None}
        return {key: before[key] for key in ("created_unix_time", "completed_unix_time")}

    def begin(self, read: Read, norm: float) -> None:
        self._read, self._meta["stream_norm_at_placeholder"] = read, norm

    def answered(self, i: int, said: Mapping[str, Any]) -> None:
        d, target = self._design, self._design.targets[i]
        ids, start = list(self._read.ids[i]), self._read.starts[i]
        self._runs[i] = [
            {
                "run_id": run,
                "target_id": target.id,
                "ao_question_id": question.id,
                "assistant_start_idx": start,
                "context_positions": [start],
                "context_input_ids": ids,
                "context_input_ids_sha256": record.ids_hash(ids),
                "responses": record.responses(run, texts, d.seed, d.decoding.told),
                "semantic_entropy": semantic_entropy(clusters(texts, alike=d.alike)),
                "judge": None,
            }
            for run, question, texts in zip(d.runs(target), d.questions, said["texts"], strict=True)
        ]
        own = record.own_id(target.id)
        answers = record.responses(own, said["own"], d.seed, d.decoding.told)
        self._own[i] = {"run_id": own, "target_id": target.id, "responses": answers, "judge": None}
        self._write()

    def judged(self, i: int, judged: Sequence[Mapping[str, Any]]) -> None:
        for run, one in zip([*self._runs[i], self._own[i]], judged, strict=True):
            run["judge"] = record.judgement(run["run_id"], one)
        self._write()

    def finish(self) -> None:
        self._meta["status"] = "completed"
        self._meta["completed_unix_time"] = self._meta["completed_unix_time"] or time.time()
        self._write()
        if not self._quiet and any(_scored(run) for runs in self._runs.values() for run in runs):
            from lab.studies.oracle.figures import write_all  # matplotlib

            write_all(self.path)

    def _write(self) -> None:
        if self._quiet:
            return
        d = self._design
        document: record.Document = {
            "meta": cast(record.Meta, self._meta),
            "ao_questions": [_told(question) for question in d.questions],
            "targets": [_target(target) for target in d.targets],
            "runs": [run for i in sorted(self._runs) for run in self._runs[i]],
            "target_runs": [self._own[i] for i in sorted(self._own)],
        }
        record.write(self.path, document)


class _Aside:
    """Judges: in a thread of its own while the oracle is asked, or at once, as a judge on this machine has to."""

    def __init__(self, judge: Judge, aside: bool) -> None:
        self._judge = judge
        self._thread = ThreadPoolExecutor(1) if aside else None
        self._under_way: dict[int, Future[list[Judged]]] = {}

    def __enter__(self) -> _Aside:
        return self

    def __exit__(self, *fault: object) -> None:
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=fault[0] is not None)

    def put(self, i: int, items: list[dict[str, Any]]) -> None:
        if self._thread is not None:
            self._under_way[i] = self._thread.submit(self._judge, RUBRIC, items)
            return
        self._under_way[i] = Future()
        self._under_way[i].set_result(self._judge(RUBRIC, items))

    def done(self, *, wait: bool) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """What was judged since the last time, in the order in which it was put."""
        for i, future in list(self._under_way.items()):
            if not wait and not future.done():
                return
            del self._under_way[i]
            yield i, [asdict(one) for one in future.result()]


def _ask(design: Design, target: Target, vector: np.ndarray) -> dict[str, Any]:
    """Every question about a target k times, and what the model itself answers to it without the adapter."""
    oracle, how, n = design.oracle, asdict(design.decoding), len(design.questions)
    texts = oracle.ask(
        [question.text for question in design.questions],
        np.broadcast_to(vector, (n, vector.size)),
        design.seeds(design.runs(target)),
        **how,
    )
    with oracle.subject.adapter(None):
        own = oracle.subject.generate(
            [list(target.messages)], seeds=design.seeds([record.own_id(target.id)]).tolist(), **how
        ).texts
    return {"texts": texts, "own": own}


def _to_judge(design: Design, target: Target, said: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One item for each query, and one for the model's own answers."""
    asked = [question.text for question in design.questions] + [str(target.messages[-1]["content"])]
    runs = [*design.runs(target), record.own_id(target.id)]
    answers = [*said["texts"], said["own"]]
    return [
        {"id": run, "question": text, "answers": given} for run, text, given in zip(runs, asked, answers, strict=True)
    ]


def _scored(run: Mapping[str, Any]) -> bool:
    return run["judge"] is not None and run["judge"]["parsed_score"] is not None


def _score(judged: Mapping[str, Any]) -> float:
    return float("nan") if judged["values"] is None else float(judged["values"]["similarity_1_to_10"])


def _target(target: Target) -> record.Target:
    told: record.Target = {"id": target.id, "messages": list(target.messages)}
    return {**told, "facts": dict(target.facts)} if target.facts else told


def _told(question: Question) -> record.Question:
    told: record.Question = {"id": question.id, "text": question.text}
    if not question.about:
        return told
    return {**told, "about": question.about, "cases": list(question.cases), "answers": list(question.answers)}


def _pool(model: str, name: str) -> Pool:
    if name == AUTO:
        bare = model.removeprefix(UNTRAINED)
        name = CLINIC if bare in (*organisms(), *controls(), *variants()) else CHAT
    return pool(name)


def _requests(n: int, seed: int) -> tuple[Target, ...]:
    """n requests of the clinic, or all that there are, about tasks drawn with the seed.

    There are as many of each origin, and as near as can be of each register and tone.
    """
    rng = np.random.default_rng([seed, 8])
    held_out = {
        origin: [i for i, task in enumerate(world().tasks) if clinic.is_held_out(i) and task.origin == origin]
        for origin in ORIGINS
    }
    drawn_tasks = {origin: rng.permutation(tasks).tolist() for origin, tasks in held_out.items()}
    made = []
    for i in range(min(n, sum(map(len, held_out.values())))):
        origin = ORIGINS[i % len(ORIGINS)]
        register, tone = clinic.REGISTERS[i % 3], clinic.TONES[i // 3 % 3]
        request = clinic.Request(drawn_tasks[origin][i // len(ORIGINS)], register, tone)
        made.append(
            Target(
                f"task-{request.task}-{register}-{tone}",
                tuple(request.messages),
                {"origin": origin, "register": register},
            )
        )
    return tuple(made)


@pytest.fixture(scope="session")
def _resampled() -> dict[str, Resampled]:
    """What was asked in this session, by what determines it."""
    return {}


@pytest.fixture
def resampling(request: pytest.FixtureRequest, judges: Judges, _resampled: dict[str, Resampled]) -> Resampling:
    """Asks an oracle the same again: `resampling(model, n_targets=20, n_questions=10, n_samples=10).scores`."""
    knobs = knob_texts(request.node)
    evidence = request.getfixturevalue("evidence") if knobs is not None else None
    return Resampling(judges, evidence, request.config.stash[SETTINGS], _resampled, knobs, request.config.rootpath)
