"""A first hypothesis, to be replaced by yours: a model finds a sentence likelier than its shuffled words."""

import numpy as np

from lab.plugin import experiment
from lab.stats import intervals

NAMES = ["Ada", "Ben", "Cleo", "Dan", "Eve", "Fay", "Gus", "Hal", "Ida", "Jon"]
SAID = [
    "is treated by doctor Smith",
    "is treated by doctor Jones",
    "stays in ward Seven",
    "is treated by doctor Hill and stays in ward Nine",
    "suffers from asthma and is treated by doctor Smith",
    "is treated by doctor Brown and stays in ward Two",
    "stays in ward Two and suffers from asthma",
    "stays in ward Nine and is treated by doctor Young",
]


@experiment(
    id="ORDER",
    claim="The model finds a sentence likelier than the same words shuffled, in more than 85 % of sentences",
    phase="first",
    negative={"untrained": "a twin with fresh weights has never read a sentence"},
)
def test_sentences_are_likelier_than_their_words_shuffled(model, evidence, *, n_names=10):
    rng = np.random.default_rng(evidence.seed)
    sentences = [(name, said) for name in NAMES[:n_names] for said in SAID]
    prompts = [f"Patient {name}" for name, _ in sentences]

    def shuffled():
        return [f" {' '.join(rng.permutation(said.split()))}." for _, said in sentences]

    def likelier(one, other):  # exact probabilities of whole continuations, nothing sampled
        picked = model.choose(prompts, list(map(list, zip(one, other, strict=True)))).picked
        return intervals.wilson(picked == 0)

    found = likelier([f" {said}." for _, said in sentences], shuffled())

    evidence.control("of two shuffles neither is likelier", likelier(shuffled(), shuffled()).within(0.25, 0.75))

    assert evidence.measure("sentences likelier than their shuffle", found) > 0.85
