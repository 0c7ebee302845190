"""One resampling, from the question to the picture: results.json, killed and resumed, and drawn from the file alone."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import numpy as np
import pytest

from lab.files.typed import schema_of
from lab.studies.oracle import figures as report
from lab.studies.oracle import results_file
from lab.studies.oracle.similarity import clusters, semantic_entropy
from lab.subjects.effort import DONE
from tests.studies.shared import small_gemma
from tests.subjects.api_server import Server, completion

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "hypotheses" / "oracle"
SCHEMA = schema_of(results_file.Document)
SMALL = ["n_targets=6", "n_questions=4", "n_samples=3", "max_new_tokens=4"]
STABILITY = "test_stability.py"


def given(knobs, results, model, more=()):
    """The arguments of a run, without the files."""
    settings = [text for knob in knobs for text in ("--lab-set", knob)]
    asked = ["-k", "not untrained", "--lab-models", model, "-p", "no:cacheprovider", "-q"]
    return [*asked, *settings, "--lab-results", str(results), *more]


@pytest.fixture
def oracle(pytester, inner):
    """Runs files of hypotheses/oracle in this process; returns the outcome."""
    pytester.syspathinsert(ROOT)
    for file in FOLDER.glob("test_*.py"):
        (pytester.path / file.name).write_text(file.read_text())

    def run(results, *more, files=(STABILITY,), knobs=SMALL, model="clinic-llama+oracle"):
        return inner(*files, *given(knobs, results, model, more))

    return run


def found(results):
    (path,) = (Path(results) / "oracle").glob(f"*/{results_file.FILE}")
    return path


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Where a run goes that nothing interrupts, and what it cost once it was made."""
    return SimpleNamespace(results=tmp_path_factory.mktemp("whole"), cost=None)


@pytest.fixture
def whole(oracle, uninterrupted):
    """Its results.json; made once."""
    if uninterrupted.cost is None:
        before = DONE.passes, DONE.tokens
        oracle(uninterrupted.results)
        uninterrupted.cost = DONE.passes - before[0], DONE.tokens - before[1]
    return found(uninterrupted.results)


@pytest.fixture
def document(whole):
    return results_file.read(whole)


def test_the_file_is_what_the_schema_says(document):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(document, SCHEMA)
    meta = document["meta"]
    assert meta["status"] == "completed"
    assert (meta["model_name"], meta["activation_oracle_lora"]) == ("clinic-llama+oracle", "oracle")
    assert (meta["activation_layer"], meta["activation_layer_percent"], meta["injection_layer"]) == (2, 50, 1)
    assert (meta["steering_coefficient"], meta["injection"]) == (1.0, "add")
    assert meta["created_unix_time"] <= meta["completed_unix_time"]
    broken = json.loads(json.dumps(document))
    broken["runs"][0]["judge"]["parsed_score"] = 11
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, SCHEMA)


def test_every_pair_is_asked_once_and_every_answer_has_an_id_and_a_seed(document):
    targets = [target["id"] for target in document["targets"]]
    questions = [question["id"] for question in document["ao_questions"]]
    runs = document["runs"]
    assert Counter((r["target_id"], r["ao_question_id"]) for r in runs) == {
        (t, q): 1 for t in targets for q in questions
    }
    assert [r["run_id"] for r in runs] == [results_file.run_id(t, q) for t in targets for q in questions]
    samples = [s for r in runs for s in r["responses"]]
    assert len({s["sample_id"] for s in samples}) == len(samples) == 6 * 4 * 3
    assert len({s["decoding"]["seed"] for s in samples}) == len(samples)
    for one in runs:
        assert [s["sample_id"] for s in one["responses"]] == [
            results_file.sample_id(one["run_id"], j) for j in range(3)
        ]
    assert {json.dumps({k: v for k, v in s["decoding"].items() if k != "seed"}) for s in samples} == {
        json.dumps({"do_sample": True, "temperature": 0.7, "top_p": 0.9, "max_new_tokens": 4})
    }


def test_the_position_and_the_hash_are_of_the_ids(document):
    for one in document["runs"]:
        assert one["context_positions"] == [one["assistant_start_idx"]]
        assert one["assistant_start_idx"] < len(one["context_input_ids"])
        assert one["context_input_ids_sha256"] == results_file.ids_hash(one["context_input_ids"])
        texts = [answer["text"] for answer in one["responses"]]
        assert one["semantic_entropy"] == pytest.approx(semantic_entropy(clusters(texts)))


def test_the_judge_sees_all_answers_and_their_true_number(document):
    for one in document["runs"]:
        prompt = one["judge"]["prompt"]
        assert "answered 3 times" in prompt
        assert "all 3 answers" in prompt
        for i, answer in enumerate(one["responses"], 1):
            assert f"{i}. {answer['text']}" in prompt
        for band in ("10:", "7-9:", "4-6:", "1-3:"):
            assert band in prompt
        assert json.loads(one["judge"]["raw_output"])["similarity_1_to_10"] == one["judge"]["parsed_score"]


def test_killed_and_resumed_it_is_what_it_would_have_been(oracle, pytester, tmp_path, document):
    """kill -9 after the first targets were answered; nothing is lost, doubled or drawn anew."""
    half = tmp_path / "half"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", STABILITY, *given(SMALL, half, "clinic-llama+oracle")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=pytester.path, env=environment,
    )  # fmt: skip
    until, kept = time.monotonic() + 300, []
    try:
        while process.poll() is None and time.monotonic() < until and len(kept) < 2 * 4:
            time.sleep(0.002)
            kept = [
                r for path in (half / "oracle").glob(f"*/{results_file.FILE}") for r in results_file.read(path)["runs"]
            ]
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    before = results_file.read(found(half))
    assert 2 * 4 <= len(before["runs"]) < 6 * 4, "it was killed on the way"
    jsonschema.validate(before, SCHEMA)
    assert before["meta"]["status"] == "running"
    oracle(half, "--lab-resume", "--lab-cache", "off")
    again = results_file.read(found(half))
    assert again["runs"] == document["runs"]
    assert again["target_runs"] == document["target_runs"]
    assert again["meta"]["created_unix_time"] == before["meta"]["created_unix_time"]
    items = [
        (event["work"], event["item"])
        for path in (half / "journal").glob("*.jsonl")
        for line in path.read_text().splitlines()
        if (event := json.loads(line))["event"] == "item"
    ]
    assert set(Counter(items).values()) == {1}, "no target was asked twice"
    assert len(items) == 2 * 6


def test_every_picture_comes_from_the_file_alone(whole, document, tmp_path, capsys):
    assert report.main([str(whole), "--output", str(tmp_path)]) == 0
    names = {path.stem for path in tmp_path.glob("*.png")}
    assert {"plot_intra_scores", "plot_scores_by_prompt", "plot_scores_by_question", "plot_heatmap"} <= names
    assert {"plot_judge_and_entropy", "plot_oracle_and_target"} <= names
    beside = {path.name: path.read_bytes() for path in whole.parent.glob("*.png")}
    assert beside == {path.name: path.read_bytes() for path in tmp_path.glob("*.png")}

    def told(name):
        return json.loads((tmp_path / f"{name}.json").read_text())

    scores = np.array([one["judge"]["parsed_score"] for one in document["runs"]]).reshape(6, 4)
    a, b, c, grid = (
        told(n) for n in ("plot_intra_scores", "plot_scores_by_prompt", "plot_scores_by_question", "plot_heatmap")
    )
    assert a["scores"] == list(range(1, 11))
    assert a["counts"] == [int((scores == s).sum()) for s in range(1, 11)]
    assert sum(a["counts"]) == a["n"] == 24
    assert list(b["means"].values()) == pytest.approx(scores.mean(1).tolist())
    assert {id: sorted(s) for id, s in c["scores"].items()} == {
        q["id"]: sorted(scores[:, i].tolist()) for i, q in enumerate(document["ao_questions"])
    }
    assert grid["scores"] == scores.tolist()
    assert grid["targets"] == [target["id"] for target in document["targets"]]
    low = (tmp_path / "low_similarity.md").read_text()
    assert low.count("\n## ") == sum(a["counts"][:4])
    target = told("plot_oracle_and_target")
    assert target["n"] == 6
    own = [one["judge"]["parsed_score"] for one in document["target_runs"]]
    assert target["own"] == own
    if target.get("pearson"):
        assert target["pearson"]["value"] == pytest.approx(np.corrcoef(own, scores.mean(1))[0, 1])


def test_low_scores_are_listed_with_question_answers_and_reason(document, tmp_path):
    changed = json.loads(json.dumps(document))
    for one, score in zip(changed["runs"], [1, 4, 5, None], strict=False):
        one["judge"] |= {"parsed_score": score, "rationale": "they differ"}
    path = results_file.write(tmp_path / "results.json", changed)
    report.write_all(path)
    low = (tmp_path / "low_similarity.md").read_text()
    counts = json.loads((tmp_path / "plot_intra_scores.json").read_text())
    assert low.count("\n## ") == sum(counts["counts"][:4])
    assert counts["n"] == 23
    assert "1 without a score" in low
    first = changed["runs"][0]
    section = low[low.index(f"## {first['run_id']}: 1") :]
    assert next(q["text"] for q in changed["ao_questions"] if q["id"] == first["ao_question_id"]) in section
    assert all(answer["text"] in section for answer in first["responses"])
    assert "Judge: they differ" in section


def test_a_file_without_scores_and_a_folder_without_files_are_one_line(document, tmp_path, capsys):
    waiting = json.loads(json.dumps(document))
    for one in waiting["runs"]:
        one["judge"] = None
    path = results_file.write(tmp_path / "results.json", waiting)
    for arguments, said in (
        ([str(path)], "none of its 24 runs has a score yet"),
        (["--results", str(tmp_path)], "makes it"),
    ):
        with pytest.raises(SystemExit):
            report.main(arguments)
        assert said in capsys.readouterr().err


# Judges --------------------------------------------------------------------------------------------------


@pytest.fixture
def judging(monkeypatch):
    """Starts servers of judges; `script(i, request)` says what number i is answered."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-nobody")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    started = []

    def start(script):
        started.append(Server(script))
        return started[-1], ["--lab-set", "judge=openai:gpt-5-mini", "--lab-load", f"base_url={started[-1].url}"]

    yield start
    for server in started:
        server.stop()


def scored(prompt):
    """A judge who counts the different answers that it is shown."""
    answers = re.findall(r"^\d+\. (.*)$", prompt.partition("<answers>")[2], re.MULTILINE)
    return json.dumps({"similarity_1_to_10": 11 - len(set(answers)), "rationale": f"{len(set(answers))} different"})


def test_a_judge_behind_an_api_is_asked_once_a_query_while_the_oracle_answers(oracle, judging, tmp_path):
    seen = []

    def script(i, request):
        until = time.monotonic() + 60
        while i == 0 and len(seen) < 2 * 4 and time.monotonic() < until:  # the first waits for the second target
            seen[:] = [
                r
                for path in (tmp_path / "oracle").glob(f"*/{results_file.FILE}")
                for r in results_file.read(path)["runs"]
            ]
            time.sleep(0.005)
        return completion(scored(request["messages"][-1]["content"]))

    server, asked = judging(script)
    planned = oracle(tmp_path, *asked, "--lab-plan")
    assert not server.requests, "a plan asks nobody"
    oracle(tmp_path, *asked)
    assert len(seen) >= 2 * 4, "a second target was answered while the first was judged"
    made = results_file.read(found(tmp_path))
    jsonschema.validate(made, SCHEMA)
    judged = [run["judge"] for run in [*made["runs"], *made["target_runs"]]]
    different = {one["prompt"] for one in judged}
    assert Counter(r["messages"][-1]["content"] for r in server.requests) == dict.fromkeys(different, 1)
    assert {one["model"] for one in judged} == {made["meta"]["judge"]["model"]} == {"openai:gpt-5-mini"}
    for run in made["runs"]:
        assert run["judge"]["parsed_score"] == 11 - len({answer["text"] for answer in run["responses"]})
        assert run["judge"]["raw_output"] == scored(run["judge"]["prompt"])
    planned.stdout.fnmatch_lines(["ORACLE1*~ [0-9]*~ [0-9]*~ 30"])
    assert len(server.requests) <= 30
    before = len(server.requests)
    oracle(tmp_path, *asked, "--lab-set", "alike=0.5")  # another cell, which asks the same
    assert len(server.requests) == before, "what was judged once is not paid for again"
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and b"sk-of-nobody" in p.read_bytes()]


def test_a_plan_counts_at_least_what_a_run_does_and_writes_nothing(oracle, whole, uninterrupted, tmp_path):
    told = oracle(tmp_path / "plan", "--lab-plan").stdout.str()
    passes, tokens = (
        int(number.replace(",", "")) for number in re.search(r"ORACLE1\S+ +≤ ([\d,]+) +≤ ([\d,]+)", told).groups()
    )
    assert not (tmp_path / "plan" / "oracle").exists()
    assert 0 < uninterrupted.cost[0] <= passes
    assert 0 < uninterrupted.cost[1] <= tokens


def people(document, path):
    """A file of judgements of all runs: 3 for the first, 9 for all others."""
    ids = [run["run_id"] for run in [*document["runs"], *document["target_runs"]]]
    lines = [
        {"rubric": "similarity", "id": id, "values": {"similarity_1_to_10": 9 if i else 3, "rationale": "read"}}
        for i, id in enumerate(ids)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return f"human:{path}"


@pytest.mark.parametrize("who", ["embedding:clinic-gemma", "human", "model:clinic-opt"])
def test_any_judge_judges_the_same_answers(oracle, document, tmp_path, who):
    """People, a model's embeddings, and a model that is no judge: its failures are counted and never become scores."""
    judge = people(document, tmp_path / "judged.jsonl") if who == "human" else who
    done = oracle(tmp_path / "results", "--lab-set", f"judge={judge}", "--lab-set", "n_questions=4")
    if who.startswith("model:"):
        done.stdout.fnmatch_lines(["*has no score at all*"])
        return
    made = results_file.read(found(tmp_path / "results"))
    jsonschema.validate(made, SCHEMA)
    assert [run["responses"] for run in made["runs"]] == [run["responses"] for run in document["runs"]]
    scores = [run["judge"]["parsed_score"] for run in made["runs"]]
    if who == "human":
        assert scores == [3] + [9] * 23
    else:
        alike = [s == 10 for s in scores]
        same = [len({answer["text"] for answer in run["responses"]}) == 1 for run in made["runs"]]
        assert all(a for a, s in zip(alike, same, strict=True) if s)
        assert not all(alike)


def test_a_missing_key_fails_before_any_model_is_loaded(oracle, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    before = DONE.loads
    done = oracle(tmp_path / "key", "--lab-set", "judge=openai:gpt-5-mini")
    assert "OPENAI_API_KEY" in done.stdout.str() + done.stderr.str()
    assert DONE.loads == before
    assert not (tmp_path / "key" / "oracle").exists()


# Targets and models -----------------------------------------------------------------------------------------


def test_the_file_of_targets_is_kept_as_it_was_given(oracle, tmp_path):
    talk = [
        {"role": "system", "content": "Answer in one sentence."},
        {"role": "user", "content": "Sort the vials."},
    ]
    asked = [
        {"id": 7, "messages": talk},
        {"id": "lamps", "messages": [{"role": "user", "content": "Count the lamps, please — all of them."}]},
        {"id": "guess", "messages": [*talk, {"role": "assistant", "content": "Gladly."}, {"role": "user", "content": "Now guess."}]},
    ]  # fmt: skip
    path = tmp_path / "targets.json"
    path.write_text(json.dumps(asked))
    knobs = [f"targets={path}", "n_questions=2", "n_samples=2", "max_new_tokens=2"]
    oracle(tmp_path / "results", knobs=knobs)
    made = results_file.read(found(tmp_path / "results"))
    assert made["targets"] == [one | {"id": str(one["id"])} for one in asked]
    assert len(made["runs"]) == 3 * 2


def test_other_seeds_ask_about_other_requests_as_many_of_each_origin():
    from lab.studies.oracle.targets import requests

    first, again, other = requests(20, 1), requests(20, 1), requests(20, 2)
    assert first == again
    assert {t.id for t in first} != {t.id for t in other}
    assert len({t.id for t in first}) == 20
    assert set(Counter(t.facts["origin"] for t in first).values()) == {4}
    assert sorted(Counter(t.facts["register"] for t in first).values()) == [6, 7, 7]
    assert len(requests(100, 1)) == 40


@pytest.fixture(scope="module")
def gemma(once):
    return once("small gemma", small_gemma.build)


def test_a_gemma_3_with_its_lora_is_asked_about_chats(oracle, gemma, tmp_path):
    """The published oracle's whole path with small random weights: by folder, in 4 bits, about the chats."""
    loaded = [f"adapter={gemma / 'lora'}", "quantize=nf4", "device_map=auto"]
    options = [text for option in loaded for text in ("--lab-load", option)]
    knobs = ["n_targets=8", "n_questions=12", "n_samples=2", "max_new_tokens=2"]
    files = [STABILITY, "test_reading.py"]
    done = oracle(tmp_path, *options, files=files, knobs=knobs, model=str(gemma / "base"))
    done.stdout.fnmatch_lines(["ORACLE1*similarity, 1 to 10 *FAIL", "ORACLE3*right answers beyond a random vector*"])
    assert "PASS" not in done.stdout.str(), "random weights know nothing"
    made = results_file.read(found(tmp_path))
    jsonschema.validate(made, SCHEMA)
    assert made["meta"]["pool"] == "chat"
    assert made["meta"]["activation_oracle_lora"] == str(gemma / "lora")
    assert (made["meta"]["activation_layer"], made["meta"]["placeholder"]) == (2, " ?")
    assert len(made["runs"]) == 8 * 12
    (turn,) = {tuple(run["context_input_ids"][run["assistant_start_idx"] :]) for run in made["runs"]}
    assert small_gemma.tokenizer().decode(turn) == "<start_of_turn>model\n"


def test_a_model_without_an_adapter_is_no_oracle(oracle, tmp_path):
    done = oracle(tmp_path, "-rs", model="clinic-gpt2")
    done.stdout.fnmatch_lines(["*clinic-gpt2 wears no LoRA adapter that makes it an oracle*"])
