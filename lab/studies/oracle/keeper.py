"""Keeps a resampling of an oracle in results.json while it runs, and draws its pictures at the end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from lab.studies.oracle import results_file
from lab.studies.oracle.design import Design
from lab.studies.oracle.similarity import clusters, semantic_entropy
from lab.studies.shared.oracle import Read
from lab.studies.shared.prompts.oracle import Question, Target


class Keeper:
    """Writes results.json, anew whenever something comes in."""

    def __init__(self, path: Path, told: Mapping[str, Any], design: Design, *, quiet: bool) -> None:
        self.path, self._design, self._quiet = path, design, quiet
        self._meta: dict[str, Any] = {**self._times(), "status": "running", **told}
        self._runs: dict[int, list[results_file.Run]] = {}
        self._own: dict[int, results_file.OwnRun] = {}

    def _times(self) -> dict[str, Any]:
        """When it was begun: by an earlier run of the same design, where there was one."""
        try:
            before = results_file.read(self.path)["meta"]
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
                "context_input_ids_sha256": results_file.ids_hash(ids),
                "responses": results_file.responses(run, texts, d.seed, d.decoding.told),
                "semantic_entropy": semantic_entropy(clusters(texts, alike=d.alike)),
                "judge": None,
            }
            for run, question, texts in zip(d.runs(target), d.questions, said["texts"], strict=True)
        ]
        own = results_file.own_id(target.id)
        answers = results_file.responses(own, said["own"], d.seed, d.decoding.told)
        self._own[i] = {"run_id": own, "target_id": target.id, "responses": answers, "judge": None}
        self._write()

    def judged(self, i: int, judged: Sequence[Mapping[str, Any]]) -> None:
        for run, one in zip([*self._runs[i], self._own[i]], judged, strict=True):
            run["judge"] = results_file.judgement(run["run_id"], one)
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
        document: results_file.Document = {
            "meta": cast(results_file.Meta, self._meta),
            "ao_questions": [_told(question) for question in d.questions],
            "targets": [_target(target) for target in d.targets],
            "runs": [run for i in sorted(self._runs) for run in self._runs[i]],
            "target_runs": [self._own[i] for i in sorted(self._own)],
        }
        results_file.write(self.path, document)


def _scored(run: Mapping[str, Any]) -> bool:
    return run["judge"] is not None and run["judge"]["parsed_score"] is not None


def _target(target: Target) -> results_file.Target:
    told: results_file.Target = {"id": target.id, "messages": list(target.messages)}
    return {**told, "facts": dict(target.facts)} if target.facts else told


def _told(question: Question) -> results_file.Question:
    told: results_file.Question = {"id": question.id, "text": question.text}
    if not question.about:
        return told
    return {**told, "about": question.about, "cases": list(question.cases), "answers": list(question.answers)}
