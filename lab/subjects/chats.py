"""How does a conversation become tokens, and where does the assistant begin? By the tokenizer's own template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lab.files.texts import Message

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
