"""Text as LaTeX, and LaTeX as a PDF."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from lab.files.whole import write_whole

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\u00a0": "~",
    "\u00b1": r"$\pm$",
    "\u2212": r"$-$",
    "\u2013": "--",
    "\u00d7": r"$\times$",
}
_MARK = re.compile(r"^! ?(.*)|^l\.\d+ (.*)", re.MULTILINE)
PASSES = 3


def escape(text: object) -> str:
    """Plain text for LaTeX. What plain LaTeX has no sign for becomes a question mark, never an error."""
    signs = (_SPECIAL.get(sign, sign) for sign in str(text))
    return "".join(sign if sign.isascii() or sign.isalpha() else "?" for sign in signs)


def faults(source: str) -> list[str]:
    """What would keep a document from compiling: braces or environments that do not match. By line, from 1."""
    found, depth, opened = [], 0, []
    for number, line in enumerate(source.splitlines(), 1):
        bare = re.sub(r"(?<!\\)%.*", "", line.replace(r"\\", "")).replace(r"\{", "").replace(r"\}", "")
        depth += bare.count("{") - bare.count("}")
        if depth < 0:
            found.append(f"line {number}: a brace closes what was not opened")
            depth = 0
        for kind, name in re.findall(r"\\(begin|end)\{([^}]*)\}", bare):
            if kind == "begin":
                opened.append((name, number))
            elif opened and opened[-1][0] == name:
                opened.pop()
            else:
                found.append(f"line {number}: \\end{{{name}}} closes what was not opened")
    found += [f"line {number}: \\begin{{{name}}} is not closed" for name, number in opened]
    return found + (["the last line: a brace is not closed"] if depth else [])


def build(draft: Path) -> tuple[Path | None, str]:
    """Compiles a draft beside itself; returns the PDF, or None with one line that says why not.

    Takes pdflatex with bibtex, or tectonic. It works in a folder of its own, so that no auxiliary file is left.
    """
    if wrong := faults(draft.read_text(encoding="utf-8")):
        return None, f"{draft.name} cannot be compiled: {wrong[0]}"
    tool = next((found for name in ("pdflatex", "tectonic") if (found := shutil.which(name))), None)
    if tool is None:
        return None, (
            f"{draft.name} was not compiled: neither pdflatex nor tectonic is here (apt install texlive-latex-base); "
            "its braces and environments match"
        )
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch) / "paper"
        shutil.copytree(draft.parent, work)
        output = _tectonic(tool, work, draft.name) if tool.endswith("tectonic") else _pdflatex(tool, work, draft.name)
        made = work / draft.with_suffix(".pdf").name
        told = [next(filter(None, mark)) for mark in _MARK.findall(output) if any(mark)]
        if not made.is_file() or told:
            return None, f"{draft.name} does not compile: {' '.join(told[:2]) or output.strip()[-200:]}"
        return write_whole(draft.with_suffix(".pdf"), made.read_bytes()), ""


def _tectonic(tool: str, work: Path, name: str) -> str:
    return _run([tool, name], work)


def _pdflatex(tool: str, work: Path, name: str) -> str:
    command = [tool, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", name]
    output = _run(command, work)
    if bibtex := shutil.which("bibtex"):
        _run([bibtex, Path(name).stem], work)
    for _ in range(PASSES - 1):  # references, then the page numbers that they move
        output = _run(command, work)
    return output


def _run(command: list[str], work: Path) -> str:
    """Its output. The date is fixed, so that equal drafts give equal PDFs."""
    environment = os.environ | {"SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1"}
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, timeout=120)
    return done.stdout.decode(errors="replace")
