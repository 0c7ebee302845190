"""One verdict for an experiment, from those of its cells."""

from __future__ import annotations

from collections.abc import Iterable

NOT_RUN = "NOT_RUN"


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
