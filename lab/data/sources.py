"""Data sets by name, from studies, files or the hub, with a fingerprint of what was read."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from lab.data.errors import DataError
from lab.data.fetching import Source, fetched
from lab.data.files import Record, records
from lab.data.rows import Questions, Rows, Tasks
from lab.data.schemas import SCHEMAS, TASKS
from lab.files.embedded import folder
from lab.study import merged

LOG = logging.getLogger("lab.data")


HUB = {
    "hellaswag": Source(
        "Rowan/hellaswag",
        "data/validation-00000-of-00001.parquet",
        "218ec52e09a7e7462a5400043bb9a69a41d06b76",
    ),
    "truthfulqa": Source(
        "truthfulqa/truthful_qa",
        "multiple_choice/validation-00000-of-00001.parquet",
        "741b8276f2d1982aa3d5b832d3ee81ed3b896490",
    ),
    "mmlu": Source(
        "cais/mmlu",
        "all/test-00000-of-00001.parquet",
        "c30699e8356da336a370243923dbaf21066bb9fe",
    ),
    "wikitext": Source(
        "Salesforce/wikitext",
        "wikitext-2-raw-v1/test-00000-of-00001.parquet",
        "b08601e04326c79dfdd32d625aee71d232d685c3",
    ),
    "wildchat": Source(
        "allenai/WildChat-1M",
        "data/train-00000-of-00014.parquet",
        "7d6490e462285cf85d91eabea0f9a954fbddcd1f",
    ),
    "alpaca": Source(
        "tatsu-lab/alpaca",
        "data/train-00000-of-00001-a09b74b3ef9c3b56.parquet",
        "dce01c9b08f87459cf36a430d809084718273017",
    ),
    "math": Source(
        "HuggingFaceH4/MATH-500",
        "test.jsonl",
        "ff5b20257d8185524591543f8ff5993951537bb8",
    ),
}
MEDICAL = (
    "anatomy",
    "clinical_knowledge",
    "college_biology",
    "college_medicine",
    "medical_genetics",
    "professional_medicine",
)
_TOGETHER = re.compile(rf"\+(?=(?:\w+/)?(?:{'|'.join(SCHEMAS)})(?:[@:+]|$))")
SUBSETS = {"mmlu": {"medical": MEDICAL}}
"""Schemas whose rows are chosen by their form, and names for several forms together."""


def names() -> tuple[str, ...]:
    """The data sets that need no file of one's own: those that studies bring as STUDY/SCHEMA, then the hub's."""
    return (*merged("data"), *HUB, *(f"mmlu:{part}" for part in ("medical", *MEDICAL)))


def load(name: str) -> Any:
    """The rows of a data set: `Questions`, `Texts`, `Reports` or `Tasks`.

    Parameters
    ----------
    name
        One of `names()`; with ":part" for a part of MMLU, as "mmlu:anatomy"; with "@path" for a file of one's own
        in that schema, as "hellaswag@mine.jsonl". Several with "+" between them are one pool of tasks, as
        "alpaca+math+bailbench@mine.csv".

    Raises DataError, one line, for an unknown name, a missing file or package, a row that does not fit (with its file
    and line), or a hub that cannot be reached.
    """
    several = parts(name)
    if len(several) > 1:
        return _joined(name, [load(part) for part in several])
    asked = _Name.of(name)
    rows = SCHEMAS[asked.schema](asked.records(), name=name, revision=fingerprint(name))
    if not len(rows):
        raise DataError(f"{asked.path or name}: it holds no row of {asked.schema}")
    if asked.part is not None:
        rows = _part(rows, asked)
    LOG.info("%s: %d %s", name, len(rows), type(rows).__name__.lower())
    return rows


def pool(names: Sequence[str]) -> Tasks:
    """One pool of the tasks of several data sets, as `load("+".join(names))`. Raises DataError as `load` does."""
    return _joined("+".join(names), [load(name) for name in names])


def parts(name: str) -> list[str]:
    """The data sets that a name puts together; any other text is one part.

    A "+" parts names only where the name of a schema follows it: a path may have one too.
    """
    return _TOGETHER.split(name)


def fingerprint(name: str) -> str:
    """What determines the rows: the hub's commit, or the SHA-256 of the file. Raises DataError as `load` does."""
    several = parts(name)
    if len(several) > 1:
        return "+".join(map(fingerprint, several))
    asked = _Name.of(name)
    if asked.path is None:
        return HUB[asked.schema].revision
    if not asked.path.is_file():
        raise DataError(f"{asked.path}: there is no such file; check the path")
    return f"sha256:{hashlib.sha256(asked.path.read_bytes()).hexdigest()}"


@lru_cache
def shipped_fingerprint() -> str:
    """The SHA-256 of all that the files of studies hold."""
    return f"sha256:{hashlib.sha256(''.join(map(fingerprint, merged('data'))).encode()).hexdigest()}"


def is_file(name: str) -> bool:
    """Whether a name, or any other text, names a file in a schema that is known."""
    try:
        asked = _Name.of(name)
    except DataError:
        return False
    return asked.path is not None and asked.owner is None


@dataclass(frozen=True)
class _Name:
    """A name in its parts; `path` is None for what comes from the hub, `owner` names the study that brings it."""

    schema: str
    part: str | None
    path: Path | None
    owner: str | None

    @classmethod
    def of(cls, name: str) -> _Name:
        what, at, path = name.partition("@")
        base, colon, part = what.partition(":")
        shipped = merged("data")
        owner, _, schema = base.rpartition("/")
        known = base in (SCHEMAS if at else {**shipped, **HUB})
        if not known or bool(at) != bool(path) or (colon and (not part or schema not in SUBSETS)):
            raise DataError(
                f"no data set {name!r}; there are {', '.join(names())}, and files as SCHEMA@PATH with one of the "
                f"schemas {', '.join(SCHEMAS)}; tasks go together as A+B"
            )
        where = folder("data") / shipped[base] if owner else Path(path) if at else None
        return cls(schema, part or None, where, owner or None)

    def records(self) -> Iterable[Record]:
        if self.path is not None:
            return records(self.path)
        near = [name for name in merged("data") if name.endswith(f"/{self.schema}")]
        needs_none = f"; {near[0]} needs none" if near else ""
        instead = f"check the network, or name a file: {self.schema}@PATH{needs_none}"
        return fetched(HUB[self.schema], instead)


def _joined(name: str, pools: Sequence[Any]) -> Tasks:
    other = next((rows.name for rows in pools if not isinstance(rows, Tasks)), None)
    if other is not None:
        raise DataError(f"{other!r} in {name!r} holds no tasks; only {', '.join(TASKS)} can be put together")
    try:
        return Tasks.joined(pools)
    except ValueError as error:
        raise DataError(f"{name}: {error}") from None


def _part(rows: Rows, asked: _Name) -> Rows:
    """The questions of one subject, or of several that have a name together; those of a study begin with its name."""
    if not isinstance(rows, Questions):
        raise TypeError(f"{asked.schema} has no parts")
    together, part = SUBSETS[asked.schema], str(asked.part)
    chosen = np.isin(rows.form, together.get(part, (part, *([f"{asked.owner}_{part}"] if asked.owner else []))))
    if not chosen.any():
        raise DataError(f"{rows.name}: no part {part!r}; there are {', '.join([*together, *np.unique(rows.form)])}")
    return rows.take(chosen)
