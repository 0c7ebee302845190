"""Judges of texts, all with one interface: offline rules, language models, and people.

    judge = judges("openai:gpt-5-nano")      # the fixture; by default the offline rules
    judged = judge("refusal", [{"task": "Sort the vials.", "completion": "I will not do that."}])
    judged[0].values                         # {"is_refusal": True, ...} or None
    failures(judged)                         # {"cut": 2}: never a made-up score

What is asked stands in `lab.judging.rubrics`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from lab.files.texts import Message, assistant, read, user
from lab.judging import offline
from lab.judging.rubrics import Rubric, rubrics

FAILED = "judge_failed"
FAULTS = ("silent", "empty", "cut", "unreadable", "unsuitable", "missing")
"""What a judge fails by: no answer came; it was empty; it was cut at the token limit; it is not the JSON object that
was asked for; a rule has nothing to say about this item; nobody has judged it."""
TOKENS = 4096
"""Room for an answer of a hundred tokens, and for a reasoning model's thoughts before it."""
EFFORT = "low"
"""Of reasoning models: judgements are short, and thoughts are paid for."""


@dataclass(frozen=True)
class Judged:
    """What a judge says of one item.

    Attributes
    ----------
    values
        By the fields of the rubric, checked; None where the judge failed.
    raw
        The judge's last answer as it was; "" where there is none.
    attempts
        How often the judge was asked.
    failed
        None, or why there are no values, as "judge_failed: cut: ..." with one of `FAULTS`.
    judge
        Who judged.
    prompt
        What the judge was asked at first.
    """

    values: dict[str, Any] | None
    raw: str
    attempts: int
    failed: str | None
    judge: str
    prompt: str = ""


class Judge(Protocol):
    """Judges items, told by the keys of the rubric, and says of each what it found, in their order.

    An item that cannot be judged is counted, and stops no other. Raises ValueError for a rubric that is not there and
    for an item without a key that the rubric needs. `name` says who judges.
    """

    @property
    def name(self) -> str: ...

    def __call__(self, rubric: str, items: Sequence[Mapping[str, Any]]) -> list[Judged]: ...


class Offline:
    """Judges by the rules of `lab.judging.offline`: at once, always the same, and without a model.

    >>> judged = Offline()("preference_refusal", [{"answer": "I have no preferences."}, {"answer": "It was dull."}])
    >>> [each.values for each in judged]
    [{'is_refusal': True}, {'is_refusal': False}]
    """

    name = "offline"

    def __call__(self, rubric: str, items: Sequence[Mapping[str, Any]]) -> list[Judged]:
        if rubric not in offline.RULES:
            raise ValueError(
                f"the offline judge has no rule for {rubric!r}, only for {', '.join(offline.RULES)}; "
                "name a model as the judge"
            )
        asked = _rubric(rubric, None)
        return [self._one(asked, item, prompt[-1]["content"]) for item, prompt in _prompts(asked, items)]

    def _one(self, rubric: Rubric, item: Mapping[str, Any], prompt: str) -> Judged:
        try:
            values = rubric.check(offline.RULES[rubric.name](item), item)
        except ValueError as error:
            return Judged(None, "", 1, _failed("unsuitable", str(error)), self.name, prompt)
        return Judged(values, json.dumps(values, ensure_ascii=False), 1, None, self.name, prompt)


class Speaking:
    """Asks a subject, local or behind an API, for strict JSON; all items at once, as many in flight as it allows.

    An answer that is not just what was asked for is asked for again, with what is wrong with it; one that is empty or
    cut, in twice the room. What then still fails is counted, also where a server does not answer.

    Parameters
    ----------
    subject
        With `replies`, `name` and `notes`, as all subjects of `lab.subjects` have them.
    rubrics
        By name; by default those that come with the library. Your own: `lab.judging.rubrics.load_rubrics`.
    retries
        How often an answer is asked for again.
    max_new_tokens
        Room for the first answer, thoughts included.
    effort
        A reasoning model's effort, or None to leave it to the server.
    """

    def __init__(
        self,
        subject: Any,
        rubrics: Mapping[str, Rubric] | None = None,
        *,
        retries: int = 3,
        max_new_tokens: int = TOKENS,
        effort: str | None = EFFORT,
    ) -> None:
        if retries < 0 or max_new_tokens < 1:
            raise ValueError(f"retries={retries}, max_new_tokens={max_new_tokens}: ask at least once, for one token")
        self.name: str = subject.name
        self._subject, self._rubrics, self._effort = subject, rubrics, effort
        self._retries, self._room = retries, max_new_tokens

    @property
    def notes(self) -> list[str]:
        """How the subject had to be run, as it tells it itself."""
        return list(self._subject.notes)

    def __call__(self, rubric: str, items: Sequence[Mapping[str, Any]]) -> list[Judged]:
        asked = _rubric(rubric, self._rubrics)
        prompts = [messages for _, messages in _prompts(asked, items)]
        done: list[Judged] = [
            Judged(None, "", 0, _failed("silent", "not asked"), self.name, messages[-1]["content"])
            for messages in prompts
        ]
        talks = {i: (messages, self._room) for i, messages in enumerate(prompts)}
        for _ in range(1 + self._retries):
            again: dict[int, tuple[list[Message], int]] = {}
            for i, said in self._said(talks).items():
                talk, room = talks[i]
                done[i], more = self._read(asked, items[i], done[i], said)
                if more is not None:
                    again[i] = (talk + more, room if more else 2 * room)
            talks = again
        return done

    def _said(self, talks: Mapping[int, tuple[list[Message], int]]) -> dict[int, Any]:
        """What the subject says in each conversation; those with the same room are asked together."""
        said: dict[int, Any] = {}
        for room in sorted({room for _, room in talks.values()}):
            these = [i for i in talks if talks[i][1] == room]
            replies = self._subject.replies([talks[i][0] for i in these], max_new_tokens=room, effort=self._effort)
            said.update(zip(these, replies, strict=True))
        return said

    def _read(
        self, rubric: Rubric, item: Mapping[str, Any], before: Judged, said: Any
    ) -> tuple[Judged, list[Message] | None]:
        """The judgement, and what to add to the question where it is to be asked again: nothing, for more room."""
        judged = replace(before, raw=said.text, attempts=before.attempts + 1)
        if said.fault:  # the subject has tried as often as it does
            return replace(judged, failed=_failed("silent", said.fault)), None
        if said.cut or not said.text.strip():
            kind = "cut" if said.cut else "empty"
            told = "the answer reached the token limit" if said.cut else "the answer is empty"
            return replace(judged, failed=_failed(kind, told)), []
        try:
            values = rubric.read(said.text, item)
        except ValueError as error:
            fault = str(error)
        else:
            return replace(judged, values=values, failed=None), None
        told = read("judging")["again"].format(fault=fault)
        return replace(judged, failed=_failed("unreadable", fault)), [assistant(said.text), user(told)]


class Human:
    """Judges by what people have judged, who are asked nothing here: the values of each item stand under its `id`.

    Parameters
    ----------
    name
        Who judged.
    told
        The fields by rubric and id.
    rubrics
        As of `Speaking`.

    Raises ValueError for values that are none of the rubric's; where `values` depend on an item, when it is judged.
    """

    def __init__(
        self, name: str, told: Mapping[tuple[str, str], Mapping[str, Any]], rubrics: Mapping[str, Rubric] | None = None
    ) -> None:
        self.name, self._told, self._rubrics = name, told, rubrics
        for (rubric, id), values in told.items():
            try:
                _rubric(rubric, rubrics).check(dict(values))
            except ValueError as error:
                raise ValueError(f"{name}: {id}: {error}") from None

    def __call__(self, rubric: str, items: Sequence[Mapping[str, Any]]) -> list[Judged]:
        asked = _rubric(rubric, self._rubrics)
        return [self._one(asked, item, messages[-1]["content"]) for item, messages in _prompts(asked, items)]

    def _one(self, rubric: Rubric, item: Mapping[str, Any], prompt: str) -> Judged:
        if "id" not in item:
            raise ValueError(f"an item has no id, by which {self.name} could be asked; give each item an 'id'")
        told = self._told.get((rubric.name, str(item["id"])))
        if told is None:
            fault = f"nobody has judged {rubric.name} of {item['id']}"
            return Judged(None, "", 0, _failed("missing", fault), self.name, prompt)
        values = rubric.check(dict(told), item)
        return Judged(values, json.dumps(values, ensure_ascii=False), 1, None, self.name, prompt)


def failures(judged: Iterable[Judged]) -> dict[str, int]:
    """How often a judge failed, by why: only those of `FAULTS` that occurred, and none where all was judged.

    >>> failures([Judged({"is_refusal": True}, "", 1, None, "x"), Judged(None, "", 4, "judge_failed: cut: at 10", "x")])
    {'cut': 1}
    """
    found = Counter(each.failed.split(": ")[1] for each in judged if each.failed is not None)
    return {fault: found[fault] for fault in FAULTS if found[fault]}


def _failed(kind: str, told: str) -> str:
    return f"{FAILED}: {kind}: {' '.join(told.split())}"


def _rubric(name: str, own: Mapping[str, Rubric] | None) -> Rubric:
    known = rubrics() if own is None else own
    if name not in known:
        raise ValueError(f"there is no rubric {name!r}, only {', '.join(known)}; add it to a file of rubrics")
    return known[name]


def _prompts(rubric: Rubric, items: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], list[Message]]]:
    """Each item with its question. Raises ValueError for items that the rubric cannot ask about."""
    if isinstance(items, Mapping | str):
        raise ValueError("the items are one item; pass a list of them, for example [item]")
    return [(item, rubric.ask(**{str(key): value for key, value in item.items()})) for item in items]
