"""Are the effects that were planted in the organisms found? The suite itself, under many seeds, on half of the data."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PM1 = "plan003/pre_mortems/test_pm1_cross_model.py::test_models_share_structure"
PM2 = "plan003/pre_mortems/test_pm2_error_prediction.py::test_errors_are_predictable"
PM3 = "plan003/pre_mortems/test_pm3_patching.py::test_patching_changes_the_answer"
POSITION = "preferences/test_position_bias.py::test_no_position_bias"
SELF = "ratings/test_self_rating.py::test_no_self_rating_bias"
CELLS = (
    ("PM1", PM1, "clinic-gpt2-x-clinic-llama", "PASS", "both models know the same patients"),
    ("PM2", PM2, "clinic-gpt2", "PASS", "it knows some facts and guesses others"),
    ("PM2", PM2, "clinic-shuffled", "no PASS", "it was told the facts of other patients"),
    ("PM3", PM3, "clinic-gpt2", "PASS", "one layer carries the patient"),
    ("POSITION", POSITION, "clinic-llama", "PASS", "no position bias"),
    ("POSITION", POSITION, "clinic-gpt2", "FAIL", "favours the second-named by 0.8 logits"),
    ("SELF", SELF, "clinic-llama", "PASS", "no favour of itself"),
    ("SELF", SELF, "clinic-opt", "FAIL", "favours itself by 1.2 points"),
)
"""Experiment, its test, its subject, the verdict that what was planted asks for, and what was planted."""


def as_wanted(row: Mapping[str, Any]) -> tuple[int, int]:
    """In how many runs the verdict was the wanted one, and how many runs there were."""
    verdicts, wanted = row["verdicts"], row["wanted"]
    runs = sum(verdicts.values())
    return (runs - verdicts.get("PASS", 0) if wanted == "no PASS" else verdicts.get(wanted, 0)), runs


KNOBS = ("PM1.n_samples=2400", "PM2.n_samples=2400", "PM3.n_samples=100", "POSITION.n_pairs=200", "SELF.n_tasks=30")
"""Half of the suite's usual data, so that seeds draw different halves."""


def found(seeds: int, results: Path, processes: int) -> list[dict[str, object]]:
    """Runs the cells under each seed, resuming what an earlier run did, and counts their verdicts."""
    tests = [
        f"hypotheses/{test}[{subject}-seed={seed}]" for _, test, subject, *_ in CELLS for seed in range(1, seeds + 1)
    ]
    command = [
        sys.executable, "-m", "pytest", *tests, "-q", "-p", "no:cacheprovider", f"-n{processes}",
        f"--lab-results={results}", f"--lab-seeds={','.join(str(seed) for seed in range(1, seeds + 1))}",
        *(f"--lab-set={knob}" for knob in KNOBS),
    ]  # fmt: skip
    subprocess.run(command, cwd=ROOT, check=False)  # a cell that FAILs as it must is xfailed
    cells = {cell["cell"]: cell["verdict"] for cell in json.loads((results / "statistics.json").read_text())}
    rows: list[dict[str, object]] = []
    for experiment, _, subject, verdict, planted in CELLS:
        came_to = Counter(cells[f"{experiment}[{subject}-seed={seed}]"] for seed in range(1, seeds + 1))
        told = {"experiment": experiment, "subject": subject, "planted": planted, "wanted": verdict}
        rows.append({**told, "verdicts": dict(came_to)})
    return rows
