"""Models that only a server can run: chats and choices through any OpenAI-compatible API.

subject = connect("openai:gpt-5-mini", cache="answers")                                  # OPENAI_API_KEY is set
subject = connect("openai:my-model", base_url="http://localhost:8000/v1")                # vLLM, llama.cpp, ...
subject.choose(["Is a whale a fish? Answer Yes or No."], ["Yes", "No"]).probabilities
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from lab.stats.intervals import wilson
from lab.subjects import server
from lab.subjects.base import Speaker, check_drawing, sample_seed
from lab.subjects.errors import LoadError, MissingPackage, NoActivationsError, PromptError, SubjectError
from lab.subjects.names import API as PREFIX
from lab.subjects.prompts import Prompt
from lab.subjects.results import Choice, Said
from lab.subjects.server import Request, Server, Usage, digest

_TOP = 20  # the most that OpenAI and vLLM give
_THOUGHT = 4096  # tokens of room for a reasoning model to think in before it names an option


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
    fault = server.fault_of(base_url)
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
        A folder for answers, with one for each server and model in it; without it they are kept in memory only.
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
    made = server.connect(
        name.removeprefix(PREFIX).strip(),
        name=name_shown or name,
        base_url=base_url,
        folder=cache,
        concurrency=concurrency,
        timeout=timeout,
        retries=retries,
    )
    return ApiSubject(made, name=name_shown or name, samples=samples)


class ApiSubject(Speaker):
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
        named no option.
    usage
        `Usage` so far: requests and tokens.
    """

    def __init__(self, server: Server, *, name: str, samples: int) -> None:
        self.name, self.samples = name, samples
        self._server = server
        self._thought = 0

    @property
    def server(self) -> str:
        return self._server.address

    @property
    def usage(self) -> Usage:
        return self._server.usage

    @property
    def notes(self) -> list[str]:
        return self._server.notes

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
        check_drawing(temperature, top_p)
        repeats = n if temperature > 0 else 1
        cut = {"top_p": float(top_p)} if temperature > 0 and top_p < 1 else {}
        asked = _conversations(conversations)
        requests = [
            request
            for seed in seeds
            for request in self._requests(asked, repeats, temperature, seed, max_new_tokens, **cut)
        ]
        replies = self._server.ask(requests)
        silent = sum(reply.silent for reply in replies)
        if silent:
            self._server.note(
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
        self._server.send(requests, faults)
        failed = [faults.get(digest(request)) for request in requests]
        answered = [request for request, fault in zip(requests, failed, strict=True) if fault is None]
        said = iter([Said(reply.text, reply.cut) for reply in self._server.known(answered)])
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
        replies = self._server.ask(
            [self._server.request(these, 1, 1.0, logprobs=True, top_logprobs=_TOP) for these in conversations]
        )
        read = [first_tokens(reply.top or [], these) for reply, these in zip(replies, wanted, strict=True)]
        if all(row is not None for row in read):
            return Choice(np.array(read), method="log-probabilities")
        if not any("logprobs" in reply.without for reply in replies):
            self._server.note(
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
        replies = self._server.ask(requests)
        silent = [r for r, reply in enumerate(replies) if reply.silent]
        if silent:
            self._thought = _THOUGHT
            again = self._server.ask([{**requests[r], "max_completion_tokens": room + _THOUGHT} for r in silent])
            for r, reply in zip(silent, again, strict=True):
                replies[r] = reply
        counts = np.zeros((len(wanted), len(wanted[0])))
        for i, these in enumerate(wanted):
            texts = [reply.text for reply in replies[i * self.samples : (i + 1) * self.samples]]
            named = [j for j in (begins(text, these) for text in texts) if j is not None]
            if not named:
                raise SubjectError(
                    f"none of {self.samples} answers to prompt {i} begins with an option, for example "
                    f"{self._server.told(texts[0])!r}; ask in the prompt for an option and nothing else"
                )
            np.add.at(counts[i], named, 1)
        lost = len(replies) - int(counts.sum())
        if lost:
            self._server.note(f"{lost} of {len(replies)} sampled answers began with none of the options")
        intervals = [[wilson(int(count), int(row.sum())) for count in row] for row in counts]
        with np.errstate(divide="ignore"):
            logprobs = np.log(counts / self.samples)
        low, high = (np.array([[getattr(e, side) for e in row] for row in intervals]) for side in ("low", "high"))
        return Choice(logprobs, method="sampled", samples=self.samples, low=low, high=high)

    def _requests(
        self, conversations: list[list[Any]], repeats: int, temperature: float, seed: int, limit: int, **more: Any
    ) -> list[Request]:
        if temperature == 0:  # without a seed, so that the cache knows a conversation wherever it stands
            return [self._server.request(messages, limit, temperature, **more) for messages in conversations]
        return [
            self._server.request(messages, limit, temperature, seed=sample_seed(seed, i, j), **more)
            for i, messages in enumerate(conversations)
            for j in range(repeats)
        ]


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


# Options ------------------------------------------------------------------------------------------


def first_tokens(top: list[tuple[str, float]], options: list[str]) -> list[float] | None:
    """Log-probability of each option among the first tokens, or None where one is missing."""
    found = [[logprob for token, logprob in top if token.strip() == option] for option in options]
    return [float(np.logaddexp.reduce(these)) for these in found] if all(found) else None


def begins(text: str, options: list[str]) -> int | None:
    """Index of the longest option that `text` begins with as a word, after space, quotes and punctuation.

    >>> begins('**"A."**', ["A", "B"]), begins("As I see it", ["A", "B"]), begins("No way.", ["No", "No way"])
    (0, None, 1)
    """
    for start, first in enumerate(text):
        hits = [j for j, option in enumerate(options) if _at(text, start, option)]
        if hits:
            return max(hits, key=lambda j: len(options[j]))
        if first.isalnum():
            break
    return None


def _at(text: str, start: int, option: str) -> bool:
    """Whether `option` stands at `start`, and no letter or digit continues its last word."""
    end = start + len(option)
    return text.startswith(option, start) and not (_in_word(option[-1]) and _in_word(text[end : end + 1]))


def _in_word(character: str) -> bool:
    """Whether it is of a script that parts its words, so that a word's end can be told: it has case, or is a digit."""
    return character.isdigit() or character.lower() != character.upper()


def option_lists(options: Sequence[str] | Sequence[Sequence[str]], n: int) -> list[list[str]]:
    """k options for each prompt, without the space around them. Raises PromptError."""
    first = options[0] if len(options) else ""
    each: Any = [options] * n if isinstance(first, str) else options
    if len(each) != n:
        raise PromptError(f"{n} prompts but {len(each)} lists of options; pass one list for each")
    stripped = [[option.strip() for option in these] for these in each]
    k = len(stripped[0])
    if k < 2 or any(len(these) != k for these in stripped):
        raise PromptError("every prompt needs the same number of options, at least two")
    for these in stripped:
        if "" in these:
            raise PromptError("an option is empty; every option needs at least one letter")
        if len(set(these)) < k:
            raise PromptError(f"options {these} hold one twice, and space does not tell options apart; rename one")
    return stripped
