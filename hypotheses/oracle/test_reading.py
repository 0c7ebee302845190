"""Reading: does an oracle say what it is told by the activation, or what it would say anyway?

Of some questions the right answer is known. Each is answered as often about random vectors as about the target's own
activation; they are as long, and the injection scales both to the stream.

Who guesses among three answers, the fewest that a question about the clinic has of which the right one is known, is
right once in three. The bar is as much again: the oracle is right twice as often as any guesser. A random vector is at
chance, to within half of the bar.
"""

import pytest

from lab.plugin import experiment
from lab.studies.oracle import similarity

GUESSED = 1 / 3


@experiment(
    id="ORACLE3",
    claim="The oracle reads the activation: it is right about it more often than about a random vector",
    phase="oracle",
    models=["clinic-llama+oracle"],
    negative={"clinic-llama+fair": "its adapter was trained on choices and ratings, and never on activations"},
    population="this oracle under these questions, on new targets like these",
)
def test_the_oracle_reads_the_activation(model, resampling, evidence):
    answers = resampling(model)
    if not (answers.truth >= 0).any():
        pytest.skip("no right answer is known; ask about targets with facts, as pool=chat has them")
    result = similarity.reading(answers.cases, answers.random_cases(), answers.truth, seed=evidence.seed)

    evidence.control("a random vector tells nothing", result.beyond_chance.within(-GUESSED / 2, GUESSED / 2))
    evidence.keep(result)

    assert evidence.measure("right answers beyond a random vector", result.excess) > GUESSED
