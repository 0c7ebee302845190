"""How do prompts become batches? Encoding, padding, positions; every way to lose a token is an error here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from lab.subjects.errors import PromptError

Message = dict[str, str]
Prompt = str | Sequence[Message] | Sequence[int]
TOKENS_PER_BATCH = 8192


def encode(tokenizer: Any, prompts: Sequence[Prompt], *, context: int, room: int = 0) -> list[list[int]]:
    """Token ids of each prompt: a string, chat messages (with the generation prompt added), or ids as they are.

    `room` tokens are kept free for what will be generated. Raises PromptError for no prompts, an
    empty one, or one that does not fit; nothing is ever truncated.
    """
    if isinstance(prompts, str):
        raise PromptError("the prompts are one string; pass a list of prompts, for example [prompt]")
    prompts = list(prompts)
    if not prompts:
        raise PromptError("the list of prompts is empty; pass at least one prompt")
    if isinstance(prompts[0], dict):
        raise PromptError("the prompts are one conversation; pass a list of conversations, for example [messages]")
    rows = [_encode_one(tokenizer, prompt) for prompt in prompts]
    for i, row in enumerate(rows):
        if not row:
            raise PromptError(f"prompt {i} is empty; every prompt needs at least one token")
        if len(row) + room > context:
            extra = f" and {room} are wanted as its continuation" if room else ""
            raise PromptError(
                f"prompt {i} has {len(row)} tokens{extra}, but the model's context is {context}; shorten or drop it"
            )
    return rows


def _encode_one(tokenizer: Any, prompt: Prompt) -> list[int]:
    if isinstance(prompt, str):
        return list(tokenizer(prompt, verbose=False)["input_ids"])  # too long is our error, not its warning
    if len(prompt) and isinstance(prompt[0], dict):
        if not tokenizer.chat_template:
            raise PromptError("this model's tokenizer has no chat template; pass the prompts as strings")
        text = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False)
        # The template writes the special tokens itself; adding them again would double the BOS.
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])
    return [int(i) for i in prompt]  # type: ignore[arg-type]


@dataclass(frozen=True)
class Batch:
    """Some rows, padded. `ids`, `mask`, `positions` are [n, width]; `last` [n] is each row's last real column."""

    rows: list[int]
    ids: torch.Tensor
    mask: torch.Tensor
    positions: torch.Tensor
    last: torch.Tensor


def batches(
    rows: Sequence[Sequence[int]], *, pad: int, side: Literal["left", "right"], device: torch.device
) -> Iterator[Batch]:
    """Rows sorted by length and cut into batches of at most TOKENS_PER_BATCH padded tokens.

    Positions come from the mask: they count real tokens only, so that padding moves nothing.
    """
    order = sorted(range(len(rows)), key=lambda i: (-len(rows[i]), i))
    start = 0
    while start < len(order):
        width = len(rows[order[start]])
        chosen = order[start : start + max(1, TOKENS_PER_BATCH // width)]
        start += len(chosen)
        ids = np.full((len(chosen), width), pad)
        mask = np.zeros((len(chosen), width), dtype=np.int64)
        for r, i in enumerate(chosen):
            where = slice(width - len(rows[i]), width) if side == "left" else slice(0, len(rows[i]))
            ids[r, where], mask[r, where] = rows[i], 1
        positions = np.maximum(mask.cumsum(1) - 1, 0)
        last = width - 1 - mask[:, ::-1].argmax(1)
        ids_, mask_, positions_, last_ = (torch.from_numpy(x.copy()).to(device) for x in (ids, mask, positions, last))
        yield Batch(chosen, ids_, mask_, positions_, last_)
