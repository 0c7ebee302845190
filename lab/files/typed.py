"""Plain JSON values as annotated Python types: read as one, and described by a JSON schema."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null", dict: "object"}


@lru_cache
def fields_of(kind: Any) -> dict[str, tuple[Any, bool]]:
    """For each field of a dataclass or TypedDict its type, and whether a value may lack it."""
    hints = get_type_hints(kind, include_extras=True)
    if is_typeddict(kind):
        # not of `__optional_keys__`, which Python 3.11 fills wrongly where annotations are strings
        unwrapped = {name: (get_args(hint) or (hint,))[0] for name, hint in hints.items()}
        return {n: (unwrapped[n], True) if get_origin(h) is NotRequired else (h, False) for n, h in hints.items()}
    none = dataclasses.MISSING
    return {
        field.name: (hints[field.name], field.default is not none or field.default_factory is not none)
        for field in dataclasses.fields(kind)
    }


def read_as(kind: Any, value: Any) -> Any:
    """A plain JSON value as the type `kind`: dataclasses are built, lists become tuples where `kind` says so.

    Raises ValueError, one line, for a value of another type, and for a field that is missing or unknown.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, UnionType):
        for one in arguments:
            with suppress(ValueError):
                return read_as(one, value)
    elif origin is Literal and value in arguments:
        return value
    elif origin in (dict, Mapping) and isinstance(value, dict):
        return value if arguments[1] is Any else {key: read_as(arguments[1], item) for key, item in value.items()}
    elif origin is list and isinstance(value, list):
        return value if arguments[0] is Any else [read_as(arguments[0], item) for item in value]
    elif origin is tuple and isinstance(value, list):
        kinds = arguments[:1] * len(value) if arguments[-1] is ... else arguments
        if len(kinds) == len(value):
            return tuple(read_as(one, item) for one, item in zip(kinds, value, strict=True))
    elif dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return _built(kind, value)
    elif isinstance(value, bool):
        if kind is bool:
            return value
    elif isinstance(kind, type) and isinstance(value, (int, float) if kind is float else kind):
        return value
    raise ValueError(f"{repr(value)[:60]} is no {getattr(kind, '__name__', kind)}")


def _built(kind: Any, value: Mapping[str, Any]) -> Any:
    known = fields_of(kind)
    for name in value.keys() - known.keys():
        raise ValueError(f"{name!r} is not known")
    for name in [name for name, (_, may_lack) in known.items() if name not in value and not may_lack]:
        raise ValueError(f"{name!r} is missing")
    try:
        return kind(**{name: read_as(known[name][0], item) for name, item in value.items()})
    except TypeError as error:
        raise ValueError(str(error)) from None


def schema_of(kind: Any) -> dict[str, Any]:
    """The JSON schema (2020-12) of a type.

    Dataclasses and TypedDicts become closed objects, and `Annotated[int, {"minimum": 1}]` adds to a type's schema.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return {}
    if origin is Annotated:
        return {**schema_of(arguments[0]), **arguments[1]}
    if origin in (Union, UnionType):
        return {"anyOf": [schema_of(one) for one in arguments]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": schema_of(arguments[1])}
    if origin is list or (origin is tuple and arguments[-1] is ...):
        return {"type": "array", "items": schema_of(arguments[0])}
    if origin is tuple:
        n = len(arguments)
        return {"type": "array", "prefixItems": [schema_of(one) for one in arguments], "minItems": n, "maxItems": n}
    if dataclasses.is_dataclass(kind) or is_typeddict(kind):
        said, fields = texts_of(kind), fields_of(kind)
        return {
            "type": "object",
            "description": first_line(kind),
            "properties": {
                name: schema_of(hint) | ({"description": said[name]} if name in said else {})
                for name, (hint, _) in fields.items()
            },
            "required": [name for name, (_, may_lack) in fields.items() if not may_lack],
            "additionalProperties": False,
        }
    return {"type": _NAMES[kind]}


def first_line(kind: type) -> str:
    """The first paragraph of a class's docstring, in one line."""
    return " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())


def texts_of(kind: type) -> dict[str, str]:
    """The docstring beneath each field of a class, and of those that it inherits from."""
    found: dict[str, str] = {}
    for one in reversed([base for base in kind.__mro__ if base.__module__ == kind.__module__]):
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
        assert isinstance(tree, ast.ClassDef)
        for field, text in zip(tree.body, tree.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                found[ast.unparse(field.target)] = " ".join(str(text.value.value).split())
    return found
