"""Has this subject done this before? Subjects that look into the cache first, and are loaded when something is new."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from lab.files.digest import digest
from lab.subjects.answers import Said
from lab.subjects.cache import canonical, kept
from lab.subjects.cache.store import Cache, Entry
from lab.subjects.edits import Edit
from lab.subjects.effort import DONE, PRICE
from lab.subjects.identity import source
from lab.subjects.outline import Outline
from lab.subjects.places import Site
from lab.subjects.prompts import Position, Prompt
from lab.subjects.results import Activations, Choice, Generation, Sweep
from lab.subjects.sites import Sites
from lab.subjects.store import Store

FORMAT = 2
"""Of what is kept; another number makes all earlier entries stale."""

Edits = Edit | Sequence[Edit] | None
Result = TypeVar("Result")


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


class CachedSpeaker:
    """A subject that speaks and chooses; what it said before is not asked for again.

    Anything but `choose` and `chat` is the loaded subject's own, also its errors.
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

    def choose(
        self,
        prompts: Sequence[Prompt],
        options: Sequence[str] | Sequence[Sequence[str]],
        *,
        per_token: bool = False,
        edit: Edits = None,
        **server: Any,
    ) -> Choice:
        """As `Subject.choose`, or `ApiSubject.choose` with its temperature and seed."""
        return self._once(
            Choice,
            "choose",
            lambda: [
                canonical.prompts(prompts),
                canonical.options(options),
                bool(per_token),
                canonical.edits(edit),
                {key: canonical.number(v) if key == "temperature" else canonical.whole(v) for key, v in server.items()},
            ],
            lambda subject: subject.choose(prompts, options, per_token=per_token, **_given(edit), **server),
        )

    def chat(
        self,
        conversations: Sequence[Prompt],
        *,
        n: int = 1,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        max_new_tokens: int = 64,
        edit: Edits = None,
    ) -> list[list[str]]:
        """As `Subject.chat`."""
        (said,) = self.chats(
            conversations,
            [seed],
            n=n,
            temperature=temperature,
            top_p=top_p,
            max_new_tokens=max_new_tokens,
            edit=edit,
        )
        return said

    def chats(
        self,
        conversations: Sequence[Prompt],
        seeds: Sequence[int],
        *,
        n: int = 1,
        temperature: float = 0.0,
        top_p: float = 1.0,
        max_new_tokens: int = 64,
        edit: Edits = None,
    ) -> list[list[list[str]]]:
        """As `Subject.chats`. What is said under each seed is kept by itself."""
        settings = {"n": n, "temperature": temperature, "top_p": top_p, "max_new_tokens": max_new_tokens}

        def key_of(seed: int) -> str | None:
            return self._key(
                "chat",
                lambda: [
                    canonical.prompts(conversations),
                    *map(canonical.whole, (n, seed, max_new_tokens)),
                    *map(canonical.number, (temperature, top_p)),
                    canonical.edits(edit),
                ],
            )

        return self._each(
            "chat",
            [key_of(seed) for seed in seeds],
            lambda found: kept.restored(list, found),
            lambda subject, new: subject.chats(conversations, [seeds[i] for i in new], **settings, **_given(edit)),
            lambda said, took: kept.entry(said, self.notes, took),
        )

    def replies(self, conversations: Sequence[Prompt], *, max_new_tokens: int, effort: str | None = None) -> list[Said]:
        """As `Subject.replies`. Each answer is kept by itself, and none that failed."""

        def key_of(conversation: Prompt) -> str | None:
            return self._key(
                "replies", lambda: [canonical.prompts([conversation]), canonical.whole(max_new_tokens), effort]
            )

        def asked(subject: Any, new: list[int]) -> list[Said]:
            said: list[Said] = subject.replies(
                [conversations[i] for i in new], max_new_tokens=max_new_tokens, effort=effort
            )
            return said

        return self._each(
            "replies",
            [key_of(conversation) for conversation in conversations],
            lambda found: Said(*found.rows[0]),
            asked,
            lambda one, took: None if one.fault else kept.entry([[one.text, one.cut]], self.notes, took),
        )

    # Looking it up -----------------------------------------------------------------------------------

    def _subject(self) -> Any:
        """The subject itself, loaded if it is not yet."""
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    def _state(self) -> Any:
        """What was changed in the subject since it was loaded."""
        return None

    def _key(self, method: str, arguments: Callable[[], Any]) -> str | None:
        """None where nothing is to be looked up or kept."""
        if self._bypassed or self._cache.mode == "off":
            return None
        try:
            return digest([FORMAT, self._identity, self._state(), method, arguments()])
        except (TypeError, ValueError, AttributeError, OverflowError):
            return None

    def _once(
        self,
        kind: type[Result],
        method: str,
        arguments: Callable[[], Any],
        compute: Callable[[Any], Result],
    ) -> Result:
        (result,) = self._each(
            method,
            [self._key(method, arguments)],
            lambda found: kept.restored(kind, found),
            lambda subject, _: [compute(subject)],
            lambda made, took: kept.entry(made, self.notes, took),
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
        before, begun = asdict(DONE), time.monotonic()
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


class CachedSubject(CachedSpeaker, Sites):
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

    def capture(
        self,
        prompts: Sequence[Prompt],
        at: str | Site,
        position: Position = "last",
        *,
        pooled: bool = False,
        edit: Edits = None,
        max_tokens: int | None = None,
        out: str | Path | None = None,
    ) -> Activations:
        """As `Subject.capture`. What is in the cache is written to `out` from there."""
        site = self._named(at)
        fresh: list[Activations] = []

        def compute(subject: Any) -> Activations:
            settings: dict[str, Any] = {"pooled": pooled, "edit": edit, "max_tokens": max_tokens, "out": out}
            fresh.append(subject.capture(prompts, site, position, **settings))
            return fresh[0]

        result = self._once(
            Activations,
            "capture",
            lambda: [
                canonical.prompts(prompts),
                canonical.site(site),
                canonical.position(position),
                canonical.edits(edit),
                None if max_tokens is None else canonical.whole(max_tokens),
                *["pooled"] * bool(pooled),
            ],
            compute,
        )
        if out is None or fresh:
            return result
        with Store(result.array.shape, out) as store:
            store.put(list(range(len(result.array))), result.array)
        return replace(result, array=store.array)

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int = 16,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seeds: Sequence[int] | Sequence[Sequence[int]] | None = None,
        edit: Edits = None,
    ) -> Generation:
        """As `Subject.generate`."""
        settings: dict[str, Any] = {
            "max_new_tokens": max_new_tokens,
            "temperature": temperature,
            "top_p": top_p,
            "seeds": seeds,
        }
        return self._once(
            Generation,
            "generate",
            lambda: [
                canonical.prompts(prompts),
                canonical.whole(max_new_tokens),
                *map(canonical.number, (temperature, top_p)),
                np.asarray(range(len(prompts)) if seeds is None else seeds).ravel().tolist(),
                canonical.edits(edit),
            ],
            lambda subject: subject.generate(prompts, **settings, edit=edit),
        )

    def patch_sweep(
        self,
        clean: Sequence[Prompt],
        corrupted: Sequence[Prompt],
        at: str | Site = "resid_post",
        positions: Position = "last",
        *,
        answers: tuple[Sequence[int], Sequence[int]] | None = None,
    ) -> Sweep:
        """As `Subject.patch_sweep`."""
        site = self._named(at)
        return self._once(
            Sweep,
            "patch_sweep",
            lambda: [
                canonical.prompts(clean),
                canonical.prompts(corrupted),
                canonical.site(site),
                canonical.position(positions),
                canonical.answers(answers),
            ],
            lambda subject: subject.patch_sweep(clean, corrupted, site, positions, answers=answers),
        )

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


def _given(edit: Edits) -> dict[str, Any]:
    """An API's model takes no edit at all."""
    return {} if edit is None else {"edit": edit}
