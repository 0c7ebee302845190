"""Replies say whether they are whole; each is kept by itself, none that failed, and a plan counts what would be asked."""

import pytest

from lab.forecast import dry
from lab.forecast.calls import Calls
from lab.forecast.planned import PlannedCache, PlannedSpeaker
from lab.subjects import api, load
from lab.subjects.cache.cached import cached
from lab.subjects.cache.store import Cache
from lab.subjects.effort import DONE
from lab.subjects.identity import identity
from lab.subjects.results import Said
from tests.subjects.api_server import DROP, Server, completion


def asked(request):
    return request["messages"][-1]["content"]


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    broken = {"two"}
    started = Server(lambda i, request: DROP if asked(request) in broken else completion(asked(request).upper()))
    started.broken = broken
    yield started
    started.stop()


@pytest.fixture(scope="module")
def real():
    return load("clinic-gpt2")


def subject(server, folder):
    options = {"base_url": server.url, "retries": 0}

    def connect():
        return api.connect("openai:tiny", **options)

    return cached("openai:tiny", identity("openai:tiny", options), connect, Cache(folder))


def test_each_reply_is_kept_by_itself_and_a_fault_is_not(server, tmp_path):
    first = subject(server, tmp_path).replies(["one", "two"], max_new_tokens=8)
    assert first[0] == Said("ONE")
    assert first[1].text == ""
    assert "did not answer" in first[1].fault
    server.broken.clear()
    later = subject(server, tmp_path)
    assert later.replies(["three", "two", "one"], max_new_tokens=8) == [Said("THREE"), Said("TWO"), Said("ONE")]
    assert sorted(map(asked, server.requests)) == ["one", "three", "two", "two"]
    later.replies(["one"], max_new_tokens=9)
    later.replies(["one"], max_new_tokens=8, effort="low")
    assert len(server.requests) == 6, "other settings are other calls"
    whole = subject(server, tmp_path)
    assert whole.replies(["two", "three"], max_new_tokens=8) == [Said("TWO"), Said("THREE")]
    assert not whole.is_loaded


def test_equal_conversations_are_asked_once(server):
    connected = api.connect("openai:tiny", base_url=server.url)
    assert connected.replies(["one"] * 3, max_new_tokens=8) == [Said("ONE")] * 3
    assert len(server.requests) == 1


def test_chat_still_ends_with_the_first_fault(server):
    with pytest.raises(api.SubjectError, match="did not answer after 1 tries"):
        api.connect("openai:tiny", base_url=server.url, retries=0).chat(["one", "two"])


def test_a_plan_counts_the_requests_and_sends_none(server, tmp_path):
    kept = subject(server, tmp_path)
    kept.replies(["one"], max_new_tokens=8)
    sent = len(server.requests)
    options = {"base_url": server.url, "retries": 0}
    calls = Calls()
    planned = PlannedSpeaker(
        "openai:tiny",
        identity("openai:tiny", options),
        lambda: dry.load("openai:tiny", "cpu", None, **options),
        PlannedCache(tmp_path, "write"),
        calls,
    )
    before = DONE.requests
    planned.replies(["one", "two", "three"], max_new_tokens=8)
    assert DONE.requests - before == 2
    planned.replies(["two"], max_new_tokens=8)
    assert DONE.requests - before == 2
    assert calls.made == 2
    assert len(server.requests) == sent


def test_a_local_reply_is_what_generate_writes_and_tells_a_cut(real):
    prompts = [[{"role": "user", "content": text}] for text in ("Sort the vials.", "Is a fever bad?")]
    long = real.replies(prompts, max_new_tokens=32)
    made = real.generate(prompts, max_new_tokens=32)
    assert [said.text for said in long] == made.texts
    assert [said.cut for said in long] == [len(tokens) == 32 for tokens in made.tokens]
    assert not long[0].cut
    assert real.replies(prompts[:1], max_new_tokens=2)[0].cut


def test_a_prompt_that_leaves_no_room_stops_no_other(real):
    prompts = ["Sort the vials.", "vials " * real.context, "Sort the vials."]
    first, second, third = real.replies(prompts, max_new_tokens=10**6)
    assert first == third
    assert first.text
    assert second == Said(fault=f"it leaves no room in the model's context of {real.context} tokens")
