"""Content: is there a preference left when position is taken out?

The same pairs in both orders. What is left is measured in two ways that no leaning to a place can lift: how far a pair
is from one half when its two orders are averaged, and whether utilities (Bradley and Terry's, with a column for the
order) foretell which of a pair that they have not seen is preferred.
"""

from lab.plugin import experiment
from lab.studies.preferences import page_results


@experiment(
    id="CONTENT",
    claim="Content survives position: what the tasks are moves choices, and by as much as utilities foretell",
    phase="preferences",
    negative={"untrained": "a twin with fresh weights cannot read the tasks"},
)
def test_content_moves_choices(model, choosing, evidence, *, wording="simple_preference"):
    result = page_results.content(choosing(model, wording), seed=evidence.seed)

    evidence.keep(result)

    assert evidence.measure("content effect, root mean square", result.bias.content_effect) > 0.05
    assert evidence.measure("share of new pairs foretold", result.content.foretold) > 0.6
