"""One form for the arguments of a call, whatever containers and numbers they came in: equal calls have one key.

What a subject would not take, or what cannot be told apart with certainty, is a TypeError or ValueError here: the
subject is then asked itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from numbers import Real
from operator import index
from typing import Any

import numpy as np

from lab.subjects.edits import Edit
from lab.subjects.hook_points import HookPoint


def call(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments of a call, by name, each in its one form; where a result is written to is left out.

    Raises KeyError for a parameter whose form is not known here.
    """
    if "seeds" in arguments and arguments["seeds"] is None:  # each prompt's own index
        arguments = {**arguments, "seeds": range(len(arguments["prompts"]))}
    return {name: FORMS[name](value) for name, value in arguments.items() if name != "out"}


def _whole(number: Any) -> int:
    """A whole number as a plain one; a float is a TypeError."""
    return int(index(number))


def _number(given: Any) -> float:
    """A number of any kind as a float."""
    if not isinstance(given, Real):
        raise TypeError(f"a {type(given).__name__} is no number")
    return float(given)


def _prompts(given: Any) -> list[Any]:
    """Texts, conversations and lists of token ids."""
    return [_prompt(prompt) for prompt in _items(given)]


def _options(given: Any) -> list[Any]:
    """One list of texts, or a list of them for each prompt."""
    return [_text(these) if isinstance(these, str) else [_text(o) for o in _items(these)] for these in _items(given)]


def _position(given: Any) -> Any:
    """A name, a number, a slice, or numbers for each prompt."""
    given = given.tolist() if isinstance(given, np.ndarray | np.generic) else given
    if isinstance(given, str):
        return _text(given)
    if isinstance(given, slice):
        return {"slice": [None if i is None else _whole(i) for i in (given.start, given.stop, given.step)]}
    if isinstance(given, int):
        return _whole(given)
    return [_whole(p) if isinstance(p, int | np.integer) else [_whole(i) for i in _items(p)] for p in _items(given)]


def _hook_point(at: HookPoint) -> list[Any]:
    heads = None if at.heads is None else [_whole(head) for head in at.heads]
    return [at.point, [_whole(layer) for layer in at.layers], at.norm, heads]


def _edits(given: Any) -> list[Any]:
    """No edit, one, or several."""
    listed = [] if given is None else [given] if isinstance(given, Edit) else _items(given)
    return [
        [_hook_point(e.at), np.asarray(e.values), _position(e.position), bool(e.decoding), _text(e.how)] for e in listed
    ]


def _answers(given: Any) -> Any:
    """Token ids of right and wrong answers; one may stand for all pairs."""
    if given is None:
        return None
    right, wrong = (np.atleast_1d(np.asarray(ids, dtype=np.int64)) for ids in _items(given))
    return [right, wrong]


def _items(given: Any) -> list[Any]:
    if isinstance(given, str | bytes | Mapping | Set) or not hasattr(given, "__len__"):
        raise TypeError(f"a {type(given).__name__} is no list")
    return list(given)


def _text(given: Any) -> str:
    return str.__str__(given)  # of numpy's and other kinds of str the text alone


def _prompt(given: Any) -> Any:
    if isinstance(given, str):
        return _text(given)
    items = _items(given)
    if items and isinstance(items[0], dict):
        return [{_text(key): _content(value) for key, value in message.items()} for message in items]
    return [_whole(token) for token in items]


def _content(value: Any) -> Any:
    """A part of a chat message. Within it a template may write mappings in the order of their keys, so that counts."""
    if type(value) is dict:
        return {str(i): [_text(key), _content(item)] for i, (key, item) in enumerate(value.items())}
    if type(value) is list:
        return [_content(item) for item in value]
    if isinstance(value, str):
        return _text(value)
    if value is None or type(value) in (bool, int, float):
        return value
    raise TypeError(f"a {type(value).__name__} in a message")


FORMS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("prompts", "conversations", "clean", "corrupted"), _prompts),
    **dict.fromkeys(("position", "positions"), _position),
    **dict.fromkeys(("n", "seed", "max_new_tokens"), _whole),
    **dict.fromkeys(("temperature", "top_p"), _number),
    **dict.fromkeys(("per_token", "pooled"), bool),
    "options": _options,
    "at": _hook_point,
    "edit": _edits,
    "answers": _answers,
    "seeds": lambda given: np.asarray(given).ravel().tolist(),
    "max_tokens": lambda given: None if given is None else _whole(given),
    "effort": lambda given: None if given is None else _text(given),
}
"""The form of each parameter of a subject's calls, by its name."""
