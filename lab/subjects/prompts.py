"""Prompts as tokens: encoding, chat templates, positions and turns. Every way to lose a token is an error here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lab.files.texts import Message
from lab.subjects.errors import PromptError, SubjectError

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


# Conversations -------------------------------------------------------------------------------------


RENDERING = "rendering"
"""The key of a message under which arguments of the chat template stand, as `enable_thinking`."""


def rendered(messages: Sequence[Message], **arguments: Any) -> list[Message]:
    """The same conversation, to be written by the chat template under these arguments.

        rendered(messages, enable_thinking=False)

    A template ignores what it does not know.
    """
    last: Any = {**messages[-1], RENDERING: arguments}
    return [*messages[:-1], last]


class NoTurn(ValueError):
    """There is no first token of the assistant's turn. Its text is one line that says why."""


def encoded(tokenizer: Any, messages: Sequence[Message], *, generation: bool = True) -> list[int]:
    """Token ids of a conversation, as `rendered` wants it, with the generation prompt unless it is left out.

    Raises ValueError for a tokenizer without a chat template.
    """
    if not tokenizer.chat_template:
        raise ValueError("this model's tokenizer has no chat template; pass the prompts as strings")
    arguments: Any = messages[-1].get(RENDERING, {})
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=generation, tokenize=False, **arguments)
    # The template writes the special tokens itself; adding them again would double the BOS.
    return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def assistant_start(tokenizer: Any, messages: Sequence[Message], ids: Sequence[int]) -> int:
    """Index of the first token of the assistant's turn in `ids`, a conversation with its generation prompt.

    It is the length of the conversation without that prompt. Raises NoTurn where the template adds none, or where it
    does not continue the conversation but rewrites it.
    """
    bare = encoded(tokenizer, messages, generation=False)
    if len(ids) <= len(bare):
        raise NoTurn(
            "this model's chat template adds no generation prompt, so there is no first token of the assistant's turn"
        )
    if list(ids[: len(bare)]) != bare:
        raise NoTurn("the conversation is not continued by its generation prompt but rewritten")
    return len(bare)


@dataclass(frozen=True)
class Turns:
    """Conversations [n] as token ids, each with the answer that it came to.

    `starts` [n] is the position of each answer's first token, which is the last one's where the answer is empty.
    """

    rows: list[list[int]]
    starts: list[int]

    @property
    def tokens(self) -> list[list[int]]:
        """The positions of each answer's tokens, for `capture`."""
        return [list(range(start, len(row))) for row, start in zip(self.rows, self.starts, strict=True)]

    @property
    def empty(self) -> list[bool]:
        """[n] which answers have no token."""
        return [start == len(row) for row, start in zip(self.rows, self.starts, strict=True)]


def answered(tokenizer: Any, conversations: Sequence[Sequence[Message]], answers: Sequence[str]) -> Turns:
    """Conversations as they stand when the answer's last token has been written, and no end of turn yet.

    The answer follows the chat template's opening of the assistant's turn, as it does when it is generated. A model
    without a chat template is asked in plain text. Raises PromptError as `encode_all`.
    """
    asked: list[Any] = (
        list(conversations)
        if tokenizer.chat_template
        else ["".join(f"{m['content']}\n" for m in messages) for messages in conversations]
    )
    opened = encode_all(tokenizer, asked, vocabulary=len(tokenizer))
    written = tokenizer(list(answers), add_special_tokens=False, verbose=False)["input_ids"]
    return Turns([row + list(new) for row, new in zip(opened, written, strict=True)], [len(row) for row in opened])
