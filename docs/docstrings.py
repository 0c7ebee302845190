"""How does mkdocstrings read our docstrings? As numpy's, but prose may follow a section, and examples be anywhere."""

import re
from typing import Any

import griffe


class Prose(griffe.Extension):
    """Arranges every docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring:
            obj.docstring.value = escaped(fenced(sectioned(obj.docstring.value)))


def sectioned(text: str) -> str:
    """Prose after a section's items becomes the section Notes; numpy's form would take each line for a parameter."""
    lines, told, within, prose = text.splitlines(), [], False, False
    for i, line in enumerate(lines):
        after = lines[i + 1] if i + 1 < len(lines) else ""
        starts = bool(line.strip()) and not line.startswith(" ") and (i == 0 or not lines[i - 1].strip())
        if starts and re.fullmatch("-{3,}", after):
            within, prose = True, False
        elif within and not prose and (example(line) or (starts and not after.startswith(" "))):
            prose = True
            told += ["Notes", "-----"]
        told.append(line)
    return "\n".join(told)


def example(line: str) -> bool:
    return line.lstrip().startswith(">>> ")


def fenced(text: str) -> str:
    """Examples that doctest runs become blocks of code."""
    return re.sub(r"(?m)^ *>>> .*\n?(?:^ *\S.*\n?)*", lambda found: f"\n```pycon\n{_dedented(found[0])}\n```\n", text)


def _dedented(block: str) -> str:
    lines = block.rstrip().splitlines()
    indent = len(lines[0]) - len(lines[0].lstrip())
    return "\n".join(line[indent:] for line in lines)


def escaped(text: str) -> str:
    """Indices and shapes outside of code, as [n, k][i], are no links."""
    parts = re.split(r"(```.*?```|`[^`\n]*`)", text, flags=re.DOTALL)
    return "".join(
        part if part.startswith("`") else part.replace("][", "]\\[").replace("] [", "] \\[") for part in parts
    )
