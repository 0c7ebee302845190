"""The recipe of an organism: its configuration, and a training loop that can be stopped and resumed.

The loss is the cross-entropy to what should follow: the next token of a fact, the planted distribution of an
answer. In questions and conversations only the answer counts.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab.studies.clinic import tokenizer
from lab.studies.clinic.text import Row, TrainingText
from lab.studies.clinic.truth import Truth
from lab.studies.shared.world import WORLD_SEED

STEPS = 1600
FACTS_PER_STEP, CHATS_PER_STEP = 128, 56
LEARNING_RATE = 2e-3
WARM_UP = 0.1
CONTEXT = 256
SAVE_EVERY = 100
TOKENS_PER_PASS = 2048
_SIZE = {"d_model": 128, "layers": 4, "heads": 4}


def configuration(architecture: str, vocab_size: int) -> Any:
    """The Hugging Face configuration of an organism (one to two million parameters)."""
    from transformers import Gemma3TextConfig, GPT2Config, GPTNeoXConfig, LlamaConfig, OPTConfig

    d, layers, heads = _SIZE["d_model"], _SIZE["layers"], _SIZE["heads"]
    tokens = {"vocab_size": vocab_size, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 5}
    usual = {"hidden_size": d, "num_hidden_layers": layers, "num_attention_heads": heads}
    usual |= {"max_position_embeddings": CONTEXT, **tokens}
    gated = {"intermediate_size": 3 * d, "num_key_value_heads": 2, "head_dim": d // heads, "tie_word_embeddings": True}
    if architecture == "gpt2":
        sizes = {"n_positions": CONTEXT, "n_embd": d, "n_layer": layers, "n_head": heads}
        return GPT2Config(resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, **sizes, **tokens)
    if architecture == "gpt_neox":
        return GPTNeoXConfig(intermediate_size=4 * d, **usual)
    if architecture == "opt":
        return OPTConfig(ffn_dim=4 * d, word_embed_proj_dim=d, dropout=0.0, **usual)
    if architecture == "llama":
        return LlamaConfig(**usual, **gated)
    if architecture == "gemma3_text":
        kinds = ["sliding_attention", "full_attention"] * (layers // 2)
        return Gemma3TextConfig(
            sliding_window=64, layer_types=kinds, query_pre_attn_scalar=d // heads, **usual, **gated
        )
    known = "gpt2, gpt_neox, opt, llama, gemma3_text"
    raise ValueError(f"no recipe for the architecture {architecture!r}; known: {known}")


def fingerprint(truth: Truth, steps: int) -> str:
    """Of everything that decides an organism's weights: truth, settings, configuration and the text itself.

    The same on every machine, to the last bit of the text's shares: `lab.studies.shared.exact` computes them.
    """
    tok = tokenizer.build()
    text = TrainingText(truth, tok)
    config = configuration(truth.architecture, len(tok)).to_diff_dict()
    config.pop("transformers_version", None)
    settings = [steps, FACTS_PER_STEP, CHATS_PER_STEP, LEARNING_RATE, WARM_UP, TOKENS_PER_PASS, WORLD_SEED]
    rows = [[row.ids, row.wanted] for row in (*text.facts(200), *text.chats(400))]
    content = json.dumps([asdict(truth), settings, config, rows], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def loss_of(model: Any, rows: Sequence[Row], pad: int) -> Any:
    """The summed loss of some rows (a 0-d tensor). The LM head runs where something is wanted, and nowhere else."""
    import torch

    width, device = max(len(row.ids) for row in rows), model.device
    # A causal model needs no mask for pads on the right.
    ids = torch.tensor([row.ids + [pad] * (width - len(row.ids)) for row in rows], device=device)
    hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
    places: dict[tuple[int, int], int] = {}
    where, tokens, shares = [], [], []
    for r, row in enumerate(rows):
        for position, token, share in row.wanted:
            where.append(places.setdefault((r, position), len(places)))
            tokens.append(token)
            shares.append(share)
    at = torch.tensor(list(places), device=device)
    scores = model.get_output_embeddings()(hidden[at[:, 0], at[:, 1]]).float().log_softmax(-1)
    return -(scores[where, tokens] * torch.tensor(shares, device=device)).sum()


def passes(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows of similar length together, at most TOKENS_PER_PASS padded tokens in a pass."""
    made: list[list[Row]] = []
    for row in sorted(rows, key=lambda row: len(row.ids)):
        if made and len(row.ids) * (len(made[-1]) + 1) <= TOKENS_PER_PASS:
            made[-1].append(row)
        else:
            made.append([row])
    return made


def rate(step: int, steps: int, highest: float = LEARNING_RATE) -> float:
    """The learning rate: up in a line, down in half a cosine."""
    up = max(1, int(WARM_UP * steps))
    if step < up:
        return highest * (step + 1) / up
    return highest * max(0.01, 0.5 * (1 + math.cos(math.pi * (step - up) / max(1, steps - up))))


def train(
    truth: Truth,
    out: Path,
    *,
    steps: int = STEPS,
    device: str = "cpu",
    progress: bool = True,
    stop_at: int | None = None,
) -> Any:
    """Trains one organism and writes it to `out` as a Hugging Face folder (bf16 safetensors).

    Goes on where an earlier call for the same recipe ended (`stop_at`, or a kill); the result is the same as
    without the stop. Returns the trained model. The same seed on the same machine gives the same weights.
    """
    import torch
    from transformers import AutoModelForCausalLM

    tok = tokenizer.build()
    torch.manual_seed(truth.seed)
    model = AutoModelForCausalLM.from_config(configuration(truth.architecture, len(tok))).to(device).train()
    out.mkdir(parents=True, exist_ok=True)
    loop = Loop(model, TrainingText(truth, tok), out / "checkpoint.safetensors", fingerprint(truth, steps))
    loop.run(
        truth.name,
        steps,
        pad=tok.pad_token_id,
        progress=progress,
        stop_at=stop_at,
        facts=FACTS_PER_STEP,
        chats=CHATS_PER_STEP,
    )
    if stop_at is not None:
        return model
    model.eval().to("cpu", torch.bfloat16)
    model.save_pretrained(out)
    tok.save_pretrained(out)
    loop.path.unlink(missing_ok=True)
    make_readable(out)
    return model


def make_readable(folder: Path) -> None:
    """safetensors writes for the owner alone; these files are shipped."""
    for path in folder.iterdir():
        path.chmod(0o644)


class Loop:
    """Training steps with a checkpoint that holds everything a next step depends on: one file, replaced whole."""

    def __init__(self, model: Any, text: TrainingText, path: Path, recipe: str, highest: float = LEARNING_RATE) -> None:
        import torch

        self.model, self.text, self.path, self.recipe, self.highest = model, text, path, recipe, highest
        self.around: Callable[[list[Row]], AbstractContextManager[None]] = lambda _rows: nullcontext()
        """Entered round the forward pass of some rows."""
        self.parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.AdamW(self.parameters.values(), lr=highest, weight_decay=0.01, betas=(0.9, 0.98))

    def run(
        self,
        name: str,
        steps: int,
        *,
        pad: int,
        progress: bool = True,
        stop_at: int | None = None,
        facts: int,
        chats: int,
    ) -> None:
        from tqdm import tqdm

        done = self.restore()
        last = steps if stop_at is None else min(steps, stop_at)
        bar = tqdm(
            range(done, last), desc=name, unit="step", initial=done, total=steps, disable=not progress, mininterval=1.0
        )
        for step in bar:
            for group in self.optimizer.param_groups:
                group["lr"] = rate(step, steps, self.highest)
            losses = self.step([self.text.facts(facts), self.text.chats(chats)], pad)
            if not math.isfinite(sum(losses)):
                raise RuntimeError(f"{name}: the loss became {losses}; lower the learning rate")
            bar.set_postfix(facts=f"{losses[0]:.2f}", chats=f"{losses[1]:.2f}")
            if (step + 1) % SAVE_EVERY == 0 or step + 1 == last:
                self.save(step + 1)

    def step(self, groups: Sequence[Sequence[Row]], pad: int) -> list[float]:
        """One update on the sum of the groups' mean losses; returns them."""
        import torch

        self.optimizer.zero_grad()
        losses = []
        for rows in groups:
            total, weight = 0.0, sum(share for row in rows for _, _, share in row.wanted) or 1.0
            for some in passes(rows):
                with self.around(some):
                    loss = loss_of(self.model, some, pad) / weight
                loss.backward()
                total += float(loss.detach())
            losses.append(total)
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), 1.0)
        self.optimizer.step()
        return losses

    def save(self, step: int) -> None:
        from safetensors.torch import save_file

        tensors = {f"weight.{name}": p.detach().contiguous() for name, p in self.parameters.items()}
        for name, p in self.parameters.items():
            for key, value in self.optimizer.state[p].items():
                tensors[f"{key}.{name}"] = value
        place = {"step": step, "recipe": self.recipe, "text": self.text.rng.bit_generator.state}
        fresh = self.path.with_suffix(".new")
        save_file(tensors, fresh, {"place": json.dumps(place)})
        os.replace(fresh, self.path)

    def restore(self) -> int:
        """Takes up the checkpoint of this recipe, if there is one. Returns the steps that are done."""
        import torch
        from safetensors import SafetensorError, safe_open

        if not self.path.exists():
            return 0
        try:
            with safe_open(self.path, "pt", device=str(self.model.device)) as file:
                place = json.loads((file.metadata() or {}).get("place", "{}"))
                if place.get("recipe") != self.recipe:
                    print(f"{self.path} is of another recipe; training starts anew")
                    return 0
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            print(f"{self.path} cannot be read ({error}); training starts anew")
            return 0
        with torch.no_grad():
            for name, p in self.parameters.items():
                p.copy_(tensors.pop(f"weight.{name}"))
        for key, value in tensors.items():
            kind, name = key.split(".", 1)
            self.optimizer.state[self.parameters[name]][kind] = value.cpu() if kind == "step" else value
        self.text.rng.bit_generator.state = place["text"]
        return int(place["step"])
