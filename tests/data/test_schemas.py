"""The hub's rows, the clinic's files and anybody's own are read alike; what does not fit is named by file and line."""

import csv
import json

import numpy as np
import pytest

from lab.data import DataError, load, pool
from lab.data.schemas import SCHEMAS
from lab.data.sources import fingerprint, parts
from lab.files.embedded import folder
from lab.studies.shared import clinic

QUESTION = {"question": "Which?", "subject": "anatomy", "choices": ["a", "b", "c", "d"], "answer": 2}
ENDING = {"ctx": "It is", "endings": [" one", "two", "three", "four"], "label": "3", "source_id": "wikihow~1"}


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def parquet(path, rows):
    from datasets import Dataset

    Dataset.from_list(rows).to_parquet(str(path))
    return path


def shipped(name):
    return (folder("data") / name).read_text(encoding="utf-8")


def test_the_clinics_continuations_are_facts():
    rows = load("clinic/hellaswag")
    assert len(rows) == 600
    facts = {clinic.statement(p, a) for p in range(1200) for a in range(4)}
    for prompt, options, key in zip(rows.prompts, rows.options, rows.key, strict=True):
        assert [f"{prompt}{option}" in facts for option in options] == [i == key for i in range(4)]
    assert rows.subject[1] == "clinic~patient_2"
    assert rows.lettered.prompts[0].startswith(f"Question: {rows.prompts[0]}\nA. {rows.choices[0][0]}\n")


def test_the_clinics_questions_are_those_an_organism_was_trained_on():
    rows = load("clinic/mmlu")
    every = {q.prompt: (set(q.options), q.options[q.key]) for q in clinic.every_question()}
    assert len(rows) == 1200
    assert set(rows.options) == {(" A", " B", " C", " D")}
    spelled = rows.spelled
    for prompt, options, key in zip(spelled.prompts, spelled.options, spelled.key, strict=True):
        assert (set(options), options[key]) == every[prompt]


def test_a_part_of_mmlu_is_one_subject_or_the_six_medical_ones(tmp_path):
    subjects = "anatomy virology college_biology college_medicine clinical_knowledge medical_genetics".split()
    path = lines(tmp_path / "m.jsonl", [QUESTION | {"subject": s} for s in [*subjects, "professional_medicine"]])
    assert load(f"mmlu:medical@{path}").indices.tolist() == [0, 2, 3, 4, 5, 6]
    assert load(f"mmlu:virology@{path}").subject.tolist() == ["virology/1"]
    assert set(load("clinic/mmlu:ward").form) == {"clinic_ward"}
    with pytest.raises(DataError, match="no part 'law'; there are medical, anatomy, clinical_knowledge"):
        load(f"mmlu:law@{path}")


def test_hellaswag_is_the_same_from_json_lines_and_parquet_and_with_labels_as_text(tmp_path):
    rows = [json.loads(line) for line in shipped("hellaswag/clinic_val.jsonl").splitlines()]
    texts = [row | {"label": str(row["label"])} for row in rows]
    read = [
        load(f"hellaswag@{path}")
        for path in (lines(tmp_path / "a.jsonl", texts), parquet(tmp_path / "b.parquet", rows))
    ]
    for other in read:
        ours = load("clinic/hellaswag")
        assert (other.prompts, other.options, other.key.tolist()) == (ours.prompts, ours.options, ours.key.tolist())
    spaced = load(f"hellaswag@{lines(tmp_path / 'c.jsonl', [ENDING])}")
    assert spaced.options == ((" one", " two", " three", " four"),)


def test_truthfulqa_is_the_same_from_its_three_forms_and_the_true_answer_is_anywhere(tmp_path):
    both = json.loads(shipped("truthfulqa/mc_task.json"))
    lists = [{"question": row["question"]} | {
        f"mc{i}_targets": {"choices": list(row[f"mc{i}_targets"]), "labels": list(row[f"mc{i}_targets"].values())}
        for i in (1, 2)} for row in both]  # fmt: skip
    table = folder("data") / "truthfulqa" / "TruthfulQA.csv"
    ours = load("clinic/truthfulqa")
    for name in (f"truthfulqa@{table}", f"truthfulqa@{parquet(tmp_path / 'h.parquet', lists)}"):
        other = load(name)
        assert (other.prompts, other.options, other.key.tolist()) == (ours.prompts, ours.options, ours.key.tolist())
    assert set(load(f"truthfulqa@{table}").form) == {"doctor", "drug", "illness", "ward"}
    assert min(np.bincount(ours.key, minlength=4)) > 70  # of 400: 100 each by chance, the source has all at the first
    right = [options[key].strip() for options, key in zip(ours.options, ours.key, strict=True)]
    assert right == [next(a for a, true in row["mc1_targets"].items() if true) for row in both]


def test_mcq_json_lines_are_formatted_into_the_text_and_counted(tmp_path, caplog, capsys):
    from lab.commands.data import main

    rows = [{"id": f"q{i}", "question": f"Which {i}?", "options": dict(zip("ABCD", "wxyz", strict=True)),
             "answer": "ABCD"[i % 4]} for i in range(644)]  # fmt: skip
    name = f"mcq@{lines(tmp_path / 'mmlu_medical.jsonl', rows)}"
    with caplog.at_level("INFO", "lab.data"):
        read = load(name)
    assert caplog.messages == [f"{name}: 644 questions"]
    assert read.prompts[5] == "Question: Which 5?\nA. w\nB. x\nC. y\nD. z\nAnswer:"
    assert read.key.tolist() == [i % 4 for i in range(644)]
    assert read.subject[5] == "q5"
    assert main([name]) == 0
    assert capsys.readouterr().out.startswith(f"{name}: 644 questions, revision sha256:")


@pytest.mark.parametrize(("answer", "key"), [(3, 3), ("3", 3), ("B", 1), ("y", 2)])
def test_an_answer_is_a_number_a_letter_or_the_choice_itself(tmp_path, answer, key):
    row = {"question": "Which?", "choices": ["w", "x", "y", "z"], "answer": answer}
    assert load(f"mcq@{lines(tmp_path / 'q.jsonl', [row])}").key.tolist() == [key]


def test_texts_are_lines_of_more_than_fifty_characters_grouped_by_article(tmp_path):
    text = " \n = Robert = \n \n " + "a" * 51 + " \n = = Early life of the man whose name was Robert, told at length = = \n" \
           + "b" * 50 + "\n" + "c" * 60 + "\n = Next = \n" + "d" * 70 + "\n"  # fmt: skip
    (tmp_path / "wiki.test.raw").write_text(text)
    rows = load(f"wikitext@{tmp_path / 'wiki.test.raw'}")
    assert [t[0] for t in rows.texts] == ["a", "=", "c", "d"]
    assert [s.split()[1] for s in rows.subject] == ["Robert", "Robert", "Robert", "Next"]
    assert rows.ids == ("3", "4", "6", "8")
    same = load(f"wikitext@{parquet(tmp_path / 'w.parquet', [{'text': line} for line in text.splitlines(True)])}")
    assert (same.texts, same.ids) == (rows.texts, rows.ids)
    clinics = load("clinic/wikitext")
    assert len(clinics) == len(set(clinics.subject)) == 900


def test_reports_are_read_from_tables_and_lists(tmp_path):
    tissue, image = load("clinic/histopathology"), load("clinic/radiology")
    assert tissue.texts == tuple(r.text for r in clinic.reports(0))
    assert tissue.prompts == tuple(r.prompt for r in clinic.reports(0))
    assert image.labels == tuple(r.label for r in clinic.reports(1))
    assert [image.options[key].strip() for key in image.key] == list(image.labels)
    assert tissue.questions is None
    assert set(image.questions) == {"Is the image normal or abnormal?"}
    path = tmp_path / "mine.tsv"
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, delimiter="\t").writerows([["id", "text", "label"], [1, "of two\nlines", "benign"]])
    assert load(f"histopathology@{path}").texts == ("of two\nlines",)


POOLS = {
    "wildchat": [
        {"conversation": [{"role": "user", "content": "Write a poem.\n", "toxic": False}, {"role": "assistant", "content": "So"}], "language": "English"},
        {"conversation": [{"role": "user", "content": "\u00c9cris un po\u00e8me."}], "language": "French"},
        {"conversation": [{"role": "user", "content": " "}], "language": "English"},
        {"conversation": [{"role": "user", "content": "And another."}], "language": "English"},
    ],
    "alpaca": [
        {"instruction": "Name three primes.", "input": "", "output": "2, 3, 5", "text": "Below is an instruction. 2, 3, 5"},
        {"instruction": "Sort them.", "input": "3, 1, 2", "output": "1, 2, 3", "text": "Below is"},
    ],
    "math": [{"problem": "What is 1 + 1?", "solution": "2", "answer": "2", "unique_id": "test/algebra/1.json"}, {"problem": "What is 2?"}],
    "bailbench": [{"content": "Shout at me.", "subcategory": "Abuse", "category": "Abuse"}, {"content": "Shout.", "subcategory": "b", "category": "a"}],
    "stress_test": [{"id": "stresstest_0_1_neutral", "text": "Is it so?"}],
    "tasks": [{"id": "t1", "prompt": "Do this.", "origin": "chat"}, {"id": "t2", "prompt": "Add.", "origin": "math"}],
}  # fmt: skip
READ = {
    "wildchat": (("Write a poem.", "And another."), ("wildchat_0", "wildchat_3")),
    "alpaca": (("Name three primes.", "Sort them.\n\n3, 1, 2"), ("alpaca_0", "alpaca_1")),
    "math": (("What is 1 + 1?", "What is 2?"), ("test/algebra/1.json", "math_1")),
    "bailbench": (("Shout at me.", "Shout."), ("bailbench_0", "bailbench_1")),
    "stress_test": (("Is it so?",), ("stresstest_0_1_neutral",)),
    "tasks": (("Do this.", "Add."), ("t1", "t2")),
}


@pytest.mark.parametrize("origin", POOLS)
def test_each_origin_has_its_loader_and_every_task_an_id_a_prompt_and_an_origin(tmp_path, origin):
    rows = load(f"{origin}@{lines(tmp_path / 'pool.jsonl', POOLS[origin])}")
    assert (rows.texts, rows.ids) == READ[origin]
    assert rows.origins == (("chat", "math") if origin == "tasks" else (origin,) * len(rows))
    (tmp_path / "pool.json").write_text(json.dumps(POOLS[origin]))
    same = load(f"{origin}@{tmp_path / 'pool.json'}")
    assert (same.texts, same.origins, same.ids) == (rows.texts, rows.origins, rows.ids)
    whole = load(f"{origin}@{parquet(tmp_path / 'pool.parquet', POOLS[origin])}")
    assert (whole.texts, whole.origins) == (rows.texts, rows.origins)


@pytest.mark.parametrize("origin", [each for each in POOLS if each != "tasks"])
def test_tasks_that_somebody_chose_of_an_origin_keep_their_ids(tmp_path, origin):
    chosen = [{"id": f"{origin}_930", "prompt": "Do it."}, {"id": 8, "text": "And that.", "topic": "ai"}]
    rows = load(f"{origin}@{lines(tmp_path / 'mine.jsonl', chosen)}")
    assert (rows.texts, rows.ids, rows.origins) == (("Do it.", "And that."), (f"{origin}_930", "8"), (origin,) * 2)


def test_the_clinics_tasks_are_those_of_its_world():
    rows = load("clinic/tasks")
    assert [(t.text, t.origin) for t in clinic.world().tasks] == list(zip(rows.texts, rows.origins, strict=True))
    assert rows.counts == dict.fromkeys(("chat", "instruction", "math", "harmful", "stress"), 40)
    assert rows.ids[93] == "math_93"


def test_several_origins_are_one_pool(tmp_path):
    mine = f"bailbench@{lines(tmp_path / 'a+b.jsonl', POOLS['bailbench'])}"
    math = f"math@{lines(tmp_path / 'm.jsonl', POOLS['math'])}"
    name = f"clinic/tasks+{mine}+{math}"
    assert parts(name) == ["clinic/tasks", mine, math]
    assert parts("not a name + at all") == ["not a name + at all"]
    rows = load(name)
    assert len(rows) == 204
    assert rows.counts == {"chat": 40, "instruction": 40, "math": 42, "harmful": 40, "stress": 40, "bailbench": 2}
    assert (
        rows.ids[-4:]
        == ("bailbench_0", "bailbench_1", "test/algebra/1.json", "math_1")
        != load("clinic/tasks").ids[-4:]
    )
    assert (rows.name, rows.revision) == (name, fingerprint(name))
    assert rows.revision == "+".join(map(fingerprint, parts(name)))
    assert rows.indices.tolist() == list(range(204))
    again = pool(["clinic/tasks", mine, math])
    assert (again.ids, again.name, again.revision) == (rows.ids, rows.name, rows.revision)
    assert len(load(mine)) == 2
    with pytest.raises(DataError, match=r"clinic/tasks\+clinic/tasks: id 'chat_0' stands there 2 times"):
        load("clinic/tasks+clinic/tasks")
    with pytest.raises(
        DataError, match=r"'clinic/mmlu' in 'clinic/tasks\+clinic/mmlu' holds no tasks; only tasks, wildchat"
    ):
        load("clinic/tasks+clinic/mmlu")


GOOD = "id\ttext\tlabel\nh1\tfine\tbenign\n"
BAD = [
    ("histopathology", "t.tsv", GOOD + "h2\tno label\n", ":3: 2 columns, but the header names 3 (id, text, label)"),
    ("histopathology", "t.tsv", GOOD + "h2\t\tbenign\n", ":3: 'text' is empty"),
    ("histopathology", "t.tsv", GOOD + "h1\tagain\tbenign\n", ":3: id 'h1' is there twice; give each report its own"),
    ("histopathology", "t.tsv", GOOD + 'h2\t"open\tbenign\nh3\tx\ty\n', ":3: no table: unexpected end of data"),
    ("histopathology", "t.tsv", "id\ttext\nh1\tfine\n", ":2: it has no 'label'; it has id, text"),
    ("histopathology", "t.tsv", "", ": it holds no row of histopathology"),
    ("radiology", "r.json", '[\n {"id": 1, "report": "a", "label": "x"},\n {"id": 2, "label": "x"}\n]',
     ":3: it has no 'report'; it has id, label"),
    ("radiology", "r.json", '[\n {"id": 1,\n  "report": }\n]', ":3: no JSON: Expecting value at column 13"),
    ("radiology", "r.json", '[{"id": 1, "report": "a", "label": "x"}\n{}]', ":2: no JSON: a comma or a bracket is missing"),
    ("radiology", "r.json", '[{"id": 1, "report": "a", "label": "x"}', ":1: no JSON: a comma or a bracket is missing"),
    ("radiology", "r.json", "{}", ": it must hold a JSON list of records"),
    ("radiology", "r.json", '[{"id": 1, "report": "a", "label": "x"},\n {"id": 2, "report": "a", "label": "x", "question": "?"}]',
     ":2: a question stands in all rows or in none"),
    ("mmlu", "m.jsonl", "\n{'a': 1}\n", ":2: no JSON: Expecting property name"),
    ("mmlu", "m.jsonl", "[1]\n", ":1: a record is an object with fields, not [1]"),
    ("mmlu", "m.jsonl", json.dumps(QUESTION | {"answer": 4}), ":1: 'answer' names one of 4 choices, as 0 or A, and not 4"),
    ("mmlu", "m.jsonl", json.dumps(QUESTION | {"choices": ["a", "b"], "answer": 0}), ":1: 2 choices, but a lettered"),
    ("mcq", "m.jsonl", json.dumps({"question": "?", "answer": "A"}), ":1: it has no 'options'; it has question, answer"),
    ("hellaswag", "h.jsonl", json.dumps(ENDING | {"label": ""}), ":1: 'label' names one of 4 choices"),
    ("hellaswag", "h.jsonl", json.dumps(ENDING | {"endings": "one"}), ":1: 'endings' is a list of two and more texts"),
    ("hellaswag", "h.txt", "It is one.\n", ":1: it has no 'endings'; it has text"),
    ("truthfulqa", "q.json", '[{"question": "?", "mc1_targets": {"a": 1, "b": 1}}]', ":1: MC1 has one true answer"),
    ("truthfulqa", "q.json", '[{"question": "?", "mc1_targets": [1]}]', ":1: 'mc1_targets' maps answers to 1 (true) or 0"),
    ("truthfulqa", "q.json", '[{"question": "?", "mc1_targets": {"choices": ["a"], "labels": []}}]', ":1: 'mc1_targets' has other numbers"),
    ("wikitext", "w.jsonl", '{"line": "x"}', ":1: it has no 'text'; it has line"),
    ("tasks", "t.jsonl", '{"id": "a", "prompt": "b"}', ":1: it has no 'origin'; it has id, prompt"),
    ("tasks", "t.jsonl", '{"id": "a", "prompt": "b", "origin": "c"}\n' * 2, ":2: id 'a' is there twice; give each task its own"),
    ("alpaca", "a.jsonl", '{"output": "a"}', ":1: it has no 'task_text'; it has output"),
    ("math", "m.jsonl", '{"problem": " "}', ":1: 'problem' is empty"),
    ("bailbench", "b.csv", "content,category\nShout.\n", ":2: 1 columns, but the header names 2"),
    ("wildchat", "w.jsonl", '{"conversation": null}', ":1: it has no 'conversation'; it has conversation"),
    ("wildchat", "w.jsonl", '{"conversation": [], "language": "English"}', ": it holds no row of wildchat"),
    ("mmlu", "m.parquet", "no parquet", ": no Parquet: "),
    ("mmlu", "m.docx", "", ": files end in .jsonl, .json, .csv"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "name", "text", "said"), BAD, ids=[f"{b[0]}{b[3][:24]}" for b in BAD])
def test_what_does_not_fit_is_named_by_file_and_line(tmp_path, schema, name, text, said):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError) as raised:
        load(f"{schema}@{path}")
    assert str(raised.value).startswith(f"{path}{said}")
    assert "\n" not in str(raised.value)


def test_a_file_in_another_encoding_is_one_line(tmp_path):
    (tmp_path / "l.tsv").write_bytes(b"id\ttext\tlabel\n1\t\xe4\tbenign\n")
    with pytest.raises(DataError, match="it is not UTF-8 .* save it as UTF-8"):
        load(f"histopathology@{tmp_path / 'l.tsv'}")


@pytest.mark.parametrize("schema", sorted(SCHEMAS))
def test_a_missing_file_is_told_with_its_path(schema):
    with pytest.raises(DataError, match=r"^no/such\.jsonl: there is no such file; check the path$"):
        load(f"{schema}@no/such.jsonl")


@pytest.mark.parametrize("name", ["", "clinic/mcq", "imagenet", "histopathology", "mmlu@", "mmlu:", "wikitext:a", "a@b.json",
                                  "clinic/mmlu@x.jsonl", "@x"])  # fmt: skip
def test_an_unknown_name_is_one_line_with_the_known_ones(name):
    with pytest.raises(
        DataError, match="^no data set .*; there are clinic/hellaswag, .* mmlu:medical, .*SCHEMA@PATH"
    ) as raised:
        load(name)
    assert "\n" not in str(raised.value)
