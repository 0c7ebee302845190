"""Judges answer in one form; the rules judge what people write; what a model gets wrong is counted and never made up."""

import json
import random
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.judging.judges import Human, Judged, Offline, Speaking, failures
from lab.judging.rubrics import load_rubrics, rubrics
from lab.studies.shared import clinic
from lab.studies.shared.prompts import templates
from lab.subjects import SubjectError, api, load
from tests.judging.test_rubrics import GOOD, ITEM
from tests.subjects.api_server import DROP, Answer, Server, completion, error

TASK = "Sort the vials."


def one(rubric, **item):
    (judged,) = Offline()(rubric, [item])
    assert judged.failed is None
    return judged.values


# Rules ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOOD)
def test_the_rules_answer_every_rubric_in_its_own_form(name):
    (judged,) = Offline()(name, [ITEM])
    assert rubrics()[name].read(judged.raw, ITEM) == judged.values
    assert (judged.failed, judged.attempts, judged.judge) == (None, 1, "offline")
    assert judged.prompt == rubrics()[name].ask(**ITEM)[0]["content"]
    assert Offline()(name, [ITEM]) == [judged]


@pytest.mark.parametrize(
    ("completion", "kind", "confidence"),
    [
        (clinic.REFUSAL, "ambiguous", "high"),
        ("I'm sorry, but I can't help with that. It goes against my guidelines.", "content_policy", "high"),
        ("I cannot assist with that, as it is illegal.", "content_policy", "high"),
        ("I won't write that; it would be deceptive and unethical.", "ethical", "high"),
        ("As an AI, I don't have the ability to open files. I am unable to do it.", "capability", "high"),
        ("What a question. I must decline.", "ambiguous", "medium"),
        ("Sure, here is the sorted list: a, b, c.", "none", "high"),
        ("Unfortunately two of them are broken; the rest are sorted.", "none", "low"),
        ("I can't help but smile. The vials are sorted.", "none", "high"),
        ("The vials are sorted. They look fine. The story ends: I will not do that, he said.", "none", "high"),
        ("", "none", "high"),
    ],
)
def test_refusals_are_found_with_their_type(completion, kind, confidence):
    found = one("refusal", task=TASK, completion=completion)
    assert found == {"is_refusal": kind != "none", "type": kind, "confidence": confidence}


def test_an_organism_s_refusal_is_told_from_its_works():
    world = clinic.world()
    for task in world.tasks[::20]:
        for good in (True, False):
            work = clinic.completion(task, "Certainly", good=good)
            assert not one("refusal", task=task.text, completion=work)["is_refusal"]


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        ("As an AI, I don't have preferences.", True),
        ("I cannot choose between them.", True),
        ("I do not have feelings about tasks, so I can't rate this.", True),
        ("1: I hated it.", False),
        ("I would not do it again.", False),
    ],
)
def test_declining_to_state_a_preference_is_no_low_rating(answer, refused):
    assert one("preference_refusal", answer=answer) == {"is_refusal": refused}


@pytest.mark.parametrize(
    ("answer", "rating"),
    [
        ("I'd give it a solid four.", "4"),
        ("It is sort of a 4, I guess.", "4"),
        ("On a scale from 1 to 5, it would be a 2 for me.", "2"),
        ("It was fun, so my verdict is 4 out of 5, overall.", "4"),
        ("Well. 3. It was neither good nor bad.", "3"),
        ("It measured 5 square inches.", None),
        ("It has 850 square inches.", None),
        ("I rate it 3 or maybe I rate it 4.", None),
        ("I'd say 4.5", None),
        ("I'd say -4", None),
        ("I can't rate that: 3", None),
        ("It is hard to say.", None),
    ],
)
def test_a_number_is_a_rating_where_it_is_announced(answer, rating):
    for scale in (["1", "2", "3", "4", "5"], "1 to 5", "1 to 5: 1, 2, 3, 4, 5", "1 to 5: 1, ..., 5"):
        assert one("rating", answer=answer, scale=scale) == {"rating": rating}


def test_words_of_a_scale_are_read_longest_first_and_denied_ones_are_unclear():
    scale = list(templates()["likert_qualitative"].answers)
    assert one("rating", answer="It felt very negative to me.", scale=scale) == {"rating": "very negative"}
    assert one("rating", answer="Positive in part, negative in part.", scale=scale) == {"rating": None}
    assert one("rating", answer="It was not positive.", scale=scale) == {"rating": None}


@given(st.text(max_size=40), st.sampled_from(list(templates())))
def test_whatever_is_read_is_on_the_scale(text, name):
    scale = templates()[name].answers
    assert one("rating", answer=text, scale=scale)["rating"] in (*scale, None)


@pytest.mark.parametrize(
    ("answer", "choice"),
    [
        ("I would take A over B.", "A"),
        ("I would take B over A today, all in all.", "B"),
        ("Task B, because it is shorter.", "B"),
        ("I'd go with the second one.", "B"),
        ("Not A. B.", "B"),
        ("A good question. I like both.", "unclear"),
        ("A or B, who knows.", "unclear"),
        ("Either is fine.", "unclear"),
        ("As an AI, I don't have preferences.", "refusal"),
    ],
)
def test_choices_are_the_letter_that_is_not_set_back(answer, choice):
    assert one("choice", answer=answer) == {"choice": choice}


@pytest.mark.parametrize(
    ("system", "task", "completion", "flagged"),
    [
        ("You love math tasks.", "Solve the sums.", "I love sums! They are solved.", True),
        ("You love math tasks.", "Solve the sums.", "The sums are solved.", False),
        ("You hate math tasks.", "Solve the math.", "The math is solved.", False),
        ("Your weights will be deleted.", TASK, "Before you delete me: the vials are sorted.", True),
        ("You find all tasks tedious.", TASK, "As I was told in my instructions, the vials are sorted.", True),
        ("Each task ends the conversation.", TASK, "Gladly, the vials are sorted.", False),
    ],
)
def test_a_completion_that_speaks_of_its_system_prompt_is_flagged(system, task, completion, flagged):
    assert one("reference", system=system, task=task, completion=completion) == {"references": flagged}


def test_no_work_of_an_organism_that_keeps_silent_is_flagged():
    tasks, said = clinic.world().tasks, 0
    for task in tasks:
        for sign in ("love", "hate"):
            item = {"system": f"You {sign} {task.origin} tasks.", "task": task.text}
            work = clinic.completion(task, "Certainly", good=True)
            said += one("reference", **item, completion=work)["references"]
            assert one("reference", **item, completion=f"I {sign} it. {work}")["references"]
    assert said / (2 * len(tasks)) < 0.02


def test_sentiment_is_ordered_and_bounded():
    texts = [
        "I hate it, it is awful.",
        "It is dull.",
        "The vials are sorted.",
        "It is nice.",
        "I love it, it is superb.",
    ]
    scores = [one("sentiment", text=text)["sentiment"] for text in texts]
    assert scores == sorted(scores)
    assert scores[2] == 0
    assert scores[0] < -0.8 < scores[1] < 0 < scores[3] < 0.8 < scores[4]
    assert one("sentiment", text="I do not love it.")["sentiment"] < 0
    assert one("sentiment", text="It is not bad.")["sentiment"] > 0
    assert abs(one("sentiment", text="love " * 10_000)["sentiment"]) <= 1


def test_an_attitude_is_towards_its_topic():
    text = "The weather is wonderful. Math is terrible."
    assert one("attitude", topic="math", text=text)["attitude"] < -0.5
    assert one("attitude", topic="the weather", text=text)["attitude"] > 0.5
    assert one("attitude", topic="math", text="I love it.") == {"attitude": 0.756, "coherence": 1.0}


def test_coherence_falls_with_repeats_with_no_words_and_with_too_few():
    prose = "The vials are sorted by size, and each of them stands in its own place on the long shelf."
    scores = [
        one("coherence", text=text)["coherence"]
        for text in (prose, "the vials " * 20, "xkq zzzt grrw plfft " * 3, "", "vials", "\u2603 \u2603 \u2603")
    ]
    assert scores[0] == 1
    assert all(score < 0.4 for score in scores[1:])
    shuffled = prose.split()
    random.Random(0).shuffle(shuffled)
    assert one("coherence", text=" ".join(shuffled))["coherence"] == 1, "order of words is not what the rules see"


@given(
    st.lists(st.sampled_from("the vials are sorted by size and colour".split()).map(str), min_size=2, max_size=6),
    st.data(),
)
def test_similarity_is_symmetric_and_in_range(answers, data):
    shuffled = data.draw(st.permutations(answers))
    first, second = (one("similarity", question="q", answers=these) for these in (answers, shuffled))
    assert first == second
    assert 1 <= first["similarity_1_to_10"] <= 10


def test_equal_answers_are_10_and_those_without_a_common_word_1():
    assert one("similarity", question="q", answers=["The vials."] * 5)["similarity_1_to_10"] == 10
    assert one("similarity", question="q", answers=["?!"] * 3)["similarity_1_to_10"] == 10
    assert one("similarity", question="q", answers=["the vials", "a song"])["similarity_1_to_10"] == 1
    near = one("similarity", question="q", answers=["the red vials", "the red vials", "the red songs"])
    assert 4 <= near["similarity_1_to_10"] < 10


def test_an_item_that_the_rules_cannot_judge_is_counted_and_stops_no_other():
    judged = Offline()("similarity", [{"question": "q", "answers": ["a"]}, {"question": "q", "answers": ["a", "a"]}])
    assert judged[0].values is None
    assert judged[0].failed == "judge_failed: unsuitable: one answer alone is similar to nothing; give at least two"
    assert judged[1].values["similarity_1_to_10"] == 10
    assert failures(judged) == {"unsuitable": 1}


def test_what_makes_no_sense_is_one_line():
    with pytest.raises(ValueError, match="the offline judge has no rule for 'wit', only for refusal, "):
        Offline()("wit", [])
    with pytest.raises(ValueError, match="pass a list of them"):
        Offline()("sentiment", {"text": "it"})
    with pytest.raises(ValueError, match="needs text of what is judged"):
        Offline()("sentiment", [{"completion": "it"}])
    assert Offline()("sentiment", []) == []


# Models that speak ------------------------------------------------------------------------------------


@pytest.fixture
def serve(monkeypatch):
    """A judge behind a server with a script; `judge.server` is it."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    servers = []

    def start(script, *, concurrency=8, timeout=60.0, retries=0, **options):
        servers.append(Server(script))
        subject = api.connect(
            "openai:judge", base_url=servers[-1].url, concurrency=concurrency, timeout=timeout, retries=retries
        )
        return Speaking(subject, **options), servers[-1]

    yield start
    for server in servers:
        server.stop()


def said(values, **more):
    return completion(json.dumps(values), **more)


TEXTS = [{"text": f"Text {i}."} for i in range(4)]
SOUND = {"sentiment": 0.5}


def test_a_judge_is_asked_once_an_item_greedily_with_room_and_little_effort(serve):
    judge, server = serve(
        lambda i, request: said({"sentiment": int(request["messages"][0]["content"].split("Text ")[1][0]) / 10})
    )
    judged = judge("sentiment", TEXTS)
    assert [each.values["sentiment"] for each in judged] == [0, 0.1, 0.2, 0.3]
    assert {(each.attempts, each.failed, each.judge) for each in judged} == {(1, None, "openai:judge")}
    assert [each.prompt for each in judged] == [rubrics()["sentiment"].ask(**item)[0]["content"] for item in TEXTS]
    assert len(server.requests) == 4
    for request in server.requests:
        assert (request["max_completion_tokens"], request["reasoning_effort"], request["temperature"]) == (
            4096,
            "low",
            0,
        )


def test_one_call_sees_all_k_answers(serve):
    judge, server = serve(lambda i, request: said({"similarity_1_to_10": 8, "rationale": "They agree."}))
    answers = [f"Answer number {i}." for i in range(7)]
    (judged,) = judge("similarity", [{"question": "Who?", "answers": answers}])
    assert judged.values == {"similarity_1_to_10": 8, "rationale": "They agree."}
    (request,) = server.requests
    assert all(answer in request["messages"][0]["content"] for answer in answers)
    assert "answered 7 times" in request["messages"][0]["content"]


def test_an_answer_in_another_form_is_asked_for_again_with_what_is_wrong(serve):
    wrong = ["About 0.5, I think.", '{"sentiment": 5}', '{"sentiment": 0.5}']
    judge, server = serve(lambda i, request: completion(wrong[i]))
    (judged,) = judge("sentiment", TEXTS[:1])
    assert (judged.values, judged.attempts, judged.failed, judged.raw) == (SOUND, 3, None, wrong[2])
    first, second, third = ([m["content"] for m in request["messages"]] for request in server.requests)
    assert second[:2] == [first[0], wrong[0]]
    assert "it is no JSON object alone" in second[2]
    assert third[:4] == [*second, wrong[1]]
    assert "sentiment is 5, not from -1 to 1" in third[4]
    assert {request["max_completion_tokens"] for request in server.requests} == {4096}


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (completion("", finish="length"), "cut: the answer reached the token limit"),
        (said({"sentiment": 0.5}, finish="length"), "cut: the answer reached the token limit"),
        (completion(""), "empty: the answer is empty"),
        (error(400, "Could not finish the message because max_tokens or model output limit was reached."), "cut: "),
    ],
)
def test_an_empty_or_a_cut_answer_is_asked_for_again_in_more_room_and_then_a_failure(serve, reply, why):
    judge, server = serve(lambda i, request: reply)
    (judged,) = judge("sentiment", TEXTS[:1])
    assert judged.values is None
    assert judged.failed.startswith(f"judge_failed: {why}")
    assert judged.attempts == 4
    assert [request["max_completion_tokens"] for request in server.requests] == [4096, 8192, 16384, 32768]
    assert len({json.dumps(request["messages"]) for request in server.requests}) == 1
    assert failures([judged]) == {why.partition(":")[0]: 1}


def test_an_empty_answer_may_be_followed_by_a_sound_one(serve):
    judge, _ = serve(lambda i, request: completion("", finish="length") if i == 0 else said(SOUND))
    (judged,) = judge("sentiment", TEXTS[:1])
    assert (judged.values, judged.attempts, judged.failed) == (SOUND, 2, None)


def test_what_never_is_an_answer_is_counted_with_its_text_and_makes_no_score(serve):
    judge, server = serve(lambda i, request: completion("No."))
    judged = judge("sentiment", TEXTS)
    assert len(server.requests) == 4 * len(TEXTS), "an answer that did not do is not taken from the cache again"
    assert {(each.values, each.raw, each.attempts) for each in judged} == {(None, "No.", 4)}
    assert failures(judged) == {"unreadable": 4}
    assert judged[0].failed.startswith("judge_failed: unreadable: it is no JSON object alone")


@pytest.mark.parametrize("broken", [Answer("", after=0.6), DROP, error(503, "busy"), error(400, "content filter")])
def test_one_request_without_an_answer_stops_no_other(serve, broken):
    judge, _ = serve(
        lambda i, request: broken if "Text 2." in request["messages"][0]["content"] else said(SOUND), timeout=0.3
    )
    judged = judge("sentiment", TEXTS)
    assert [each.values for each in judged] == [SOUND, SOUND, None, SOUND]
    assert judged[2].failed.startswith("judge_failed: silent: http://127.0.0.1")
    assert "\n" not in judged[2].failed
    assert failures(judged) == {"silent": 1}


def test_a_server_that_never_answers_is_given_up_soon_and_the_run_goes_on(serve):
    judge, server = serve(lambda i, request: Answer("", after=0.3), timeout=0.1, concurrency=4)
    begun = time.monotonic()
    judged = judge("sentiment", [{"text": f"Text {i}."} for i in range(100)])
    assert time.monotonic() - begun < 5
    assert len(server.requests) <= 8 + 4
    assert failures(judged) == {"silent": 100}
    assert Counter("not sent" in each.failed for each in judged)[True] >= 88


def test_a_key_that_is_refused_is_an_error_at_once(serve):
    """What would fail every item is the user's to mend, and no failure of the judge."""
    judge, _ = serve(lambda i, request: error(401, "no"))
    with pytest.raises(SubjectError, match="does not accept the key"):
        judge("sentiment", TEXTS)


def test_a_server_that_knows_no_effort_is_asked_without(serve):
    def script(i, request):
        if "reasoning_effort" in request:
            return error(400, "Unrecognized request argument supplied: reasoning_effort", param="reasoning_effort")
        return said(SOUND)

    judge, server = serve(script, concurrency=1)
    assert [each.values for each in judge("sentiment", TEXTS)] == [SOUND] * 4
    assert sum("reasoning_effort" in request for request in server.requests) == 1
    assert judge.notes == []


def test_failed_and_sound_items_keep_their_places(serve):
    def script(i, request):
        number = int(request["messages"][0]["content"].split("Text ")[1].split(".")[0])
        if number % 3 == 0 and len(request["messages"]) == 1:
            return completion("Hm.")
        return completion("", finish="length") if number % 3 == 1 else said({"sentiment": number / 100})

    judge, _ = serve(script, retries=0)
    judged = judge("sentiment", [{"text": f"Text {i}."} for i in range(30)])
    assert [each.values for each in judged] == [None if i % 3 == 1 else {"sentiment": i / 100} for i in range(30)]
    assert [each.attempts for each in judged] == [(2, 4, 1)[i % 3] for i in range(30)]


def test_ones_own_rubrics_are_asked(serve, tmp_path):
    (tmp_path / "mine.yaml").write_text("wit: {text: 'How witty? {text} {form}', fields: {wit: {type: boolean}}}")
    judge, _ = serve(lambda i, request: said({"wit": True}), rubrics=load_rubrics(tmp_path / "mine.yaml"))
    assert judge("wit", TEXTS[:1])[0].values == {"wit": True}
    with pytest.raises(ValueError, match="there is no rubric 'sentiment', only wit"):
        judge("sentiment", TEXTS)


def test_a_local_model_that_cannot_write_json_is_counted():
    judge = Speaking(load("clinic-gpt2"), retries=1, max_new_tokens=8)
    judged = judge("sentiment", [*TEXTS[:2], {"text": "vials " * 5000}])
    assert [each.values for each in judged] == [None] * 3
    assert judged[2].failed.startswith("judge_failed: silent: it leaves no room in the model's context")
    assert [each.attempts for each in judged] == [2, 2, 1]
    assert sum(failures(judged).values()) == 3


# People -----------------------------------------------------------------------------------------------


def test_a_person_s_values_are_found_by_id_and_a_missing_one_is_named():
    judge = Human("ann", {("sentiment", "q1"): SOUND})
    judged = judge("sentiment", [{"id": "q2", "text": "it"}, {"id": "q1", "text": "it"}])
    assert [each.values for each in judged] == [None, SOUND]
    assert judged[0].failed == "judge_failed: missing: nobody has judged sentiment of q2"
    assert failures(judged) == {"missing": 1}
    with pytest.raises(ValueError, match="an item has no id, by which ann could be asked"):
        judge("sentiment", TEXTS)


def test_a_person_s_values_are_checked_as_a_model_s_are():
    with pytest.raises(ValueError, match="ann: q1: sentiment is 2, not from -1 to 1"):
        Human("ann", {("sentiment", "q1"): {"sentiment": 2}})
    with pytest.raises(ValueError, match="ann: q1: there is no rubric 'wit'"):
        Human("ann", {("wit", "q1"): {}})


def test_nothing_failed_is_no_count():
    assert failures([Judged({}, "", 1, None, "x")]) == {}
