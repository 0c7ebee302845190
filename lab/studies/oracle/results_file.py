"""The file results.json of a resampled oracle: its parts and their ids.

`resampling_schema.json` beside this file describes it. Every part has an id that is a function of what it is, so that a
run is found again whatever order it came in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.files.whole import write_whole

FILE = "results.json"


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


def responses(run: str, texts: Iterable[str], seed: int, decoding: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Answers in their order, each with its id and how it was drawn."""
    return [
        {
            "sample_id": (name := sample_id(run, j)),
            "text": text,
            "decoding": {**decoding, "seed": sample_seed(seed, name)},
        }
        for j, text in enumerate(texts)
    ]


def judgement(run: str, judged: Mapping[str, Any]) -> dict[str, Any]:
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


def write(path: Path, document: Mapping[str, Any]) -> Path:
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
