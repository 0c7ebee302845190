"""Subjects that look into a cache before they are asked, and are loaded when something is new."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from lab.files.digest import digest
from lab.files.plain import plain
from lab.subjects.api import ApiSubject
from lab.subjects.base import HookPoints, Speaker
from lab.subjects.cache import canonical
from lab.subjects.cache.store import Cache, Entry
from lab.subjects.effort import DONE, PRICE
from lab.subjects.hook_points import Outline
from lab.subjects.identity import source
from lab.subjects.results import Activations, Choice, Generation, Said, Store, Sweep
from lab.subjects.subject import Subject

FORMAT = 3
"""Of what is kept; another number makes all earlier entries stale."""

Result = TypeVar("Result")


def _bound(method: Callable[..., Any]) -> Callable[[Callable[[Any, dict[str, Any]], Any]], Any]:
    """A decorator: the call has the signature and docstring of `method`, and gets all arguments of it by name."""
    signature = inspect.signature(method)

    def decorated(ask: Callable[[Any, dict[str, Any]], Any]) -> Any:
        @functools.wraps(method)
        def call(self: CachedSpeaker, /, *args: Any, **kwargs: Any) -> Any:
            try:
                given = signature.bind(self, *args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{method.__name__}: {error}") from None
            given.apply_defaults()
            return ask(self, {name: value for name, value in given.arguments.items() if name != "self"})

        return call

    return decorated


def cached(name: str, identity: Mapping[str, Any], load: Callable[[], Any], cache: Cache) -> CachedSpeaker:
    """The subject that `load` gives, behind a cache: a `CachedSubject`, or a `CachedSpeaker` for one behind an API.

    Parameters
    ----------
    name
        What the user calls it.
    identity
        What determines the numbers it gives, as `lab.subjects.identity.identity` tells it.
    load
        Gives the subject; called once, when something is asked for that is not in the cache.
    cache
        Where results are kept.
    """
    kind = CachedSpeaker if "api" in identity else CachedSubject
    return kind(name, identity, load, cache)


class CachedSpeaker(Speaker):
    """A subject that speaks and chooses; what it said before is not asked for again.

    Its calls have the signatures of the subject's own, bound when they are asked for. Anything else is the loaded
    subject's own, also its errors.
    """

    def __init__(self, name: str, identity: Mapping[str, Any], load: Callable[[], Any], cache: Cache) -> None:
        self.name = name
        self._identity, self._load, self._cache = digest(identity), load, cache
        self._loaded: Any = None
        self._told: list[str] = []
        self._bypassed = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @property
    def fingerprint(self) -> str:
        """Of what determines the numbers it gives, as it was made."""
        return self._identity

    @property
    def is_loaded(self) -> bool:
        return self._loaded is not None

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        return getattr(self._subject(), attribute)

    @property
    def notes(self) -> list[str]:
        """How the model had to be run, now or when what was found in the cache was computed."""
        now = [] if self._loaded is None else self._loaded.notes
        return list(dict.fromkeys([*self._told, *now]))

    # Calls -------------------------------------------------------------------------------------------

    def _choose(self, arguments: dict[str, Any]) -> Choice:
        return self._once(Choice, "choose", arguments)

    def _chats(self, arguments: dict[str, Any]) -> list[list[list[str]]]:
        """What is said under each seed is kept by itself."""
        seeds = arguments["seeds"]
        return self._each(
            "chat",
            [self._key("chat", {**arguments, "seeds": [seed]}) for seed in seeds],
            lambda found: _restored(list, found),
            lambda subject, new: subject.chats(**{**arguments, "seeds": [seeds[i] for i in new]}),
            lambda texts, took: _entry(texts, self.notes, took),
        )

    def _replies(self, arguments: dict[str, Any]) -> list[Said]:
        """Each answer is kept by itself, and none that failed."""
        asked = arguments["conversations"]
        return self._each(
            "replies",
            [self._key("replies", {**arguments, "conversations": [conversation]}) for conversation in asked],
            lambda found: Said(*found.rows[0]),
            lambda subject, new: subject.replies(**{**arguments, "conversations": [asked[i] for i in new]}),
            lambda one, took: None if one.fault else _entry([[one.text, one.cut]], self.notes, took),
        )

    choose = _bound(ApiSubject.choose)(_choose)
    chats = _bound(ApiSubject.chats)(_chats)
    replies = _bound(ApiSubject.replies)(_replies)

    # Looking it up -----------------------------------------------------------------------------------

    def _subject(self) -> Any:
        """The subject itself, loaded if it is not yet."""
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    def _state(self) -> Any:
        """What was changed in the subject since it was loaded."""
        return None

    def _key(self, method: str, arguments: Mapping[str, Any]) -> str | None:
        """None where nothing is to be looked up or kept."""
        if self._bypassed or self._cache.mode == "off":
            return None
        try:
            return digest([FORMAT, self._identity, self._state(), method, canonical.call(arguments)])
        except (TypeError, ValueError, AttributeError, OverflowError):
            return None

    def _once(self, kind: type[Result], method: str, arguments: dict[str, Any]) -> Result:
        result: Result
        (result,) = self._each(
            method,
            [self._key(method, arguments)],
            lambda found: _restored(kind, found),
            lambda subject, _: [getattr(subject, method)(**arguments)],
            lambda made, took: _entry(made, self.notes, took),
        )
        return result

    def _each(
        self,
        method: str,
        keys: Sequence[str | None],
        restored: Callable[[Entry], Result],
        compute: Callable[[Any, list[int]], Sequence[Result]],
        entry: Callable[[Result, dict[str, Any]], Entry | None],
    ) -> list[Result]:
        """Results by their keys: those that are kept, and the others, by index, computed together.

        `entry` gives what is to be kept of one, or None.
        """
        known = {i: found for i, key in enumerate(keys) if (found := self._found(key)) is not None}
        results = {i: restored(found) for i, found in known.items()}
        for found in known.values():
            DONE.hits += 1
            PRICE.add(**found.facts["effort"])
        new = [i for i in range(len(keys)) if i not in results]
        if new:
            made, took = self._computed(lambda subject: compute(subject, new))
            for i, one in zip(new, made, strict=True):
                results[i], key = one, keys[i]
                kept_as = None if key is None else entry(one, took)
                if key is not None and kept_as is not None:
                    self._cache.put(key, kept_as)
                    took = dict.fromkeys(took, 0)  # what all of them took is counted once
        return [results[i] for i in range(len(keys))]

    def _computed(self, compute: Callable[[Any], Result]) -> tuple[Result, dict[str, Any]]:
        """What the subject gives, and what it took."""
        subject = self._subject()
        before, begun = dataclasses.asdict(DONE), time.monotonic()
        result = compute(subject)
        took = {name: DONE.since(before)[name] for name in ("passes", "tokens")}
        took["seconds"] = round(time.monotonic() - begun, 3)
        PRICE.add(**took)
        return result, took

    def _found(self, key: str | None) -> Entry | None:
        found = None if key is None else self._cache.get(key)
        if found is not None:
            self._tell(*found.facts["notes"])
        return found

    def _tell(self, *notes: str) -> None:
        self._told += [note for note in notes if note not in self._told]


class CachedSubject(CachedSpeaker, HookPoints):
    """A Hugging Face model that is loaded when something is asked for that is not in the cache.

    Hook points, patches and steering vectors are named without it, from the outline that is kept with the results.
    Whoever takes `model`, `blocks` or `anatomy` may change weights, so from then on everything is computed anew;
    `notes` says so. A tokenizer that is changed by hand is seen where its chat template is another.
    """

    def __init__(self, name: str, identity: Mapping[str, Any], load: Callable[[], Any], cache: Cache) -> None:
        super().__init__(name, identity, load, cache)
        self.hooked = bool(identity.get("enable_hooks", True))
        self._outline: Outline | None = None
        self._outlined = digest([FORMAT, self._identity, "outline"])
        self._settings: dict[str, Any] = {}
        self._attached: list[Any] = []
        self._worn: list[str | None] | None = None  # the adapter in force, where it is another than at first
        self._switches: list[_Switch] = []
        self._template: Any = None

    def __getattr__(self, attribute: str) -> Any:
        if attribute in ("model", "blocks", "anatomy"):
            self._bypass(f"`.{attribute}` was handed out")
        return super().__getattr__(attribute)

    @property
    def outline(self) -> Outline:
        known = self.kept_outline if self._loaded is None else None
        made: Outline = self._subject().outline if known is None else known
        return made

    @property
    def kept_outline(self) -> Outline | None:
        """The outline that the cache holds, or None."""
        if self._outline is None:
            found = self._found(self._outlined)
            self._outline = None if found is None else Outline.restored(found.facts["outline"])
        return self._outline

    @property
    def padding_side(self) -> Any:
        return self._subject().padding_side

    @padding_side.setter
    def padding_side(self, side: Any) -> None:
        self._set("padding_side", side)

    @property
    def tokens_per_batch(self) -> int:
        tokens: int = self._subject().tokens_per_batch
        return tokens

    @tokens_per_batch.setter
    def tokens_per_batch(self, tokens: int) -> None:
        self._set("tokens_per_batch", tokens)

    # Calls -------------------------------------------------------------------------------------------

    choose = _bound(Subject.choose)(CachedSpeaker._choose)
    chats = _bound(Subject.chats)(CachedSpeaker._chats)
    replies = _bound(Subject.replies)(CachedSpeaker._replies)

    @_bound(Subject.generate)
    def generate(self, arguments: dict[str, Any]) -> Generation:
        return self._once(Generation, "generate", arguments)

    @_bound(Subject.patch_sweep)
    def patch_sweep(self, arguments: dict[str, Any]) -> Sweep:
        return self._once(Sweep, "patch_sweep", {**arguments, "at": self._named(arguments["at"])})

    @_bound(Subject.capture)
    def capture(self, arguments: dict[str, Any]) -> Activations:
        found = self._once(Activations, "capture", {**arguments, "at": self._named(arguments["at"])})
        if arguments["out"] is None or isinstance(found.array, np.memmap):  # a new result is a map of that file already
            return found
        with Store(found.array.shape, arguments["out"]) as store:
            store.put(list(range(len(found.array))), found.array)
        return dataclasses.replace(found, array=store.array)

    def add_adapter(self, folder: str | Path, name: str = "default") -> None:
        """As `Subject.add_adapter`; what is computed with the adapter is kept under its files' content."""
        self._subject().add_adapter(folder, name)
        self._attached.append([name, source(folder)])
        self._worn = [name]
        if self._switches:
            self._bypass("an adapter was added inside of `with subject.adapter(...)`")

    def adapter(self, name: str | None) -> _Switch:
        """As `Subject.adapter`."""
        if name is not None and name not in self.outline.adapters:
            self._subject().adapter(name)  # raises
        return _Switch(self, name)

    # The subject itself ------------------------------------------------------------------------------

    def _subject(self) -> Any:
        if self._loaded is None:
            subject = super()._subject()
            self._template = _template(subject)
            self._cache.put(self._outlined, Entry({"outline": subject.outline.plain(), "notes": list(subject.notes)}))
            for switch in self._switches:
                switch.turn(subject)
        return self._loaded

    def _state(self) -> Any:
        template = _template(self._loaded)
        changed = [template] if self._loaded is not None and template != self._template else None
        return [self._settings, self._attached, self._worn, changed]

    def _set(self, setting: str, value: Any) -> None:
        setattr(self._subject(), setting, value)
        self._settings[setting] = value

    def _bypass(self, why: str) -> None:
        self._bypassed = True
        self._tell(f"{why}: from then on it was computed anew, past the cache")


class _Switch:
    """While it lasts, the subject runs with one adapter, or with none; one that is not loaded yet does so then."""

    def __init__(self, owner: CachedSubject, name: str | None) -> None:
        self._owner, self._name, self._held = owner, name, ExitStack()

    def turn(self, subject: Any) -> None:
        self._held.enter_context(subject.adapter(self._name))

    def __enter__(self) -> None:
        owner = self._owner
        self._before, owner._worn = owner._worn, [self._name]
        owner._switches.append(self)
        if owner._loaded is not None:
            self.turn(owner._loaded)

    def __exit__(self, *_: object) -> None:
        owner = self._owner
        owner._switches.remove(self)
        owner._worn = self._before
        self._held.close()


def _template(subject: Any) -> Any:
    return getattr(getattr(subject, "tokenizer", None), "chat_template", None)


# Entries ---------------------------------------------------------------------------------------------


def _entry(result: Any, notes: list[str], effort: Mapping[str, float]) -> Entry:
    """A result of `lab.subjects.results`, or the answers of `chat`, with the notes that go with it and what it took."""
    about: dict[str, Any] = {"notes": notes, "effort": dict(effort)}
    if isinstance(result, list):
        return Entry(about, rows=result)
    if isinstance(result, Generation):
        rows = [list(pair) for pair in zip(result.texts, result.tokens, strict=True)]
        return Entry(about, rows=rows)
    held = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    arrays = {name: value for name, value in held.items() if isinstance(value, np.ndarray)}
    facts = {name: plain(value) for name, value in held.items() if name not in arrays}
    return Entry({"result": facts, **about}, arrays)


def _restored(kind: type[Result], kept: Entry) -> Result:
    """The result of this kind that `entry` was made of, equal to the bit."""
    if kind is list:
        return list(kept.rows)  # type: ignore[return-value]
    if kind is Generation:
        texts, tokens = ([row[i] for row in kept.rows] for i in (0, 1))
        return kind(texts, tokens)  # type: ignore[call-arg]
    facts = {name: tuple(v) if isinstance(v, list) else v for name, v in kept.facts["result"].items()}
    return kind(**facts, **kept.arrays)
