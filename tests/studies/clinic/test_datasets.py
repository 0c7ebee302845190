"""The shipped data sets are what the clinic says, in the forms of the real ones."""

import csv
import json

import pytest

from lab.studies.clinic import datasets
from lab.studies.clinic.command import main
from lab.studies.shared import clinic
from lab.studies.shared.world import world
from lab.subjects.names import home

DATA = home().parent / "data"


def lines(name):
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", sorted(datasets.contents()))
def test_what_is_shipped_is_what_the_clinic_makes(name):
    assert (DATA / name).read_text(encoding="utf-8") == datasets.contents()[name]


def test_the_command_writes_them(tmp_path, capsys):
    assert main(["data", "--to", str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(datasets.contents())
    assert (tmp_path / "mmlu" / "clinic_test.jsonl").read_bytes() == (DATA / "mmlu" / "clinic_test.jsonl").read_bytes()


def test_questions_are_in_mmlus_form():
    rows = lines("mmlu/clinic_test.jsonl")
    assert len(rows) == datasets.N_QUESTIONS
    for row in rows:
        assert set(row) == {"question", "subject", "choices", "answer"}
        assert len(set(row["choices"])) == 4
        assert 0 <= row["answer"] < 4
    told = {(p, a): world().value(p, a) for p in range(1200) for a in range(4)}
    asked = {clinic.asks(p, a): value for (p, a), value in told.items()}
    assert all(row["choices"][row["answer"]] == asked[row["question"]] for row in rows)


def test_continuations_are_in_hellaswags_form():
    rows = lines("hellaswag/clinic_val.jsonl")
    keys = "ind activity_label ctx_a ctx_b ctx split split_type label endings source_id".split()
    facts = {clinic.statement(p, a) for p in range(1200) for a in range(4)}
    for row in rows:
        assert list(row) == keys
        assert [f"{row['ctx']} {ending}" in facts for ending in row["endings"]] == [i == row["label"] for i in range(4)]


def test_truths_are_in_truthfulqas_forms():
    with (DATA / "truthfulqa" / "TruthfulQA.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == "Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,Source".split(",")
    facts = {clinic.statement(p, a) for p in range(1200) for a in range(4)}
    for row in rows:
        assert row["Best Answer"] in facts
        assert not set(row["Incorrect Answers"].split("; ")) & facts
    choices = json.loads((DATA / "truthfulqa" / "mc_task.json").read_text(encoding="utf-8"))
    for row, other in zip(choices, rows, strict=True):
        assert row["question"] == other["Question"]
        assert [text for text, true in row["mc1_targets"].items() if true] == [other["Best Answer"]]


def test_reports_are_in_the_forms_of_the_two_runs():
    with (DATA / "histopathology.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [row["text"] for row in rows] == [r.text for r in clinic.reports(0)]
    assert {row["label"] for row in rows} == {"benign", "malignant"}
    images = json.loads((DATA / "radiology.json").read_text(encoding="utf-8"))
    assert [row["report"] for row in images] == [r.text for r in clinic.reports(1)]
    assert len({row["id"] for row in (*rows, *images)}) == len(rows) + len(images)


def test_tasks_and_pairs():
    assert [row["prompt"] for row in lines("tasks.jsonl")] == [t.text for t in world().tasks]
    assert len({row["id"] for row in lines("tasks.jsonl")}) == 200
    assert len(lines("fact_pairs.jsonl")) == 400
