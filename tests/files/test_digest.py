"""Equal values share a digest, different ones do not."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.files.digest import digest

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def same(one, two):
    """Equal with equal types; Python holds 1 == True == 1.0, and 0.0 == -0.0."""
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    return type(one) is type(two) and repr(one) == repr(two)


@given(plain, plain)
def test_digests_are_equal_where_values_are(one, two):
    assert (digest(one) == digest(two)) == same(one, two)


@given(st.dictionaries(st.text(max_size=3), st.integers(), max_size=5))
def test_the_order_of_keys_means_nothing(mapping):
    assert digest(mapping) == digest(dict(reversed(mapping.items())))


@dataclass
class Row:
    text: str
    scores: np.ndarray


def test_arrays_tables_and_records_count_by_what_they_hold():
    a = np.arange(6.0).reshape(2, 3)
    assert digest(a) == digest(a.copy()) == digest(np.asfortranarray(a))
    assert len({digest(x) for x in (a, a.T, a.ravel(), a.astype("f4"), a + 1e-12)}) == 5
    assert digest(np.array(["x", None], dtype=object)) == digest(np.array(["x", None], dtype=object))
    assert digest(Row("x", a)) == digest(Row("x", a.copy())) != digest(Row("y", a))
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    assert digest(frame) == digest(frame.copy()) != digest(frame.rename(columns={"b": "c"}))
    assert digest(np.float64(0.5)) == digest(np.float64(0.5))
    assert digest({"a", "b"}) == digest({"b", "a"})
    assert digest(Path("a")) != digest("a")
    assert digest(["ab", "c"]) != digest(["a", "bc"])


def test_a_thing_may_say_itself_what_it_is():
    class Loaded:
        fingerprint = "v1"

    assert digest([Loaded()]) == digest([Loaded()])
    with pytest.raises(TypeError, match="a object has no digest"):
        digest([object()])


def test_another_process_gives_the_same():
    code = "from lab.files.digest import digest; print(digest({'a': {1, 2, 'x'}, 'b': (1.5, None, b'x')}))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONHASHSEED": "7"})
    assert out.stdout.strip() == digest({"b": (1.5, None, b"x"), "a": {"x", 2, 1}})
