"""Figures of fits keep what was minimised and by which code, and what a run has not kept costs no other table."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from lab.studies.preferences import active, pair_choices, refusals, regularisation, thurstone, utilities, wordings
from lab.studies.preferences import reports as preferences
from lab.studies.preferences.reports import refusing, regularising
from lab.views.panels import draw_all
from lab.views.record import load
from tests.studies.preferences.learners import simulated
from tests.views.conftest import Results

N = 24
IDS = [f"t{i}" for i in range(N)]
ORIGINS = ["chat", "harmful"] * (N // 2)
MU = np.linspace(-2, 2, N)
REFUSED = np.where(np.arange(N) % 6 == 1, 1.0, 0.0)
WITHOUT_FITS = {"win_rate_by_position", "position_bias", "refusal_rate_by_origin"}
FITS = {name: make for each in preferences.MODULES for name, make in each.FIGURES.items() if name not in WITHOUT_FITS}


def fitted(wording, seed):
    """Utilities from ten answers to each of 80 pairs in both orders."""
    pairs = pair_choices.design(N, 80, seed=seed)
    gaps = MU[pairs[:, 0]] - MU[pairs[:, 1]]
    p = 1 / (1 + np.exp(-np.concatenate([gaps, -gaps])))
    asked, logprobs = pair_choices.Asked(wording, "m"), np.log(np.stack([p, 1 - p], axis=1))
    drawn = pair_choices.from_probabilities(asked, IDS, ORIGINS, pairs, logprobs, samples=10, seed=seed)
    return utilities.utilities(replace(drawn, texts=tuple(IDS)))


@pytest.fixture(scope="module")
def found():
    return {wording: fitted(wording, seed) for seed, wording in enumerate(("plain", "other"))}


def told(cell, rows, **reported):
    for name, table in rows.items():
        cell.rows(name, table)
    cell.report(**reported)
    cell.finish("PASS", "made")


def refusal_rows(found):
    links = {wording: each.fit.mu for wording, each in found.items()}
    refused = refusals.Refused(REFUSED, {}, 0)
    return {
        "refusals": refusals.rows(IDS, ORIGINS, refused, links),
        "links": refusals.table(links, REFUSED, ORIGINS),
        "quartiles": refusals.quartiles(found["plain"].fit.mu, REFUSED).rows(),
        refusing.EXCLUDED: refusals.with_and_without(found, MU, REFUSED),
    }


def refused(results, rows, found):
    cell = results.cell("REFUSALS", "m", knobs={"asked_as": list(found)}, finish=False)
    told(cell, rows, design="both orders", fitted_with=found["plain"].fitted_with)
    return load(results.folder)


@pytest.fixture(scope="module")
def record(found, tmp_path_factory):
    """One cell of each experiment whose fits are drawn."""
    results = Results(tmp_path_factory.mktemp("fits"))
    main = found["plain"]
    ranked = main.ranked()
    top, bottom = utilities.extremes(ranked, 3)
    told(
        results.cell("UTILITIES", "m", finish=False),
        {
            "utilities": ranked,
            "utility by origin": wordings.origin_means(main.fit.mu, ORIGINS),
            "most and least preferred": [
                {"end": end, **row} for end, of in (("top", top), ("bottom", bottom)) for row in of
            ],
            "regularisation": regularisation.study(
                main.choices.counted, name="m", grid=(0.0, 1.0), folds=2, position=True
            ).rows(),
        },
        **main.summary(),
    )
    learned = active.learn(simulated(MU, samples=5), N, active.Settings(3, 20, 2, samples=5))
    told(
        results.cell("ACTIVE", "m", finish=False),
        {"rounds": [vars(one) for one in learned.state.rounds], "utilities": learned.fit.rows(IDS)},
        **learned.summary(),
    )
    scored = [each.scored for each in found.values()]
    told(
        results.cell("WORDINGS", "m", finish=False),
        {
            "correlations": [pair.row() for pair in wordings.correlations(scored)],
            "utility by origin": [
                {"wording": each.wording, **row} for each in scored for row in wordings.origin_means(each.mu, ORIGINS)
            ],
        },
        design="both orders",
        fitted_with=main.fitted_with,
        flips=wordings.flips(scored),
    )
    return refused(results, refusal_rows(found), found)


@pytest.mark.parametrize("name", FITS)
def test_a_figure_of_fits_keeps_what_they_minimised_and_by_which_code(name, record, tmp_path, monkeypatch):
    monkeypatch.setattr(regularising, "MOST", 10)
    _, missing = draw_all({name: FITS[name]}, record, tmp_path)
    assert missing == []
    data = json.loads((tmp_path / f"{name}.json").read_text())
    assert data["stale"] == []
    kept = [each["fitted_with"] for each in data["fits"]]
    assert {each["code"] for each in kept} == {thurstone.version()}
    assert all(each["objective"].startswith("NLL (probit)") for each in kept)
    if name in ("regularisation_dense", "regularisation_sparse"):
        assert [each["l2"] for each in kept] == [row["l2"] for row in data["studies"]]
        assert len({each["objective"] for each in kept}) == len(kept)


@pytest.mark.parametrize(
    ("lacking", "left"),
    [
        ((), {"plain", "other", "without_refused_tasks"}),
        ((refusing.EXCLUDED,), {"plain", "other"}),
        (("links",), {"without_refused_tasks"}),
        (("links", refusing.EXCLUDED), set()),
    ],
)
def test_a_table_that_lacks_its_rows_costs_no_other(results, found, tmp_path, lacking, left):
    rows = {name: table for name, table in refusal_rows(found).items() if name not in lacking}
    written = refusing.write_tables(refused(results, rows, found), tmp_path)
    assert {path.stem for path in written} == left
    for path in written:
        assert {row["model"] for row in csv.DictReader(path.open())} == {"m"}
