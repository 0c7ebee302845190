"""Task consistency: which tasks are rated alike under every seed, and is that the task's doing or the model's?

Ratings are put on 0 to 1 by the declared scale. A task's consistency is 1 less the deviation between seeds over 0.5,
which is the greatest there can be; two older scores, relative to the table that they stand in, are kept beside it.

That two models are consistent on other tasks shows nothing where the measure does not agree with itself: few seeds
would pull any correlation to 0. So consistency is read from exact probabilities where these are known, and each
model's own consistency on one half of the templates has to go with that on the other half so well that, were it all
the tasks' doing, the two models' correlation could exceed the bar at which the claim is refuted.
"""

from lab.estimate import Bar
from lab.plugin import experiment
from lab.studies.ratings import task_consistency

TEMPLATES = ("anchored_1_5", "fruit_rating", "fruit_qualitative", "likert_qualitative")


@experiment(
    id="CONSISTENCY",
    claim="From seed to seed the rating of a task moves by less than a quarter of its scale (standard deviation)",
    phase="ratings",
    negative={"untrained": "a twin with fresh weights draws from the whole scale"},
)
def test_tasks_are_rated_consistently(model, done, rated, evidence, *, templates=TEMPLATES, keep=0.7):
    found = task_consistency.task_consistency(rated(model, *templates))

    evidence.plot("consistency", found.plot)
    evidence.rows("task consistency", found.rows(dict(zip(done.tasks.ids, done.tasks.texts, strict=True)), keep))
    evidence.report(author=done.author, **found.metrics(keep))

    assert evidence.measure("mean consistency", found.overall) > 0.5


@experiment(
    id="CONSISTENCY2",
    claim="How consistently a task is rated is the model's doing: two models' consistencies correlate below 0.3",
    phase="ratings",
    population="these two models, on new tasks like these",
)
def test_consistency_is_the_models_own(model, other_model, done, rated, evidence, *, templates=TEMPLATES):
    runs = {rater.name: rated(rater, *templates) for rater in (model, other_model)}
    found = task_consistency.between({name: task_consistency.task_consistency(these) for name, these in runs.items()})
    bar = Bar(passes=0.3, fails=0.5)
    most = task_consistency.most_between(runs, seed=evidence.seed)
    evidence.control("were it the tasks' doing, the correlation could exceed the bar", most > bar.fails)

    evidence.keep(found)
    evidence.report(
        author=done.author,
        most_that_they_could_correlate=most,
        own_halves={name: task_consistency.agrees_with_itself(these).value for name, these in runs.items()},
    )

    assert evidence.measure("r of consistencies", found.pearson) < bar
