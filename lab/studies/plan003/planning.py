"""The phase that follows from the pre-mortems: the decision table of plan 003, step 1.4.

A pre-mortem that came to PASS opens its phase, 2A, 2B or 2C; several open the phase that joins them. If none did, the
line of research is given up: phase X.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lab.record.fold import NOT_RUN, overall
from lab.views.record import Record

PHASES = {
    "PM1": ("A", "cross-model transfer"),
    "PM2": ("B", "error prediction"),
    "PM3": ("C", "activation patching"),
}
"""What each pre-mortem opens: the letter of its phase, and its name."""
ABORT = "abort, and write the negative results down"
TRANSFER = "2A2"
"""The experiment on which direction A hangs."""


@dataclass(frozen=True)
class Decision:
    """What to do next.

    `phase` is "2A" to "2ABC", "X", or None where a pre-mortem has no verdict to plan on; `following` says in words
    what is done in it; `notes` belong into the report.
    """

    phase: str | None
    following: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Following:
    """What comes after phase 2 of one direction.

    `phase` analyses it, None where there is nothing to analyse; `verdicts` are those it follows from, by experiment;
    `note` belongs into the report.
    """

    phase: str | None
    verdicts: Mapping[str, str]
    note: str = ""


def following(letter: str, verdicts: Mapping[str, str]) -> Following:
    """Where direction "A", "B" or "C" goes after phase 2, from what its experiments came to (those that ran).

    Phases 3A, 3B and 3C are phase 3 restricted to one direction: `lab report direction A`. The plan sends a
    transfer (2A2) that does not work to the negative results instead, and goes on with the other directions.

    >>> following("A", {"2A1": "PASS", "2A2": "FAIL"}).phase, following("B", {"2B1": "FAIL"}).phase
    (None, '3B')
    """
    transfer = verdicts.get(TRANSFER)
    if letter != "A" or transfer == "PASS":
        return Following(f"3{letter}", verdicts)
    if transfer is None:
        return Following(None, verdicts, f"{TRANSFER} is {NOT_RUN}: phase 3A waits for it")
    note = f"{TRANSFER} is {transfer}: a negative result, written down; other directions go on"
    return Following(None, verdicts, note)


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


def verdicts(record: Record) -> dict[str, str]:
    """What each pre-mortem came to, negative controls left out."""
    return {name: overall(cell.verdict for cell in record.of(name)) for name in PHASES}


def decision(record: Record) -> Decision:
    """The next phase, from the verdicts of a record."""
    return decide(verdicts(record))
