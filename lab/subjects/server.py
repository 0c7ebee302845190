"""One OpenAI-compatible server: requests that are repeated, remembered and explained. Its key stays in the client."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lab.subjects import operations
from lab.subjects.cache.store import Cache, Entry
from lab.subjects.effort import DONE
from lab.subjects.errors import LoadError, NoAnswer, RequestError, SubjectError

if TYPE_CHECKING:
    import openai

Request = dict[str, Any]

_LONG = 20  # more requests than this have a progress bar
_GIVE_UP = 8  # requests in a row without an answer, after which `replies` sends no more
_REFUSABLE = {
    "temperature": "the server takes no temperature: answers are drawn at its own, greedy ones too",
    "top_p": "the server takes no top_p: answers are drawn from all tokens",
    "seed": "the server takes no seed: the same call draws other answers, unless they are in the cache",
    "logprobs": "the server gives no log-probabilities: choices are settled by sampling",
    "max_completion_tokens": None,  # the same limit under its older name, max_tokens
    "reasoning_effort": None,  # a model that does not reason has none
}
"""Parameters that a server may refuse, and what is noted of the answers that it gives without them."""

_REFUSAL = re.compile(
    r"un(supported|recogni[sz]ed|known|expected)|deprecated|extra (input|field)"
    r"|n[o']t (be )?(\w+ )?(support|allow|permit|recogni|enabl|accept|implement|available)",
    re.IGNORECASE,
)
"""A parameter that is not taken at all, as servers say it; an error in its value must not be dropped with it."""

_NO_ROOM = re.compile("max_tokens or model output limit was reached", re.IGNORECASE)
"""OpenAI's 400 for a reasoning model whose thoughts alone fill the token limit."""


@dataclass(frozen=True)
class Usage:
    """What a subject has cost so far.

    `requests` counts every one sent, `retries` those among them that repeated a failed one, `cached` the
    answers that were found in the cache instead. Tokens are counted by the server.
    """

    requests: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    retries: int = 0


@dataclass(frozen=True)
class Reply:
    """What a server answered: its text, whether the token limit `cut` it, the likeliest first tokens with
    their log-probabilities, and which parameters it was asked `without`, because it refuses them.
    """

    text: str = ""
    cut: bool = False
    top: list[tuple[str, float]] | None = None
    without: tuple[str, ...] = ()

    @property
    def silent(self) -> bool:
        """Cut before its first word, as reasoning models are that think beyond the limit."""
        return self.cut and not self.text.strip()


class Server:
    """A model of an OpenAI-compatible server, and what it answered: in memory, and in a cache where there is one.

    Attributes
    ----------
    client, model
        OpenAI's own client, and the server's name for the model.
    address
        The server's address, without any credentials in it.
    cache
        Where replies outlive this process, or None.
    usage, notes
        As `ApiSubject` has them.
    """

    def __init__(
        self, client: openai.OpenAI, model: str, cache: Cache | None, *, name: str, address: str, concurrency: int
    ) -> None:
        self.client, self.model, self.cache, self.name, self.address = client, model, cache, name, address
        self.usage = Usage()
        self.notes: list[str] = []
        self._replies: dict[str, Reply] = {}
        self._clean = _cleaner()
        self._lock = threading.Lock()
        # One pool for the subject's life, so that the limit holds over all its calls.
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="lab-api")
        self._refused: set[str] = set()

    def request(self, messages: list[Any], limit: int, temperature: float, **more: Any) -> Request:
        return {
            "model": self.model,
            "messages": messages,
            "max_completion_tokens": int(limit),
            "temperature": float(temperature),
            **more,
        }

    def ask(self, requests: list[Request]) -> list[Reply]:
        """Replies in the order of the requests, of which only those are sent that the cache does not know."""
        self.send(requests)
        return self.known(requests)

    def known(self, requests: list[Request]) -> list[Reply]:
        """Replies in the cache, in the order of their requests; what they were asked without is noted."""
        replies = [self._replies[digest(request)] for request in requests]
        for name in sorted({name for reply in replies for name in reply.without}):
            self.note(_REFUSABLE.get(name))
        return replies

    def send(self, requests: list[Request], faults: dict[str, str] | None = None) -> None:
        """Fills the cache with what it does not know. An error or Ctrl-C cancels what is still queued.

        Where there are `faults`, those of single requests stand there by the requests' keys instead.
        """
        from tqdm import tqdm

        distinct = {digest(request): request for request in requests}
        new = {key: request for key, request in distinct.items() if not self._found(key)}
        self._count(cached=len(distinct) - len(new))
        futures: dict[Future[None], str] = {}
        silent = 0  # requests in a row
        quiet = len(new) <= _LONG or not sys.stderr.isatty()
        try:
            for key, request in new.items():
                futures[self._pool.submit(self._answer, key, request)] = key
            with operations.of("ask", total=len(futures), unit="requests") as advance:
                for done in tqdm(as_completed(futures), self.name, len(futures), unit="request", disable=quiet):
                    advance(1)
                    try:
                        done.result()
                        silent = 0
                    except (RequestError, CancelledError) as error:
                        if faults is None:
                            raise
                        faults[futures[done]] = str(error) or f"not sent, after {_GIVE_UP} without an answer"
                        silent += isinstance(error, NoAnswer)
                    if silent == _GIVE_UP:
                        for future in futures:
                            future.cancel()
        except BaseException:
            for future in futures:
                future.cancel()
            raise

    def _answer(self, key: str, request: Request) -> None:
        """Asks until nothing in the request is refused any more, and keeps the reply."""
        while True:
            if "logprobs" in request and "logprobs" in self._refused:
                reply = Reply()
                break
            sent = {name: value for name, value in request.items() if name not in self._refused}
            if "max_completion_tokens" not in sent:
                sent["max_tokens"] = request["max_completion_tokens"]
            outcome = self._post(sent)
            if isinstance(outcome, SubjectError):
                raise outcome
            if isinstance(outcome, Reply):
                reply = outcome
                break
            self._refused.add(outcome)
        # The key is of the request as it was meant: samples differ by their seeds also where those are refused.
        missed = [name for name in _REFUSABLE if name in self._refused and name in request and _REFUSABLE[name]]
        self._keep(key, replace(reply, without=tuple(missed)))

    def _found(self, key: str) -> bool:
        """Whether the reply is known, taken from the cache where it is there."""
        if key not in self._replies and self.cache is not None and (entry := self.cache.get(key)) is not None:
            self._replies[key] = Reply(**entry.facts)
        return key in self._replies

    def _keep(self, key: str, reply: Reply) -> None:
        with self._lock:
            self._replies[key] = reply
            if self.cache is None or self.cache.mode != "write":
                return
            self.cache.put(key, Entry(asdict(reply)))
            if self.cache.mode != "write":
                raise SubjectError(f"the answers cannot be kept in {self.cache.folder}; name another folder")

    def _post(self, sent: Request) -> Reply | str | SubjectError:
        """Sends one request: the reply, the name of the parameter that the server refuses, or what went wrong.

        Errors are returned, to be raised where no exception of the client's, which knows the key, hangs on them.
        """
        import openai

        try:
            DONE.requests += 1
            response = self.client.chat.completions.with_raw_response.create(**sent)
        except openai.APIError as error:
            retries = int(error.request.headers.get("x-stainless-retry-count", 0))
            self._count(requests=1 + retries, retries=retries)
            if isinstance(error, openai.BadRequestError) and _NO_ROOM.search(_reason(error)):
                return "logprobs" if "logprobs" in sent else Reply(cut=True)
            return _refused(error, sent) or self._explained(error, 1 + retries)
        except Exception as error:  # what the client does not wrap is told the same way
            return RequestError(f"a request to {self.address} failed: {self.told(repr(error))}")
        self._count(requests=1 + response.retries_taken, retries=response.retries_taken)
        try:
            body = json.loads(response.text)
            reply, (prompt, completion) = read_reply(body), token_counts(body)
        except (ValueError, TypeError, LookupError, AttributeError):
            return RequestError(
                f"{self.address} did not answer with a chat completion but with {self.told(response.text)!r}; "
                "check that it speaks OpenAI's API and that the base_url is whole (most end in /v1)"
            )
        self._count(prompt_tokens=prompt, completion_tokens=completion)
        DONE.tokens += prompt + completion
        if "logprobs" in sent and reply.top is None:
            return "logprobs"
        if completion > sent.get("max_completion_tokens", completion):
            return "max_completion_tokens"  # unknown to the server, which said nothing and wrote on
        return replace(reply, text=self._clean(reply.text))

    def _explained(self, error: openai.APIError, tries: int) -> SubjectError:
        """One line: what failed, how often it was tried, what to do."""
        status = getattr(error, "status_code", None)
        said = self.told(_reason(error))
        if status == 401:  # its text may hold the half of the key
            return SubjectError(
                f"{self.address} does not accept the key (HTTP 401); set OPENAI_API_KEY to a key of this server"
            )
        if status == 403:
            return SubjectError(
                f"{self.address} does not let this key use {self.model!r} (HTTP 403: {said}); "
                "set OPENAI_API_KEY to a key that may, or take another model"
            )
        if status == 404:
            return SubjectError(
                f"{self.address} has no model {self.model!r} (HTTP 404: {said}); "
                "check the name, and that the base_url is whole (most end in /v1)"
            )
        if status is not None and status not in (408, 409, 429) and status < 500:
            return RequestError(
                f"{self.address} refused a request (HTTP {status}: {said}); mend what it names and run again"
            )
        kept = f"are in {self.cache.folder}" if self.cache else "are kept in memory only; pass cache= for a folder"
        what = f"HTTP {status}: {said}" if status else said
        return NoAnswer(
            f"{self.address} did not answer after {tries} tries ({what}); check the server or the rate limit, lower "
            f"the concurrency or raise timeout or retries, and run again; finished answers {kept}"
        )

    def told(self, text: str) -> str:
        """What a server says, for an error of ours: one line, without the key, cut only then."""
        return self._clean(" ".join(text.split()))[:160]

    def _count(self, **more: int) -> None:
        with self._lock:
            self.usage = Usage(**{name: value + more.get(name, 0) for name, value in asdict(self.usage).items()})

    def note(self, note: str | None) -> None:
        with self._lock:
            if note and note not in self.notes:
                self.notes.append(note)


def _refused(error: openai.APIError, sent: Request) -> str | None:
    """The parameter of ours that the server does not take, if that is what the error says."""
    if getattr(error, "status_code", None) not in (400, 403, 422):  # 403 is OpenAI's for logprobs
        return None
    text = f"{error.code} {error.message} {error.body}"  # its message may be a part of its body
    if "logprobs" in sent and (re.search("logprobs", text, re.IGNORECASE) or "logprobs" in str(error.param)):
        return "logprobs"  # refused for its value, as a limit below 20, it is no less useless
    names = [name for name in _REFUSABLE if name in sent and re.search(rf"\b{name}\b", text, re.IGNORECASE)]
    if error.param in sent and error.param in _REFUSABLE:
        names.insert(0, error.param)
    return names[0] if names and _REFUSAL.search(text) else None


def _reason(error: openai.APIError) -> str:
    """The reason that the server gives, or the network."""
    if error.body is None:
        return f"{error.message} {error.__cause__ or ''}"
    body = error.body
    return str((body.get("message") or body.get("detail") or body) if isinstance(body, dict) else body)


def digest(request: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def read_reply(body: Any) -> Reply:
    """The first choice of a chat completion. Raises on any other shape."""
    choice = body["choices"][0]
    text = choice["message"].get("content") or choice["message"].get("refusal") or ""
    if not isinstance(text, str):
        raise TypeError("content is not a text")
    given = (choice.get("logprobs") or {}).get("content")
    top = [(str(t["token"]), float(t["logprob"])) for t in given[0]["top_logprobs"]] if given else None
    return Reply(text, choice.get("finish_reason") == "length", top)


def token_counts(body: Any) -> tuple[int, int]:
    usage = body.get("usage") or {}
    return int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)


# Keys and addresses ----------------------------------------------------------------------------------


def fault_of(base_url: str | None) -> str | None:
    """What is wrong with the address or the key, and what to do; None where they can be used."""
    return _address_fault(_base_url(base_url)) or _key_fault(base_url)


def connect(
    model: str,
    *,
    name: str,
    base_url: str | None,
    folder: str | Path | None,
    concurrency: int,
    timeout: float,
    retries: int,
) -> Server:
    """The server of `lab.subjects.api.connect`; answers are kept in a folder of its own in `folder`."""
    from openai import OpenAI

    client = OpenAI(api_key=_key() or "none", base_url=_base_url(base_url), timeout=timeout, max_retries=retries)
    address = _shown(str(client.base_url))
    cache = None if folder is None else Cache(_own_folder(Path(folder).expanduser(), address, model))
    return Server(client, model, cache, name=name, address=address, concurrency=concurrency)


def _own_folder(folder: Path, server: str, model: str) -> Path:
    """A name that a reader knows, and that no two models share."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LoadError(f"answers cannot be kept in {folder} ({error.strerror}); name another folder") from None
    mark = hashlib.sha256(f"{server}\n{model}".encode()).hexdigest()[:8]
    return folder / f"{re.sub(r'[^A-Za-z0-9.-]+', '-', model)[-60:].strip('-.')}-{mark}"


def _key() -> str:
    return os.environ.get("OPENAI_API_KEY", "").strip()


def _key_fault(base_url: str | None) -> str | None:
    """What is wrong with the key. It is told, not raised, so that no traceback has the key among its locals."""
    key = _key()
    if not key and not _base_url(base_url):
        return "OPENAI_API_KEY is not set; set it, or name a server that needs no key with base_url or OPENAI_BASE_URL"
    if not key.isascii() or not key.isprintable() or " " in key:
        return "OPENAI_API_KEY holds a space or a character that no key has; copy it again"
    return None


def _cleaner() -> Callable[[str], str]:
    """Takes the key out of whatever a server says. Below eight characters it is a local server's dummy."""
    key = _key()
    return (lambda text: text.replace(key, "[OPENAI_API_KEY]")) if len(key) >= 8 else str


def _base_url(base_url: str | None) -> str | None:
    """As the openai package finds it."""
    return base_url or os.environ.get("OPENAI_BASE_URL", "").strip() or None


def _address_fault(url: str | None) -> str | None:
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    return None if sound else f"the base_url {_shown(url)!r} is no address; write one as http://localhost:8000/v1"


def _shown(url: str) -> str:
    """The address without a user's name, a password or a query, which may be secrets."""
    scheme, _, rest = url.partition("?")[0].rpartition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{'://' if scheme else ''}{host.rpartition('@')[2]}{slash}{path}".rstrip("/")
