"""Types are read from plain JSON, and described by a schema that holds for the same values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import jsonschema
import pytest

from lab.files.typed import read_as, schema_of


@dataclass(frozen=True)
class Inner:
    """An inner one."""

    x: float
    """A number."""


@dataclass(frozen=True)
class Outer:
    inner: Inner
    pair: tuple[str, int]
    kind: Literal["a", "b"]
    words: tuple[str, ...] = ()
    more: dict[str, list[int]] | None = None


class Told(TypedDict):
    n: Annotated[int, {"minimum": 1}]
    text: NotRequired[str]


WHOLE: dict[str, Any] = {"inner": {"x": 1.5}, "pair": ["a", 1], "kind": "b"}


@pytest.mark.parametrize("more", [{}, {"words": ["a", "b"]}, {"more": {"a": [1]}}, {"more": None}])
def test_what_fits_a_type_fits_its_schema(more):
    made = read_as(Outer, WHOLE | more)
    assert (made.inner, made.pair, made.words) == (Inner(1.5), ("a", 1), tuple(more.get("words", ())))
    jsonschema.validate(WHOLE | more, schema_of(Outer))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"inner": {"x": "1"}}, "'1' is no float"),
        ({"inner": {}}, "'x' is missing"),
        ({"inner": {"x": 1, "y": 2}}, "'y' is not known"),
        ({"pair": ["a"]}, " is no "),
        ({"pair": ["a", True]}, "True is no int"),
        ({"kind": "c"}, "'c' is no "),
        ({"words": [1]}, "1 is no str"),
        ({"more": {"a": [None]}}, " is no "),
    ],
)
def test_what_does_not_fit_a_type_does_not_fit_its_schema(change, why):
    with pytest.raises(ValueError, match=why):
        read_as(Outer, WHOLE | change)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(WHOLE | change, schema_of(Outer))


def test_a_mapping_may_lack_what_is_not_required_and_has_the_bounds_that_it_names():
    schema = schema_of(Told)
    jsonschema.validate({"n": 1}, schema)
    for wrong in ({}, {"n": 0}, {"n": 1, "text": 2}, {"n": 1, "more": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_a_schema_says_of_each_field_what_its_docstring_says():
    assert schema_of(Inner)["description"] == "An inner one."
    assert schema_of(Inner)["properties"]["x"] == {"type": "number", "description": "A number."}
