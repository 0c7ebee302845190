"""The checklist of the paper's sections, derived from the draft itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

WORDS_PER_PAGE = 500
"""Of a page of text without figures; for the estimate of pages only."""


@dataclass(frozen=True)
class Part:
    """A part of the paper: its key in the draft, its title, its depth, and the pages it may take."""

    key: str
    title: str
    pages: str = ""

    @property
    def depth(self) -> int:
        return self.key.count("/")


PARTS = (
    Part("title", "Title"),
    Part("authors", "Authors"),
    Part("abstract", "Abstract", "200 words"),
    Part("introduction", "Introduction", "1"),
    Part("introduction/problem", "Problem statement"),
    Part("introduction/insight", "Key insight"),
    Part("introduction/contributions", "Contributions (3 bullets)"),
    Part("related", "Related Work", "0.5-1"),
    Part("related/similarity", "Representation similarity"),
    Part("related/probing", "Probing/interpretability"),
    Part("related/intervention", "Activation intervention"),
    Part("methods", "Methods", "1-2"),
    Part("methods/extraction", "Activation extraction"),
    Part("methods/main", "Main method"),
    Part("methods/baselines", "Baselines"),
    Part("experiments", "Experiments", "2-3"),
    Part("experiments/setup", "Setup (models, data)"),
    Part("experiments/main", "Main results (table + figure)"),
    Part("experiments/ablations", "Ablations"),
    Part("analysis", "Analysis", "0.5-1"),
    Part("analysis/learns", "What the method learns"),
    Part("analysis/failures", "Failure cases"),
    Part("conclusion", "Conclusion", "0.5"),
    Part("appendix", "Appendix"),
    Part("appendix/hyperparameters", "Full hyperparameters"),
    Part("appendix/results", "Additional results"),
)


def parts(draft: str, folder: Path) -> dict[str, str]:
    """The text of each part of a draft, with the files that it takes in."""
    found = re.split(r"^%% part: (\S+)$", draft, flags=re.MULTILINE)[1:]

    def taken_in(match: re.Match[str]) -> str:
        path = folder / f"{match[1]}.tex"
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    return {
        key: re.sub(r"\\input\{([^}]*)\}", taken_in, text) for key, text in zip(found[::2], found[1::2], strict=True)
    }


def words(text: str) -> int:
    """Words that are typeset, roughly: without comments, commands and the sources of numbers."""
    bare = re.sub(r"(?<!\\)%.*", "", text)
    bare = re.sub(r"(\\measured\{(?:\\.|[^{}\\]|\{\})*\})\{(?:\\.|[^{}\\]|\{\})*\}", r"\1", bare)
    bare = re.sub(
        r"\\(?:begin|end|cite|label|ref|includegraphics)(?:\[[^\]]*\])?\{[^}]*\}|\\[a-zA-Z]+|[{}$&\\]", " ", bare
    )
    return len(bare.split())


def done(written: dict[str, str]) -> dict[str, bool]:
    """Whether each part is written: it has text, and nothing in it is still to be written."""
    own = {key: words(text) > 0 and "\\towrite{" not in text for key, text in written.items()}
    for part in PARTS:
        below = [key for key in own if key.startswith(part.key + "/")]
        if below:
            own[part.key] = all(own[key] for key in below)
    return {part.key: own.get(part.key, False) for part in PARTS}


def checklist(draft: str, folder: Path, *, compiled: str, abstract_words: int) -> str:
    """The checklist as Markdown; `compiled` is "yes", or why not."""
    written = parts(draft, folder)
    finished = done(written)
    about = "Derived from draft.tex and sections/; a part is done when nothing in it is left to write."
    lines = ["# Sections of the draft", "", about, ""]
    for part in PARTS:
        n = sum(words(text) for key, text in written.items() if key == part.key or key.startswith(part.key + "/"))
        size = f" ({abstract_words} words, at most 200)" if part.key == "abstract" else _size(part, n)
        lines.append(f"{'  ' * part.depth}- [{'x' if finished[part.key] else ' '}] {part.title}{size}")
    return "\n".join([*lines, "", f"Compiled: {compiled}"]) + "\n"


def _size(part: Part, n: int) -> str:
    if not part.pages:
        return ""
    return f" ({n} words, about {n / WORDS_PER_PAGE:.1f} pages of text; {part.pages} planned)"
