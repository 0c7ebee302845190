"""The hub may limit, fail or be gone: downloads are patient, errors are one line, and the token is written nowhere."""

import json
import os
import subprocess
import sys
import time
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.files import hub as patience
from lab.subjects.names import folder, resolve
from tests.subjects.hub_server import Hub

NAME, TOKEN = "clinic/tiny", "hf_a-secret-that-nobody-may-see"
NOW = {"Retry-After": "0"}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("hf")


@pytest.fixture
def asked(home):
    """Runs code in a process of its own, which reads the hub's settings afresh; returns what it printed."""

    def run(code, server=None, **environment):
        for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HUGGING_FACE_HUB_TOKEN"):
            environment.setdefault(name, None)
        environment = {
            "HF_HOME": str(home),
            "HF_ENDPOINT": server.url if server else "http://127.0.0.1:9",
            **environment,
        }
        everything = {name: value for name, value in {**os.environ, **environment}.items() if value is not None}
        command = [sys.executable, "-c", HEAD + code]
        done = subprocess.run(command, capture_output=True, text=True, env=everything, cwd=Path(__file__).parents[2])
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


HEAD = """
import json, time
from lab.subjects import LoadError, downloading

def said(ask):
    try:
        ask()
    except LoadError as error:
        return str(error)
"""
LINE = f"print(json.dumps([said(lambda: downloading.check({NAME!r})), said(lambda: downloading.fetch({NAME!r}))]))"


def test_after_two_refusals_and_a_hiccup_the_model_is_there(asked, home):
    server = Hub(NAME, folder("clinic-gpt2"), [(429, {"Retry-After": "1"}), (503, NOW), None, (429, NOW), (500, NOW)])
    begun = time.monotonic()
    code = f"downloading.check({NAME!r}); print(json.dumps(str(downloading.fetch({NAME!r}))))"
    path = Path(asked(code, server, HF_TOKEN=TOKEN))
    assert time.monotonic() - begun > 1  # as Retry-After asked
    assert {file.name for file in path.iterdir()} == set(server.files) - {"truth.yaml"}
    assert all(file.read_bytes() == server.files[file.name] for file in path.iterdir())
    assert {token for _, path, token in server.seen if NAME in path} == {f"Bearer {TOKEN}"}
    kept = [file for file in home.rglob("*") if file.is_file()]
    assert kept
    assert not [file for file in kept if TOKEN.encode() in file.read_bytes()]
    # What is in the cache is loaded without the hub, as transformers documents it.
    offline = """
from lab.subjects import load
bits = [said(lambda: load("clinic/other")), said(lambda: load("untrained:clinic/other"))]
print(json.dumps([load("clinic/tiny").n_layers, load("untrained:clinic/tiny").n_layers, *bits]))
"""
    *layers, first, second = asked(offline, HF_HUB_OFFLINE="1")
    assert layers == [4, 4]
    assert first == second
    assert first == (
        "'clinic/other' is not in the hub's cache, and HF_HUB_OFFLINE is set; unset it, or fetch the model before"
    )


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (429, "the hub limits requests (HTTP 429) and gave no 'clinic/tiny' in 6 tries; set HF_TOKEN, or wait a while"),
        (502, "the hub failed (HTTP 502) and gave no 'clinic/tiny' in 6 tries; wait a while, or see its status"),
    ],
)
def test_a_hub_that_never_gives_is_one_line(asked, tmp_path, status, said):
    server = Hub(NAME, folder("clinic-gpt2"), always=(status, NOW))
    assert asked(LINE, server, HF_HOME=str(tmp_path)) == [said, said]
    assert len([path for _, path, _ in server.seen if NAME in path]) == 2 * patience.TRIES
    assert {token for *_, token in server.seen} == {None}


def test_a_model_that_is_not_there_is_told_at_once(asked, tmp_path):
    server = Hub("clinic/another", folder("clinic-gpt2"))
    check, fetch = asked(LINE, server, HF_HOME=str(tmp_path))
    for said in (check, fetch):
        assert said.startswith("the hub does not give 'clinic/tiny' (")
        assert said.endswith("check the name and HF_TOKEN")
        assert "\n" not in said
    assert len([path for _, path, _ in server.seen if NAME in path]) == 2


def test_where_nobody_listens_it_is_one_line_at_once(asked, tmp_path):
    begun = time.monotonic()
    for said in asked(LINE, HF_HOME=str(tmp_path)):
        assert said.startswith("'clinic/tiny' is not a folder, and the hub cannot be asked (")
        assert "\n" not in said
    assert time.monotonic() - begun < 10


def test_pauses_are_those_that_the_hub_asks_for():
    def pause(tries, **headers):
        error = OSError("no")
        error.__cause__ = ValueError("within")
        error.__cause__.response = SimpleNamespace(headers={k.replace("_", "-"): v for k, v in headers.items()})
        return patience.pause(SimpleNamespace(attempt_number=tries, outcome=SimpleNamespace(exception=lambda: error)))

    assert [pause(n) for n in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
    assert pause(1, retry_after="17") == 17
    assert pause(1, retry_after="100000") == patience.LONGEST
    assert 30 < pause(1, retry_after=formatdate(time.time() + 40, usegmt=True)) <= 40
    assert pause(3, retry_after="soon") == 4
    assert pause(1, ratelimit='"api";r=0;t=55') == 55


def test_a_short_name_asks_the_hub_for_the_full_one(asked):
    """As the plan names its models: gpt2, pythia-70m, pythia-160m, opt-125m."""
    server = Hub("EleutherAI/pythia-70m", folder("clinic-neox"))
    code = "from lab.subjects import locate\nprint(json.dumps([locate('pythia-70m'), locate('untrained:pythia-70m')]))"
    assert asked(code, server) == ["EleutherAI/pythia-70m"] * 2
    assert any(path.startswith("/api/models/EleutherAI/pythia-70m") for _, path, _ in server.seen)


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("gpt2", "openai-community/gpt2"),
        ("pythia-160m", "EleutherAI/pythia-160m"),
        ("untrained:opt-125m", "facebook/opt-125m"),
        ("Qwen2.5-0.5B-Instruct", "Qwen/Qwen2.5-0.5B-Instruct"),
        ("somebody/gpt2", "somebody/gpt2"),
    ],
)
def test_short_names_are_those_in_common_use(short, full):
    assert resolve(short) == (full, None, short.startswith("untrained:"))


def test_a_folder_of_that_name_comes_first(tmp_path, monkeypatch):
    (tmp_path / "gpt2").mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve("gpt2") == ("gpt2", None, False)
