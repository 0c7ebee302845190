"""results.json of an oracle: ids and seeds are functions of what they are of, and its file is whole or not there."""

import hashlib
import json

import pytest

from lab.studies.oracle import results_file


def test_ids_and_seeds_are_the_same_whenever_they_are_made():
    run = results_file.run_id("t-7", "mood")
    assert run == "run__t-7__mood"
    samples = [results_file.sample_id(run, j) for j in range(12)]
    assert samples[0] == "run__t-7__mood__sample_00"
    assert len({results_file.sample_seed(42, sample) for sample in samples}) == 12
    assert results_file.sample_seed(42, samples[3]) == results_file.sample_seed(42, samples[3])
    assert results_file.sample_seed(42, samples[3]) != results_file.sample_seed(43, samples[3])
    assert 0 <= results_file.sample_seed(42, samples[3]) < 2**63


def test_the_hash_is_of_the_ids_joined_by_commas():
    assert results_file.ids_hash([2, 105, 7]) == hashlib.sha256(b"2,105,7").hexdigest()


def test_what_the_judge_said_is_kept_raw_and_parsed():
    judged = {"values": {"similarity_1_to_10": 7, "rationale": "alike"}, "raw": "{...}", "attempts": 2, "failed": None}
    told = results_file.judgement("run__a__b", judged | {"judge": "openai:gpt-5-mini", "prompt": "How similar?"})
    assert told == {
        "judge_call_id": "judge__run__a__b", "model": "openai:gpt-5-mini", "prompt": "How similar?", "raw_output": "{...}",
        "parsed_score": 7, "rationale": "alike", "attempts": 2, "failed": None,
    }  # fmt: skip
    none = results_file.judgement(
        "r", judged | {"values": None, "failed": "judge_failed: cut", "judge": "x", "prompt": ""}
    )
    assert (none["parsed_score"], none["failed"]) == (None, "judge_failed: cut")


@pytest.mark.parametrize(
    ("content", "said"), [(None, "pytest hypotheses/oracle makes it"), ("{", "no JSON"), ("[]", "no resampling")]
)
def test_what_is_no_resampling_is_one_line(tmp_path, content, said):
    path = tmp_path / "results.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=said) as error:
        results_file.read(path)
    assert "\n" not in str(error.value)


def test_a_written_document_is_read_back(tmp_path):
    document = {"meta": {}, "ao_questions": [], "targets": [], "runs": [{"text": "Ä"}]}
    path = results_file.write(tmp_path / "new" / "results.json", document)
    assert results_file.read(path) == document == json.loads(path.read_text(encoding="utf-8"))
    assert [p.name for p in path.parent.iterdir()] == ["results.json"]
