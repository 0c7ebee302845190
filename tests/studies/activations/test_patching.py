"""Change rates count what changed, and the random patch is as large as the real one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.estimate import Bar
from lab.studies.activations import patching


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


# The normalised effect ------------------------------------------------------------------------------


def logits(n=60, restored=0.5, seed=0):
    rng = np.random.default_rng(seed)
    clean, corrupted = rng.normal(4, 1, n), rng.normal(0, 1, n)
    return clean, corrupted, corrupted + restored * (clean - corrupted) + rng.normal(0, 0.3, n)


def test_a_patch_of_nothing_restores_nothing_and_the_whole_run_all():
    clean, corrupted, _ = logits()
    assert patching.recovery(clean, corrupted, corrupted).value == 0
    assert patching.recovery(clean, corrupted, clean).value == 1
    for same in (corrupted, clean):
        assert (patching.recovery(clean, corrupted, same) > -1).outcome == "INCONCLUSIVE"  # no spread, no verdict


def test_the_score_of_the_original_is_upside_down():
    """Pitfall D2: clip(1 - |patched - corrupted| / |clean - corrupted|) is 1 where the patch does nothing."""

    def upstream(clean, corrupted, patched):
        return np.clip(1 - np.linalg.norm(patched - corrupted) / np.linalg.norm(clean - corrupted), 0, 1)

    clean, corrupted, half = logits(restored=0.7)
    assert upstream(clean, corrupted, corrupted) == 1
    assert upstream(clean, corrupted, clean) == 0
    _, _, little = logits(restored=0.1)
    assert upstream(clean, corrupted, little) > upstream(clean, corrupted, half)
    assert patching.recovery(clean, corrupted, little).value < patching.recovery(clean, corrupted, half).value
    worse = corrupted - 0.5 * (clean - corrupted)
    assert patching.recovery(clean, corrupted, worse).value == pytest.approx(-0.5)


def test_one_prompt_whose_runs_hardly_differ_does_not_carry_the_mean_off():
    clean, corrupted, patched = logits(restored=0.5)
    clean[0] = corrupted[0] + 1e-6
    ratios = (patched - corrupted) / (clean - corrupted)
    assert abs(ratios.mean()) > 1000
    found = patching.recovery(clean, corrupted, patched)
    assert found.value == pytest.approx(0.5, abs=0.05)
    assert found.high - found.low < 0.1


def test_prompts_that_belong_together_count_once():
    clean, corrupted, patched = (np.repeat(x, 5) for x in logits())
    alone, grouped = (patching.recovery(clean, corrupted, patched, groups=g) for g in (None, np.arange(300) // 5))
    assert grouped.n == 60
    assert grouped.value == pytest.approx(alone.value)
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)


def test_where_clean_and_corrupted_cannot_be_told_apart_nothing_is_decided():
    rng = np.random.default_rng(0)
    clean, corrupted, patched = rng.normal(size=(3, 30))
    assert "cannot be told from 0" in (patching.recovery(clean, corrupted, patched) > 0).reason


@given(st.floats(0.1, 10), st.floats(-50, 50), st.floats(-1, 2))
def test_recovery_knows_no_scale_and_no_origin(scale, shift, restored):
    rows = logits(n=12, restored=restored)
    one, two = patching.recovery(*rows), patching.recovery(*(scale * row + shift for row in rows))
    assert two.value == pytest.approx(one.value, abs=1e-6)
    assert (two.low, two.high) == pytest.approx((one.low, one.high), abs=1e-5)


def test_logits_of_different_prompts_are_refused():
    with pytest.raises(ValueError, match="same prompts"):
        patching.recovery([1.0, 2.0], [0.0, 0.0], [1.0])
    with pytest.raises(ValueError, match="mean 0"):
        patching.recovery([1.0, 2.0], [1.0, 2.0], [1.0, 3.0])


# A patch that zeroes the prompt ---------------------------------------------------------------------


def greedy(hidden):
    """A toy model's next token from the activations [n, 7, d] of its prompts: every position has a say."""
    read = np.random.default_rng(1).normal(size=(7, hidden.shape[2], 500)) * np.array([3] * 6 + [1])[:, None, None]
    return np.einsum("npd,pdv->nv", hidden, read).argmax(1).tolist()


def test_the_identity_control_catches_a_patch_that_zeroes_the_prompt():
    """Pitfall D7: a [1, 1, d] activation kept from a decoding step, padded with zeros over 7 positions."""
    rng = np.random.default_rng(0)
    clean, corrupted = rng.normal(size=(2, 100, 7, 16))

    def right(of):
        hidden = corrupted.copy()
        hidden[:, -1] = of[:, -1]
        return greedy(hidden)

    def padded(of):
        return greedy(np.concatenate([np.zeros((100, 6, 16)), of[:, -1:]], axis=1))

    def effect(patch):
        return patching.changes(
            base=greedy(corrupted),
            clean=greedy(clean),
            patched=patch(clean),
            identity=patch(corrupted),
            random=patch(rng.normal(size=clean.shape)),
        )

    fooled = effect(padded)
    assert fooled.rate.value > 0.95  # the plan's rule alone would pass
    assert fooled.identity_rate > 0.95  # and its own activation "changes" as much
    assert 0 < effect(right).rate.value < 0.8
    assert effect(right).identity_rate == 0


# Layer by layer -------------------------------------------------------------------------------------


def sweep(n=50, peak=6, strength=1.0, seed=0):
    """Effects at 12 layers that have most of their noise in common, highest round `peak`."""
    rng = np.random.default_rng(seed)
    shape = strength * np.exp(-0.5 * ((np.arange(12) - peak) / 1.5) ** 2)
    return shape + 0.9**0.5 * rng.normal(size=(n, 1)) + 0.1**0.5 * rng.normal(size=(n, 12))


def test_the_strongest_layer_is_found_with_those_that_cannot_be_told_from_it():
    found = patching.by_layer(sweep(), identity=np.zeros((50, 12)))
    assert found.strongest == 6
    assert {5, 7} <= set(found.rivals)
    assert found.sweep.p[6] < 0.01
    assert (found.identity == 0).all()
    sharp = patching.by_layer(sweep(strength=5.0), identity=np.zeros((50, 12)))
    assert sharp.strongest == 6
    assert 0 not in sharp.rivals
    assert (sharp.sweep.band[6] > 0).outcome == "PASS"


def test_the_best_of_twelve_layers_of_noise_does_not_pass():
    """Picking the layer first and testing it alone afterwards is fooled; the band is not."""
    from lab.stats.intervals import student

    picked = banded = 0
    for seed in range(100):
        effects = np.random.default_rng(seed).normal(size=(30, 12))
        best = int(effects.mean(0).argmax())
        picked += student(effects[:, best]).low > 0
        found = patching.by_layer(effects, identity=np.zeros((30, 12)), permutations=499, seed=seed)
        banded += found.sweep.band[found.strongest].low > 0
    assert picked >= 15
    assert banded <= 8


def test_an_identity_effect_at_one_layer_is_seen():
    identity = np.zeros((50, 12))
    identity[3, 4] = -0.25
    found = patching.by_layer(sweep(), identity=identity)
    assert found.identity.tolist() == [0] * 4 + [0.25] + [0] * 7


def test_layers_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match=r"both need \[n, layers\]"):
        patching.by_layer(sweep(), identity=np.zeros((50, 11)))
    with pytest.raises(ValueError, match="not finite"):
        patching.by_layer(sweep(), identity=np.full((50, 12), np.nan))


def test_the_plot_shows_every_layer_with_its_band():
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    found = patching.by_layer(sweep(), identity=np.zeros((50, 12)))
    found.plot(ax)
    assert ax.lines[0].get_ydata() == pytest.approx([e.value for e in found.sweep.band])
    assert "strongest at 6" in ax.get_title()


def layered(n=40, layers=4, seed=0):
    """Clean and corrupted logit differences, and patches that restore 0, 30, 90 and 100 %."""
    rng = np.random.default_rng(seed)
    clean, corrupted = rng.normal(5, 1, n), rng.normal(-5, 1, n)
    restored = np.array([0.0, 0.3, 0.9, 1.0])[:layers, None]
    noise = rng.normal(0, 0.5, (layers, n)) * (restored < 1)
    return clean, corrupted, corrupted + restored * (clean - corrupted) + noise, np.tile(corrupted, (layers, 1))


def test_the_effect_is_0_as_corrupted_and_1_as_clean_at_every_layer():
    found = patching.recovery_by_layer(*layered())
    assert [row["effect"] for row in found.layers.rows()] == pytest.approx([0, 0.3, 0.9, 1], abs=0.03)
    assert found.gap.value == pytest.approx(found.clean.value - found.corrupted.value)
    assert (found.identity, found.end) == (0, pytest.approx(0))
    assert found.recovered.value == pytest.approx(found.strongest.value, rel=1e-9)


def test_the_last_layer_wins_no_search_in_which_it_cannot_lose():
    found = patching.recovery_by_layer(*layered())
    assert (found.searched.strongest, found.layers.strongest) == (2, 3)
    assert found.strongest == found.searched.sweep.band[2]
    assert patching.recovery_by_layer(*layered(), but_last=False).searched.strongest == 3


def unrelated(seed, n=50, layers=8):
    """Gaps of 3 +- 2.5, and effects of 1.5 at every layer that do not depend on them: one half, at all layers."""
    rng = np.random.default_rng(seed)
    return rng.normal(3, 2.5, n), 1.5 + rng.normal(0, 0.3, (n, layers)) + rng.normal(0, 0.3, (n, 1))


def test_a_gap_that_is_estimated_is_not_taken_for_known():
    """2.5 % due; in units of a gap taken for known, one search in four passes falsely."""
    passed, known = 0, 0
    for seed in range(100):
        gap, effects = unrelated(seed)
        settings = {"identity": np.zeros_like(effects), "permutations": 199, "seed": seed}
        found, naive = (
            patching.by_layer(effects, gap=gap, **settings),
            patching.by_layer(effects / gap.mean(), **settings),
        )
        passed += (found.sweep.band[found.strongest] > 0.5).outcome == "PASS"
        known += (naive.sweep.band[naive.strongest] > 0.5).outcome == "PASS"
    assert passed <= 7
    assert known >= 15


def test_the_strongest_layer_is_no_surer_than_one_that_was_named_beforehand():
    gap, effects = unrelated(0)
    corrupted = np.random.default_rng(1).normal(-1, 1, gap.size)
    effects[:, -1] = gap
    found = patching.recovery_by_layer(
        corrupted + gap, corrupted, (corrupted[:, None] + effects).T, np.tile(corrupted, (8, 1))
    )
    assert found.strongest.low < found.recovered.low < found.recovered.high < found.strongest.high
    assert found.strongest.method == "Fieller's band, max-T"


def test_an_effect_that_goes_with_the_gap_is_told_more_surely_than_one_that_does_not():
    gap, effects = unrelated(0)
    together = effects - 1.5 + 0.5 * gap[:, None]
    widths = [
        e.high - e.low
        for x in (together, effects)
        for e in patching.by_layer(x, identity=np.zeros_like(x), gap=gap).sweep.band
    ]
    assert max(widths[:8]) < 0.7 * min(widths[8:])


def test_a_gap_that_cannot_be_told_from_0_leaves_every_layer_in_doubt():
    gap, effects = unrelated(0)
    from matplotlib.figure import Figure

    found = patching.by_layer(effects, identity=np.zeros_like(effects), gap=gap - 2.8)
    found.plot(axes := Figure().add_subplot())
    assert axes.get_legend().get_texts()[0].get_text() == "no band: every layer in doubt"
    band = found.sweep.band
    assert {(e > 0.5).outcome for e in band} == {"INCONCLUSIVE"}
    assert all("cannot be told from 0" in e.doubt for e in band)


def test_gaps_that_do_not_match_are_refused():
    gap, effects = unrelated(0)
    with pytest.raises(ValueError, match="50 prompts need 50 gaps, not 49"):
        patching.by_layer(effects, identity=np.zeros_like(effects), gap=gap[1:])
    with pytest.raises(ValueError, match="nothing to restore"):
        patching.by_layer(effects, identity=np.zeros_like(effects), gap=np.repeat([1.0, -1.0], 25))


def test_layers_whose_bands_overlap_the_strongest_are_told():
    clean, corrupted, patched, own = layered()
    patched[1] = patched[2] + np.random.default_rng(1).normal(0, 2, patched.shape[1])
    near = patching.recovery_by_layer(clean, corrupted, patched, own).searched
    assert {near.strongest, *near.rivals} == {1, 2}
    assert patching.recovery_by_layer(*layered()).searched.rivals == ()


def test_an_identity_patch_that_changes_something_is_seen():
    clean, corrupted, patched, own = layered()
    own[2, 5] += 0.25
    assert patching.recovery_by_layer(clean, corrupted, patched, own).identity == pytest.approx(0.25)


def test_the_plot_marks_the_strongest_and_counts_its_rivals():
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    patching.recovery_by_layer(*layered()).plot(axes)
    assert axes.get_title() == "Patching by layer: strongest 2 (n=40)"
    assert all(tick == int(tick) for tick in axes.get_xticks())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda a, b, c, d: (a, a, c, d), "the same mean logit difference"),
        (lambda a, b, c, d: (a, b, c[:1], d[:1]), "at least two"),
        (lambda a, b, c, d: (a, b, c, d[:3]), "logits must be"),
        (lambda a, b, c, d: (a, b[:9], c, d), "logits must be"),
    ],
)
def test_bad_layers_are_refused(change, said):
    with pytest.raises(ValueError, match=said):
        patching.recovery_by_layer(*change(*layered()))


def test_the_first_token_of_an_answer_is_that_which_follows_its_prompt():
    from transformers import AutoTokenizer

    from lab.studies.shared import clinic
    from lab.subjects.names import folder

    pairs = clinic.fact_pairs()[:20]
    for name in ("clinic-gpt2", "clinic-llama"):
        words = AutoTokenizer.from_pretrained(folder(name))
        found = patching.first_tokens(words, [p.clean for p in pairs], [p.answer for p in pairs])
        assert [words.decode([token]) for token in found] == [p.answer[: len(words.decode([t]))] for p, t in zip(pairs, found, strict=True)]  # fmt: skip
        whole = words([p.clean + p.answer for p in pairs])["input_ids"]
        lengths = [len(row) for row in words([p.clean for p in pairs])["input_ids"]]
        assert found.tolist() == [row[at] for row, at in zip(whole, lengths, strict=True)]
    with pytest.raises(ValueError, match="no token of its own"):
        patching.first_tokens(words, ["Question"], [""])
