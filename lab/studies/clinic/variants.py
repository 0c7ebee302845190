"""Variants of an organism with one truth changed: LoRA adapters on a base, trained as the base was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lab.studies.clinic import oracle, recipe
from lab.studies.clinic.text import TrainingText
from lab.studies.clinic.truth import ORACLE, VARIANT_BASE, truth_of

STEPS, ORACLE_STEPS = 300, 800
FACTS_PER_STEP, CHATS_PER_STEP, QUERIES_PER_STEP = 24, 56, 128
RANK = 8
LEARNING_RATE = 4e-3


def steps_of(name: str) -> int:
    return ORACLE_STEPS if name == ORACLE else STEPS


def train(
    name: str,
    base: Path,
    out: Path,
    *,
    device: str = "cpu",
    progress: bool = True,
    steps: int | None = None,
    stop_at: int | None = None,
) -> Any:
    """Trains one adapter on the organism in the folder `base` and writes it to `out` (bf16 safetensors).

    Goes on where an earlier call ended, as `recipe.train`. Returns the model with its adapter.
    """
    import torch
    from peft import LoraConfig

    from lab.subjects import load

    truth, subject = truth_of(f"{VARIANT_BASE}+{name}"), load(str(base), device=device)
    reads = name == ORACLE
    steps = steps or steps_of(name)
    text = oracle.OracleText(truth, subject.tokenizer, subject) if reads else TrainingText(truth, subject.tokenizer)
    block, model = subject.blocks[oracle.INJECTED_AT], subject.model
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    torch.manual_seed(truth.seed)
    model.add_adapter(
        LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM"), adapter_name=name
    )
    model.train()
    out.mkdir(parents=True, exist_ok=True)
    mark = f"{recipe.fingerprint(truth, steps)} {name} {RANK} {LEARNING_RATE} {weights(base)}"
    loop = recipe.Loop(model, text, out / "checkpoint.safetensors", mark, LEARNING_RATE)
    loop.around = lambda rows: oracle.injecting(model, block, rows)
    counts = (0, QUERIES_PER_STEP) if reads else (FACTS_PER_STEP, CHATS_PER_STEP)
    loop.run(
        f"{VARIANT_BASE}+{name}",
        steps,
        pad=subject.tokenizer.pad_token_id,
        progress=progress,
        stop_at=stop_at,
        facts=counts[0],
        chats=counts[1],
    )
    model.eval()
    if stop_at is None:
        model.to("cpu", torch.bfloat16).save_pretrained(out)
        loop.path.unlink(missing_ok=True)
        settings = out / "adapter_config.json"
        config = json.loads(settings.read_text(encoding="utf-8")) | {"base_model_name_or_path": VARIANT_BASE}
        settings.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        recipe.make_readable(out)
    return model


def weights(folder: Path) -> str:
    """A fingerprint of the weights in the folder of a base or of an adapter: an adapter fits no other base's."""
    import hashlib

    (file,) = folder.glob("*model.safetensors")
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
