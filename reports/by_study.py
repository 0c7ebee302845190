"""A section of the report: one line a study that says how many of its claims held, and how its controls fared."""

from collections import Counter
from pathlib import PurePath

from lab.views.section import Section

VERDICTS = {"PASS": "held", "FAIL": "refuted", "INCONCLUSIVE": "undecided", "INVALID": "invalid", "SKIPPED": "not run"}


def study(cell):
    """The folder of hypotheses in which a cell's test is; its phase, where it is in none."""
    folders = PurePath(cell.config.get("test", "").partition("::")[0]).parts[:-1]
    return folders[1] if folders[:1] == ("hypotheses",) and len(folders) > 1 else cell.phase


def section(record):
    counts = {}
    for cell in record.cells:
        counts.setdefault(study(cell), Counter())[("control" if cell.negative else "claim", cell.verdict)] += 1
    rows = [
        {"study": name}
        | {word: of[("claim", verdict)] for verdict, word in VERDICTS.items()}
        | {
            "negative controls refuted": f"{of[('control', 'FAIL')]} of "
            f"{sum(n for (kind, _), n in of.items() if kind == 'control')}"
        }
        for name, of in sorted(counts.items())
    ]
    return Section("Study by study", rows)
