"""Which phase follows from the pre-mortems? The decision table of plan 003, step 1.4.

A pre-mortem that came to PASS opens its phase, 2A, 2B or 2C; several open the phase that joins them. If none did, the
line of research is given up: phase X.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

PHASES = {
    "PM1": ("A", "cross-model transfer"),
    "PM2": ("B", "error prediction"),
    "PM3": ("C", "activation patching"),
}
"""What each pre-mortem opens: the letter of its phase, and its name."""
ABORT = "abort, and write the negative results down"
NOT_RUN = "NOT_RUN"


@dataclass(frozen=True)
class Decision:
    """What to do next.

    `phase` is "2A" to "2ABC", "X", or None where a pre-mortem has no verdict to plan on; `following` says in words
    what is done in it; `notes` belong into the report.
    """

    phase: str | None
    following: tuple[str, ...]
    notes: tuple[str, ...]


def overall(verdicts: Iterable[str]) -> str:
    """The verdict of an experiment from those of its cells, negative controls left out.

    NOT_RUN where none ran, INVALID where one is; else FAIL where one is, PASS where all are, INCONCLUSIVE otherwise.

    >>> overall(["PASS", "INCONCLUSIVE"]), overall(["PASS", "FAIL"]), overall([])
    ('INCONCLUSIVE', 'FAIL', 'NOT_RUN')
    """
    found = set(verdicts)
    if found <= {"SKIPPED"}:
        return NOT_RUN
    for verdict in ("INVALID", "FAIL"):
        if verdict in found:
            return verdict
    return "PASS" if found == {"PASS"} else "INCONCLUSIVE"


def decide(verdicts: Mapping[str, str]) -> Decision:
    """The next phase, from the verdicts of PM1, PM2 and PM3. One that is missing is NOT_RUN, never FAIL.

    INCONCLUSIVE plans as FAIL, and is noted.

    >>> decide({"PM1": "PASS", "PM2": "FAIL", "PM3": "INCONCLUSIVE"}).phase
    '2A'
    """
    found = {name: verdicts.get(name, NOT_RUN) for name in PHASES}
    notes = [
        f"{name} is INCONCLUSIVE: planned as FAIL, to be discussed in the paper"
        for name, verdict in found.items()
        if verdict == "INCONCLUSIVE"
    ]
    open_questions = [f"{name} is {verdict}" for name, verdict in found.items() if verdict in (NOT_RUN, "INVALID")]
    if open_questions:
        return Decision(None, (), (*notes, f"no phase is named: {', '.join(open_questions)}"))
    passed = [PHASES[name] for name, verdict in found.items() if verdict == "PASS"]
    if not passed:
        return Decision("X", (ABORT,), tuple(notes))
    letters = "".join(letter for letter, _ in passed)
    return Decision(f"2{letters}", tuple(name for _, name in passed), tuple(notes))
