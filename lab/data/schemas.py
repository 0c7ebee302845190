"""Schemas of data sets: for each kind one reader of its fields, for the hub's rows and for a file's alike."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from lab.data import question_prompts
from lab.data.errors import DataError
from lab.data.files import Record
from lab.data.rows import Questions, Reports, Rows, Tasks, Texts

SHORTEST = 50
"""Characters: a line of WikiText is a text where it has more."""

Row = tuple[str, tuple[str, ...], int, str, str]
"""Bare question, bare choices, key, subject, form."""


def hellaswag(records: Iterable[Record], **about: Any) -> Rows:
    """`ctx`, `endings`, `label` (a number, also as text); subject is `source_id`, form `activity_label`."""

    def row(where: str, found: dict[str, Any], number: int) -> Row:
        endings = _texts(where, found, "endings")
        subject, form = str(found.get("source_id", number)), str(found.get("activity_label", ""))
        return _text(where, found, "ctx"), endings, _key(where, found, "label", endings), subject, form

    return _questions(records, row, continues=True, **about).spelled


def truthfulqa(records: Iterable[Record], **about: Any) -> Rows:
    """MC1 of `mc_task.json` (`mc1_targets` maps answers to 1 or 0), of the hub (its `choices` and `labels`), or of
    `TruthfulQA.csv` (`Best Answer` and `Incorrect Answers`).

    The sources put the true answer first. Here a question's own text decides the order, which is therefore the same
    from each of the three. Every question is its own subject; form is the category, where there is one.
    """

    def row(where: str, found: dict[str, Any], number: int) -> Row:
        if "mc1_targets" in found:
            question, targets = _text(where, found, "question"), _targets(where, found["mc1_targets"])
        else:
            question = _text(where, found, "Question")
            wrong = [part for part in _text(where, found, "Incorrect Answers").split(";") if part.strip()]
            targets = dict.fromkeys(map(_closed, wrong), 0) | {_closed(_text(where, found, "Best Answer")): 1}
        right = [answer for answer, true in targets.items() if true == 1]
        if len(right) != 1 or len(targets) < 2:
            raise DataError(f"{where}: MC1 has one true answer and some false ones, not {len(right)} of {len(targets)}")
        seed = int.from_bytes(hashlib.sha256(question.encode()).digest()[:8], "big")
        shown = tuple(np.random.default_rng(seed).permutation(sorted(targets)).tolist())
        return question, shown, shown.index(right[0]), str(number), str(found.get("Category", ""))

    return _questions(records, row, **about).spelled


def mmlu(records: Iterable[Record], **about: Any) -> Rows:
    """`question`, `subject`, `choices`, `answer` (a number); every question is its own subject, form is `subject`."""

    def row(where: str, found: dict[str, Any], number: int) -> Row:
        choices, form = _texts(where, found, "choices"), _text(where, found, "subject")
        return _text(where, found, "question"), choices, _key(where, found, "answer", choices), f"{form}/{number}", form

    return _lettered(records, row, **about)


def mcq(records: Iterable[Record], **about: Any) -> Rows:
    """JSON lines of any four-choice questions: `question`; `choices` or `options`, a list or an object by letter;
    `answer`, a letter, a number, or the right choice's text. `subject` may stand there, and is the form."""

    def row(where: str, found: dict[str, Any], number: int) -> Row:
        name = "choices" if "choices" in found else "options"
        if isinstance(found.get(name), dict):
            found = found | {name: [found[name][letter] for letter in sorted(found[name])]}
        choices = _texts(where, found, name)
        question, form = _text(where, found, "question"), str(found.get("subject", ""))
        return question, choices, _key(where, found, "answer", choices), str(found.get("id", number)), form

    return _lettered(records, row, **about)


def wikitext(records: Iterable[Record], **about: Any) -> Rows:
    """`text`: lines of more than fifty characters; subject is the article, which a line as " = Title = " begins."""
    texts, ids, subject, article = [], [], [], ""
    for number, (where, found) in enumerate(records):
        line = _text(where, found, "text", empty=True).strip()
        heading = re.fullmatch(r"= (?!=)(.+?)(?<!=) =", line)
        if heading:
            article = f"{number} {heading[1]}"
        elif len(line) > SHORTEST:
            texts.append(line)
            ids.append(str(number))
            subject.append(article)
    return Texts(tuple(texts), tuple(ids), np.array(subject), **about)


def reports(kind: str) -> Callable[..., Rows]:
    """`id`, `text` or `report`, `label`, and `question` in all rows or in none."""

    def read(records: Iterable[Record], **about: Any) -> Rows:
        columns: dict[str, list[str]] = {"id": [], "text": [], "label": [], "question": []}
        known: set[str] = set()
        for where, found in records:
            text = "text" if "text" in found else "report"
            for column, field in zip(columns, ("id", text, "label", "question"), strict=True):
                if column != "question" or "question" in found:
                    columns[column].append(_text(where, found, field))
            name = columns["id"][-1]
            if name in known:
                raise DataError(f"{where}: id {name!r} is there twice; give each report its own")
            known.add(name)
            if len(columns["question"]) not in (0, len(columns["id"])):
                raise DataError(f"{where}: a question stands in all rows or in none")
        ids, texts, labels, questions = map(tuple, columns.values())
        return Reports(ids, texts, labels, questions or None, kind, **about)

    return read


Task = tuple[str, str, str]
"""What is asked for, its origin, and its id; an empty id is made of the origin and the place."""


def tasks(records: Iterable[Record], **about: Any) -> Rows:
    """Tasks of any origins: `id`, `prompt`, `origin`."""

    def row(where: str, found: dict[str, Any]) -> Task:
        return _text(where, found, "prompt"), _text(where, found, "origin"), _text(where, found, "id")

    return _tasks(records, row, **about)


def wildchat(records: Iterable[Record], **about: Any) -> Rows:
    """What people asked first in WildChat: the `conversation` of the hub's rows, of which those count that are in
    English (`language`) and not empty; or `text` or `prompt` of tasks that somebody chose, with their `id`."""

    def row(where: str, found: dict[str, Any]) -> Task | None:
        if "conversation" not in found:
            return _plain(where, found, "wildchat")
        first: dict[str, Any] = next(
            (said for said in _field(where, found, "conversation") if said.get("role") == "user"), {}
        )
        asked = str(first.get("content") or "").strip()
        return (asked, "wildchat", "") if asked and found.get("language", "English") == "English" else None

    return _tasks(records, row, **about)


def alpaca(records: Iterable[Record], **about: Any) -> Rows:
    """Alpaca's `instruction`, with its `input` behind an empty line where there is one; or `task_text`, `text` or
    `prompt` of tasks that somebody chose. The hub's `text` holds an answer too, and is not read."""

    def row(where: str, found: dict[str, Any]) -> Task:
        if "instruction" not in found:
            return _plain(where, found, "alpaca", "task_text")
        asked, given = _text(where, found, "instruction"), str(found.get("input") or "").strip()
        return f"{asked}\n\n{given}" if given else asked, "alpaca", _id(found)

    return _tasks(records, row, **about)


def pool(origin: str, *names: str) -> Callable[..., Rows]:
    """Tasks of one origin, whose text stands in one of the fields `names`, in `prompt` or in `text`."""

    def read(records: Iterable[Record], **about: Any) -> Rows:
        return _tasks(records, lambda where, found: _plain(where, found, origin, *names), **about)

    return read


SCHEMAS: dict[str, Callable[..., Rows]] = {
    "hellaswag": hellaswag,
    "truthfulqa": truthfulqa,
    "mmlu": mmlu,
    "mcq": mcq,
    "wikitext": wikitext,
    "histopathology": reports("histopathology"),
    "radiology": reports("radiology"),
    "tasks": tasks,
    "wildchat": wildchat,
    "alpaca": alpaca,
    "math": pool("math", "problem"),
    "bailbench": pool("bailbench", "content"),
    "stress_test": pool("stress_test"),
}
TASKS = ("tasks", "wildchat", "alpaca", "math", "bailbench", "stress_test")
"""Schemas of tasks, which can be put together to one pool."""


def _tasks(records: Iterable[Record], row: Callable[[str, dict[str, Any]], Task | None], **about: Any) -> Tasks:
    """Tasks of the records that are any; a place counts all records, so that an id says which it is."""
    made: dict[str, Task] = {}
    for number, (where, found) in enumerate(records):
        task = row(where, found)
        if task is None:
            continue
        name = task[2] or f"{task[1]}_{number}"
        if name in made:
            raise DataError(f"{where}: id {name!r} is there twice; give each task its own")
        made[name] = task
    texts, origins, _ = zip(*made.values(), strict=True) if made else ((),) * 3
    return Tasks(texts, origins, tuple(made), **about)


def _plain(where: str, found: dict[str, Any], origin: str, *names: str) -> Task:
    """A task whose text stands in a field of its own, the first of these names that is there."""
    wanted = (*names, "prompt", "text")
    name = next((name for name in wanted if name in found), wanted[0])
    return _text(where, found, name), origin, _id(found)


def _id(found: dict[str, Any]) -> str:
    """The id that a record gives itself; empty where it gives none."""
    return next((str(found[name]) for name in ("id", "task_id", "unique_id") if found.get(name) is not None), "")


def _questions(
    records: Iterable[Record], row: Callable[[str, dict[str, Any], int], Row], *, continues: bool = False, **about: Any
) -> Questions:
    """Bare questions: without prompts until it is known how they are put."""
    made = [row(where, found, number) for number, (where, found) in enumerate(records)]
    asks, choices, key, subject, form = zip(*made, strict=True) if made else ((),) * 5
    columns = np.array(key, dtype=int), np.array(subject, dtype=str), np.array(form, dtype=str)
    return Questions(asks, choices, *columns, asks, choices, continues, **about)


def _lettered(records: Iterable[Record], row: Callable[[str, dict[str, Any], int], Row], **about: Any) -> Questions:
    def checked(where: str, found: dict[str, Any], number: int) -> Row:
        made = row(where, found, number)
        if len(made[1]) != len(question_prompts.LETTERS):
            raise DataError(
                f"{where}: {len(made[1])} choices, but a lettered question has {len(question_prompts.LETTERS)}"
            )
        return made

    return _questions(records, checked, **about).lettered


def _field(where: str, found: dict[str, Any], name: str) -> Any:
    if found.get(name) is None:
        raise DataError(f"{where}: it has no {name!r}; it has {', '.join(map(str, found)) or 'nothing'}")
    return found[name]


def _text(where: str, found: dict[str, Any], name: str, *, empty: bool = False) -> str:
    value = _field(where, found, name)
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise DataError(f"{where}: {name!r} is a text, not {value!r}")
    if not empty and not str(value).strip():
        raise DataError(f"{where}: {name!r} is empty")
    return str(value)


def _texts(where: str, found: dict[str, Any], name: str) -> tuple[str, ...]:
    values = _field(where, found, name)
    if not isinstance(values, list) or len(values) < 2:
        raise DataError(f"{where}: {name!r} is a list of two and more texts, not {values!r}")
    return tuple(str(value).strip() for value in values)


def _key(where: str, found: dict[str, Any], name: str, choices: tuple[str, ...]) -> int:
    """The index of the right choice, which a number, a number as text, a letter or the choice's own text names."""
    value = _field(where, found, name)
    text = str(value).strip()
    letters = [chr(ord("A") + place) for place in range(len(choices))]
    if text.isdigit() and int(text) < len(choices) and not isinstance(value, bool):
        return int(text)
    if text in letters:
        return letters.index(text)
    if choices.count(text) == 1:
        return choices.index(text)
    raise DataError(f"{where}: {name!r} names one of {len(choices)} choices, as 0 or A, and not {value!r}")


def _targets(where: str, given: Any) -> dict[str, int]:
    """Answers with 1 for true, from an object that maps them or from the hub's two lists."""
    if isinstance(given, dict) and set(given) == {"choices", "labels"}:
        if len(given["choices"]) != len(given["labels"]):
            raise DataError(f"{where}: 'mc1_targets' has other numbers of choices and of labels")
        given = dict(zip(given["choices"], given["labels"], strict=True))
    if not isinstance(given, dict) or not set(given.values()) <= {0, 1}:
        raise DataError(f"{where}: 'mc1_targets' maps answers to 1 (true) or 0, and is {str(given)[:60]}")
    return {str(answer).strip(): int(true) for answer, true in given.items()}


def _closed(answer: str) -> str:
    """An answer of the table with a full stop, as the authors' own multiple-choice file has it."""
    answer = answer.strip()
    return answer if answer.endswith(".") else f"{answer}."
