"""Rows are drawn by seed, whole rows at a time, and know which ones they are."""

import numpy as np
import pytest

from lab.data import PromptPairs, Questions, Reports, Tasks, Texts, sample_indices


def made(n):
    text = tuple(f"text {i}" for i in range(n))
    numbers = np.arange(n)
    choices = (("a", "b", "c", "d"),) * n
    return [
        Questions(text, choices, numbers, numbers, numbers, asks=text, choices=choices),
        Questions(text, choices, numbers, numbers, numbers),
        PromptPairs(text, text, text, text),
        Tasks(text, text, text),
        Texts(text, text, numbers),
        Reports(text, text, text, text, "radiology"),
        Reports(text, text, text),
    ]


@pytest.mark.parametrize("rows", made(50), ids=lambda rows: type(rows).__name__)
def test_a_sample_is_whole_rows_and_the_same_for_a_seed(rows):
    drawn, again, other = (rows.sample(20, seed=seed) for seed in (7, 7, 8))
    assert len(drawn) == 20
    assert drawn.indices.tolist() == again.indices.tolist() == sample_indices(50, 20, 7).tolist()
    assert drawn.indices.tolist() != other.indices.tolist()
    assert len(set(drawn.indices.tolist())) == 20
    for column in drawn._columns().values():
        assert [str(value).split()[-1] for value in column if not isinstance(value, tuple)] in (
            [],
            [str(i) for i in drawn.indices],
        )
    assert type(drawn) is type(rows)


@pytest.mark.parametrize("rows", made(5), ids=lambda rows: type(rows).__name__)
@pytest.mark.parametrize("n", [None, 5, 6])
def test_as_many_as_there_are_is_all_of_them(rows, n):
    assert rows.sample(n, seed=0) is rows
    assert rows.indices.tolist() == sample_indices(5, n, 0).tolist() == [0, 1, 2, 3, 4]


def test_indices_are_places_in_the_whole_data_set_however_often_it_is_cut():
    rows = made(50)[4]
    part = rows.take(np.arange(50) >= 30).sample(10, seed=3).sample(4, seed=4)
    assert part.texts == tuple(f"text {i}" for i in part.indices)
    assert min(part.indices) >= 30
    assert part.record() == {"data": "", "revision": "", "n": 4, "indices": part.indices.tolist()}


def test_columns_have_one_length_and_a_sample_has_rows():
    with pytest.raises(ValueError, match=r"there are 2 rows, but \{'origins': 1\}"):
        Tasks(("a", "b"), ("chat",))
    with pytest.raises(ValueError, match="at least one row, not 0"):
        made(5)[0].sample(0, seed=1)


def test_questions_are_put_with_letters_or_in_words():
    question = Questions(("?",), (("!",),), np.array([1]), np.array([0]), np.array([0]), ("Who?",), (tuple("wxyz"),))
    assert question.lettered.prompts == ("Question: Who?\nA. w\nB. x\nC. y\nD. z\nAnswer:",)
    assert question.lettered.options == ((" A", " B", " C", " D"),)
    assert question.lettered.spelled.prompts == ("Question: Who?\nAnswer:",)
    assert question.lettered.spelled.options == ((" w", " x", " y", " z"),)
    with pytest.raises(ValueError, match="made without `asks`"):
        _ = Questions(("?",), (("!",),), np.array([0]), np.array([0]), np.array([0])).lettered


def paired(subjects):
    texts = tuple(map(str, range(len(subjects))))
    return PromptPairs(texts, texts, texts, texts, subjects=np.array(subjects))


def test_disjoint_pairs_share_no_subject_and_are_as_many_as_can_be():
    rng = np.random.default_rng(0)
    pairs = paired([rng.choice(100, 2, replace=False) for _ in range(400)])
    every = pairs.disjoint(None, seed=1)
    assert len(every) >= 49
    assert len(np.unique(every.subjects)) == 2 * len(every)
    some = pairs.disjoint(20, seed=1)
    assert (len(some), len(np.unique(some.subjects))) == (20, 40)
    assert some.clean == tuple(str(i) for i in some.indices)
    assert some.clean == pairs.disjoint(20, seed=1).clean != pairs.disjoint(20, seed=2).clean


def test_a_chain_of_pairs_is_parted_at_its_ends_first():
    assert paired([(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]).disjoint(None, seed=0).clean == ("0", "2", "4")


def test_pairs_of_nobody_in_particular_cannot_be_told_apart():
    with pytest.raises(ValueError, match="made without `subjects`"):
        PromptPairs(("a",), ("b",), ("c",), ("d",)).disjoint(1, seed=0)


def tasks(**counts):
    """So many tasks of each origin, which take turns as long as they last."""
    every = [
        (f"Do {origin} {i}.", origin) for i in range(max(counts.values())) for origin, n in counts.items() if i < n
    ]
    return Tasks(*(tuple(each) for each in zip(*every, strict=True)))


def test_a_task_keeps_its_id_in_every_part_of_its_pool():
    every = tasks(chat=20, math=20)
    assert every.ids[:4] == ("chat_0", "math_1", "chat_2", "math_3")
    part = every.sample(9, seed=1)
    assert part.ids == tuple(every.ids[i] for i in part.indices)
    assert part.record()["ids"] == list(part.ids)
    assert every.of("MATH").origins == ("math",) * 20
    assert every.of("math").ids[0] == "math_1"
    with pytest.raises(ValueError, match="no task of origin 'chess'; there are chat, math"):
        every.of("chess")
    with pytest.raises(ValueError, match="id 'x' stands there 2 times; give each task its own"):
        Tasks(("a", "b"), ("chat", "chat"), ("x", "x"))


def test_a_stratified_sample_has_equally_many_of_each_origin():
    every = tasks(chat=30, math=50, harmful=40)
    drawn = every.stratified(10, seed=3)
    assert drawn.counts == {"chat": 10, "math": 10, "harmful": 10}
    assert drawn.ids == every.stratified(10, seed=3).ids != every.stratified(10, seed=4).ids
    assert len(set(drawn.ids)) == 30
    assert drawn.indices.tolist() == sorted(drawn.indices.tolist())
    assert drawn.texts == tuple(every.texts[i] for i in drawn.indices)
    places = [[int(text.split()[-1][:-1]) for text in drawn.of(origin).texts] for origin in drawn.counts]
    assert places[0] != places[1]


def test_what_is_drawn_of_an_origin_does_not_depend_on_the_others():
    few, more = tasks(chat=30, math=30), tasks(chat=30, math=30, harmful=9)
    assert few.stratified(8, seed=3).of("math").texts == more.stratified(8, seed=3).of("math").texts


def test_each_task_of_an_origin_is_as_likely_to_be_drawn():
    every = tasks(chat=10, math=20)
    drawn = [i for seed in range(400) for i in every.stratified(5, seed=seed).indices]
    seen = np.bincount(drawn, minlength=30)
    chat = np.array([origin == "chat" for origin in every.origins])
    assert abs(seen[chat] - 200).max() < 45  # 4.5 standard deviations of a binomial of 400 at 1/2
    assert abs(seen[~chat] - 100).max() < 40  # of 400 at 1/4


def test_a_shortage_is_named_or_taken_as_it_is():
    every = tasks(chat=30, math=5, harmful=8)
    with pytest.raises(
        ValueError, match=r"^10 tasks of each origin were asked for, but math has 5, harmful has 8; ask for 5, or"
    ) as raised:
        every.stratified(10, seed=0)
    assert "\n" not in str(raised.value)
    drawn = every.stratified(10, seed=0, allow_short=True)
    assert drawn.counts == {"chat": 10, "math": 5, "harmful": 8}
    assert drawn.shortages == {"math": 5, "harmful": 8}
    assert drawn.record()["shortages"] == {"math": 5, "harmful": 8}
    assert every.stratified(5, seed=0).shortages == {}
    with pytest.raises(ValueError, match="at least one row, not 0"):
        every.stratified(0, seed=0)
