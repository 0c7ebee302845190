"""One resampling, from the question to the picture: results.json, killed and resumed, and drawn from the file alone."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import lab.evidence
from lab.evidence import resampling
from lab.methods.resampled import clusters, semantic_entropy
from reports import oracle as report

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((Path(lab.evidence.__file__).parent / "resampling_schema.json").read_text())
ASKED = [
    "--lab-set",
    "n_targets=6",
    "--lab-set",
    "n_questions=4",
    "--lab-set",
    "n_samples=3",
    "--lab-set",
    "max_new_tokens=4",
]


def command(results, *more):
    asked = [str(ROOT / "hypotheses/oracle"), "-k", "ORACLE1 and not untrained", "--lab-models", "clinic-llama+oracle"]
    given = [*asked, *ASKED, "--lab-results", str(results), "-p", "no:cacheprovider", "-q", *more]
    return [sys.executable, "-m", "pytest", *given]


def environment():
    return os.environ | {"OMP_NUM_THREADS": "1"}


def run(results, *more):
    done = subprocess.run(command(results, *more), capture_output=True, text=True, cwd=ROOT, env=environment())
    return done.stdout + done.stderr


def found(results):
    (path,) = (results / "oracle").glob(f"*/{resampling.FILE}")
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing interrupted."""
    results = tmp_path_factory.mktemp("whole")
    run(results)
    return found(results)


@pytest.fixture(scope="module")
def document(whole):
    return resampling.read(whole)


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
    assert [r["run_id"] for r in runs] == [resampling.run_id(t, q) for t in targets for q in questions]
    samples = [s for r in runs for s in r["responses"]]
    assert len({s["sample_id"] for s in samples}) == len(samples) == 6 * 4 * 3
    assert len({s["decoding"]["seed"] for s in samples}) == len(samples)
    for one in runs:
        assert [s["sample_id"] for s in one["responses"]] == [resampling.sample_id(one["run_id"], j) for j in range(3)]
    assert {json.dumps({k: v for k, v in s["decoding"].items() if k != "seed"}) for s in samples} == {
        json.dumps({"do_sample": True, "temperature": 0.7, "top_p": 0.9, "max_new_tokens": 4})
    }


def test_the_position_and_the_hash_are_of_the_ids(document):
    for one in document["runs"]:
        assert one["context_positions"] == [one["assistant_start_idx"]]
        assert one["assistant_start_idx"] < len(one["context_input_ids"])
        assert one["context_input_ids_sha256"] == resampling.ids_hash(one["context_input_ids"])
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


def test_killed_and_resumed_it_is_what_it_would_have_been(tmp_path, document):
    """kill -9 after the first targets were answered; nothing is lost, doubled or drawn anew."""
    results = tmp_path / "results"
    process = subprocess.Popen(
        command(results), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT, env=environment()
    )
    until, kept = time.monotonic() + 300, []
    try:
        while process.poll() is None and time.monotonic() < until and len(kept) < 2 * 4:
            time.sleep(0.002)
            kept = [
                r for path in (results / "oracle").glob(f"*/{resampling.FILE}") for r in resampling.read(path)["runs"]
            ]
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert 2 * 4 <= len(kept) < 6 * 4, "it was killed on the way"
    half = resampling.read(found(results))
    jsonschema.validate(half, SCHEMA)
    assert half["meta"]["status"] == "running"
    run(results, "--lab-resume", "--lab-cache", "off")
    again = resampling.read(found(results))
    assert again["runs"] == document["runs"]
    assert again["target_runs"] == document["target_runs"]
    assert again["meta"]["created_unix_time"] == half["meta"]["created_unix_time"]
    items = [
        (event["work"], event["item"])
        for path in (results / "journal").glob("*.jsonl")
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
    path = resampling.write(tmp_path / "results.json", changed)
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
    path = resampling.write(tmp_path / "results.json", waiting)
    for arguments, said in (
        ([str(path)], "none of its 24 runs has a score yet"),
        (["--results", str(tmp_path)], "makes it"),
    ):
        with pytest.raises(SystemExit):
            report.main(arguments)
        assert said in capsys.readouterr().err


def test_a_plan_tells_tokens_and_judge_calls_and_writes_nothing(tmp_path):
    told = run(
        tmp_path / "plan",
        "--lab-plan",
        "--lab-set",
        "judge=openai:gpt-5-mini",
        "--lab-load",
        "base_url=http://127.0.0.1:9/v1",
    )
    assert "ORACLE1[clinic-llama+oracle]" in told

    assert "~ 30 requests" in told  # 6 x 4 queries, and the own answers of 6 targets
    assert not (tmp_path / "plan" / "oracle").exists()


def test_a_missing_key_fails_before_any_model_is_loaded(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    told = run(tmp_path / "key", "--lab-set", "judge=openai:gpt-5-mini")
    assert "OPENAI_API_KEY" in told
    assert "Loading" not in told
    assert not (tmp_path / "key" / "oracle").exists()


def test_a_model_without_an_adapter_is_no_oracle(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "hypotheses/oracle", "-k", "ORACLE1 and not untrained", "--lab-models", "clinic-gpt2", "-q", "-rs",
         "--lab-results", str(tmp_path), "-p", "no:cacheprovider"],
        capture_output=True, text=True, cwd=ROOT, env=environment(),
    )  # fmt: skip
    assert "clinic-gpt2 wears no LoRA adapter that makes it an oracle" in done.stdout
