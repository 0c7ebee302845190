"""A cached subject gives what its subject gives, to the bit, and loads it only for what is new."""

import dataclasses
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.subjects import Edit, HookPoint, NoActivationsError, StructureError, Subject, SubjectError, api, load, names
from lab.subjects.cache.cached import CachedSpeaker, CachedSubject, cached
from lab.subjects.cache.canonical import FORMS
from lab.subjects.cache.store import Cache
from lab.subjects.effort import DONE
from lab.subjects.identity import identity
from tests.subjects.api_server import Server, completion

ROOT = Path(__file__).parents[3]
PROMPTS = ["The patient has a fever.", "The drug works."]
CHATS = [[{"role": "user", "content": "Is a fever bad?"}], [{"role": "user", "content": "Rate it."}]]


class Counted(Cache):
    """Counts what it was asked for."""

    hits = misses = 0

    def get(self, key):
        found = super().get(key)
        self.hits += found is not None
        self.misses += found is None
        return found


class Loads:
    """Subjects by name behind one cache; `count` is how often one was loaded."""

    def __init__(self, folder):
        self.cache, self.count = Counted(folder), 0

    def __call__(self, name="clinic-gpt2", **options):
        def loads():
            self.count += 1
            return load(name, **options)

        return cached(name, identity(name, options), loads, self.cache)


@pytest.fixture
def subject(tmp_path):
    return Loads(tmp_path / "cache")


@pytest.fixture(scope="module")
def real():
    return load("clinic-gpt2")


def same(one, two):
    """Equal to the bit, in equal types."""
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (two.dtype, two.shape, two.tobytes())
    if dataclasses.is_dataclass(one):
        fields = [field.name for field in dataclasses.fields(one)]
        return type(one) is type(two) and all(same(getattr(one, f), getattr(two, f)) for f in fields)
    if isinstance(one, list | tuple):
        return type(one) is type(two) and len(one) == len(two) and all(map(same, one, two))
    return type(one) is type(two) and one == two


def steered(s, **options):
    return s.steer(s.resid_post(0.5), np.linspace(-3, 3, s.d_model), 2.0, **options)


CALLS = {
    "capture": lambda s: s.capture(PROMPTS, s.resid_post(0.5)),
    "capture all layers": lambda s: s.capture(PROMPTS, "resid_pre", position="all", max_tokens=4),
    "capture heads": lambda s: s.capture(PROMPTS, s.head_out(0, heads=[1]), position=[0, 1]),
    "capture patterns": lambda s: s.capture(PROMPTS, s.attn_pattern([0, -1])),
    "capture a mean": lambda s: s.capture(PROMPTS, s.norm_out(1), position="mean"),
    "capture under an edit": lambda s: s.capture(CHATS, s.resid_post(), "assistant", edit=steered(s)),
    "choose": lambda s: s.choose(PROMPTS, [" Yes", " No"]),
    "choose per prompt": lambda s: s.choose(PROMPTS, [[" a", " b"], [" the one", " other"]], per_token=True),
    "choose under edits": lambda s: s.choose(
        PROMPTS, [" Yes", " No"], edit=[steered(s), s.patch(s.mlp_out(0), np.ones((2, s.d_model)))]
    ),
    "generate": lambda s: s.generate(PROMPTS, max_new_tokens=4),
    "generate at random": lambda s: s.generate(PROMPTS, max_new_tokens=4, temperature=1.0, seeds=[5, 6]),
    "generate from a nucleus": lambda s: s.generate(PROMPTS, max_new_tokens=4, temperature=1.0, top_p=0.8),
    "chat": lambda s: s.chat(CHATS, n=2, temperature=0.7, top_p=0.9, max_new_tokens=3),
    "sweep": lambda s: s.patch_sweep(PROMPTS[:1], ["The doctor has a fever."]),
    "sweep differences": lambda s: s.patch_sweep(
        PROMPTS[:1], ["The doctor has a fever."], s.head_out([0]), "all", answers=([3], [4])
    ),
    "what it is": lambda s: (s.n_layers, s.d_model, s.n_heads, s.n_parameters, s.context, s.outline, s.notes),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_second_use_gives_the_same_and_loads_nothing(call, subject, real):
    expected = call(real)
    assert same(call(subject()), expected)
    assert subject.count == 1
    assert same(call(subject()), expected)
    assert subject.count == 1


def test_what_is_said_under_each_seed_is_kept_by_itself(subject, real):
    how = {"temperature": 1.0, "max_new_tokens": 3}
    first, hits = subject(), DONE.hits
    said = first.chat(CHATS, seed=5, **how)
    assert first.chats(CHATS, [4, 5], **how) == [real.chat(CHATS, seed=4, **how), said]
    assert subject().chat(CHATS, seed=4, **how) == first.chats(CHATS, [4], **how)[0]
    assert DONE.hits - hits == 3
    assert subject.count == 1


def test_nothing_is_loaded_before_it_is_needed(subject):
    subject()
    assert subject.count == 0
    first = subject()
    CALLS["choose"](first)
    CALLS["choose"](first)
    CALLS["capture"](first)
    assert subject.count == 1


def test_other_weights_find_nothing(subject):
    CALLS["choose"](subject())
    twin = CALLS["choose"](subject("untrained:clinic-gpt2"))
    assert subject.count == 2
    assert same(twin, CALLS["choose"](load("untrained:clinic-gpt2")))


def test_a_damaged_result_is_computed_anew(subject, real):
    CALLS["choose"](subject())
    for path in subject.cache.folder.rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="damaged"):
        assert same(CALLS["choose"](subject()), CALLS["choose"](real))
    assert same(CALLS["choose"](subject()), CALLS["choose"](real))
    assert subject.count == 2


def test_a_file_is_written_from_the_cache_too(subject, tmp_path, real):
    expected = CALLS["capture"](real)
    for i in range(3):
        subject().capture(PROMPTS, "resid_post")  # something else in between
        found = subject().capture(PROMPTS, real.resid_post(0.5), out=tmp_path / f"{i}.safetensors")
        assert isinstance(found.array, np.memmap)
        assert same(dataclasses.replace(found, array=np.array(found.array)), expected)
        assert (tmp_path / f"{i}.safetensors").read_bytes() == (tmp_path / "0.safetensors").read_bytes()
    assert subject.count == 2
    with pytest.raises(SubjectError, match="it is a folder; name a file in it"):
        subject().capture(PROMPTS, real.resid_post(0.5), out=tmp_path)


def test_errors_are_the_subjects_own(subject, real):
    wrong = {
        "no prompts": lambda s: s.choose([], ["a", "b"]),
        "one string": lambda s: s.capture("text", s.resid_post(0)),
        "no position": lambda s: s.capture(PROMPTS, s.resid_post(0), position="middle"),
        "no layer": lambda s: s.capture(PROMPTS, s.resid_post(99)),
        "no point": lambda s: s.capture(PROMPTS, "resid"),
        "no seeds": lambda s: s.generate(PROMPTS, seeds=[1]),
        "no adapter": lambda s: s.adapter("judge"),
        "no answers": lambda s: s.chat(PROMPTS, n=0),
        "no share": lambda s: s.generate(PROMPTS, top_p=0),
    }
    for name, call in wrong.items():
        for _ in range(2):
            messages = []
            for s in (real, subject()):
                with pytest.raises(SubjectError) as error:
                    call(s)
                messages.append((type(error.value), str(error.value)))
            assert messages[0] == messages[1], name
    parallel = subject("clinic-neox")
    for _ in range(2):
        with pytest.raises(StructureError, match="has no resid_mid"):
            parallel.resid_mid()


# Keys ------------------------------------------------------------------------------------------------

ids = st.lists(st.integers(0, 9), min_size=1, max_size=3)
texts = st.text("ab, ", min_size=1, max_size=3)
message = st.fixed_dictionaries({"role": st.sampled_from(["user", "system"]), "content": texts})
prompt = texts | ids | st.lists(message, min_size=1, max_size=2)
site = st.builds(
    HookPoint,
    st.sampled_from(["resid_post", "mlp_out"]),
    st.lists(st.integers(0, 2), min_size=1, max_size=2).map(tuple),
    st.none() | st.sampled_from(["ln_1", "ln_2"]),
    st.none() | st.lists(st.integers(0, 2), max_size=2).map(tuple),
)
positions = (
    st.sampled_from(["last", "all", "mean"])
    | st.integers(-2, 2)
    | st.builds(slice, st.none() | st.integers(0, 2), st.none() | st.integers(0, 2))
    | st.lists(st.integers(0, 2), min_size=1, max_size=2)
    | st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=2), min_size=1, max_size=2)
)
values = st.integers(0, 2).map(lambda seed: np.full((1, 1, 1, 2), seed, dtype=np.float32))
edit = st.builds(Edit, site, values, positions.filter(lambda p: p != "mean"), st.booleans(), st.sampled_from(["add", "replace"]))  # fmt: skip
edits = st.lists(edit, max_size=2)
prompts = st.lists(prompt, min_size=1, max_size=2)
ARGUMENTS = {
    "capture": {
        "prompts": prompts,
        "at": site,
        "position": positions,
        "edit": edits,
        "max_tokens": st.none() | st.integers(1, 2),
    },
    "choose": {
        "prompts": prompts,
        "options": st.lists(texts, min_size=1, max_size=2) | st.lists(st.lists(texts, max_size=2), max_size=2),
        "per_token": st.booleans(),
        "edit": edits,
    },
    "generate": {
        "prompts": prompts,
        "max_new_tokens": st.integers(1, 2),
        "temperature": st.sampled_from([0.0, 0.5]),
        "top_p": st.sampled_from([0.5, 1.0]),
        "seeds": st.lists(st.integers(0, 2), min_size=1, max_size=2),
        "edit": edits,
    },
    "chat": {
        "conversations": prompts,
        "n": st.integers(1, 2),
        "temperature": st.sampled_from([0.0, 0.5]),
        "top_p": st.sampled_from([0.5, 1.0]),
        "seed": st.integers(0, 2),
        "max_new_tokens": st.integers(1, 2),
        "edit": edits,
    },
    "patch_sweep": {
        "clean": prompts,
        "corrupted": prompts,
        "at": site,
        "positions": positions,
        "answers": st.none() | st.tuples(ids, ids),
    },
}
calls = st.one_of(st.tuples(st.just(method), st.fixed_dictionaries(given)) for method, given in ARGUMENTS.items())


class Keys(Cache):
    """Keeps nothing, and knows which keys were asked for."""

    def __init__(self):
        super().__init__(Path("nowhere"))
        self.asked = []

    def get(self, key):
        self.asked.append(key)

    def put(self, key, entry):
        pass


class Anything:
    """A subject of which only the keys matter."""

    notes = ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: []


def key(call):
    method, arguments = call
    cache = Keys()
    subject = CachedSubject("x", {}, Anything, cache)
    subject._subject = Anything
    try:
        getattr(subject, method)(**arguments)
    except (TypeError, ValueError):  # an empty list is no result that can be kept; the key was asked for
        assert cache.asked
    return cache.asked[-1]


def frozen(value):
    """Comparable by what the call means: containers of numpy's and Python's own are one."""
    if isinstance(value, np.ndarray):
        return ("array", value.shape, value.tobytes())
    if isinstance(value, HookPoint | Edit):
        return (type(value).__name__, *map(frozen, vars(value).values()))
    if isinstance(value, dict):
        return ("dict", *sorted((k, frozen(v)) for k, v in value.items()))
    if isinstance(value, list | tuple):
        return ("list", *map(frozen, value))
    return (type(value).__name__, str(value))


@given(calls, calls)
@settings(max_examples=300)
def test_different_calls_never_share_a_key(one, two):
    assert (key(one) == key(two)) == (frozen(one) == frozen(two))


def change(call, data):
    """The call with one of its arguments drawn anew."""
    method, arguments = call
    name = data.draw(st.sampled_from(sorted(arguments)))
    return method, {**arguments, name: data.draw(ARGUMENTS[method][name])}


@given(calls, st.data())
@settings(max_examples=300)
def test_calls_that_differ_in_one_argument_never_share_a_key(call, data):
    other = change(call, data)
    assert (key(call) == key(other)) == (frozen(call) == frozen(other))


def disguised(value, data):
    """The same value in another container, or as a number of numpy's."""
    if isinstance(value, Edit):
        made = {name: disguised(v, data) for name, v in vars(value).items() if name in ("at", "position")}
        return dataclasses.replace(value, **made, decoding=np.bool_(value.decoding))
    if isinstance(value, HookPoint):
        return dataclasses.replace(value, layers=tuple(map(np.int64, value.layers)))
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return data.draw(st.sampled_from([int, np.int64, np.int32]))(value)
    if isinstance(value, float):
        return np.float64(value)
    if isinstance(value, str):
        return data.draw(st.sampled_from([str, np.str_]))(value)
    if isinstance(value, slice):
        return slice(*(disguised(part, data) for part in (value.start, value.stop, value.step)))
    if isinstance(value, dict):
        return dict(reversed([(k, disguised(v, data)) for k, v in value.items()]))
    if isinstance(value, list | tuple) and value and all(type(v) is int for v in value):
        return data.draw(st.sampled_from([list, tuple, np.array]))(value)
    if isinstance(value, list | tuple):
        return data.draw(st.sampled_from([list, tuple]))(disguised(v, data) for v in value)
    return value


@given(calls, st.data())
@settings(max_examples=300)
def test_equal_calls_share_a_key_whatever_their_containers(call, data):
    method, arguments = call
    assert key((method, {name: disguised(value, data) for name, value in arguments.items()})) == key(call)


def test_the_order_of_keys_counts_only_where_a_template_may_show_it():
    def call(message):
        return key(("chat", {"conversations": [[message]]}))

    tool = {"role": "tool", "content": {"name": "f", "of": {"a": 1, "b": 2}}}
    assert call(tool) == call(dict(reversed(tool.items())))
    assert call(tool) != call({**tool, "content": {"name": "f", "of": {"b": 2, "a": 1}}})
    assert call({"role": "user", "content": {"0": ["a", 1]}}) != call({"role": "user", "content": {"a": 1}})


def test_defaults_and_one_edit_without_a_list_are_the_same_call(subject, real):
    s = subject()
    one = s.choose(PROMPTS, [" a", " b"], edit=steered(real))
    two = s.choose(tuple(PROMPTS), (" a", " b"), per_token=False, edit=(steered(real),))
    plain = s.generate(PROMPTS), s.generate(np.array(PROMPTS), seeds=np.arange(2), temperature=0, edit=[])
    assert same(one, two)
    assert same(*plain)
    assert subject.cache.hits >= 2
    before = subject.cache.misses
    s.choose([[3, 4, 5]], [" a", " b"])
    s.choose(np.array([[3, 4, 5]]), [" a", " b"])
    assert subject.cache.misses == before + 1


@pytest.mark.parametrize(("kind", "of"), [(CachedSpeaker, api.ApiSubject), (CachedSubject, Subject)])
def test_calls_have_the_signatures_and_docstrings_of_the_subjects_own(kind, of):
    for name in ("choose", "chat", "chats", "replies", "generate", "capture", "patch_sweep"):
        own = getattr(of, name, None)
        if own is not None:
            assert inspect.signature(getattr(kind, name)) == inspect.signature(own)
            assert getattr(kind, name).__doc__ == own.__doc__
            known = {"self", "out", *FORMS}
            assert inspect.signature(own).parameters.keys() <= known, "a parameter that no key would hold"


def test_a_call_that_no_subject_takes_is_refused_before_one_is_loaded(subject):
    with pytest.raises(TypeError, match="capture: got an unexpected keyword argument 'where'"):
        subject().capture(PROMPTS, "resid_post", where=3)
    with pytest.raises(TypeError, match="choose: missing a required argument: 'options'"):
        subject().choose(PROMPTS)
    assert subject.count == 0


# Adapters and changes by hand ------------------------------------------------------------------------


def test_each_adapter_has_results_of_its_own(subject):
    ask = CALLS["choose"]
    folders = {name: names.folder(f"clinic-llama+{name}") for name in ("to-a", "to-b")}

    def results(s):
        found = [ask(s)]
        for name, folder in folders.items():
            s.add_adapter(folder, name)
            found.append(ask(s))
        with s.adapter(None):
            found.append(ask(s))
            with s.adapter("to-a"):
                found.append(ask(s))
            found.append(ask(s))
        return [*found, ask(s)]

    expected = results(load("clinic-llama"))
    assert len({result.logprobs.tobytes() for result in expected}) == 3
    for _ in range(2):
        assert same(results(subject("clinic-llama")), expected)


def test_an_adapter_is_switched_without_loading(subject):
    ask, base = CALLS["choose"], CALLS["choose"](load("clinic-llama"))
    first = subject("clinic-llama+to-b")
    with first.adapter(None):
        assert same(ask(first), base)  # loaded inside
    assert not same(ask(first), base)
    second = subject("clinic-llama+to-b")
    with second.adapter("to-b"), second.adapter(None):
        assert same(ask(second), base)
    assert subject.count == 1
    with second.adapter(None):
        layers = [
            m for m in second.model.modules() if isinstance(getattr(m, "disable_adapters", None), bool)
        ]  # loads it, switched
        assert layers
        assert all(layer.disable_adapters for layer in layers)
    assert not any(layer.disable_adapters for layer in layers)
    assert same(ask(second), ask(load("clinic-llama+to-b")))


def test_weights_changed_by_hand_give_no_stale_results(subject):
    ask = CALLS["choose"]
    before = ask(subject())
    for attribute in ("model", "blocks", "anatomy"):
        changed = subject()
        getattr(changed, attribute)
        for parameter in changed.model.parameters():
            parameter.data.mul_(0.5)
        assert not same(ask(changed), before)
        assert changed.notes == [
            f"`.{attribute}` was handed out: from then on it was computed anew, past the cache"
        ] + (
            []
            if attribute == "model"
            else ["`.model` was handed out: from then on it was computed anew, past the cache"]
        )
    assert same(ask(subject()), before)


def test_settings_are_the_subjects_and_count(subject):
    s = subject()
    before = CALLS["choose"](s)
    s.padding_side = "right"
    s.tokens_per_batch = 7
    assert (s.padding_side, s.tokens_per_batch) == ("right", 7)
    misses = subject.cache.misses
    after = CALLS["choose"](s)
    assert subject.cache.misses == misses + 1
    assert np.allclose(before.logprobs, after.logprobs, atol=1e-4)
    with pytest.raises(SubjectError, match="padding_side is 'left' or 'right', not 'up'"):
        s.padding_side = "up"


def test_another_chat_template_is_another_result(subject):
    s = subject()
    before = s.chat(CHATS)
    s.tokenizer.chat_template = "{{ messages[0]['content'] }} No no no no"
    assert s.chat(CHATS) != before
    assert subject().chat(CHATS) == before


def test_the_rest_is_the_loaded_subjects(subject):
    s = subject()
    assert s.device.type == "cpu"
    assert s.tokenizer("a")["input_ids"]
    assert s.shares_prefix
    assert s.notes == []
    assert subject.count == 1
    assert repr(s) == "CachedSubject('clinic-gpt2')"
    assert not hasattr(s, "nothing_of_the_kind")


def test_notes_come_back_with_what_they_are_about(tmp_path):
    cache = Cache(tmp_path)

    def noted():
        made = load("clinic-gpt2")
        made.notes.append("it runs on the CPU")
        choose = made.choose
        made.choose = lambda *args, **kwargs: made.notes.append("half a batch") or choose(*args, **kwargs)
        return made

    def subject():
        return cached("x", {}, noted, cache)

    first, second = subject(), subject()
    for s in (first, second):
        assert s.n_layers
        assert s.notes == ["it runs on the CPU"]
        CALLS["choose"](s)
        assert s.notes == ["it runs on the CPU", "half a batch"]
        CALLS["capture"](s)
        assert s.notes == ["it runs on the CPU", "half a batch"]


# Modes, servers, and what is imported ----------------------------------------------------------------


def test_off_computes_each_time_and_read_keeps_nothing(tmp_path, real):
    for mode in ("off", "read"):
        cache = Cache(tmp_path / "cache", mode)
        s = cached("x", {}, lambda: real, cache)
        assert same(CALLS["choose"](s), CALLS["choose"](real))
        assert s.n_layers == real.n_layers
        assert not cache.folder.exists()


def test_answers_of_a_server_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server(lambda i, request: completion(f"answer {i}", top={"Yes": 0.5, "No": 0.25}))
    try:
        options = {"base_url": server.url}
        told = identity("openai:tiny", options)

        def subject():
            return cached("openai:tiny", told, lambda: api.connect("openai:tiny", **options), Cache(tmp_path))

        def results(s):
            return [s.chat(PROMPTS), s.chat(PROMPTS, n=2, temperature=1.0), s.choose(PROMPTS, ["Yes", "No"], seed=3)]

        first = results(subject())
        asked = len(server.requests)
        assert same(results(subject()), first)
        assert len(server.requests) == asked
        assert first[2].method == "log-probabilities"
        for name in ("capture", "resid_post", "n_layers", "outline"):
            with pytest.raises(NoActivationsError, match=f"so it has no '{name}'"):
                getattr(subject(), name)
    finally:
        server.stop()


SERVED = """
import sys
import numpy as np
from pathlib import Path
from lab.subjects.cache.store import Cache
from lab.subjects.cache.cached import cached
from lab.subjects.identity import identity

def loads():
    from lab.subjects import load
    return load("clinic-gpt2")

cache = Cache(Path(sys.argv[1]))
s = cached("clinic-gpt2", identity("clinic-gpt2", {}), loads, cache)
at = s.resid_post(0.5)
found = s.capture(["The patient has a fever."], at)
edit = s.steer(at, found.array[0, 0], 2.0)
p = s.choose(["The drug"], [" works", " fails"], edit=edit).probabilities
chat = s.chat([[{"role": "user", "content": "Is it?"}]], max_new_tokens=3)
print(found.array.sum(), p, chat, s.n_parameters, s.notes)
print(s.is_loaded, [m for m in ("torch", "transformers", "scipy", "sklearn") if m in sys.modules])
"""


def test_a_full_cache_serves_without_torch(tmp_path):
    def run():
        out = subprocess.run(
            [sys.executable, "-c", SERVED, str(tmp_path)], capture_output=True, text=True, cwd=ROOT, check=True
        )
        return out.stdout.splitlines()

    first, second = run(), run()
    assert second[:-1] == first[:-1]
    assert "torch" in first[-1]
    assert second[-1] == "False []"
