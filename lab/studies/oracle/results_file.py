"""The file results.json of a resampled oracle: its parts and their ids.

`Document` describes it. Every part has an id that is a function of what it is, so that a run is found again whatever
order it came in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from lab.files.whole import write_whole

FILE = "results.json"


class Decoding(TypedDict):
    """How the answers are drawn."""

    temperature: Annotated[float, {"minimum": 0}]
    top_p: Annotated[float, {"exclusiveMinimum": 0, "maximum": 1}]
    max_new_tokens: Annotated[int, {"minimum": 1}]
    do_sample: bool


class Drawn(Decoding):
    """How one answer was drawn."""

    seed: int


class Response(TypedDict):
    """One answer."""

    sample_id: Annotated[str, {"pattern": r"__sample_\d{2,}$"}]
    text: str
    decoding: Drawn


class Judgement(TypedDict):
    """What a judge made of the answers of one run."""

    judge_call_id: Annotated[str, {"pattern": "^judge__"}]
    model: str
    prompt: str
    raw_output: str
    parsed_score: Annotated[int | None, {"minimum": 1, "maximum": 10}]
    rationale: str | None
    attempts: int
    failed: str | None


class OwnRun(TypedDict):
    """What the model itself, without the adapter, answers to a target."""

    run_id: Annotated[str, {"pattern": "^own__"}]
    target_id: str
    responses: Annotated[list[Response], {"minItems": 1}]
    judge: Judgement | None
    """Null until it is judged."""


class Run(TypedDict):
    """All answers to one question about one target."""

    run_id: Annotated[str, {"pattern": "^run__"}]
    target_id: str
    ao_question_id: str
    assistant_start_idx: Annotated[int, {"minimum": 0}]
    context_positions: Annotated[list[int], {"minItems": 1, "maxItems": 1}]
    context_input_ids: Annotated[list[int], {"minItems": 1}]
    context_input_ids_sha256: Annotated[str, {"pattern": "^[0-9a-f]{64}$"}]
    responses: Annotated[list[Response], {"minItems": 1}]
    semantic_entropy: Annotated[float, {"minimum": 0}]
    judge: Judgement | None
    """Null until it is judged."""


class Question(TypedDict):
    """One that the oracle is asked."""

    id: str
    text: str
    about: NotRequired[str]
    cases: NotRequired[list[str]]
    answers: NotRequired[list[str]]


class Target(TypedDict):
    """A conversation whose activations the oracle reads."""

    id: str
    messages: Annotated[list[dict[str, str]], {"minItems": 1}]
    facts: NotRequired[dict[str, str]]


class JudgedBy(TypedDict):
    """Who judges, and how."""

    model: str
    scheme: str


class Code(TypedDict):
    """What it was run with."""

    commit: str | None
    versions: dict[str, str]


class Meta(TypedDict):
    """How a run was set up."""

    created_unix_time: float
    completed_unix_time: float | None
    status: Literal["running", "completed"]
    model_name: str
    model_fingerprint: str
    activation_oracle_lora: str | None
    dtype: str | None
    device: str | None
    pool: str
    activation_layer: int
    activation_layer_percent: float
    injection_layer: int
    steering_coefficient: float
    injection: Literal["add", "replace"]
    placeholder: str
    stream_norm_at_placeholder: float | None
    ao_decoding: Decoding
    seed: int
    samples_per_query: int
    num_targets: int
    num_questions: int
    alike: float
    judge: JudgedBy
    assistant_token_definition: str
    code: Code


class Document(TypedDict):
    """results.json."""

    meta: Meta
    ao_questions: Annotated[list[Question], {"minItems": 1}]
    targets: Annotated[list[Target], {"minItems": 1}]
    runs: list[Run]
    target_runs: list[OwnRun]


def run_id(target: str, question: str) -> str:
    """Of all answers to one question about one target."""
    return f"run__{target}__{question}"


def own_id(target: str) -> str:
    """Of all answers that the model itself gives to a target."""
    return f"own__{target}"


def sample_id(run: str, number: int) -> str:
    """Of one answer, its number counted from 0."""
    return f"{run}__sample_{number:02d}"


def sample_seed(seed: int, sample: str) -> int:
    """The seed of one answer: of the run's seed and its id alone, so that no batch and no order changes it."""
    return int.from_bytes(hashlib.sha256(f"{seed}|{sample}".encode()).digest()[:7])


def ids_hash(ids: Sequence[int]) -> str:
    """SHA-256 of token ids, joined by commas, in hexadecimal digits."""
    return hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()


def responses(run: str, texts: Iterable[str], seed: int, decoding: Decoding) -> list[Response]:
    """Answers in their order, each with its id and how it was drawn."""
    return [
        {
            "sample_id": (name := sample_id(run, j)),
            "text": text,
            "decoding": {**decoding, "seed": sample_seed(seed, name)},
        }
        for j, text in enumerate(texts)
    ]


def judgement(run: str, judged: Mapping[str, Any]) -> Judgement:
    """What a judge made of a run's answers; `judged` has the fields of `lab.judging.judges.Judged`."""
    values = judged["values"] or {}
    return {
        "judge_call_id": f"judge__{run}",
        "model": judged["judge"],
        "prompt": judged["prompt"],
        "raw_output": judged["raw"],
        "parsed_score": values.get("similarity_1_to_10"),
        "rationale": values.get("rationale"),
        "attempts": judged["attempts"],
        "failed": judged["failed"],
    }


def write(path: Path, document: Document) -> Path:
    """Writes the document whole or not at all; each entry of its lists has a line of its own.

    It is written anew after every target. Indented throughout, that took as long as the embedded oracle took to answer.
    """
    parts = [
        f"{_line(name)}: {_listed(part) if isinstance(part, list) else _line(part)}" for name, part in document.items()
    ]
    return write_whole(path, ("{\n" + ",\n".join(parts) + "\n}\n").encode())


def _listed(entries: Sequence[Any]) -> str:
    return "[\n" + ",\n".join(map(_line, entries)) + "\n]"


def _line(part: Any) -> str:
    return json.dumps(part, ensure_ascii=False, allow_nan=False)


def read(path: Path) -> dict[str, Any]:
    """The document of a file. Raises ValueError, one line, where there is none, or something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; pytest hypotheses/oracle makes it") from None
    except ValueError as error:
        raise ValueError(f"{path}: no JSON: {error}") from None
    parts = {"meta", "ao_questions", "targets", "runs"}
    if not isinstance(found, dict) or not parts <= found.keys():
        raise ValueError(f"{path}: it is no resampling of an oracle, which has {', '.join(sorted(parts))}")
    return found
