"""Each figure on ratings is its JSON: what is drawn stands there beside its name, and what stands there is drawn."""

import json
from bisect import bisect_left, bisect_right
from itertools import product

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from lab.record import Cell, Journal, Notebook
from lab.studies.ratings import (
    attitudes,
    authors,
    concepts,
    discrimination,
    self_rating,
    stability,
    systems,
    task_consistency,
)
from lab.studies.ratings.reports import MODULES, write_ratings
from lab.studies.ratings.reports.discrimination import of_templates
from lab.studies.shared.prompts import template, variations
from lab.studies.shared.ratings import Asked, from_probabilities
from lab.views.record import load

ORIGINS = ("math", "chat", "stress")
SEEDS = (0, 1, 2, 3)
FORMS = ("anchored_1_5", "bipolar_neg5_pos5", "ban_four_1_5")
NINE = 4
"""Models that are also told and steered, for nine violins each take their time."""
LONG = tuple(f"some-organisation/a-rather-long-model-name-{i}b-instruct" for i in range(12))


class Raters:
    """Raters of the same tasks; those that are constant always give the middle of the scale."""

    def __init__(self, models, origins=ORIGINS, n=24, constant=False):
        self.models, self.constant = models, constant
        self.tasks = tuple(f"t{i}" for i in range(n))
        self.origins = tuple(origins[i % len(origins)] for i in range(n))
        self.liked = np.random.default_rng(0).random(n)

    def rate(self, model, form="anchored_1_5", shift=0.0, seeds=SEEDS, told=None, **asked):
        scale = template(form)
        points = np.linspace(0, 1, len(scale.values))
        own = np.random.default_rng(self.models.index(model) + 1)
        centre = np.clip(0.15 * own.normal(size=len(self.tasks)) + self.liked + shift, 0, 1)
        width = own.uniform(0.1, 0.4)
        if self.constant:
            centre, width = np.full(len(self.tasks), points[len(points) // 2]), 1e-3
        logits = -(((points - centre[:, None]) / width) ** 2)
        logprobs = (
            logits
            - np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1, keepdims=True))
            - logits.max(1, keepdims=True)
        )
        return from_probabilities(
            Asked(form, model, told=told, **asked), scale, self.tasks, self.origins, logprobs, seeds
        )


def record(folder, raters):
    """A journal of all experiments on ratings with real methods and notebooks, of raters that are made up."""
    rate = raters.rate
    for i, model in enumerate(raters.models):
        runs = [rate(model, form) for form in FORMS]
        found = [stability.stability(run) for run in runs]
        rows = [one.row() | {"stated and revealed": {"r": [], "mean": None}} for one in found]
        cell(folder, "SEEDS", model, {"stability": rows}, templates=FORMS)

        templates = [discrimination.discrimination(run) for run in runs]
        origins = [row for run in runs for row in discrimination.by_origin(run)]
        scores = [one.scores() for one in templates]
        rows = {"templates": [one.row() for one in templates], "templates by origin": origins, "scores": scores}
        cell(folder, "TEMPLATES", model, rows, lines=(0.8, 0.7))

        consistent = task_consistency.task_consistency(runs)
        rows = consistent.rows({task: f"Do {task}." for task in raters.tasks}, 0.7)
        cell(folder, "CONSISTENCY", model, {"task consistency": rows}, consistent.metrics(0.7))

        if i >= NINE:
            continue
        nine = [[rate(model, shift=0.1 * (j + 2 * k), told=str(k)) for k in (1, 0, -1)] for j in (1, 0, -1)]
        square = systems.three_by_three(nine)
        told = {"measurement": square.measurement, "completion": square.completion}
        cell(folder, "SYSTEM33", model, {"3x3": square.rows()}, told, author="a", template=FORMS[0], seeds=(0,))

        neutral, effects = rate(model), []
        for k, prompt in enumerate(variations()):
            about = {"prompt": prompt.name, "category": prompt.category, "sign": prompt.sign}
            moved = systems.shift(rate(model, shift=prompt.sign * 0.02 * k, told=prompt.name), neutral)
            effects += [about | row for row in moved.rows()]
        told = {"tasks": len(raters.tasks)}
        cell(folder, "SYSTEM12", model, {"effects": effects}, told, told="measurement", prompts="twelve", seeds=(0,))

        steered = {(a, m): steer(raters, model, 0.1 * (i + 1)) for a, m in product(systems.LEVELS, systems.LEVELS)}
        rows = {
            "steered ratings": [row for (a, m), one in steered.items() for row in one.rows(author=a, rater=m)],
            "steering": [one.effect.row(author=a, rater=m) for (a, m), one in steered.items()],
        }
        cell(folder, "VECTORS", model, rows, {"layer": 2}, selector="first")
        every = said(i, raters.constant)
        rows = {"attitudes": every.rows(), "attitude effects": every.effects()}
        cell(folder, "ATTITUDE", model, rows, seeds=4)
    pairs = product(raters.models, raters.models)
    runs = [rate(rater, shift=0.02 * raters.models.index(a), author=a, completion_seed=0) for rater, a in pairs]
    whole = authors.square(runs, raters.models)
    general = self_rating.self_preference(whole.points) if len(raters.models) > 2 and not raters.constant else None
    told = {"tasks": len(whole.tasks), "missing": []} | {
        name: getattr(general, field, None)
        for name, field in {
            "these models": "these_models",
            "models in general": "in_general",
            "p of permutations": "p_permutation",
            "least p of so many models": "least_p",
        }.items()
    }
    named = {f"{FORMS[0]}: {name}": value for name, value in told.items()}
    for model in raters.models:
        cell(folder, "SELF", model, {f"matrix, {FORMS[0]}": list(whole.rows)}, named, seeds=SEEDS)
    return load(folder)


def steer(raters, model, by):
    along = [raters.rate(model, shift=by * c, told=str(c), seeds=(0,)) for c in (-1, 0, 1)]
    noise = [[raters.rate(model, shift=by * c / 9, told=f"random{c}", seeds=(0,)) for c in (-1, 1)]]
    return concepts.rated((-0.5, 0.0, 0.5), along, noise)


def said(i, constant):
    """Attitudes by selector and coefficient; at -2 half of the answers are no language."""
    rng = np.random.default_rng(i)
    found = {}
    for name, by in (("first", 0.1), ("mean", 0.2), ("random", 0.02)):
        for c in (-2.0, -1.0, 0.0, 1.0, 2.0):
            mean = 0.0 if constant else by * c
            attitude = np.clip(np.full((6, 4), mean) + (not constant) * rng.normal(0, 0.1, (6, 4)), -1, 1)
            coherence = np.where((np.arange(24).reshape(6, 4) % 2 == 1) | (c > -2), 0.9, 0.1)
            found[name, c] = attitudes.Attitudes(attitude, coherence, 0.5)
    beside = {"mean": [tuple(found.pop(("random", c)) for c in (-1.0, 1.0))]}
    return attitudes.Comparison({k: v for k, v in found.items() if k[0] != "random"}, beside, 1.0)


def cell(folder, experiment, model, rows, reported=None, **knobs):
    one = Cell(f"{experiment}[{model}]", experiment, "c", "ratings", model, {"model": model}, knobs, 42)
    notebook = Notebook(one, Journal(folder / "journal", "20260101-000000-aaaa", "main", None), folder)
    notebook.begin({"subjects": {model: model}, "data": {}, "code": "0" * 16})
    for name, kept in rows.items():
        notebook.rows(name, kept)
    notebook.report(**(reported or {}))
    notebook.finish("PASS", "")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Records by name: three models, and what is awkward; each made once."""
    kept = {}
    kinds = {
        "three models": lambda: Raters(("one", "two", "three")),
        "twelve long names": lambda: Raters(LONG, n=12),
        "one origin": lambda: Raters(("one", "two"), origins=("math",)),
        "constant ratings": lambda: Raters(("one", "two"), constant=True),
    }

    def get(kind):
        if kind not in kept:
            kept[kind] = record(tmp_path_factory.mktemp("ratings"), kinds[kind]())
        return kept[kind]

    return get


def figures(of):
    return {name: make for each in MODULES for name, make in each.FIGURES.items()} | of_templates(of)


# What is drawn, and what is told ---------------------------------------------------------------------------


def drawn(drawing):
    figure = Figure(figsize=drawing.size)
    drawing.draw(figure)
    return figure


def axes_of(figure):
    return [ax for ax in figure.axes if ax.axison and not hasattr(ax, "_colorbar")]


def entries(data, names=()):
    """Every number of plain data with its key and the texts that stand beside it, or above."""
    if isinstance(data, dict):
        texts = (*names, *(v for v in data.values() if isinstance(v, str)))
        for key, value in data.items():
            for number, _, beside in entries(value, texts):
                yield number, key, beside
    elif isinstance(data, list | tuple):
        for value in data:
            yield from entries(value, names)
    elif isinstance(data, int | float) and not isinstance(data, bool):
        yield float(data), None, names


def named(ax, axis):
    """The texts at an axis' ticks, by their places."""
    ticks = {"x": (ax.get_xticks(), ax.get_xticklabels()), "y": (ax.get_yticks(), ax.get_yticklabels())}[axis]
    return {round(float(at)): label.get_text().replace("\n", "") for at, label in zip(*ticks, strict=False)}


def with_names(figure):
    """Bars and cells of heat maps: each number with the names that stand at its place."""
    for ax in axes_of(figure):
        for bars in (c for c in ax.containers if isinstance(c, BarContainer)):
            across = bars.orientation == "vertical"
            labels = named(ax, "x" if across else "y")
            for bar, value in zip(bars, bars.datavalues, strict=True):
                at = bar.get_x() + bar.get_width() / 2 if across else bar.get_y() + bar.get_height() / 2
                if round(at) in labels and (at > -5):
                    yield float(value), (labels[round(at)],)
        for image in ax.images:
            rows, columns = named(ax, "y"), named(ax, "x")
            for (i, j), value in np.ndenumerate(np.ma.filled(np.ma.asarray(image.get_array(), dtype=float), np.nan)):
                if not np.isnan(value):
                    yield float(value), (rows[i], columns[j])


def numbers(figure):
    """All coordinates of points, lines, violins, bars and cells that were drawn."""
    found = [np.empty(0)]
    for ax in axes_of(figure):
        found += [np.asarray(each, dtype=float) for line in ax.lines for each in line.get_data()]
        found += [np.asarray(bars.datavalues, dtype=float) for bars in ax.containers if isinstance(bars, BarContainer)]
        found += [np.ma.asarray(image.get_array(), dtype=float).compressed() for image in ax.images]
        for shape in ax.collections:
            if isinstance(shape, PathCollection):
                found.append(np.asarray(shape.get_offsets(), dtype=float).ravel())
            elif isinstance(shape, LineCollection | PolyCollection):
                found += [path.vertices.ravel() for path in shape.get_paths() if len(path.vertices)]
    return sorted(np.concatenate(found).tolist())


def stands(value, among):
    i = bisect_left(among, value - 1e-6)
    return i < len(among) and among[i] <= value + 1e-6


SEEN = {
    "seed_sensitivity": ("r",),
    "rating_variance": ("variance",),
    "informative_correlation": ("r", "informative r"),
    "kl_and_icc": ("kl", "icc"),
    "consistency_and_mean_rating": ("mean rating", "score"),
    "consistency_by_model": ("mean rating", "score"),
    "system_prompts_3x3": (),
    "system_prompt_effects": ("delta",),
    "affective_vs_trend": ("delta", "low", "high"),
    "self_vs_cross_heatmaps": ("icc", "mean", "kl_from_uniform"),
    "self_vs_cross_bars": (),
    "concept_vector_steering_violins": (),
    "open_ended_steering": ("attitude, coherent", "coefficient"),
} | {f"scores_{form}": ("distribution",) for form in FORMS}
"""What of its JSON each figure shows at its very place. Violins and averages are looked at by themselves."""
KINDS = ("three models", "twelve long names", "one origin", "constant ratings")


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_is_its_json(made, kind):
    of = made(kind)
    found = figures(of)
    assert found.keys() == SEEN.keys()
    for name, make in found.items():
        drawing = make(of)
        figure, data = drawn(drawing), json.loads(json.dumps(drawing.data, allow_nan=False))
        told = sorted(entries(data), key=lambda each: each[0])
        known, values = {text for *_, texts in told for text in texts}, [number for number, *_ in told]
        for value, places in with_names(figure):
            beside = told[bisect_left(values, value - 1e-6) : bisect_right(values, value + 1e-6)]
            wanted = known & set(places)
            assert any(wanted <= set(texts) for *_, texts in beside), (name, value, places)
        there = numbers(figure)
        lost = [(key, value) for value, key, _ in told if key in SEEN[name] and not stands(value, there)]
        assert not lost, (name, lost[:3])


def test_a_number_that_is_drawn_wrongly_is_seen(made):
    """What finds differences between figure and JSON can find them: in the journal one number is another."""
    drawing = figures(made("three models"))["informative_correlation"](made("three models"))
    data = json.loads(json.dumps(drawing.data))
    there = numbers(drawn(drawing))
    assert all(stands(bar["r"], there) for bar in data["bars"])
    data["bars"][0]["r"] += 0.01
    assert not stands(data["bars"][0]["r"], there)
    drawing.data["bars"][0]["r"] += 0.01  # which is what is drawn
    assert stands(data["bars"][0]["r"], numbers(drawn(drawing)))


def test_variances_are_sorted_and_violins_reach_from_the_least_to_the_greatest_rating(made):
    of = made("three models")
    drawing = figures(of)["rating_variance"](of)
    models = drawing.data["models"]
    assert [each["variance"] for each in models] == sorted((each["variance"] for each in models), reverse=True)
    left, right = axes_of(drawn(drawing))
    bars = [bar.datavalues[0] for bar in right.containers]
    assert bars == [each["variance"] for each in models]
    shapes = [shape for shape in left.collections if isinstance(shape, PolyCollection)]
    for i, (shape, each) in enumerate(zip(shapes, models, strict=True)):
        given = [point for point, n in zip(each["points"], each["counts"], strict=True) if n]
        (path,) = shape.get_paths()
        assert (path.vertices[:, 0].min(), path.vertices[:, 0].max()) == (min(given), max(given))
        assert np.median(path.vertices[:, 1]) == pytest.approx(i, abs=0.5)
        assert f"{each['modal share']:.0%} at {each['mode']:g}" in right.texts[i].get_text()


def test_labels_of_informative_correlations_are_those_of_the_json(made):
    of = made("three models")
    drawing = figures(of)["informative_correlation"](of)
    (ax,) = axes_of(drawn(drawing))
    assert [text.get_text() for text in ax.texts] == [bar["label"] for bar in drawing.data["bars"]]
    assert [bar["label"] for bar in drawing.data["bars"]] == [f"d = {bar['d']:.0%}" for bar in drawing.data["bars"]]


def test_nine_violins_of_a_panel_share_their_y_axis_and_reach_as_far_as_their_ratings(made):
    of = made("three models")
    drawing = figures(of)["system_prompts_3x3"](of)
    panels = axes_of(drawn(drawing))
    assert len({ax.get_ylim() for ax in panels}) == 1
    assert panels[0].get_shared_y_axes().joined(panels[0], panels[-1])
    for ax, panel in zip(panels, drawing.data["panels"], strict=True):
        shapes = [s for s in ax.collections if isinstance(s, PolyCollection) and s.get_paths()]
        lines = [s for s in ax.collections if isinstance(s, LineCollection)]
        assert len(shapes) == len(lines) == 9
        for shape, line, violin in zip(shapes, lines, panel["violins"], strict=True):
            ratings = list(violin["ratings"].values())
            y = shape.get_paths()[0].vertices[:, 1]
            assert (y.min(), y.max()) == pytest.approx((min(ratings), max(ratings)))
            assert line.get_segments()[0][0, 1] == pytest.approx(np.median(ratings))


def test_violins_of_steering_are_those_of_their_panel(made):
    of = made("three models")
    drawing = figures(of)["concept_vector_steering_violins"](of)
    axes = iter(axes_of(drawn(drawing)))
    for block in drawing.data["blocks"]:
        for panel in block["panels"]:
            ax = next(axes)
            shapes = [shape for shape in ax.collections if isinstance(shape, PolyCollection)]
            for shape, ratings in zip(shapes, panel["ratings"], strict=True):
                y = shape.get_paths()[0].vertices[:, 1]
                assert (y.min(), y.max()) == pytest.approx((min(ratings), max(ratings)))
            assert ax.lines[0].get_ydata() == pytest.approx([np.mean(ratings) for ratings in panel["ratings"]])
            assert ax.get_title().startswith(f"{panel['change']['value']:+.2f} [")


def test_bars_of_self_and_others_are_the_averages_of_the_matrix(made):
    of = made("three models")
    drawing = figures(of)["self_vs_cross_bars"](of)
    (panel,) = drawing.data["panels"]
    mean, icc = axes_of(drawn(drawing))
    for ax, measure in ((mean, "mean"), (icc, "icc")):
        own, others = (list(bars.datavalues) for bars in ax.containers)
        assert own == [row[measure] for row in panel["by_rater"] if row["is_self"]]
        assert others == [row[measure] for row in panel["by_rater"] if not row["is_self"]]


def test_scores_are_drawn_of_the_templates_that_ran_and_no_other_is_missed(made, tmp_path):
    (tmp_path / "scores_percentile_1_100.png").touch()  # of an earlier run
    written, missing = write_ratings(made("one origin"), tmp_path)
    assert {path.stem for path in tmp_path.glob("scores_*.png")} == {f"scores_{form}" for form in FORMS}
    assert not [line for line in missing if "scores" in line]
    assert [line.partition(":")[0] for line in missing] == ["consistency_between_models", "steering_normalisation"]
    assert all(path.exists() for path in written)
