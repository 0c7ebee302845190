"""What is kept comes back to the bit; what is damaged, foreign or in nobody's way does not."""

import errno
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lab.files.digest import digest
from lab.subjects.cache import store as module
from lab.subjects.cache.store import Cache, Entry

KEY, OTHER = digest("one"), digest("two")
TABLE = Entry({"layers": [1, 2], "nan": None}, {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(2)})
LINES = Entry({"notes": ["half a batch"]}, rows=[["a\n\u2028b", [1, 2]], ["", []]])

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
arrays = hnp.arrays(
    st.sampled_from(["f4", "f8", "i8", "i4", "u1", "?"]), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)
)
entries = st.builds(
    Entry,
    st.dictionaries(st.text(max_size=3), plain, max_size=3),
    st.dictionaries(st.text("ab_é", max_size=4), arrays, max_size=2),
    st.lists(plain, max_size=3),
)


def assert_same(one, two):
    assert (one.facts, list(one.rows), one.arrays.keys()) == (two.facts, list(two.rows), two.arrays.keys())
    for name, array in one.arrays.items():
        other = two.arrays[name]
        assert (array.dtype, array.shape, array.tobytes()) == (other.dtype, other.shape, other.tobytes())


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


@pytest.fixture(params=[TABLE, LINES], ids=["table", "lines"])
def entry(request):
    return request.param


def only_file(cache):
    (path,) = (path for path in cache.folder.rglob("*") if path.is_file())
    return path


@given(entries)
@settings(max_examples=60)
def test_what_is_kept_comes_back_to_the_bit(tmp_path_factory, entry):
    cache = Cache(tmp_path_factory.mktemp("cache"))
    assert cache.get(KEY) is None
    cache.put(KEY, entry)
    assert_same(cache.get(KEY), entry)


def test_an_array_in_any_order_of_memory_comes_back(cache):
    for array in (np.arange(6.0).reshape(2, 3).T, np.broadcast_to(np.float32(1), (3, 2)), np.arange(9)[::-2]):
        cache.put(KEY, Entry(arrays={"a": array}))
        assert np.array_equal(cache.get(KEY).arrays["a"], array)


def test_what_comes_back_may_be_changed(cache):
    cache.put(KEY, TABLE)
    cache.get(KEY).arrays["a"][:] = 7
    assert_same(cache.get(KEY), TABLE)


def test_read_writes_nothing_and_off_touches_nothing(cache, entry):
    for mode in ("read", "off"):
        Cache(cache.folder, mode).put(KEY, entry)
        assert not cache.folder.exists()
    cache.put(KEY, entry)
    path = only_file(cache)
    os.utime(path, (1, 1))
    assert_same(Cache(cache.folder, "read").get(KEY), entry)
    off = Cache(cache.folder, "off")
    assert off.get(KEY) is None
    assert path.stat().st_mtime == 1
    with pytest.raises(ValueError, match="no cache mode 'on'; there are off, read and write"):
        Cache(cache.folder, "on")


@given(st.data())
@settings(max_examples=150)
def test_a_flipped_bit_or_a_cut_never_changes_what_comes_back(tmp_path_factory, data):
    cache = Cache(tmp_path_factory.mktemp("cache"))
    entry = data.draw(st.sampled_from([TABLE, LINES]))
    cache.put(KEY, entry)
    path = only_file(cache)
    whole = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        whole[at] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del whole[at:]
    path.write_bytes(whole)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = cache.get(KEY)
    if found is None:
        assert len(caught) == 1
        assert "is damaged or another entry's; its content is computed anew" in str(caught[0].message)
    else:  # white space in a header
        assert_same(found, entry)


def test_a_damaged_entry_is_replaced(cache, entry):
    cache.put(KEY, entry)
    path = only_file(cache)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.warns(UserWarning, match="damaged") as caught:
        assert cache.get(KEY) is None
    assert len(caught) == 1
    cache.put(KEY, entry)
    assert_same(cache.get(KEY), entry)


def test_an_entry_under_another_name_is_found_out(cache, entry):
    cache.put(KEY, entry)
    path = only_file(cache)
    foreign = cache.folder / OTHER[:2] / f"{OTHER}{path.suffix}"
    foreign.parent.mkdir(exist_ok=True)
    foreign.write_bytes(path.read_bytes())
    with pytest.warns(UserWarning, match="another entry's"):
        assert cache.get(OTHER) is None


def big(i):
    return Entry(arrays={"a": np.full(1000, i, dtype=np.float32)})


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_what_was_not_used_for_longest_goes_first(cache):
    cache.limit = 60_000
    keys = [digest(i) for i in range(40)]
    for i, key in enumerate(keys):
        cache.put(key, big(i))
        os.utime(file_of(cache, key), ns=(i, i))
        cache.get(keys[0])
    assert size(cache.folder) <= 60_000
    there = [key for key in keys if cache.get(key) is not None]
    assert there[0] == keys[0]
    assert there[1:] == keys[-len(there) + 1 :]
    assert len(there) >= 10


def file_of(cache, key):
    return cache.folder / key[:2] / f"{key}.safetensors"


def test_an_entry_too_large_for_the_cache_is_not_kept(tmp_path):
    cache = Cache(tmp_path, limit=39_000)
    with pytest.warns(UserWarning, match=r"4e-06 GB are too many for a cache of 3.9e-05 GB and are not kept"):
        cache.put(KEY, big(0))
    assert cache.get(KEY) is None


WORKER = """
import sys, warnings
import numpy as np
from pathlib import Path
from lab.subjects.cache.store import Cache, Entry
from lab.files.digest import digest
warnings.simplefilter("error")
cache = Cache(Path(sys.argv[1]), limit=100_000)
found = 0
for i in range(300):
    cache.put(digest(i), Entry({"i": i}, {"a": np.full(1000, i, dtype=np.float32)}))
    entry = cache.get(digest((i * 7) % 300))
    if entry is not None:
        found += 1
        assert (entry.arrays["a"] == entry.facts["i"]).all()
assert found, "nothing was ever found"
"""


def test_processes_share_a_folder_that_overflows(tmp_path):
    runs = [subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path)], stderr=subprocess.PIPE) for _ in range(2)]
    for run in runs:
        assert run.communicate()[1] == b""
        assert run.returncode == 0
    assert size(tmp_path) <= 110_000
    assert not list(tmp_path.rglob("*.tmp"))


def put_both(cache, entry):
    cache.put(KEY, entry)
    cache.put(OTHER, entry)


def test_where_nothing_can_be_written_one_warning_says_so(tmp_path, entry):
    (tmp_path / "file").write_text("no folder")
    cache = Cache(tmp_path / "file" / "cache")
    with pytest.warns(UserWarning, match=r"nothing more can be kept in .*; the run goes on without") as caught:
        put_both(cache, entry)
    assert len(caught) == 1
    assert cache.get(KEY) is None


def test_a_full_disk_leaves_what_was_kept(cache, entry, monkeypatch):
    cache.put(KEY, entry)

    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "write_whole", full)
    with pytest.warns(UserWarning, match="No space left on device") as caught:
        put_both(cache, entry)
    assert len(caught) == 1
    assert_same(cache.get(KEY), entry)


def test_what_is_not_plain_is_refused(cache):
    with pytest.raises(TypeError):
        cache.put(KEY, Entry({"x": object()}))
