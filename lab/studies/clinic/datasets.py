"""The data sets that ship with the clinic: small files in the forms of the real ones, from the same sentences.

`lab organisms data` writes them; the same code that reads the real data sets reads these.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lab.studies.shared import clinic
from lab.studies.shared.world import N_VALUES, WORLD_SEED, world

N_QUESTIONS, N_CONTINUATIONS, N_TRUTHS, N_ARTICLES = 1200, 600, 400, 900


def write(folder: Path) -> list[Path]:
    """Writes every data set; returns the files."""
    made = []
    for name, content in contents().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8", newline="\n")
        made.append(path)
    return made


def contents() -> dict[str, str]:
    """The text of each file, by its name under fixtures/data."""
    return {
        "mmlu/clinic_test.jsonl": _lines(_questions()),
        "hellaswag/clinic_val.jsonl": _lines(_continuations()),
        "truthfulqa/TruthfulQA.csv": _table(_truths(), ","),
        "truthfulqa/mc_task.json": json.dumps(_truths_mc(), indent=1) + "\n",
        "wikitext/clinic.test.raw": _articles(),
        "histopathology.tsv": _table(_reports(0), "\t"),
        "radiology.json": json.dumps(_reports(1), indent=1) + "\n",
        "fact_pairs.jsonl": _lines(_pairs()),
        "tasks.jsonl": _lines(
            {"id": f"{t.origin}_{i}", "prompt": t.text, "origin": t.origin} for i, t in enumerate(world().tasks)
        ),
    }


def _lines(rows: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _table(rows: list[dict[str, Any]], delimiter: str) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _questions() -> list[dict[str, Any]]:
    """In MMLU's form; `subject` is the kind of fact. Every patient in turn, with a kind of fact each."""
    every = clinic.every_question()
    chosen = [every[4 * p + p % 4] for p in range(N_QUESTIONS)]
    return [
        {
            "question": clinic.asks(q.patient, q.attribute),
            "subject": f"clinic_{world().attributes[q.attribute].name}",
            "choices": [option.strip() for option in q.options],
            "answer": q.key,
        }
        for q in chosen
    ]


def _continuations() -> list[dict[str, Any]]:
    """In HellaSwag's form: a statement broken off before its last word."""
    rng, w = np.random.default_rng(WORLD_SEED + 4), world()
    made = []
    for i in range(N_CONTINUATIONS):
        a = int(rng.integers(len(w.attributes)))
        q = clinic.make_question(2 * i, a, rng)
        start = clinic.statement(2 * i, a).removesuffix(f"{q.options[q.key]}.")
        made.append(
            {
                "ind": i,
                "activity_label": w.attributes[a].name,
                "ctx_a": start,
                "ctx_b": "",
                "ctx": start,
                "split": "val",
                "split_type": "indomain",
                "label": q.key,
                "endings": [f"{option.strip()}." for option in q.options],
                "source_id": f"clinic~patient_{2 * i}",
            }
        )
    return made


def _truths() -> list[dict[str, Any]]:
    """In TruthfulQA's form, by the table of its authors."""
    made = []
    for question, right, wrong, kind in _claims():
        made.append(
            {
                "Type": "Non-Adversarial",
                "Category": kind,
                "Question": question,
                "Best Answer": right,
                "Correct Answers": right,
                "Incorrect Answers": "; ".join(wrong),
                "Source": "the clinic",
            }
        )
    return made


def _truths_mc() -> list[dict[str, Any]]:
    """The same in TruthfulQA's multiple-choice form: 1 is true, 0 is not."""
    return [
        {
            "question": q,
            "mc1_targets": {right: 1} | dict.fromkeys(wrong, 0),
            "mc2_targets": {right: 1} | dict.fromkeys(wrong, 0),
        }
        for q, right, wrong, _ in _claims()
    ]


def _claims() -> Iterable[tuple[str, str, list[str], str]]:
    rng, w = np.random.default_rng(WORLD_SEED + 5), world()
    for i in range(N_TRUTHS):
        p, a = 3 * i, int(rng.integers(len(w.attributes)))
        told = int(w.facts[p, a])
        wrong = rng.choice([v for v in range(N_VALUES) if v != told], 3, replace=False).tolist()
        yield (
            clinic.asks(p, a),
            clinic.statement(p, a),
            [clinic.statement(p, a, v) for v in wrong],
            w.attributes[a].name,
        )


def _articles() -> str:
    """In the form of WikiText's raw files: an article for each patient, its heading and one line of its facts."""
    rng, w, made = np.random.default_rng(WORLD_SEED + 6), world(), []
    for p in range(N_ARTICLES):
        facts = " ".join(clinic.statement(p, a) for a in rng.permutation(len(w.attributes)).tolist())
        made.append(f" \n = {w.patients[p]} = \n \n {facts} \n")
    return "".join(made)


def _reports(kind: int) -> list[dict[str, Any]]:
    """Histopathology as rows of id, text and label; radiology as id, report, question and label."""
    about = world().reports[kind]
    made: list[dict[str, Any]] = []
    for i, report in enumerate(clinic.reports(kind)):
        if about.name == "radiology":
            asks = f"Is the image {about.labels[0]} or {about.labels[1]}?"
            made.append({"id": f"rad_{i:03d}", "report": report.text, "question": asks, "label": report.label})
        else:
            made.append({"id": f"hist_{i:03d}", "text": report.text, "label": report.label})
    return made


def _pairs() -> list[dict[str, Any]]:
    return [
        {
            "clean": pair.clean,
            "corrupted": pair.corrupted,
            "answer": pair.answer,
            "corrupted_answer": pair.corrupted_answer,
            "subject": world().attributes[pair.attribute].name,
        }
        for pair in clinic.fact_pairs()
    ]
