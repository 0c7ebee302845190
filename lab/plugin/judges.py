"""The fixture `judges`: who reads a text and says what it is: rules, a model, or people beforehand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lab.plugin.knobs import knob_texts, require_named
from lab.plugin.models import SubjectPool
from lab.plugin.options import SETTINGS, Settings

if TYPE_CHECKING:
    from lab.judging.judges import Human, Judge, Judged

OFFLINE = "offline"
API = "openai:"
LOCAL = "model:"
EMBEDDING = "embedding:"
HUMAN = "human:"
FORMS = f"{OFFLINE}, {API}NAME, {LOCAL}NAME, {EMBEDDING}NAME or {HUMAN}FILE.jsonl"


class Judges:
    """Judges by name: `judges()`, `judges("openai:gpt-5-nano")`, `judges("human:judged.jsonl")`.

    "offline" is the rules that come with the library. `openai:NAME` is a model behind an API and `model:NAME` a local
    one, loaded and cached as subjects are; `embedding:NAME` compares answers by what such a model makes of them.
    `human:FILE.jsonl` has a line for each item that somebody judged: {"rubric": "similarity", "id": "t1__q2", "values":
    {...}}.

    `knobs` are the texts among the values of the cell's knobs. All judges but the rules are given only if a knob
    names them: what determines a result has to be known before the cell runs. None where there is no cell.
    """

    name = "judge"

    def __init__(self, pool: SubjectPool, knobs: frozenset[str] | None = None, *, dry: bool = False) -> None:
        self._pool, self._knobs, self._dry = pool, knobs, dry
        self._made: dict[str, _Counted] = {}

    def __call__(self, name: str = OFFLINE) -> Judge:
        """Raises ValueError for a judge that no knob names, a name in another form, or a file that is wrong."""
        if name not in self._made:
            if name != OFFLINE:
                require_named(name, self._knobs, "the judge")
            self._made[name] = _Counted(self._judge(name))
        return self._made[name]

    def _judge(self, name: str) -> Judge:
        from lab.judging.embedding import Embedding
        from lab.judging.judges import Offline, Speaking

        if name == OFFLINE:
            return Offline()
        if name.startswith(HUMAN):
            return _human(name)
        if not _is_judge(name):
            raise ValueError(f"{name!r} is no judge; write {FORMS}")
        subject = self._pool.get(_subject_of(name))
        if name.startswith(EMBEDDING):
            return Embedding(subject)
        return _Planned(Speaking(subject, retries=0), Offline()) if self._dry else Speaking(subject)

    @property
    def fingerprint(self) -> dict[str, str]:
        """What the judges are that knobs name: of a model its identity, of a file what it holds. Texts count anyway."""
        return {name: self._identity(name) for name in sorted(self._knobs or ()) if _is_judge(name)}

    def _identity(self, name: str) -> str:
        from lab.files.digest import digest

        if name.startswith(HUMAN):
            path = _path(name)
            return digest(path.read_bytes()) if path.is_file() else "not here"
        found: str = self._pool.get(_subject_of(name)).fingerprint
        return found

    @property
    def notes(self) -> list[str]:
        """How the judges had to be run, and how often they failed."""
        return [note for judge in self._made.values() for note in judge.notes()]


class _Counted:
    """A judge that remembers how often it failed."""

    def __init__(self, judge: Judge) -> None:
        self._judge, self._asked = judge, 0
        self._failed: list[Judged] = []

    @property
    def name(self) -> str:
        return self._judge.name

    def __call__(self, rubric: str, items: Sequence[Mapping[str, Any]]) -> list[Judged]:
        judged = self._judge(rubric, items)
        self._asked += len(judged)
        self._failed += [each for each in judged if each.failed is not None]
        return judged

    def notes(self) -> Iterator[str]:
        from lab.judging.judges import failures

        for note in getattr(self._judge, "notes", ()):  # of models alone
            yield f"{self.name}: {note}"
        if self._failed:
            why = ", ".join(f"{n} {fault}" for fault, n in failures(self._failed).items())
            yield f"{self.name} failed to judge {len(self._failed)} of {self._asked} items ({why})"


class _Planned:
    """What a run that is only planned is judged by: the model's calls are counted, and the rules give the values."""

    def __init__(self, asked: Judge, told: Judge) -> None:
        self.name, self._asked, self._told = asked.name, asked, told

    def __call__(self, rubric: str, items: Sequence[Mapping[str, Any]]) -> list[Judged]:
        self._asked(rubric, items)
        return self._told(rubric, items)


def check(name: str, settings: Settings) -> None:
    """Checks, without loading or asking anything, that a judge can be had. Raises ValueError with what to do."""
    if name.startswith(HUMAN):
        _human(name)
    elif name.startswith(API):
        from lab.subjects import api

        api.check(name, settings.load.get("base_url"))
    elif name.startswith((LOCAL, EMBEDDING)):
        from lab.subjects import locate  # torch

        locate(_subject_of(name))


def _is_judge(name: str) -> bool:
    """Whether a text names a judge and nothing else."""
    return name.startswith((API, LOCAL, EMBEDDING, HUMAN))


def _subject_of(name: str) -> str:
    """The subject that a judge is, as `lab.subjects.load` names it."""
    return name.removeprefix(LOCAL).removeprefix(EMBEDDING)


def _path(name: str) -> Path:
    return Path(name.removeprefix(HUMAN)).expanduser()


def _human(name: str) -> Human:
    from lab.judging.judges import Human

    path, told = _path(name), {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no UTF-8"
        raise ValueError(f"{name} cannot be read ({why}); name a file of judgements, a JSON object a line") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            found = json.loads(line)
            key, values = (str(found["rubric"]), str(found["id"])), dict(found["values"])
        except (ValueError, LookupError, TypeError):
            raise ValueError(f'{where}: write {{"rubric": ..., "id": ..., "values": {{...}}}}') from None
        if key in told:
            raise ValueError(f"{where}: {key[0]} of {key[1]} is judged twice; keep one line")
        told[key] = values
    return Human(name, told)


def check_all(items: list[pytest.Item], settings: Settings) -> None:
    """Raises UsageError, before a model is loaded, for a judge that cannot be had: a missing key, a wrong file."""
    asking = [item for item in items if "judges" in getattr(item, "fixturenames", ())]
    for name in sorted({text for item in asking for text in knob_texts(item) or ()}):
        try:
            check(name, settings)
        except ValueError as error:
            raise pytest.UsageError(f"the judge {name}: {error}") from None


@pytest.fixture
def judges(request: pytest.FixtureRequest, subject_pool: SubjectPool) -> Judges:
    """Judges of texts by name: `judges()` or `judges("openai:gpt-5-nano")` gives one that takes a rubric and items."""
    return Judges(subject_pool, knob_texts(request.node), dry=request.config.stash[SETTINGS].plan)
