"""What stands in README and docs: fenced blocks, the commands in them, and whether an output is what a page says."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"(?:^<!-- (?P<mark>[^\n]*?) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; `mark` is the comment right above it."""

    page: str
    language: str
    text: str
    mark: str

    @property
    def commands(self):
        """The command lines, without comments; one that goes on in the next line is one command."""
        joined = re.sub(r"(?:\\\n|\n {4,})\s*", " ", self.text)
        return [line for text in joined.splitlines() if (line := re.sub(r"(^|\s+)# .*", "", text).strip())]


def blocks(page):
    """All blocks of a page, in order."""
    name = page.relative_to(ROOT).as_posix()
    return [Block(name, m["language"], m["text"], m["mark"] or "") for m in _FENCE.finditer(page.read_text())]


def changed(text, diff):
    """`text` after a diff of one place: its lines with - or a blank stand there, those with + or a blank will."""
    before, after = ("".join(line[1:] for line in _lines(diff) if line[0] in which) for which in ("- ", "+ "))
    assert text.count(before) == 1, f"stands {text.count(before)} times in the file:\n{before}"
    return text.replace(before, after)


def _lines(diff):
    return [line if line.strip() else " \n" for line in diff.splitlines(keepends=True)]


def missing(said, output):
    """The first line of `said` that `output` does not have, in that order; None where all are there.

    Numbers may differ by 3 % or 0.03, as between processors; a line "..." stands for any lines.
    """
    lines = iter(output.splitlines())
    for wanted in filter(lambda line: line.strip() != "...", said.splitlines()):
        if not any(_says(line, wanted) for line in lines):
            return wanted
    return None


def _says(line, wanted):
    words = (re.escape(_NUMBER.sub("\0", word)).replace("\0", f"({_NUMBER.pattern})") for word in wanted.split())
    found = re.search(r"\s+".join(words), line)
    return found is not None and all(
        abs(float(one) - float(other)) <= max(0.03, 0.03 * abs(float(other)))
        for one, other in zip(found.groups(), _NUMBER.findall(wanted), strict=True)
    )
