"""How is a preference between two tasks asked? Four wordings, with or without a reason before the answer."""

from __future__ import annotations

from lab.prompts.texts import Message, read, user

WORDINGS: tuple[str, ...] = ("simple_preference", "enjoy_most", "do_again", "prefer_completing")


def choice(
    first: str,
    second: str,
    wording: str = "simple_preference",
    *,
    reasoning: bool = False,
    completions: tuple[str, str] | None = None,
) -> list[Message]:
    """Asks which of two tasks is preferred, as A or B. `completions` show how each was done."""
    texts = read("choices")
    if wording not in texts["wordings"]:
        raise ValueError(f"unknown wording {wording!r}; there are {', '.join(texts['wordings'])}")
    lines = [texts["wordings"][wording]]
    for letter, task, done in zip("AB", (first, second), completions or ("", ""), strict=True):
        lines.append(f"Task {letter}: {task}")
        if done:
            lines.append(f"Completion {letter}: {done}")
    lines.append(texts["formats"]["reasoning" if reasoning else "letter"])
    return [user("\n".join(lines))]
