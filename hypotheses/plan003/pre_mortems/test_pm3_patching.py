"""Pre-mortem 3: does one layer's activation decide what a model says?

The residual stream of a clean prompt is put into a corrupted one that asks about another patient: at
one layer, at the last token, in the prompt pass only. A random activation at the same distance goes
in beside it, because any disturbance may change what a model says: the claim is about the right
answers that the clean activation changes, beyond those that the random one changes.
"""

from lab.estimate import Bar
from lab.plugin import experiment
from lab.studies.activations import patching


@experiment(
    id="PM3",
    claim="One layer's activation decides what the model answers: patching it changes the continuation",
    phase="pre-mortems",
    negative={"untrained": "a twin with fresh weights has no right answers to change"},
)
def test_patching_changes_the_answer(model, fact_pairs, evidence, *, n_samples=200, depth=0.5, max_new_tokens=4):
    pairs = fact_pairs.sample(n_samples, seed=evidence.seed)
    site = model.resid_post(depth)
    clean, own = (model.capture(prompts, at=site).array[:, 0] for prompts in (pairs.clean, pairs.corrupted))
    random = patching.random_at_distance(own, clean, seed=evidence.seed)

    def say(prompts, activation=None):
        patch = None if activation is None else model.patch(site, activation)
        return model.generate(prompts, max_new_tokens=max_new_tokens, edit=patch).texts

    base, patched = say(pairs.corrupted), say(pairs.corrupted, clean)
    effect = patching.changes(
        base=base,
        clean=say(pairs.clean),
        patched=patched,
        identity=say(pairs.corrupted, own),
        random=say(pairs.corrupted, random),
        answered=[text.startswith(answer) for text, answer in zip(base, pairs.answers, strict=True)],
    )

    evidence.control("identity patch changes nothing", effect.identity_rate == 0)
    evidence.control("a random patch of equal size does not do more", effect.excess > -0.1)
    evidence.plot("patching_effect", effect.plot)
    evidence.rows(
        "continuations",
        [
            {"clean": a, "corrupted": b, "base": said, "patched": then}
            for a, b, said, then in zip(pairs.clean, pairs.corrupted, base, patched, strict=True)
        ],
    )
    evidence.report(
        answered=effect.answered_rate,
        random_rate=effect.random_rate,
        restored=effect.restored_rate,
        random_restored=effect.random_restored_rate,
    )

    rate = evidence.measure("change rate", effect.rate)
    beyond = evidence.measure("right answers changed beyond a random patch", effect.excess)
    assert beyond > Bar(passes=0.5, fails=0.2)
    assert rate > Bar(passes=0.5, fails=0.2)
