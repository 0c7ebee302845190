"""What is noise is told from what is not, copies are no evidence, and a split finds what was planted."""

import numpy as np
import pytest

from lab.studies.activations import divergence

RNG = np.random.default_rng(0)
LAYERS, WIDTH = 3, 16


def run(n=60, seed=None, shift=0.0):
    rng = RNG if seed is None else np.random.default_rng(seed)
    return 5 + shift + rng.standard_normal((n, LAYERS, WIDTH)) * np.linspace(2, 0.2, WIDTH)


@pytest.mark.parametrize("paired", [True, False])
def test_runs_that_differ_at_one_layer_are_told_apart_there(paired):
    a = run(seed=1)
    b = a + 0.05 * RNG.standard_normal(a.shape) if paired else run(seed=2)
    b[:, 1] += np.linspace(-1, 1, WIDTH)
    found = divergence.diverging(
        a, b, groups=np.tile(np.arange(60), 2) if paired else None, layers=[0, 6, 12], permutations=300, resamples=400
    )
    assert found.ranked()[0] == found.ranked("relative_l2")[0] == 6
    assert [e.p < 0.05 for e in found.cosine_distance] == [False, True, False]
    assert [e.p < 0.05 for e in found.relative_l2] == [False, True, False]
    assert found.relative_l2[1].low > 0
    assert [row["layer"] for row in found.table()] == found.ranked()


def test_intervals_hold_the_distance_that_was_planted():
    """Of 150 draws like these 95 % held it; of a mean that keeps its noise, fewer."""
    apart = np.linspace(-1, 1, WIDTH)
    sizes = [np.linalg.norm(5 + move) for move in (0 * apart, apart)]
    truth = np.linalg.norm(apart) / np.mean(sizes)
    held = 0
    for seed in range(30):
        a, b = run(seed=seed), run(seed=1000 + seed) + apart
        e = divergence.diverging(a[:, :1], b[:, :1], permutations=200, resamples=400, seed=seed).relative_l2[0]
        held += e.low < truth < e.high
    assert held >= 26


def test_two_draws_of_one_run_are_at_no_distance_on_average():
    """A distance of two means is biased upwards by their noise; the estimate of its square is not."""
    found = [divergence.diverging(run(20), run(20), permutations=200, resamples=200, seed=i) for i in range(40)]
    values = np.array([one.overall["separation"].value for one in found])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
    plain = [np.linalg.norm(run(20).mean(0) - run(20).mean(0)) for _ in range(10)]
    assert min(plain) > 0.5
    assert sum(min(e.p for e in one.cosine_distance) < 0.05 for one in found) <= 6


def test_groups_are_drawn_whole():
    a = run() + np.repeat(RNG.standard_normal((15, LAYERS, WIDTH)), 4, axis=0)
    alone = divergence.diverging(a, run(), permutations=200, resamples=300)
    grouped = divergence.diverging(a, run(), groups=np.repeat(np.arange(30), 4), permutations=200, resamples=300)
    assert (alone.overall["separation"].n, grouped.overall["separation"].n) == (120, 30)
    with pytest.raises(ValueError, match="all items of a run are one group"):
        divergence.diverging(a, run(), groups=np.repeat([0, 1], 60))


def test_copies_are_no_evidence():
    """Of 20 texts that each stood five times, a separation on its bar came to PASS in 55 % of experiments."""
    texts = [run(20), run(20, shift=3)]
    copies = [np.repeat(x, 5, axis=0) for x in texts]
    once = divergence.diverging(*texts, permutations=200, resamples=300).overall["separation"]
    groups = np.repeat(np.arange(40), 5)
    joined = divergence.diverging(*copies, groups=groups, permutations=200, resamples=300).overall["separation"]
    taken = divergence.diverging(*copies, permutations=200, resamples=300).overall["separation"]
    assert [(e > 0.25).outcome for e in (once, joined, taken)] == ["PASS", "PASS", "INCONCLUSIVE"]
    assert joined.value == pytest.approx(once.value)
    assert joined.high - joined.low == pytest.approx(once.high - once.low, rel=0.2)
    assert taken.doubt == "160 of 200 items are copies; pass groups that join them, or drop them"


def test_one_text_in_both_runs_is_a_copy_too():
    a, b = run(), run(shift=3)
    b[0] = a[0]
    assert "1 of 120 items are copies" in divergence.diverging(a, b, permutations=200).overall["separation"].doubt
    groups = [*range(60), 0, *range(60, 119)]
    assert not divergence.diverging(a, b, groups=groups, permutations=200).overall["separation"].doubt


def test_runs_that_share_some_of_their_items_have_no_smaller_distance_for_it():
    """Of items in both runs the noise cancels in the difference of means: a mean over all pairs would be too small."""
    found = []
    for seed in range(25):
        items = run(45, seed=seed)
        shared = [*range(30), *range(15, 45)]
        one = divergence.diverging(
            items[:30], items[15:] + 0.5, groups=shared, permutations=200, resamples=200, seed=seed
        )
        found.append(one.overall["separation"].value)
    truth = WIDTH * 0.5**2 / (np.linspace(2, 0.2, WIDTH) ** 2).sum()
    assert abs(np.mean(found) - truth) < 3 * np.std(found) / np.sqrt(len(found))


def test_labels_of_any_kind_join_rows():
    assert divergence.together([1, 2, 1, 3, 4], ["a", "b", "c", "b", "d"]).tolist() == [0, 1, 0, 1, 2]
    assert divergence.together(["x", "y"], ["one", "two"]).tolist() == [0, 1]


@pytest.mark.parametrize("paired", [True, False])
def test_relabelling_finds_nothing_where_there_is_nothing(paired):
    """Rows of a group in both runs change sides; dealt freely, paired items would give p-values that are too large."""
    p = []
    for seed in range(40):
        a = run(20, seed=seed)
        b = a + 0.3 * run(20, seed=1000 + seed) - 1.5 if paired else run(20, seed=1000 + seed)
        groups = np.tile(np.arange(20), 2) if paired else None
        found = divergence.diverging(a, b, groups=groups, permutations=200, resamples=200, seed=seed)
        p.append(min(e.p for e in found.relative_l2))
    assert sum(one < 0.05 for one in p) <= 6
    assert 0.3 < np.mean(p) < 0.7


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (run(5), run(5)[:, :2], "do not fit; read the same layers of one model"),
        (run(5)[0], run(5), "activations of the first run must be"),
        (np.full((5, 2, 3), np.nan), np.ones((5, 2, 3)), "5 items of the first run are not finite, as item 0"),
    ],
)
def test_runs_that_cannot_be_compared_are_told_in_one_line(a, b, said):
    with pytest.raises(ValueError, match=said) as error:
        divergence.diverging(a, b)
    assert "\n" not in str(error.value)


def cells(data, prompt, both, n=60):
    """Two data sets under two prompts, with effects of these sizes; items vary far more than the effects."""
    axes = np.eye(WIDTH)[:3]
    made = []
    for i in (-0.5, 0.5):
        items = run(n)
        made.append(
            [items + i * data * axes[0] + j * prompt * axes[1] + 2 * i * j * both * axes[2] for j in (-0.5, 0.5)]
        )
    return made


def test_the_split_finds_what_was_planted_and_its_shares_add_up():
    found = divergence.split(cells(4, 2, 1, n=400), resamples=400)
    for layer in range(LAYERS):
        shares = [part[layer].value for part in (found.data, found.prompt, found.interaction)]
        assert sum(shares) == pytest.approx(1)
        assert shares == pytest.approx([16 / 21, 4 / 21, 1 / 21], abs=0.05)
    assert (found.data_over_prompt > 0.3).outcome == "PASS"
    assert sum(e.value for e in found.overall.values()) == pytest.approx(1)
    assert found.told.startswith("Of the divergence, ")


def test_the_split_follows_the_prompt_where_the_prompt_moves_more():
    assert (divergence.split(cells(1, 4, 0), resamples=400).data_over_prompt > 0).outcome == "FAIL"


def test_the_noise_of_few_items_is_no_effect_of_the_data():
    """Of plain sums of squares the data set would get a share here, for its means differ by chance."""
    found = [divergence.split(cells(0, 0.3, 0, n=20), resamples=200, seed=i).overall["data"].value for i in range(20)]
    plain = []
    for _ in range(20):
        (a, b), (c, d) = (np.array([x.mean(0) for x in row]) for row in cells(0, 0.3, 0, n=20))
        data, prompt = ((a + b - c - d) / 2) ** 2, ((a + c - b - d) / 2) ** 2
        plain.append((data.sum(1) / (data + prompt).sum(1)).mean())
    assert np.mean(plain) > 0.85
    assert np.median(found) < np.mean(plain) - 0.1


def test_a_split_doubts_copies_and_counts_groups():
    copied = [[np.repeat(x, 3, axis=0) for x in row] for row in cells(4, 2, 1, n=20)]
    assert "80 of 120 items are copies" in divergence.split(copied, resamples=200).overall["data"].doubt
    share = divergence.split(copied, groups=np.repeat(np.arange(40), 3), resamples=200).overall["data"]
    assert (share.n, share.doubt) == (40, "")


def test_a_split_needs_two_by_two():
    with pytest.raises(ValueError, match="two data sets, each under two prompts"):
        divergence.split([[run(), run()]])
    with pytest.raises(ValueError, match="same items under both prompts"):
        divergence.split([[run(5), run(6)], [run(5), run(5)]])


def test_permutations_have_no_smaller_p_than_they_can_tell():
    found = divergence.diverging(run(), run(shift=3), permutations=200, resamples=200)
    assert all(e.p == pytest.approx(1 / 201) for e in found.relative_l2)
    with pytest.raises(ValueError, match="use 200 or more"):
        divergence.diverging(run(), run(), permutations=20)
