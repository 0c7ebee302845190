"""Rubrics for judges: a text with placeholders to ask with, and the fields of the JSON object that answers it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import Any

from lab.files.texts import Message, read, user

TYPES = ("number", "integer", "boolean", "choice", "text")
FORM = "form"
"""The placeholder of the JSON object that is asked for."""
_SPECS = ("", "numbered", "count")
_KEYS = {"text", "fields", "fenced"}
_FIELD_KEYS = {"type", "low", "high", "values", "nullable"}
_FENCE = re.compile(r"```(?:json)?\s*\n(.*)\n\s*```", re.DOTALL)


@dataclass(frozen=True)
class Field:
    """One field of an answer.

    `type` is one of `TYPES`; a number lies between `low` and `high`, ends included; a choice is one of `values`, or
    of the list that stands under `among` in what is judged (a text there is for the judge alone to read); `nullable`
    says whether it may be null.
    """

    name: str
    type: str
    low: float = -math.inf
    high: float = math.inf
    values: tuple[str, ...] = ()
    among: str = ""
    nullable: bool = False

    @property
    def form(self) -> str:
        """How the field is asked for."""
        asked = {
            "number": f"a number from {self.low:g} to {self.high:g}",
            "integer": f"a whole number from {self.low:g} to {self.high:g}",
            "boolean": "true or false",
            "text": "a short text",
            "choice": "one of " + (", ".join(map(_quoted, self.values)) or f"the {self.among}, as a text"),
        }[self.type]
        return f'"{self.name}": <{asked}{", or null" if self.nullable else ""}>'

    def fault(self, value: object, item: Mapping[str, Any]) -> str | None:
        """What is wrong with a value, in words, or None."""
        shown = json.dumps(value, ensure_ascii=False, default=str)[:60]
        if value is None and self.nullable:
            return None
        if self.type == "boolean":
            return None if isinstance(value, bool) else f"{self.name} is {shown}, not true or false"
        if self.type == "text":
            return None if isinstance(value, str) and value.strip() else f"{self.name} is {shown}, not a text"
        if self.type == "choice":
            if not isinstance(value, str):
                return f"{self.name} is {shown}, not a text"
            told = item.get(self.among, value)
            allowed = self.values or ((value,) if isinstance(told, str) else tuple(map(str, told)))
            return None if value in allowed else f"{self.name} is {shown}, none of {', '.join(allowed)[:200]}"
        kinds, said = (int, "a whole number") if self.type == "integer" else (int | float, "a number")
        if isinstance(value, bool) or not isinstance(value, kinds):
            return f"{self.name} is {shown}, not {said}"
        return (
            None
            if self.low <= value <= self.high
            else f"{self.name} is {shown}, not from {self.low:g} to {self.high:g}"
        )


@dataclass(frozen=True)
class Rubric:
    """One thing that a judge can be asked.

        >>> rubric = rubrics()["sentiment"]
        >>> rubric.ask(text="A lovely day.")[0]["role"]
        'user'
        >>> rubric.read('{"sentiment": 0.8}')
        {'sentiment': 0.8}

    `text` has placeholders, `fields` are those of the answer; `fenced` says whether it may stand in a code block.
    """

    name: str
    text: str
    fields: tuple[Field, ...]
    fenced: bool = True

    @property
    def keys(self) -> tuple[str, ...]:
        """What has to be told of an item: the placeholders of the text."""
        return tuple(dict.fromkeys(key for key, _ in _places(self.text) if key != FORM))

    def ask(self, **values: Any) -> list[Message]:
        """The question as chat messages. Values that the text has no place for are left out.

        Raises ValueError, with one line, for a value that is missing.
        """
        missing = [key for key in self.keys if key not in values]
        if missing:
            raise ValueError(
                f"the rubric {self.name} needs {', '.join(self.keys)} of what is judged; there is no {missing[0]}"
            )
        shown = {key: _Shown(self.name, key, values[key]) for key in self.keys}
        form = "{" + ", ".join(field.form for field in self.fields) + "}"
        return [user(self.text.format_map({**shown, FORM: form}))]

    def read(self, raw: str, item: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The fields of an answer: a JSON object of exactly these fields, each of its type and in its range.

        `item` is what was judged, where a field's values are told there. Raises ValueError, with one line, for
        anything else; nothing is guessed or mended.
        """
        text = raw.strip()
        fenced = _FENCE.fullmatch(text)
        if fenced and not self.fenced:
            raise ValueError("the JSON object stands in a code block; write it alone")
        try:
            found = json.loads(fenced.group(1) if fenced else text, object_pairs_hook=_once, parse_constant=_no_number)
        except json.JSONDecodeError as error:
            raise ValueError(f"it is no JSON object alone: {error.msg} at character {error.pos}") from None
        except RecursionError:
            raise ValueError("it is no JSON object alone: too deeply nested") from None
        return self.check(found, item)

    def check(self, found: object, item: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The same fields, checked, in the rubric's order. Raises ValueError as `read` does."""
        if not isinstance(found, dict):
            raise ValueError(f"it is a JSON {type(found).__name__}, not an object")
        names = [field.name for field in self.fields]
        lacking, strange = [n for n in names if n not in found], [str(n) for n in found if n not in names]
        if lacking:
            raise ValueError(f"the field {lacking[0]} is missing; there must be {', '.join(names)}")
        if strange:
            raise ValueError(f"there is no field {strange[0]!r}; there must be {', '.join(names)}")
        faults = (field.fault(found[field.name], item or {}) for field in self.fields)
        for fault in filter(None, faults):
            raise ValueError(fault)
        return {name: found[name] for name in names}


@dataclass(frozen=True)
class _Shown:
    """A value in a text: a text as it is, several with commas between them, numbered, or counted."""

    rubric: str
    key: str
    value: Any

    def __format__(self, spec: str) -> str:
        if not spec:
            return self.value if isinstance(self.value, str) else ", ".join(map(str, self.several()))
        if spec == "count":
            return str(len(self.several()))
        return "\n".join(f"{i}. {text}" for i, text in enumerate(self.several(), 1))

    def several(self) -> Sequence[Any]:
        if isinstance(self.value, str) or not isinstance(self.value, Sequence) or not self.value:
            raise ValueError(f"the rubric {self.rubric} needs a list of texts as {self.key}, not {self.value!r}")
        return self.value


@lru_cache
def rubrics() -> dict[str, Rubric]:
    """The rubrics that come with the library, by name."""
    return {name: _rubric(name, name, given) for name, given in read("rubrics").items()}


def load_rubrics(path: str | Path) -> dict[str, Rubric]:
    """Rubrics of a YAML file in the form of fixtures/prompts/rubrics.yaml, by name.

    Raises ValueError with one line that names the file, the rubric and what to change.
    """
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; name a YAML file of rubrics") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: it must map names to rubrics")
    return {str(name): _rubric(f"{path}: {name}", str(name), given) for name, given in content.items()}


def _rubric(where: str, name: str, given: Any) -> Rubric:
    if not isinstance(given, dict) or not isinstance(given.get("text"), str):
        raise ValueError(f"{where}: it needs a text")
    if not isinstance(given.get("fields"), dict) or not given["fields"]:
        raise ValueError(f"{where}: it needs fields, as fields: {{score: {{type: integer, low: 1, high: 10}}}}")
    _known(where, set(given), _KEYS)
    try:
        places = _places(given["text"])
    except ValueError as error:
        raise ValueError(f"{where}: {error}; write {{{{ and }}}} for braces") from None
    if FORM not in {key for key, _ in places}:
        raise ValueError(f"{where}: its text never asks for the answer; write {{{FORM}}} where it should")
    for key, spec in places:
        if not key.isidentifier() or spec not in _SPECS:
            raise ValueError(
                f"{where}: {{{key}:{spec}}} is no placeholder; write {{name}}, {{name:numbered}} or {{name:count}}"
            )
    fields = tuple(
        _field(f"{where}: {field}", str(field), content, {key for key, _ in places})
        for field, content in given["fields"].items()
    )
    return Rubric(name, given["text"], fields, bool(given.get("fenced", True)))


def _field(where: str, name: str, given: Any, keys: set[str]) -> Field:
    kind = given.get("type") if isinstance(given, dict) else None
    if kind not in TYPES:
        raise ValueError(f"{where}: its type is {kind!r}, none of {', '.join(TYPES)}")
    _known(where, set(given), _FIELD_KEYS)
    nullable = bool(given.get("nullable", False))
    if kind in ("number", "integer"):
        low, high = given.get("low"), given.get("high")
        if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high)) or low >= high:
            raise ValueError(f"{where}: a {kind} needs low and high, the first below the second")
        return Field(name, kind, low, high, nullable=nullable)
    if kind != "choice":
        return Field(name, kind, nullable=nullable)
    values = given.get("values")
    if isinstance(values, str) and values in keys:
        return Field(name, kind, among=values, nullable=nullable)
    if not isinstance(values, list) or len(set(map(str, values))) != len(values) or len(values) < 2:
        raise ValueError(f"{where}: its values are {values!r}; list two or more different ones, or name a placeholder")
    return Field(name, kind, values=tuple(map(str, values)), nullable=nullable)


def _known(where: str, given: set[Any], known: set[str]) -> None:
    unknown = sorted(str(key) for key in given - known)
    if unknown:
        raise ValueError(f"{where}: unknown key {unknown[0]}; there are {', '.join(sorted(known))}")


def _places(text: str) -> list[tuple[str, str]]:
    """The placeholders of a text: key and what stands behind the colon."""
    return [(key, spec or "") for _, key, spec, _ in Formatter().parse(text) if key is not None]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose fields stand once each: of two values for one, nobody knows which is meant."""
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"the field {twice} stands there twice")
    return dict(pairs)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _no_number(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON number")
