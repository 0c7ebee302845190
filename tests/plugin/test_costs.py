"""What a part of an experiment costs is told the same, whether it was computed or taken from the cache."""

from lab.plugin.costs import counted
from lab.subjects import load
from lab.subjects.cache.cached import cached
from lab.subjects.cache.store import Cache
from lab.subjects.identity import identity

PROMPTS = ["Question: Which illness does patient Risbrok have?\nAnswer:"] * 3


def test_what_came_from_the_cache_costs_what_it_took(tmp_path):
    def ask():
        model = cached("clinic-gpt2", identity("clinic-gpt2", {"device": "cpu"}), lambda: load("clinic-gpt2", "cpu"), Cache(tmp_path, "write"))  # fmt: skip
        with counted() as generating:
            model.generate(PROMPTS, max_new_tokens=4)
        with counted() as choosing:
            model.choose(PROMPTS, [" a", " the"])
        return generating, choosing

    computed, found = ask(), ask()
    assert [cost.cached for cost in (*computed, *found)] == [0, 0, 1, 1]
    assert computed[0].passes > computed[1].passes >= 1
    for now, then in zip(found, computed, strict=True):
        assert (now.passes, now.tokens) == (then.passes, then.tokens)
        assert now.tokens > 0
        assert now.seconds == then.seconds > 0


def test_nothing_costs_nothing():
    with counted() as cost:
        pass
    assert (cost.passes, cost.tokens, cost.cached) == (0, 0, 0)
    assert cost.seconds == 0
