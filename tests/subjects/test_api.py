"""An API subject chats, chooses, repeats, remembers and gives up as it says; its key stays where it is.

Against real servers throughout: one that fails as each test tells it to, and `transformers serve` with an organism.
"""

import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import urllib.request
from collections import Counter
from importlib.util import find_spec

import numpy as np
import pytest

from lab.stats.intervals import wilson
from lab.studies.shared import prompts
from lab.subjects import LoadError, PromptError, SubjectError, api, load
from lab.subjects.api import begins
from lab.subjects.names import folder
from tests.subjects.api_server import DROP, NOW, Answer, Server, completion, error

KEY = "sk-recognisable-0123456789abcdef"
PROMPTS = ["Is a whale a fish?", "Is a cod a fish?", "Is a newt a fish?"]


@pytest.fixture(autouse=True)
def _no_key(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_LOG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def serve():
    """Starts a server with a script, one that says "fine" by default."""
    servers = []

    def start(script=lambda i, request: completion("fine")):
        servers.append(Server(script))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def connect(server, **options):
    return api.connect("openai:tiny", base_url=server.url, **options)


def asked(request):
    return request["messages"][-1]["content"]


def kept(folder):
    """The files of the answers in a cache's folder."""
    return sorted(path for path in folder.rglob("*.jsonl"))


# Names and keys --------------------------------------------------------------------------------------


def test_importing_it_loads_neither_openai_nor_torch():
    code = (
        "import sys, lab.subjects.api; "
        "print([m for m in ('openai', 'torch', 'transformers', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_names_of_apis_are_told_from_others():
    assert api.is_api("openai:gpt-5-mini")
    assert not api.is_api("openai-community/gpt2")


@pytest.mark.parametrize(
    ("name", "key", "base_url", "said"),
    [
        ("gpt2", KEY, None, "'gpt2' names no model behind an API; write openai:"),
        ("openai:", KEY, None, "names no model"),
        ("openai:tiny", None, None, "OPENAI_API_KEY is not set; set it, or name a server that needs no key"),
        ("openai:tiny", " ", None, "OPENAI_API_KEY is not set"),
        ("openai:tiny", KEY + "…", None, "a character that no key has"),
        ("openai:tiny", KEY + " " + KEY, None, "a space"),
        ("openai:tiny", None, "localhost:8000/v1", "'localhost:8000/v1' is no address"),
        ("openai:tiny", None, "http://localhost:port/v1", "is no address"),
        ("openai:tiny", None, "http:///v1", "is no address"),
    ],
)
def test_what_cannot_be_connected_is_one_line(monkeypatch, name, key, base_url, said):
    if key is not None:
        monkeypatch.setenv("OPENAI_API_KEY", key)
    for ask in (lambda: api.check(name, base_url), lambda: api.connect(name, base_url=base_url)):
        with pytest.raises(LoadError, match=said) as caught:
            ask()
        assert "\n" not in str(caught.value)
        assert KEY not in str(caught.value)


@pytest.mark.parametrize("options", [{"concurrency": 0}, {"samples": 0}, {"retries": -1}])
def test_limits_too_small_are_refused(serve, options):
    with pytest.raises(LoadError, match="is too few for openai:tiny"):
        connect(serve(), **options)


def test_a_local_server_needs_no_key_and_another_gets_the_environments(serve, monkeypatch):
    server = serve()
    assert connect(server).chat(["Hello"]) == [["fine"]]
    monkeypatch.setenv("OPENAI_API_KEY", KEY + "\n")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    subject = api.connect("openai:tiny", name_shown="Tiny")
    assert subject.chat(["Hello"]) == [["fine"]]
    assert server.keys == ["none", KEY]
    assert repr(subject) == f"ApiSubject('Tiny', {server.url})"


def test_credentials_in_an_address_are_not_shown(serve):
    server = serve(lambda i, request: error(400, "no"))
    subject = api.connect("openai:tiny", base_url=server.url.replace("://", "://me:secret@") + "?token=secret")
    with pytest.raises(SubjectError, match="refused a request") as caught:
        subject.chat(["Hello"])
    assert subject.server == server.url
    assert "secret" not in repr(subject) + str(caught.value)


# Chat ------------------------------------------------------------------------------------------------


def test_answers_stand_in_the_order_of_their_conversations(serve):
    server = serve(lambda i, request: Answer(**{**vars(completion(asked(request).upper())), "after": 0.02 * (-i % 4)}))
    talk = [{"role": "system", "content": "Be loud."}, {"role": "user", "content": "last"}]
    answers = connect(server).chat(["one", "two", "three", "four", "five", talk], n=2, temperature=1.0)
    assert answers == [[word] * 2 for word in ("ONE", "TWO", "THREE", "FOUR", "FIVE", "LAST")]
    assert [{"role": "user", "content": "one"}] in [request["messages"] for request in server.requests]
    assert talk in [request["messages"] for request in server.requests]


def test_each_sample_has_the_seed_that_a_local_subject_would_draw_from(serve):
    server = serve(lambda i, request: completion(str(request["seed"])))
    answers = connect(server).chat(["one", "two"], n=3, temperature=0.7, seed=5, max_new_tokens=9)
    expected = [
        [str(np.random.SeedSequence((5, i, j)).generate_state(1)[0]) for j in range(3)] for i in range(2)
    ]  # fmt: skip
    assert answers == expected
    assert {(r["temperature"], r["max_completion_tokens"], r["model"]) for r in server.requests} == {(0.7, 9, "tiny")}


def test_several_seeds_are_under_way_together(serve):
    server = serve(lambda i, request: Answer(**{**vars(completion(str(request["seed"]))), "after": 0.1}))
    subject, alone = connect(server), connect(server)
    said = subject.chats(["one", "two"], [5, 6], temperature=0.7)
    assert server.peak == 4
    assert said == [alone.chat(["one", "two"], seed=seed, temperature=0.7) for seed in (5, 6)]


def test_a_nucleus_is_asked_for_and_is_another_answer_in_the_cache(serve, tmp_path):
    server = serve(lambda i, request: completion(str(request.get("top_p"))))
    subject = connect(server, cache=tmp_path)
    for _ in range(2):
        assert subject.chat(["one"], temperature=0.7, top_p=0.9) == [["0.9"]]
        assert subject.chat(["one"], temperature=0.7) == subject.chat(["one"], temperature=0.7, top_p=1.0) == [["None"]]
        assert subject.chat(["one"], top_p=0.9) == [["None"]]  # greedy
    assert len(server.requests) == 3


def test_a_server_that_takes_no_nucleus_is_met_and_it_is_noted(serve):
    def script(i, request):
        if "top_p" in request:
            return error(400, "Unsupported parameter: 'top_p' is not supported with this model.", param="top_p")
        return completion("fine")

    subject = connect(serve(script))
    assert subject.chat(["one"], temperature=0.7, top_p=0.9) == [["fine"]]
    assert subject.notes == ["the server takes no top_p: answers are drawn from all tokens"]


def test_greedy_answers_are_asked_for_once(serve):
    server = serve(lambda i, request: completion(asked(request)))
    subject = connect(server)
    assert subject.chat(["one", "two", "one"], n=3) == [["one"] * 3, ["two"] * 3, ["one"] * 3]
    assert subject.chat(["two"], seed=9) == [["two"]]
    assert len(server.requests) == 2
    assert {request["temperature"] for request in server.requests} == {0}
    assert subject.usage == api.Usage(requests=2, cached=1, prompt_tokens=10, completion_tokens=2)


@pytest.mark.parametrize(
    ("prompts", "said"),
    [
        ("one string", "pass a list of prompts"),
        ([], "the list of prompts is empty"),
        ([{"role": "user", "content": "hi"}], "pass a list of conversations"),
        (["fine", ""], "prompt 1 is empty"),
        (["fine", []], "prompt 1 is empty"),
        ([[3, 1, 4]], "prompt 0 is token ids, but an API takes text"),
        ([np.array([3, 1])], "prompt 0 is token ids"),
        ([[{"role": "user"}]], "every message needs a 'role' and a 'content'"),
        ([["hi"]], "prompt 0 is no conversation"),
    ],
)
def test_prompts_that_an_api_cannot_take_are_refused_before_any_request(serve, prompts, said):
    server = serve()
    for ask in (connect(server).chat, lambda prompts: connect(server).choose(prompts, ["A", "B"])):
        with pytest.raises(PromptError, match=said):
            ask(prompts)
    assert server.requests == []


def test_numbers_that_mean_nothing_are_refused(serve):
    subject = connect(serve())
    with pytest.raises(SubjectError, match="n=0 answers"):
        subject.chat(["Hello"], n=0)
    with pytest.raises(SubjectError, match="temperature -1 is negative"):
        subject.chat(["Hello"], temperature=-1)
    with pytest.raises(SubjectError, match="top_p 2 is no share"):
        subject.chat(["Hello"], temperature=1, top_p=2)
    with pytest.raises(SubjectError, match="one answer again and again"):
        subject.choose(["Hello"], ["A", "B"], temperature=0)
    with pytest.raises(SubjectError, match="gives no token counts"):
        subject.choose(["Hello"], ["A", "B"], per_token=True)


def test_an_answer_that_is_all_thought_is_noted(serve):
    subject = connect(serve(lambda i, request: completion(None, finish="length")))
    assert subject.chat(["Hello"]) == [[""]]
    assert "1 of 1 answers are empty, cut at 64 tokens" in subject.notes[0]


def test_a_refusal_is_an_answer(serve):
    refusal = completion(None)
    refusal.body["choices"][0]["message"]["refusal"] = "I would rather not."
    assert connect(serve(lambda i, request: refusal)).chat(["Hello"]) == [["I would rather not."]]


# Repeating -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "least"),
    [
        (error(429, "slow down", **{"retry-after-ms": "", "retry-after": "1"}), 1.0),  # its own wait is under 0.5 s
        (Answer("bad gateway", 502, NOW), 0),
        (Answer(None, 500, NOW), 0),
        (DROP, 0),
        (Answer(None, after=1.0), 0),
    ],
    ids=["429", "502", "500", "dropped", "timeout"],
)
def test_what_may_pass_is_tried_again(serve, first, least):
    server = serve(lambda i, request: first if i == 0 else completion("at last"))
    subject, begun = connect(server, timeout=0.4), time.monotonic()
    assert subject.chat(["Hello"]) == [["at last"]]
    assert time.monotonic() - begun >= least
    assert len(server.requests) == 2
    assert subject.usage == api.Usage(requests=2, cached=0, prompt_tokens=5, completion_tokens=1, retries=1)


def test_the_last_try_says_what_failed_and_what_is_kept(serve, tmp_path):
    server = serve(lambda i, request: completion("kept") if asked(request) == "good" else error(503, "over\nloaded"))
    subject = connect(server, retries=2, cache=tmp_path, concurrency=1)
    with pytest.raises(
        SubjectError, match=r"after 3 tries \(HTTP 503: over loaded\).*finished answers are in .*tiny"
    ) as e:
        subject.chat(["good", "bad"])
    assert "\n" not in str(e.value)
    assert subject.usage.requests == len(server.requests) == 4
    assert connect(server, cache=tmp_path).chat(["good"]) == [["kept"]]
    with pytest.raises(SubjectError, match="are kept in memory only; pass cache="):
        connect(server, retries=0).chat(["bad"])


def test_a_server_that_is_not_there_is_named():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(SubjectError, match=rf"127.0.0.1:{port}/v1 did not answer after 1 tries \(Connection error"):
        api.connect("openai:tiny", base_url=f"http://127.0.0.1:{port}/v1", retries=0).chat(["Hello"])
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/v1"
        with pytest.raises(SubjectError, match="Request timed out"):
            api.connect("openai:tiny", base_url=url, retries=0, timeout=0.2).chat(["Hello"])


def test_what_cannot_be_sent_is_one_line(serve):
    server = serve()
    with pytest.raises(SubjectError, match="a request to .* failed: UnicodeEncodeError") as caught:
        connect(server).chat(["half an emoji: \ud83d"])
    assert "\n" not in str(caught.value)
    assert server.requests == []


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, r"does not accept the key \(HTTP 401\); set OPENAI_API_KEY"),
        (403, r"does not let this key use 'tiny' \(HTTP 403: no such luck\); set OPENAI_API_KEY"),
        (404, r"127.0.0.1:\d+/v1 has no model 'tiny' \(HTTP 404: no such luck\); check the name"),
        (400, r"refused a request \(HTTP 400: no such luck\)"),
    ],
)
def test_what_will_not_pass_is_not_tried_again(serve, status, said):
    server = serve(lambda i, request: error(status, "no such luck"))
    with pytest.raises(SubjectError, match=said) as caught:
        connect(server).chat(["Hello"])
    assert "\n" not in str(caught.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        Answer('{"choices": [{"message"'),
        Answer("<html>Welcome</html>", headers={"content-type": "text/html"}),
        Answer({"error": {"message": "quota"}}),
        Answer({"choices": []}),
        Answer({"choices": [{"message": {"content": ["a", "b"]}}]}),
        Answer("null"),
    ],
)
def test_an_answer_that_is_none_says_so(serve, tmp_path, answer):
    server = serve(lambda i, request: answer)
    with pytest.raises(SubjectError, match="did not answer with a chat completion but with .*base_url") as caught:
        connect(server, cache=tmp_path).chat(["Hello"])
    assert "\n" not in str(caught.value)
    assert len(server.requests) == 1
    assert [file.read_bytes() for file in tmp_path.iterdir()] == []


# Parameters that a server refuses --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"message": "Unrecognized request argument supplied: max_completion_tokens", "param": None}}),
        (400, {"error": {"message": "Unknown", "param": "max_completion_tokens", "code": "unknown_parameter"}}),
        (422, {"detail": [{"loc": ["body", "max_completion_tokens"], "msg": "Extra inputs are not permitted"}]}),
        (422, {"detail": "Unexpected fields in the request: {'max_completion_tokens'}"}),
    ],
)
def test_a_server_that_knows_only_max_tokens_is_met(serve, status, body):
    server = serve(
        lambda i, request: Answer(body, status) if "max_completion_tokens" in request else completion(asked(request))
    )
    subject = connect(server, concurrency=1)
    assert subject.chat(["one", "two", "three"], max_new_tokens=7) == [["one"], ["two"], ["three"]]
    assert [request.get("max_tokens") for request in server.requests] == [None, 7, 7, 7]
    assert subject.notes == []


def test_a_server_that_passes_over_the_limit_is_met(serve):
    server = serve(lambda i, request: completion("x", tokens=(5, min(500, request.get("max_tokens", 500)))))
    subject = connect(server)
    subject.chat(["one"], max_new_tokens=7)
    assert ["max_tokens" in request for request in server.requests] == [False, True]
    assert subject.usage.completion_tokens == 507


def test_refused_parameters_are_dropped_once_and_noted(serve, tmp_path):
    def script(i, request):
        if "temperature" in request:
            said = "'temperature' does not support 0.5 with this model. Only the default (1) value is supported."
            return error(400, f"Unsupported value: {said}", param="temperature", code="unsupported_value")
        if "seed" in request:
            return error(400, "`seed` is not supported")
        return completion(str(i))

    server = serve(script)
    subject = connect(server, concurrency=1, cache=tmp_path)
    (answers,) = subject.chat(["one"], n=3, temperature=0.5)
    assert len(server.requests) == 5
    assert len(set(answers)) == 3, "without seeds samples must still be asked for one by one"
    assert [note.split(":")[0] for note in subject.notes] == [
        "the server takes no seed",
        "the server takes no temperature",
    ]
    again = connect(server, cache=tmp_path)
    assert again.chat(["one"], n=3, temperature=0.5) == [answers]
    assert again.notes == subject.notes, "a reader of cached answers must know as much"
    assert len(server.requests) == 5


def test_a_wrong_value_is_an_error_and_not_dropped(serve):
    said = "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3 instead."
    server = serve(lambda i, request: error(400, said, param="temperature", code="decimal_above_max_value"))
    with pytest.raises(SubjectError, match="refused a request .*decimal above maximum"):
        connect(server).chat(["Hello"], temperature=3.0)
    assert len(server.requests) == 1


# Choices ---------------------------------------------------------------------------------------------


def test_options_have_the_probabilities_of_their_first_tokens(serve):
    top = {"Yes": 0.5, " No": 0.2, "No": 0.1, "yes": 0.1}
    server = serve(
        lambda i, request: completion("Yes", top=top if "whale" in asked(request) else {"No": 0.6, "Yes": 0.3})
    )
    subject = connect(server)
    choice = subject.choose(PROMPTS, ["Yes", " No"])
    np.testing.assert_allclose(np.exp(choice.logprobs), [[0.5, 0.3], [0.3, 0.6], [0.3, 0.6]])
    np.testing.assert_allclose(choice.probabilities[0], [0.625, 0.375])
    assert choice.picked.tolist() == [0, 1, 1]
    assert (choice.method, choice.samples, choice.low, choice.high) == ("log-probabilities", None, None, None)
    assert len(server.requests) == 3
    assert {(r["logprobs"], r["top_logprobs"], r["max_completion_tokens"]) for r in server.requests} == {(True, 20, 1)}
    each = subject.choose(PROMPTS[1:], [["No", "Yes"], ["Yes", "No"]])
    np.testing.assert_allclose(np.exp(each.logprobs), [[0.6, 0.3], [0.3, 0.6]])
    assert len(server.requests) == 3
    assert subject.notes == []


def sampling(answers, *, top=None):
    """A script: the k-th sample of a prompt is `answers[k]`; `top` goes with what is asked for log-probabilities."""
    drawn, lock = Counter(), threading.Lock()

    def script(i, request):
        if "logprobs" in request:
            return completion("?", top=top(request) if top else None)
        with lock:
            drawn[asked(request)] += 1
            return completion(answers[drawn[asked(request)] - 1])

    return script


def test_one_missing_option_has_every_prompt_settled_by_sampling(serve):
    answers = ["Yes."] * 6 + ['"No"', "**No**, because", " \nNo way"] + ["Yesterday"]
    server = serve(sampling(answers, top=lambda r: {"Yes": 0.9, "No": 0.1} if "cod" in asked(r) else {"Yes": 0.9}))
    subject = connect(server, samples=10)
    choice = subject.choose(PROMPTS, ["Yes", "No", "Perhaps"][:2], seed=3)
    assert (choice.method, choice.samples) == ("sampled", 10)
    np.testing.assert_allclose(np.exp(choice.logprobs), [[0.6, 0.3]] * 3)
    np.testing.assert_allclose(choice.probabilities, [[6 / 9, 3 / 9]] * 3)
    expected = [wilson(6, 9), wilson(3, 9)]
    np.testing.assert_allclose(choice.low, [[e.low for e in expected]] * 3)
    np.testing.assert_allclose(choice.high, [[e.high for e in expected]] * 3)
    assert subject.notes == [
        "2 of 3 prompts had an option that is not among the 20 likeliest first tokens; all were settled by sampling",
        "3 of 30 sampled answers began with none of the options",
    ]
    seeds = {r["seed"] for r in server.requests if "seed" in r}
    assert seeds == {int(np.random.SeedSequence((3, i, j)).generate_state(1)[0]) for i in range(3) for j in range(10)}


def test_an_option_that_nobody_named_has_probability_0(serve):
    choice = connect(serve(sampling(["B"] * 5)), samples=5).choose(PROMPTS, ["A", "B", "C"])
    assert choice.logprobs.tolist() == [[-np.inf, 0, -np.inf]] * 3
    assert choice.probabilities.tolist() == [[0, 1, 0]] * 3
    assert (choice.low[:, 0] == 0).all()
    assert (choice.high[:, 0] > 0.3).all()
    assert choice.picked.tolist() == [1, 1, 1]


REFUSALS = {
    "refused with 403": error(403, "You are not allowed to request logprobs from this model"),
    "refused with 400": error(400, "'logprobs' is not supported with this model", param="logprobs"),
    "fewer than 20": error(400, "5 is less than 20", param="top_logprobs"),
    "passed over": completion("Yes"),
    "null": Answer({"choices": [{"message": {"content": "Yes"}, "logprobs": None}]}),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_without_logprobs_choices_are_sampled_and_they_are_not_asked_for_again(serve, tmp_path, refusal):
    server = serve(lambda i, request: refusal if "logprobs" in request else completion("Yes"))
    subject = connect(server, concurrency=1, samples=4, cache=tmp_path)
    assert subject.choose(PROMPTS, ["Yes", "No"]).method == "sampled"
    assert subject.choose(["Is it day?"], ["Yes", "No"]).picked.tolist() == [0]
    assert sum("logprobs" in request for request in server.requests) == 1
    assert len(server.requests) == 1 + 4 * 4
    assert subject.notes == ["the server gives no log-probabilities: choices are settled by sampling"]
    again = connect(server, cache=tmp_path, samples=4)
    assert again.choose(PROMPTS, ["Yes", "No"]).method == "sampled"
    assert len(server.requests) == 1 + 4 * 4
    assert again.notes == subject.notes


def test_a_prompt_whose_answers_name_no_option_is_an_error(serve):
    server = serve(lambda i, request: completion("Yes" if "whale" in asked(request) else "As a\nmodel I cannot"))
    with pytest.raises(
        SubjectError, match="none of 3 answers to prompt 1 begins with an option, .*'As a model I"
    ) as caught:
        connect(server, samples=3).choose(PROMPTS, ["A", "Yes"])
    assert "\n" not in str(caught.value)


def test_a_model_that_thinks_is_given_room(serve):
    def script(i, request):
        if "logprobs" in request:
            return REFUSALS["refused with 403"]
        if request["max_completion_tokens"] > 1000:
            return completion("Yes", tokens=(5, 700))
        if "whale" in asked(request):
            said = "Could not finish the message because max_tokens or model output limit was reached."
            return error(400, f"{said} Please try again with higher max_tokens.")
        return completion("", finish="length", tokens=(5, 11))

    server = serve(script)
    subject = connect(server, samples=2)
    assert subject.choose(PROMPTS, ["Yes", "No"]).picked.tolist() == [0, 0, 0]
    before = len(server.requests)
    subject.choose(["Is it day?"], ["Yes", "No"])
    assert len(server.requests) == before + 2, "it is known by now to think"


@pytest.mark.parametrize(
    ("text", "options", "index"),
    [
        ("A", ["A", "B"], 0),
        ('  "B".', ["A", "B"], 1),
        ("(B) the beds", ["A", "B"], 1),
        ("(B) the beds", ["(A)", "(B)"], 1),
        ("No way at all", ["No", "No way"], 1),
        ("a", ["A", "B"], None),
        ("An apple", ["A", "B"], None),
        ("The answer is A", ["A", "B"], None),
        ("-1", ["1", "-1"], 1),
        ("12", ["1", "2"], None),
        ("是的", ["是", "不"], 0),
        ("", ["A", "B"], None),
    ],
)
def test_an_answer_names_the_option_that_it_begins_with(text, options, index):
    assert begins(text, options) == index


@pytest.mark.parametrize(
    "options", [["A"], [["A", "B"]], [["A", "B"], ["A"], ["A", "B"]], [], ["A", " "], ["A", "B", " A"]]
)
def test_options_that_do_not_fit_are_refused(serve, options):
    server = serve()
    with pytest.raises(PromptError, match="option"):
        connect(server).choose(PROMPTS, options)
    assert server.requests == []


# Many at once ----------------------------------------------------------------------------------------


def test_no_more_requests_are_in_flight_than_allowed(serve):
    server = serve(lambda i, request: Answer(**{**vars(completion("fine")), "after": 0.03}))
    subject = connect(server, concurrency=3)
    halves = [threading.Thread(target=subject.chat, args=([f"{h}{i}" for i in range(12)],)) for h in "ab"]
    for half in halves:
        half.start()
    for half in halves:
        half.join()
    assert len(server.requests) == 24
    assert server.peak == 3


def test_an_error_cancels_what_is_queued(serve):
    server = serve(lambda i, request: error(401, "no"))
    with pytest.raises(SubjectError, match="does not accept the key"):
        connect(server, concurrency=2).chat([str(i) for i in range(200)])
    time.sleep(0.1)
    assert len(server.requests) < 20


@pytest.fixture
def interruptible():
    """Ctrl-C interrupts, also where a shell started the tests in the background and told them to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="only a main thread is interrupted"
)
def test_ctrl_c_cancels_what_is_queued_and_keeps_what_came(serve, tmp_path, interruptible):
    def script(i, request):
        if i == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return Answer(**{**vars(completion("fine")), "after": 0.02})

    server = serve(script)
    with pytest.raises(KeyboardInterrupt):
        connect(server, concurrency=2, cache=tmp_path).chat([str(i) for i in range(200)])
    time.sleep(0.2)
    assert 5 < len(server.requests) < 20
    assert len(kept(tmp_path)) == len(server.requests)


def test_it_is_quiet_where_nobody_looks(serve, capsys):
    connect(serve()).chat([str(i) for i in range(30)])
    assert capsys.readouterr() == ("", "")


# The cache -------------------------------------------------------------------------------------------


def everything(subject):
    return (
        subject.chat(["one", "two", "déjà vu"], n=2, temperature=1.0),
        subject.chat(["one"]),
        subject.choose(["one"], ["Yes", "No"]).logprobs.tolist(),
    )


def test_a_second_run_sends_nothing(serve, tmp_path):
    server = serve(
        lambda i, request: completion(f"{i} à \ud83d", top={"Yes": 0.5, "No": 0.25} if "logprobs" in request else None)
    )
    first = everything(connect(server, cache=tmp_path / "new" / "folder"))
    sent = len(server.requests)
    assert sent == 8
    second = connect(server, cache=tmp_path / "new" / "folder")
    assert everything(second) == first
    assert len(server.requests) == sent
    assert second.usage == api.Usage(cached=8)
    (own,) = (tmp_path / "new" / "folder").iterdir()
    assert own.name.startswith("tiny-")
    assert len(kept(own)) == 8


def test_models_and_servers_do_not_share_answers(serve, tmp_path):
    one, two = serve(), serve()
    for server, model in ((one, "a/b"), (one, "a-b"), (two, "a/b")):
        api.connect(f"openai:{model}", base_url=server.url, cache=tmp_path).chat(["Hello"])
    assert (len(one.requests), len(two.requests)) == (2, 1)
    assert len(list(tmp_path.iterdir())) == 3


def test_torn_and_foreign_entries_are_passed_over_and_noted(serve, tmp_path):
    server = serve(lambda i, request: completion(asked(request)))
    connect(server, cache=tmp_path, concurrency=1).chat(["one", "two", "three"])
    torn, foreign, _ = kept(tmp_path)
    foreign.write_bytes(torn.read_bytes())
    torn.write_bytes(torn.read_bytes()[:40])
    subject = connect(server, cache=tmp_path)
    with pytest.warns(UserWarning, match="is damaged or another entry's") as warned:
        assert subject.chat(["one", "two", "three"]) == [["one"], ["two"], ["three"]]
    assert len(warned) == 2
    assert len(server.requests) == 5
    assert connect(server, cache=tmp_path).chat(["one", "two", "three"]) == [["one"], ["two"], ["three"]]
    assert len(server.requests) == 5


def test_answers_are_kept_as_soon_as_they_are_there(serve, tmp_path):
    seen = []

    def script(i, request):
        seen.append(len(kept(tmp_path)))
        return completion("fine")

    connect(serve(script), cache=tmp_path, concurrency=1).chat(["one", "two", "three"])
    assert seen == [0, 1, 2]


def test_many_threads_write_whole_entries(serve, tmp_path):
    server = serve(lambda i, request: completion(asked(request) * 2000))
    subject = connect(server, cache=tmp_path, concurrency=16)
    subject.chat([f"{i}," for i in range(60)])
    again = connect(server, cache=tmp_path)
    assert again.chat([f"{i}," for i in range(60)]) == [[f"{i}," * 2000] for i in range(60)]
    assert (again.usage.cached, again.notes) == (60, [])


def test_a_cache_that_cannot_be_is_one_line(serve, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LoadError, match="answers cannot be kept in .*file .*; name another folder"):
        connect(serve(), cache=tmp_path / "file")
    subject = connect(serve(), cache=tmp_path / "folder")
    (tmp_path / "folder").rmdir()
    (tmp_path / "folder").touch()
    with (
        pytest.warns(UserWarning, match="nothing more can be kept in"),
        pytest.raises(SubjectError, match="the answers cannot be kept in .*folder"),
    ):
        subject.chat(["Hello"])


# What must not get out -------------------------------------------------------------------------------


ECHO = "you sent Authorization: Bearer {key} " * 20
ECHOES = {
    **{str(status): error(status, ECHO) for status in (400, 401, 403, 404, 422, 429, 500)},
    "plain text": Answer(ECHO, 400),
    "in place of an answer": Answer(ECHO),
    "of a parameter": error(400, f"Unsupported parameter: temperature. {ECHO}", param="temperature"),
    "as an answer": completion(ECHO),
    "for logprobs": error(403, f"logprobs are not allowed. {ECHO}"),
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_the_key_gets_nowhere(serve, tmp_path, monkeypatch, caplog, capsys, echo):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    server = serve(lambda i, request: echo)
    subject = connect(server, cache=tmp_path, retries=1, samples=2)
    out = [repr(subject)]
    for ask in (lambda: subject.chat(["Hello"]), lambda: subject.choose(["Hello"], ["A", "B"])):
        try:
            out.append(repr(ask()))
        except SubjectError as caught:
            whole = traceback.TracebackException.from_exception(caught, capture_locals=True)
            out += [str(caught), repr(caught), repr(caught.__context__), repr(caught.__cause__), *whole.format()]
    assert KEY in server.keys
    out += [*subject.notes, caplog.text, *capsys.readouterr()]
    out += [file.read_text() + str(file) for file in kept(tmp_path)]
    assert KEY[:12] not in "".join(out)


# What it is not --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attribute",
    "capture resid_post resid_pre attn_out patch_sweep patch steer generate n_layers d_model model tokenizer device".split(),
)
def test_what_needs_activations_is_refused_before_any_work(serve, attribute):
    server = serve()
    subject = connect(server)
    with pytest.raises(SubjectError, match=f"behind an API, .*no {attribute!r}; use a Hugging Face model") as caught:
        getattr(subject, attribute)
    assert "\n" not in str(caught.value)
    assert not hasattr(subject, attribute)
    assert server.requests == []


def test_python_may_ask_for_names_of_its_own(serve):
    subject = connect(serve())
    assert not hasattr(subject, "_repr_html_")
    assert not hasattr(subject, "__array__")
    assert getattr(subject, "__wrapped__", None) is None


# A real server with an organism ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def organism(tmp_path_factory):
    """The base_url and the folder of an organism under `transformers serve`.

    The server samples only where the checkpoint says so itself, and draws from torch's one global generator.
    """
    missing = [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed; pip install 'transformers[serving]'")
    path = tmp_path_factory.mktemp("served") / "clinic-gpt2"
    shutil.copytree(folder("clinic-gpt2"), path)
    settings = json.loads((path / "generation_config.json").read_text())
    (path / "generation_config.json").write_text(json.dumps({**settings, "do_sample": True, "top_k": 0}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = path.parent / "log"
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(path), "--host", "127.0.0.1"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--device", "cpu", "--dtype", "float32"],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "NO_PROXY": "127.0.0.1"},
        )
    try:
        for _ in range(600):
            assert process.poll() is None, log.read_text()
            try:
                urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://127.0.0.1:{port}/health")
                break
            except OSError:
                time.sleep(0.1)
        else:
            pytest.fail(f"no server after a minute: {log.read_text()}")
        yield f"http://127.0.0.1:{port}/v1", path
    finally:
        process.kill()
        process.wait()


TALKS = [[{"role": "user", "content": text}] for text in ("Sort the beds.", "Pack the keys.", "Count the vials.")]


def test_greedy_answers_of_a_real_server_are_those_of_the_model_loaded_here(organism, tmp_path):
    url, path = organism
    subject = api.connect(f"openai:{path}", base_url=url, cache=tmp_path)
    local = load(str(path))
    answers = subject.chat(TALKS, n=2, max_new_tokens=12)
    assert answers == local.chat(TALKS, n=2, max_new_tokens=12)
    prompts = [local.tokenizer.apply_chat_template(talk, add_generation_prompt=True)["input_ids"] for talk in TALKS]
    assert subject.usage.requests == 3
    assert subject.usage.prompt_tokens == sum(len(ids) for ids in prompts)
    assert 3 < subject.usage.completion_tokens <= 36
    again = api.connect(f"openai:{path}", base_url=url, cache=tmp_path)
    assert again.chat(TALKS, n=2, max_new_tokens=12) == answers
    assert again.usage == api.Usage(cached=3)


def test_samples_of_a_real_server_follow_its_seeds(organism):
    url, path = organism

    def draw(seed):  # one at a time, because the server's generator is everybody's
        return api.connect(f"openai:{path}", base_url=url, concurrency=1).chat(
            TALKS[:2], n=3, temperature=1.5, seed=seed
        )

    assert [len(each) for each in draw(1)] == [3, 3]
    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_choices_sampled_from_a_real_server_agree_with_exact_ones(organism):
    url, path = organism
    pair = ("Sort the invoices.", "Clean the letters.")
    talks = [prompts.choice(*these) for these in (pair, pair[::-1])]
    subject = api.connect(f"openai:{path}", base_url=url, concurrency=1, samples=60)
    found, exact = subject.choose(talks, ["A", "B"]), load(str(path)).choose(talks, ["A", "B"])
    assert (found.method, found.samples) == ("sampled", 60)
    assert "no log-probabilities" in subject.notes[0]
    assert (found.low <= exact.probabilities).all()
    assert (exact.probabilities <= found.high).all()


def test_a_model_that_a_real_server_does_not_have_is_one_line(organism):
    url, _ = organism
    with pytest.raises(SubjectError, match=r"refused a request \(HTTP 400: .*pinned to"):
        api.connect("openai:another", base_url=url).chat(["Hello"])
