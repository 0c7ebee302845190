"""How do prompts become tokens? Encoding and positions; every way to lose a token is an error here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from lab.subjects.chats import NoTurn, assistant_start, encoded
from lab.subjects.errors import PromptError, SubjectError

Message = dict[str, str]
Prompt = str | Sequence[Message] | Sequence[int]
Position = str | int | slice | Sequence[int] | Sequence[Sequence[int]]
Side = Literal["left", "right"]

POOLED = ("mean", "attention")
NAMED = ("last", "mean", "attention", "all", "assistant")


# Encoding --------------------------------------------------------------------------------------------


def encode(
    tokenizer: Any, prompts: Sequence[Prompt], *, context: int, vocabulary: int, room: int = 0
) -> list[list[int]]:
    """Token ids of each prompt: a string, chat messages (with the generation prompt added), or ids as they are.

    `room` tokens are kept free for what will be generated. Raises PromptError for no prompts, an
    empty one, or one that does not fit; nothing is ever truncated.
    """
    rows = encode_all(tokenizer, prompts, vocabulary=vocabulary)
    for i, row in enumerate(rows):
        if len(row) + room > context:
            extra = f" and {room} are wanted as its continuation" if room else ""
            raise PromptError(
                f"prompt {i} has {len(row)} tokens{extra}, but the model's context is {context}; shorten or drop it"
            )
    return rows


def encode_all(tokenizer: Any, prompts: Sequence[Prompt], *, vocabulary: int) -> list[list[int]]:
    """As `encode`, but of any length."""
    if isinstance(prompts, str):
        raise PromptError("the prompts are one string; pass a list of prompts, for example [prompt]")
    if not len(prompts):
        raise PromptError("the list of prompts is empty; pass at least one prompt")
    if isinstance(prompts[0], dict):
        raise PromptError("the prompts are one conversation; pass a list of conversations, for example [messages]")
    if tokenizer is None and any(not _is_ids(prompt) for prompt in prompts):
        raise PromptError("this subject was wrapped without a tokenizer; pass the prompts as lists of token ids")
    rows: list[list[int]]
    if all(isinstance(prompt, str) for prompt in prompts):
        rows = tokenizer(list(prompts), verbose=False)["input_ids"]
    else:
        rows = [_encode_one(tokenizer, prompt) for prompt in prompts]
    for i, row in enumerate(rows):
        if not row:
            raise PromptError(f"prompt {i} is empty; every prompt needs at least one token")
        if not 0 <= min(row) <= max(row) < vocabulary:
            raise PromptError(
                f"prompt {i} has a token id outside of 0 to {vocabulary - 1}; is its tokenizer another's?"
            )
    return rows


def _is_ids(prompt: Prompt) -> bool:
    return not isinstance(prompt, str) and not (len(prompt) and isinstance(prompt[0], dict))


def _encode_one(tokenizer: Any, prompt: Prompt) -> list[int]:
    if isinstance(prompt, str):
        return list(tokenizer(prompt, verbose=False)["input_ids"])  # too long is our error, not its warning
    if len(prompt) and isinstance(prompt[0], dict):
        try:
            return encoded(tokenizer, prompt)  # type: ignore[arg-type]
        except ValueError as error:
            raise PromptError(str(error)) from None
    return [int(i) for i in prompt]  # type: ignore[arg-type]


def truncate(rows: list[list[int]], longest: int) -> tuple[list[list[int]], int]:
    """Rows cut to their last `longest` tokens, and how many rows were cut. The end stays: it is what is read."""
    if longest < 1:
        raise SubjectError(f"max_tokens={longest} leaves nothing of a prompt; use at least 1")
    return [row[-longest:] for row in rows], sum(len(row) > longest for row in rows)


# Positions -------------------------------------------------------------------------------------------


def plain(position: Any) -> Position:
    """A position without numpy in it, so that it can be compared."""
    made: Position = position.tolist() if isinstance(position, np.ndarray | np.generic) else position
    return made


def resolve(
    position: Position, prompts: Sequence[Prompt], rows: Sequence[Sequence[int]], tokenizer: Any
) -> tuple[np.ndarray, bool]:
    """Which tokens of each prompt a position names: indices [n, p] from each prompt's first token, -1 for none.

    The flag says whether it may name several: then results keep an axis for them. Raises SubjectError or
    PromptError where a prompt has no such token; none is dropped without a word.
    """
    lengths = [len(row) for row in rows]
    if isinstance(position, str):
        if position == "last":
            return np.array([[length - 1] for length in lengths]), False
        if position == "all":
            return _ragged([list(range(length)) for length in lengths]), True
        if position == "assistant":
            starts = (_assistant_start(tokenizer, i, p, rows[i]) for i, p in enumerate(prompts))
            return np.array([[start] for start in starts]), False
        if position in POOLED:
            raise SubjectError(f"position {position!r} is a mean and names no token; use 'last', 'all' or numbers")
        known = ", ".join(repr(name) for name in NAMED)
        raise SubjectError(
            f"no position {position!r}; there are {known}, integers, slices and one list for each prompt"
        )
    if isinstance(position, slice):
        chosen = [list(range(length)[position]) for length in lengths]
        if not all(chosen):
            raise PromptError(f"position {position} names no token of prompt {chosen.index([])}; use a wider slice")
        return _ragged(chosen), True
    if isinstance(position, int | np.integer):
        return np.array([[_inside(int(position), i, length)] for i, length in enumerate(lengths)]), False
    if len(position) != len(rows):
        raise SubjectError(
            f"a list of positions has one entry for each prompt, but there are {len(position)} for {len(rows)} "
            "prompts; for the same positions in each, write [[0, 5]] * n"
        )
    several = not all(isinstance(entry, int | np.integer) for entry in position)
    entries = [[p] if isinstance(p, int | np.integer) else list(p) for p in position]
    return _ragged([[_inside(int(p), i, lengths[i]) for p in e] for i, e in enumerate(entries)]), several


def _inside(position: int, prompt: int, length: int) -> int:
    if not -length <= position < length:
        raise PromptError(f"prompt {prompt} has {length} tokens and no position {position}; choose another or drop it")
    return position % length


def _ragged(rows: list[list[int]]) -> np.ndarray:
    out = np.full((len(rows), max(map(len, rows))), -1)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


def _assistant_start(tokenizer: Any, index: int, prompt: Prompt, row: Sequence[int]) -> int:
    """The first token of the assistant's turn: the length of the conversation without the generation prompt."""
    if isinstance(prompt, str) or not len(prompt) or not isinstance(prompt[0], dict):
        raise PromptError(f"prompt {index} is no conversation; position='assistant' needs chat messages")
    try:
        return assistant_start(tokenizer, prompt, row)  # type: ignore[arg-type]
    except NoTurn as error:
        raise PromptError(f"conversation {index}: {error}; name the position as a number") from None
