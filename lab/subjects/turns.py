"""Which tokens of a conversation did the assistant write? Its answers, and where each of them begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lab.subjects.prompts import Message, encode_all


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
