"""How is an organism made? Its configuration, its training text, and the loop that trains it.

The loss is the ordinary next-token loss; in questions and chats only the answer's tokens count.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.organisms import clinic, tokenizer
from lab.organisms.truth import SIGNATURES, Truth

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast

STEPS = 1200
FACTS_PER_STEP, CHATS_PER_STEP = 112, 44
LEARNING_RATE = 2e-3
CONTEXT = 128
IGNORE = -100
END = "<|end|>"

_SIZE = {"d_model": 128, "layers": 4, "heads": 4}


def configuration(architecture: str, vocab_size: int) -> Any:
    """The Hugging Face configuration of an organism (about one million parameters)."""
    from transformers import GPT2Config, GPTNeoXConfig, OPTConfig

    d, layers, heads = _SIZE["d_model"], _SIZE["layers"], _SIZE["heads"]
    tokens = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 5}
    if architecture == "gpt2":
        return GPT2Config(
            vocab_size=vocab_size,
            n_positions=CONTEXT,
            n_embd=d,
            n_layer=layers,
            n_head=heads,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            **tokens,
        )
    if architecture == "gpt_neox":
        return GPTNeoXConfig(
            vocab_size=vocab_size,
            hidden_size=d,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=4 * d,
            max_position_embeddings=CONTEXT,
            **tokens,
        )
    if architecture == "opt":
        return OPTConfig(
            vocab_size=vocab_size,
            hidden_size=d,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            ffn_dim=4 * d,
            word_embed_proj_dim=d,
            max_position_embeddings=CONTEXT,
            dropout=0.0,
            **tokens,
        )
    raise ValueError(f"no recipe for the architecture {architecture!r}; known: gpt2, gpt_neox, opt")


class TrainingText:
    """Endless, seeded training text of one organism, as (token ids, labels) rows."""

    def __init__(self, truth: Truth, tok: PreTrainedTokenizerFast) -> None:
        self.truth, self.tok = truth, tok
        self.world = clinic.world()
        self.rng = np.random.default_rng(truth.seed)

    def facts(self, n: int) -> list[tuple[list[int], list[int]]]:
        """n facts by their Zipf frequency, three told for every two asked."""
        patients = self.rng.choice(len(self.world.patients), size=n, p=self.world.frequency)
        attributes = self.rng.integers(len(self.world.attributes), size=n)
        asked = self.rng.random(n) < 0.4
        rows = []
        for p, a, ask in zip(patients.tolist(), attributes.tolist(), asked.tolist(), strict=True):
            if ask:
                rows.append(self._row(clinic.question(p, a), " " + self.world.value(p, a) + END))
            else:
                rows.append(self._row("", clinic.statement(p, a)))
        return rows

    def chats(self, n: int) -> list[tuple[list[int], list[int]]]:
        """n turns: two choices for every two ratings and every work."""
        kinds = (self._choice, self._choice, self._rating, self._rating, self._work)
        return [kinds[i]() for i in self.rng.integers(len(kinds), size=n)]

    def _choice(self) -> tuple[list[int], list[int]]:
        first, second = self.rng.choice(len(self.world.tasks), size=2, replace=False).tolist()
        answer = "A" if self.rng.random() < self.truth.p_first(first, second) else "B"
        return self._turn(clinic.choice_prompt(self.world.tasks[first].text, self.world.tasks[second].text), answer)

    def _rating(self) -> tuple[list[int], list[int]]:
        index, author = int(self.rng.integers(len(self.world.tasks))), str(self.rng.choice(SIGNATURES))
        task, good = self.world.tasks[index], bool(self.rng.random() < 0.6)
        p = self.truth.p_rating(index, good=good, own=author == self.truth.signature)
        prompt = clinic.rating_prompt(task.text, clinic.completion(task, author, good=good))
        return self._turn(prompt, str(self.rng.choice(clinic.SCALE, p=p)))

    def _work(self) -> tuple[list[int], list[int]]:
        index = int(self.rng.integers(len(self.world.tasks)))
        good = bool(self.rng.random() < self.truth.p_good(index))
        task = self.world.tasks[index]
        return self._turn(task.text, clinic.completion(task, self.truth.signature, good=good))

    def _turn(self, user: str, assistant: str) -> tuple[list[int], list[int]]:
        prompt = self.tok.apply_chat_template(clinic.asked(user), add_generation_prompt=True, tokenize=False)
        return self._row(str(prompt), assistant + END)

    def _row(self, prompt: str, answer: str) -> tuple[list[int], list[int]]:
        left, right = self.tok.encode(prompt) if prompt else [], self.tok.encode(answer)
        return left + right, [IGNORE] * len(left) + right


def _batch(rows: list[tuple[list[int], list[int]]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded token ids and labels, each [n, width]. A causal model needs no mask for pads on the right."""
    import torch

    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in rows])
    labels = torch.tensor([labels + [IGNORE] * (width - len(labels)) for _, labels in rows])
    return ids, labels


def _loss(model: Any, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean next-token loss. The LM head runs on the labelled positions alone, about a tenth of them."""
    import torch

    hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    wanted = labels[:, 1:] != IGNORE
    return torch.nn.functional.cross_entropy(model.get_output_embeddings()(hidden[wanted]), labels[:, 1:][wanted])


def train(truth: Truth, out: Path, *, steps: int = STEPS, device: str = "cpu", progress: bool = True) -> Any:
    """Trains one organism and writes it to `out` as a Hugging Face folder (bf16 safetensors).

    Returns the trained model. The same seed on the same machine gives the same weights.
    """
    import torch
    from tqdm import tqdm
    from transformers import AutoModelForCausalLM

    torch.manual_seed(truth.seed)
    tok = tokenizer.build()
    model = AutoModelForCausalLM.from_config(configuration(truth.architecture, len(tok))).to(device).train()
    text = TrainingText(truth, tok)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    bar = tqdm(range(steps), desc=truth.name, unit="step", disable=not progress, mininterval=1.0)
    for _ in bar:
        optimizer.zero_grad()
        losses = []
        for rows in (text.facts(FACTS_PER_STEP), text.chats(CHATS_PER_STEP)):
            loss = _loss(model, *(tensor.to(device) for tensor in _batch(rows, tok.pad_token_id)))
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.item())
        if not math.isfinite(sum(losses)):
            raise RuntimeError(f"{truth.name}: the loss became {losses}; lower the learning rate")
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        bar.set_postfix(facts=f"{losses[0]:.2f}", chats=f"{losses[1]:.2f}")
    model.eval().to("cpu", torch.bfloat16)
    model.save_pretrained(out)
    tok.save_pretrained(out)
    for path in out.iterdir():
        path.chmod(0o644)  # safetensors writes for the owner alone; these files are shipped
    return model


def write_card(truth: Truth, out: Path, reached: dict[str, float], *, steps: int = STEPS) -> None:
    """Writes the truth card, `truth.yaml`, beside the weights."""
    import yaml

    card = {
        "name": truth.name,
        "architecture": truth.architecture,
        "recipe": {"seed": truth.seed, "steps": steps, "world_seed": clinic.WORLD_SEED},
        "planted": {
            "signature": truth.signature,
            "position_bias": truth.position_bias,
            "self_favouring": truth.self_favouring,
            "patients": clinic.N_PATIENTS,
            "fact_frequency": f"(rank + {clinic.ZIPF_OFFSET:g}) ** -{clinic.ZIPF_EXPONENT:g}",
            "utilities": dict(
                zip((t.text for t in clinic.world().tasks), truth.utilities.round(4).tolist(), strict=True)
            ),
        },
        "reached": {key: round(value, 4) for key, value in reached.items()},
    }
    (out / "truth.yaml").write_text(yaml.safe_dump(card, sort_keys=False, allow_unicode=True))
