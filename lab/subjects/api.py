"""How is a model asked that only a server can run? Chats and choices through any OpenAI-compatible API.

subject = connect("openai:gpt-5-mini", cache="answers")                                  # OPENAI_API_KEY is set
subject = connect("openai:my-model", base_url="http://localhost:8000/v1")                # vLLM, llama.cpp, ...
subject.choose(["Is a whale a fish? Answer Yes or No."], ["Yes", "No"]).probabilities
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from lab.stats.intervals import wilson
from lab.subjects import drawing, progress
from lab.subjects.answers import Cache, Reply, Said, cache_file, digest, read_reply, token_counts
from lab.subjects.effort import DONE
from lab.subjects.errors import (
    LoadError,
    MissingPackage,
    NoActivationsError,
    NoAnswer,
    PromptError,
    RequestError,
    SubjectError,
)
from lab.subjects.names import API as PREFIX
from lab.subjects.options import begins, first_tokens, option_lists
from lab.subjects.results import Choice

if TYPE_CHECKING:
    import openai

    from lab.subjects.prompts import Prompt

Request = dict[str, Any]

_TOP = 20  # the most that OpenAI and vLLM give
_THOUGHT = 4096  # tokens of room for a reasoning model to think in before it names an option
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


def is_api(name: str) -> bool:
    """Whether `name` is a model behind an API, as "openai:gpt-5-mini" is."""
    return name.startswith(PREFIX)


def check(name: str, base_url: str | None = None) -> None:
    """Checks, without asking the server, that `connect` can be called. Raises LoadError with what to do."""
    if not is_api(name) or not name.removeprefix(PREFIX).strip():
        raise LoadError(f"{name!r} names no model behind an API; write {PREFIX} and the server's name for it")
    if find_spec("openai") is None:
        raise MissingPackage(
            f'{name} needs the openai package, which is not installed: pip install "lab-hypotheses[api]"'
        )
    fault = _address_fault(_base_url(base_url)) or _key_fault(base_url)
    if fault:
        raise LoadError(f"{name} cannot be asked: {fault}")


def connect(
    name: str,
    *,
    base_url: str | None = None,
    concurrency: int = 8,
    cache: str | Path | None = None,
    timeout: float = 60.0,
    retries: int = 6,
    samples: int = 20,
    name_shown: str | None = None,
) -> ApiSubject:
    """A subject that an OpenAI-compatible server runs. Nothing is sent yet.

    Parameters
    ----------
    name
        `openai:` and the server's name for the model.
    base_url
        Of the server, mostly ending in /v1; by default OPENAI_BASE_URL, and without it OpenAI's own.
        The key comes from OPENAI_API_KEY; a server named here may do without.
    concurrency
        The most requests in flight.
    cache
        A folder for answers, one JSONL file a server and model; without it they are kept in memory only.
    timeout
        Seconds to wait for one answer.
    retries
        How often a request is repeated after a rate limit, a server error, a timeout or a lost
        connection, after the time that the server names (up to two minutes), else after 0.5 s, 1 s, ...
        up to 8 s, each shortened at random by up to a quarter.
    samples
        Answers that `choose` draws where the server gives no log-probabilities.
    name_shown
        What to call it; by default `name`.

    Raises LoadError.
    """
    check(name, base_url)
    for what, value, least in (("concurrency", concurrency, 1), ("samples", samples, 1), ("retries", retries, 0)):
        if value < least:
            raise LoadError(f"{what}={value} is too few for {name}; the least is {least}")
    from openai import OpenAI

    client = OpenAI(api_key=_key() or "none", base_url=_base_url(base_url), timeout=timeout, max_retries=retries)
    server, model = _shown(str(client.base_url)), name.removeprefix(PREFIX).strip()
    return ApiSubject(
        client,
        model,
        Cache(None if cache is None else cache_file(Path(cache).expanduser(), server, model)),
        name=name_shown or name,
        server=server,
        concurrency=concurrency,
        samples=samples,
        clean=_cleaner(),
    )


class ApiSubject:
    """A model behind an OpenAI-compatible API, made by `connect`. It speaks and chooses; it has no activations.

    Attributes
    ----------
    name
        What the user calls it.
    server
        The server's address, without any credentials in it.
    samples
        Answers that `choose` draws where the server gives no log-probabilities.
    notes
        What a reader of the answers should know: parameters that the server refused, answers that
        named no option, lines of the cache that could not be read.
    usage
        `Usage` so far: requests and tokens.
    """

    def __init__(
        self,
        client: openai.OpenAI,
        model: str,
        cache: Cache,
        *,
        name: str,
        server: str,
        concurrency: int,
        samples: int,
        clean: Callable[[str], str],
    ) -> None:
        self.name, self.server, self.samples = name, server, samples
        self.usage = Usage()
        self.notes: list[str] = []
        self._client, self._model, self._cache, self._clean = client, model, cache, clean
        self._lock = threading.Lock()
        # One pool for the subject's life, so that the limit holds over all its calls.
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="lab-api")
        self._refused: set[str] = set()
        self._thought = 0
        if cache.unread:
            self._note(f"{cache.unread} lines of {cache.file} could not be read; those answers are asked for again")

    def __repr__(self) -> str:
        return f"ApiSubject({self.name!r}, {self.server})"

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        raise NoActivationsError(
            f"{self.name} is behind an API, which gives answers and no activations, so it has no {attribute!r}; "
            "use a Hugging Face model for that, from a folder or the hub"
        )

    # Speaking ----------------------------------------------------------------------------------------

    def chat(
        self,
        conversations: Sequence[Prompt],
        *,
        n: int = 1,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        max_new_tokens: int = 64,
    ) -> list[list[str]]:
        """n answers to each conversation (chat messages, or a string as the one message of a user).

        Sample j of conversation i is asked for with a seed made of (seed, i, j). Not every server honours
        seeds, so that only the cache makes a second run equal; a seed that is refused is noted, and so is a
        `top_p` below 1, the share of the likeliest tokens that an answer is drawn from. Greedy
        answers are asked for once and repeated. A reasoning model's thoughts count as new tokens.
        Raises PromptError, and SubjectError when the server does not answer.
        """
        (said,) = self.chats(
            conversations, [seed], n=n, temperature=temperature, top_p=top_p, max_new_tokens=max_new_tokens
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
    ) -> list[list[list[str]]]:
        """As `chat` under each of several seeds, [seeds][conversations][n].

        All are under way together: the last answers under one seed keep none under the next waiting.
        """
        if n < 1:
            raise SubjectError(f"n={n} answers were asked for; ask for at least one")
        drawing.check(temperature, top_p)
        repeats = n if temperature > 0 else 1
        cut = {"top_p": float(top_p)} if temperature > 0 and top_p < 1 else {}
        asked = _conversations(conversations)
        requests = [
            request
            for seed in seeds
            for request in self._requests(asked, repeats, temperature, seed, max_new_tokens, **cut)
        ]
        replies = self._ask(requests)
        silent = sum(reply.silent for reply in replies)
        if silent:
            self._note(
                f"{silent} of {len(replies)} answers are empty, cut at {max_new_tokens} tokens, "
                "among which a reasoning model's thoughts count; raise max_new_tokens"
            )
        texts = [reply.text for reply in replies]
        said = [texts[i : i + repeats] * (n // repeats) for i in range(0, len(texts), repeats)]
        return [said[i * len(asked) : (i + 1) * len(asked)] for i in range(len(seeds))]

    def replies(self, conversations: Sequence[Prompt], *, max_new_tokens: int, effort: str | None = None) -> list[Said]:
        """A greedy answer to each conversation, with whether it is whole; one without an answer stops no other.

        `effort` is a reasoning model's, as "low"; a server that takes none is asked without. After eight requests in a
        row that were not answered no more are sent, and the rest fail with them. Raises PromptError, and
        SubjectError for what would fail all: a key or a model that the server does not know.
        """
        thinking = {} if effort is None else {"reasoning_effort": effort}
        requests = self._requests(_conversations(conversations), 1, 0.0, 0, max_new_tokens, **thinking)
        faults: dict[str, str] = {}
        self._send(requests, faults)
        failed = [faults.get(digest(request)) for request in requests]
        answered = [request for request, fault in zip(requests, failed, strict=True) if fault is None]
        said = iter([Said(reply.text, reply.cut) for reply in self._known(answered)])
        return [next(said) if fault is None else Said(fault=fault) for fault in failed]

    def choose(
        self,
        prompts: Sequence[Prompt],
        options: Sequence[str] | Sequence[Sequence[str]],
        *,
        per_token: bool = False,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> Choice:
        """How likely each option is as the beginning of the answer to each prompt.

        `options` is one list of k texts for all prompts, or a list of k texts for each. Space around an
        option does not count, its case does. There are two methods, and one call uses one of them:

        - "log-probabilities", where the server gives the 20 likeliest first tokens and every option of
          every prompt is one of them. They are the server's own numbers, exact as far as it is; nothing
          is sampled. Tokens that differ in space only are added up. An option counts whatever follows it.
        - "sampled" otherwise: `samples` answers a prompt, drawn at `temperature` with seeds as in `chat`,
          of which those are counted that begin with the option as a word, after any space, quotes and
          punctuation (the longest option wins). `logprobs` are then of counts over all answers, -inf for
          none; `probabilities` and their Wilson intervals are over the answers that named an option. How
          many did not is in `notes`. Where a server ignores seed and temperature, the answers are no
          independent draws, and the intervals are too narrow.

        Raises PromptError for options that do not fit the prompts, and SubjectError where no answer names
        an option, or when the server does not answer.
        """
        if per_token:
            raise SubjectError(f"an API gives no token counts, so {self.name} cannot choose per token; drop per_token")
        if temperature <= 0:
            raise SubjectError(f"temperature {temperature} would draw one answer again and again; choose above 0")
        conversations = _conversations(prompts)
        wanted = option_lists(options, len(conversations))
        replies = self._ask([self._request(these, 1, 1.0, logprobs=True, top_logprobs=_TOP) for these in conversations])
        read = [first_tokens(reply.top or [], these) for reply, these in zip(replies, wanted, strict=True)]
        if all(row is not None for row in read):
            return Choice(np.array(read), method="log-probabilities")
        if not any("logprobs" in reply.without for reply in replies):
            self._note(
                f"{sum(row is None for row in read)} of {len(read)} prompts had an option that is not among the "
                f"{_TOP} likeliest first tokens; all were settled by sampling"
            )
        return self._sampled(conversations, wanted, temperature, seed)

    def _sampled(
        self, conversations: list[list[Any]], wanted: list[list[str]], temperature: float, seed: int
    ) -> Choice:
        # No token is shorter than a byte.
        room = self._thought + 8 + max(len(option.encode()) for these in wanted for option in these)
        requests = self._requests(conversations, self.samples, temperature, seed, room)
        replies = self._ask(requests)
        silent = [r for r, reply in enumerate(replies) if reply.silent]
        if silent:
            self._thought = _THOUGHT
            again = self._ask([{**requests[r], "max_completion_tokens": room + _THOUGHT} for r in silent])
            for r, reply in zip(silent, again, strict=True):
                replies[r] = reply
        counts = np.zeros((len(wanted), len(wanted[0])))
        for i, these in enumerate(wanted):
            texts = [reply.text for reply in replies[i * self.samples : (i + 1) * self.samples]]
            named = [j for j in (begins(text, these) for text in texts) if j is not None]
            if not named:
                raise SubjectError(
                    f"none of {self.samples} answers to prompt {i} begins with an option, for example "
                    f"{self._told(texts[0])!r}; ask in the prompt for an option and nothing else"
                )
            np.add.at(counts[i], named, 1)
        lost = len(replies) - int(counts.sum())
        if lost:
            self._note(f"{lost} of {len(replies)} sampled answers began with none of the options")
        intervals = [[wilson(int(count), int(row.sum())) for count in row] for row in counts]
        with np.errstate(divide="ignore"):
            logprobs = np.log(counts / self.samples)
        low, high = (np.array([[getattr(e, side) for e in row] for row in intervals]) for side in ("low", "high"))
        return Choice(logprobs, method="sampled", samples=self.samples, low=low, high=high)

    # Asking ------------------------------------------------------------------------------------------

    def _request(self, messages: list[Any], limit: int, temperature: float, **more: Any) -> Request:
        return {
            "model": self._model,
            "messages": messages,
            "max_completion_tokens": int(limit),
            "temperature": float(temperature),
            **more,
        }

    def _requests(
        self, conversations: list[list[Any]], repeats: int, temperature: float, seed: int, limit: int, **more: Any
    ) -> list[Request]:
        if temperature == 0:  # without a seed, so that the cache knows a conversation wherever it stands
            return [self._request(messages, limit, temperature, **more) for messages in conversations]
        return [
            self._request(messages, limit, temperature, seed=drawing.sample_seed(seed, i, j), **more)
            for i, messages in enumerate(conversations)
            for j in range(repeats)
        ]

    def _ask(self, requests: list[Request]) -> list[Reply]:
        """Replies in the order of the requests, of which only those are sent that the cache does not know."""
        self._send(requests)
        return self._known(requests)

    def _known(self, requests: list[Request]) -> list[Reply]:
        """Replies in the cache, in the order of their requests; what they were asked without is noted."""
        replies = [self._cache.replies[digest(request)] for request in requests]
        for name in sorted({name for reply in replies for name in reply.without}):
            self._note(_REFUSABLE.get(name))
        return replies

    def _send(self, requests: list[Request], faults: dict[str, str] | None = None) -> None:
        """Fills the cache with what it does not know. An error or Ctrl-C cancels what is still queued.

        Where there are `faults`, those of single requests stand there by the requests' keys instead.
        """
        from tqdm import tqdm

        distinct = {digest(request): request for request in requests}
        new = {key: request for key, request in distinct.items() if key not in self._cache.replies}
        self._count(cached=len(distinct) - len(new))
        futures: dict[Future[None], str] = {}
        silent = 0  # requests in a row
        quiet = len(new) <= _LONG or not sys.stderr.isatty()
        try:
            for key, request in new.items():
                futures[self._pool.submit(self._answer, key, request)] = key
            with progress.of("ask", total=len(futures), unit="requests") as advance:
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
        self._cache.put(key, replace(reply, without=tuple(missed)))

    def _post(self, sent: Request) -> Reply | str | SubjectError:
        """Sends one request: the reply, the name of the parameter that the server refuses, or what went wrong.

        Errors are returned, to be raised where no exception of the client's, which knows the key, hangs on them.
        """
        import openai

        try:
            DONE.requests += 1
            response = self._client.chat.completions.with_raw_response.create(**sent)
        except openai.APIError as error:
            retries = int(error.request.headers.get("x-stainless-retry-count", 0))
            self._count(requests=1 + retries, retries=retries)
            if isinstance(error, openai.BadRequestError) and _NO_ROOM.search(_reason(error)):
                return "logprobs" if "logprobs" in sent else Reply(cut=True)
            return _refused(error, sent) or self._explained(error, 1 + retries)
        except Exception as error:  # what the client does not wrap is told the same way
            return RequestError(f"a request to {self.server} failed: {self._told(repr(error))}")
        self._count(requests=1 + response.retries_taken, retries=response.retries_taken)
        try:
            body = json.loads(response.text)
            reply, (prompt, completion) = read_reply(body), token_counts(body)
        except (ValueError, TypeError, LookupError, AttributeError):
            return RequestError(
                f"{self.server} did not answer with a chat completion but with {self._told(response.text)!r}; "
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
        said = self._told(_reason(error))
        if status == 401:  # its text may hold the half of the key
            return SubjectError(
                f"{self.server} does not accept the key (HTTP 401); set OPENAI_API_KEY to a key of this server"
            )
        if status == 403:
            return SubjectError(
                f"{self.server} does not let this key use {self._model!r} (HTTP 403: {said}); "
                "set OPENAI_API_KEY to a key that may, or take another model"
            )
        if status == 404:
            return SubjectError(
                f"{self.server} has no model {self._model!r} (HTTP 404: {said}); "
                "check the name, and that the base_url is whole (most end in /v1)"
            )
        if status is not None and status not in (408, 409, 429) and status < 500:
            return RequestError(
                f"{self.server} refused a request (HTTP {status}: {said}); mend what it names and run again"
            )
        kept = f"are in {self._cache.file}" if self._cache.file else "are kept in memory only; pass cache= for a file"
        what = f"HTTP {status}: {said}" if status else said
        return NoAnswer(
            f"{self.server} did not answer after {tries} tries ({what}); check the server or the rate limit, lower "
            f"the concurrency or raise timeout or retries, and run again; finished answers {kept}"
        )

    def _told(self, text: str) -> str:
        """What a server says, for an error of ours: one line, without the key, cut only then."""
        return self._clean(" ".join(text.split()))[:160]

    def _count(self, **more: int) -> None:
        with self._lock:
            self.usage = Usage(**{name: value + more.get(name, 0) for name, value in asdict(self.usage).items()})

    def _note(self, note: str | None) -> None:
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


# Prompts ---------------------------------------------------------------------------------------------


def _conversations(prompts: Sequence[Prompt]) -> list[list[Any]]:
    """Chat messages of each prompt. Raises PromptError."""
    if isinstance(prompts, str):
        raise PromptError("the prompts are one string; pass a list of prompts, for example [prompt]")
    prompts = list(prompts)
    if not prompts:
        raise PromptError("the list of prompts is empty; pass at least one prompt")
    if isinstance(prompts[0], dict):
        raise PromptError("the prompts are one conversation; pass a list of conversations, for example [messages]")
    return [_messages(i, prompt) for i, prompt in enumerate(prompts)]


def _messages(i: int, prompt: Prompt) -> list[Any]:
    messages: list[Any] = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    if not len(prompt):
        raise PromptError(f"prompt {i} is empty; an API needs at least one word")
    if any(isinstance(message, int | np.integer) for message in messages):
        raise PromptError(f"prompt {i} is token ids, but an API takes text; pass a string or chat messages")
    if not all(isinstance(message, dict) and message.keys() >= {"role", "content"} for message in messages):
        raise PromptError(f"prompt {i} is no conversation; every message needs a 'role' and a 'content'")
    return messages


# Keys and addresses ----------------------------------------------------------------------------------


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
