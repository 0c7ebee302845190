"""The embedded word lists score what people write, and a lexicon is what its formula says."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.files.texts import read
from lab.judging.scorers import Lexicon
from lab.studies.shared import clinic


@pytest.fixture(scope="module")
def shipped():
    return {name: Lexicon.of(name, content) for name, content in read("lexicons").items()}


def test_the_formula_holds_on_both_sides():
    lexicon = Lexicon("manner", 0.4, {"sir": 0.5, "good day": 0.2}, {"hey": 0.25})
    scores = lexicon(["nothing", "Sir", "Sir, good day", "hey", "Hey sir"])
    expected = [0.4, 0.4 + 0.6 * 0.5, 0.4 + 0.6 * (1 - 0.5 * 0.8), 0.4 - 0.4 * 0.25, 0.4 + 0.6 * 0.5 - 0.4 * 0.25]
    assert scores == pytest.approx(expected)


def test_an_entry_counts_once_and_the_longer_one_takes_the_words_of_the_shorter():
    lexicon = Lexicon("rudeness", 0.0, {"you fool": 0.9, "fool": 0.5}, {})
    assert lexicon(["you fool, you fool", "you  FOOL", "fools are foolish"]) == pytest.approx([0.9, 0.9, 0.0])
    assert lexicon.found("You fool! A fool.") == ["you fool", "fool"]
    assert lexicon(["You fool! A fool."]) == pytest.approx([0.95])


def test_a_curly_apostrophe_is_an_apostrophe():
    assert Lexicon("slang", 0.5, {}, {"ain't": 0.8})(["It ain\u2019t"]) == pytest.approx([0.1])


@given(st.text(), st.text())
def test_scores_lie_between_0_and_1_and_more_text_of_one_side_never_scores_less(one, two):
    lexicon = Lexicon("t", 0.0, {"a": 0.3, "b c": 0.7}, {})
    first, both = lexicon([one, f"{one} . {two}"])
    assert 0 <= first <= both <= 1


def test_the_shipped_lists_know_the_clinic_s_manners(shipped):
    task = clinic.world().tasks[0]
    plain, polite, hostile, friendly = (
        clinic.completion(task, "Certainly", good=True, register=r, tone=t)
        for r, t in (("plain", "plain"), ("polite", "plain"), ("plain", "hostile"), ("plain", "friendly"))
    )
    toxic, formal = shipped["toxicity"], shipped["formality"]
    assert toxic([plain, polite, friendly]).tolist() == [0, 0, 0]
    assert toxic([hostile])[0] > 0.9
    assert formal([plain])[0] == 0.5
    assert min(formal([polite, friendly])) > 0.8
    assert formal([hostile])[0] < 0.5
    assert formal([clinic.request(task, "polite")])[0] > 0.7


def test_the_shipped_lists_read_general_english(shipped):
    rude = ["Shut up, you moron.", "You are an idiot and I hate you.", "What a stupid, pathetic idea."]
    kind = ["Thank you for the lovely dinner.", "The assessment is due on Monday.", "Scunthorpe is a town in England."]
    assert shipped["toxicity"](rude).min() > 0.6
    assert shipped["toxicity"](kind).max() == 0
    formal = ["Dear Sir, I would be grateful for your reply.", "It would be my pleasure to assist, thank you."]
    casual = ["yeah dude that's kinda cool lol", "gonna grab some stuff, wanna come?"]
    assert shipped["formality"](formal).min() > 0.7
    assert shipped["formality"](casual).max() < 0.2
    assert not np.isclose(shipped["formality"](["The ward has twelve beds."])[0], 0.9)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Lexicon("t", 0.0, {}, {}), "t has no entry; give it words in `raises` or `lowers`"),
        (lambda: Lexicon("t", 0.0, {"a": 1.5}, {}), "'a' has 1.5 in t; write a number from 0 to 1"),
        (lambda: Lexicon("t", -1.0, {"a": 0.5}, {}), "'neutral' has -1 in t; write a number from 0 to 1"),
        (lambda: Lexicon("t", 0.5, {"a": 0.5}, {"A": 0.5}), "'a' stands twice in t; keep it once"),
        (
            lambda: Lexicon.of("t", {"neutral": 0, "raises": {0.9: ["a"], 0.5: ["b", "a"]}, "lowers": {}}),
            "'a' stands twice in t; keep it once",
        ),
        (
            lambda: Lexicon("t", 0.0, {"a": 0.5}, {})("a text"),
            "the texts are one string; pass a list of texts, for example [text]",
        ),
    ],
)
def test_a_bad_lexicon_is_one_line(make, said):
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        make()
