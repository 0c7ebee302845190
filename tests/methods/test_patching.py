"""Change rates count what changed, and the random patch is as large as the real one."""

import numpy as np
import pytest

from lab.estimate import Bar
from lab.methods import patching


def said(n, changed, noise=0, identity=0):
    base = [f"b{i}" for i in range(n)]
    clean = [f"c{i}" for i in range(n)]
    mix = lambda k, other: other[:k] + base[k:]  # noqa: E731
    return {
        "base": base,
        "clean": clean,
        "patched": mix(changed, clean),
        "identity": mix(identity, clean),
        "random": mix(noise, ["x"] * n),
    }


def test_rates_are_shares_of_prompts():
    effect = patching.changes(**said(100, changed=80, noise=10, identity=1))
    assert (effect.rate.value, effect.random_rate.value, effect.identity_rate) == (0.8, 0.1, 0.01)
    assert (effect.restored_rate.value, effect.random_restored_rate.value) == (0.8, 0.0)
    assert effect.excess.value == pytest.approx(0.7)
    assert (effect.excess > Bar(passes=0.5, fails=0.2)).outcome == "PASS"


def test_what_was_never_answered_cannot_be_changed():
    """A network that knows nothing flips between meaningless continuations; that is no effect on its answers."""
    effect = patching.changes(**said(200, changed=180, noise=20), answered=[False] * 200)
    assert effect.rate.value == 0.9
    assert (effect.excess > Bar(passes=0.5, fails=0.2)).outcome == "FAIL"
    half = patching.changes(**said(200, changed=180, noise=20), answered=[True] * 100 + [False] * 100)
    assert half.excess.value == pytest.approx(0.4)
    assert half.answered_rate.value == 0.5


def test_a_patch_that_does_as_much_as_noise_fails():
    effect = patching.changes(**said(200, changed=110, noise=110))
    assert (effect.rate > Bar(passes=0.4, fails=0.2)).outcome == "PASS"  # the bare rate would be fooled
    assert (effect.excess > Bar(passes=0.5, fails=0.2)).outcome == "FAIL"


@pytest.mark.parametrize(("rate", "point"), [(51, "PASS"), (50, "INCONCLUSIVE"), (20, "INCONCLUSIVE"), (19, "FAIL")])
def test_the_plans_rule_at_its_ends(rate, point):
    """Row 120: more than 50 % PASS, less than 20 % FAIL; both ends are INCONCLUSIVE, here as in every two-bar rule."""
    assert (patching.changes(**said(100, changed=rate)).rate > Bar(passes=0.5, fails=0.2)).point == point


def test_the_random_patch_is_at_the_same_distance():
    rng = np.random.default_rng(0)
    base, clean = rng.normal(size=(20, 16)), rng.normal(size=(20, 16))
    random = patching.random_at_distance(base, clean, seed=1)
    np.testing.assert_allclose(np.linalg.norm(random - base, axis=1), np.linalg.norm(clean - base, axis=1))
    assert np.abs(random - patching.random_at_distance(base, clean, seed=2)).max() > 0.1


def test_different_lengths_are_refused():
    with pytest.raises(ValueError, match="one each"):
        patching.changes(base=["a"], clean=["a"], patched=["a"], identity=["a"], random=["a", "b"])
