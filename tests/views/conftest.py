"""Journals as runs write them, without a model: cells told to real notebooks."""

import shutil

import pytest

from lab.commands.report import main
from lab.estimate import Bar, Estimate
from lab.record import Cell, Journal, Notebook
from lab.studies.plan003.planning import PHASES

RUN = "20260101-000000-aaaa"
BARS = {"PM1": Bar(passes=0.3, fails=0.1), "PM2": Bar(0.55), "PM3": Bar(passes=0.5, fails=0.2)}
NAMES = {"PM1": "mean r", "PM2": "AUROC", "PM3": "change rate"}


def estimate(value, width=0.02, **more):
    return Estimate(value, value - width, value + width, **({"n": 200, "method": "made", "p": 0.001} | more))


class Results:
    """A results folder; `cell` writes one cell of a run. `header` is what each run says of itself, if anything."""

    def __init__(self, folder, header=None):
        self.folder, self.header = folder, header

    def cell(self, experiment, *models, run=RUN, negative=None, knobs=None, seed=42, key="k", keep=(), finish=True,
             changed=None):  # fmt: skip
        """The cell's notebook; the estimates of `keep` are measured and held against their bars, in order."""
        params = dict(zip(("model", "other_model"), models, strict=False))
        phase = "pre-mortems" if experiment in PHASES else f"phase-{experiment[:2].lower()}"
        name = f"{experiment}[{'-x-'.join(models)}]"
        cell = Cell(name, experiment, f"claim of {experiment}", phase, " x ".join(models), params,
                    knobs or {"depth": 0.5}, seed, negative)  # fmt: skip
        notebook = Notebook(cell, Journal(self.folder / "journal", run, "main", self.header), self.folder)
        if changed is not None:
            notebook.configured({"experiment": {"changed": changed}}, "", "")
        notebook.begin({"subjects": {m: m for m in models}, "data": {"all": key}, "code": "0" * 16})
        outcomes = []
        for measure, value, bar in keep:
            outcomes.append((notebook.measure(measure, value) > bar).outcome)
        verdict = next((o for o in ("FAIL", "INCONCLUSIVE") if o in outcomes), "PASS")
        if finish:
            notebook.finish(verdict, f"{experiment} came to {verdict}")
        return notebook

    def premortems(self, run=RUN, models=("one", "two"), **values):
        """PM1 of a pair, PM2 and PM3 of each model, and the untrained twins; `values` by experiment."""
        wanted = {"PM1": 0.6, "PM2": 0.8, "PM3": 0.9} | values
        for name, value in wanted.items():
            for pair in [models] if name == "PM1" else [(model,) for model in models]:
                for twin, found in ((False, value), (True, {"PM1": 0.0, "PM2": 0.5, "PM3": 0.05}[name])):
                    subjects = (*pair[:-1], f"untrained:{pair[-1]}") if twin else pair
                    self._premortem(name, subjects, found, run, "a twin knows nothing" if twin else None)
        return self

    def _premortem(self, name, subjects, value, run, negative):
        bounds = {"PM1": None, "PM2": (0.0, 1.0), "PM3": (0.0, 1.0)}[name]
        unit = "%" if name == "PM3" else ""
        measured = (NAMES[name], estimate(value, bounds=bounds, unit=unit), BARS[name])
        notebook = self.cell(name, *subjects, run=run, negative=negative, keep=[measured], finish=False)
        if name == "PM1":
            notebook.report(forward=estimate(value + 0.01), backward=estimate(value - 0.01))
        elif name == "PM2":
            notebook.report(accuracy=estimate(value - 0.1), balanced=estimate(value - 0.1))
            steps = [0, 0.1, 0.4, 1]
            notebook.rows("roc", [{"set": "", "false_positive_rate": x, "true_positive_rate": x**0.5} for x in steps])
        else:
            notebook.report(random_rate=estimate(0.05, bounds=bounds, unit="%"))
        verdict = notebook.judged[-1].outcome
        notebook.finish(verdict, f"{name} came to {verdict}")

    def second_phase(self, improvement=0.05, run=RUN):
        """One cell of each experiment that the figures and the abstracts draw on."""
        grid = [
            {"layer": i, "other_layer": j, "score": 0.1 * (i + j), "null_95": 0.05} for i in range(3) for j in range(4)
        ]
        two = self.cell("2A1", "one", "two", run=run, keep=[("excess", estimate(0.3), 0.02)], finish=False)
        two.report(forward=estimate(0.7), backward=estimate(0.5))
        two.rows("similarity by layer", grid)
        two.finish("PASS", "above")
        gain = self.cell(
            "2A2", "one", "two", run=run, keep=[("improvement", estimate(improvement), 0.02)], finish=False
        )
        if improvement < 0:
            told = {"tried": "a ridge map", "numbers": {"map r": 0.1}, "likely_reason": "the map carries too little"}
            gain.rows("negative result", [told])
        gain.finish("PASS" if improvement > 0 else "FAIL", "improvement")
        more = self.cell(
            "2B1",
            "one",
            run=run,
            keep=[("AUROC, first", estimate(0.7), 0.55), ("AUROC, second", estimate(0.8), 0.55)],
            finish=False,
        )
        more.rows("roc", [{"set": s, "false_positive_rate": x, "true_positive_rate": x**0.5} for s in ("first", "second") for x in (0, 0.5, 1)])  # fmt: skip
        more.finish("PASS", "above")
        self.cell("2B2", "one", run=run, keep=[("share of supervised", estimate(0.9), 0.8)])
        abstain = self.cell("2B3", "one", run=run, keep=[("improvement", estimate(0.1), 0)], finish=False)
        abstain.rows("risk coverage", [{"coverage": c, "risk": 0.3 * c} for c in (0.2, 0.6, 1.0)])
        abstain.finish("PASS", "above")
        layers = self.cell(
            "2C1",
            "one",
            run=run,
            keep=[("gap", estimate(3), 1), ("effect at the strongest layer", estimate(0.8), 0.5)],
            finish=False,
        )
        layers.rows("effect by layer", [{"layer": i, "effect": e, "low": e - 0.1, "high": e + 0.1, "identity": 0.0} for i, e in enumerate((0.1, 0.8, 0.6, 1.0))])  # fmt: skip
        layers.report(strongest_layer=1)  # after the last one the effect is 1 by construction
        layers.finish("PASS", "above")
        for name, behaviour in (("2C2", "toxicity"), ("2C3", "formality")):
            self.cell(name, "one", run=run, keep=[(f"change in {behaviour}", estimate(0.4), 0.1)])
        ways = self.cell("2C4", "one", run=run, keep=[("steering less asking", estimate(0.1), -0.2)], finish=False)
        both = [{"way": w, "change": c, "change_low": c - 0.1, "change_high": c + 0.1, "passes": 11, "seconds": 0.25} for w, c in (("steering", 0.5), ("asking", 0.4))]  # fmt: skip
        ways.rows("patching against prompting", [*both, {"way": "finding the direction, once", "passes": 6, "seconds": 0.125}])  # fmt: skip
        ways.finish("PASS", "above")
        return self


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "results")


@pytest.fixture(scope="session")
def reported(once):
    """A results folder in which everything ran, and all that `lab report` made of it; for all to read."""

    def make(folder):
        Results(folder).premortems(PM2=0.8123).second_phase()
        assert main(["--results", str(folder)]) == 0

    return once("reported", make)


@pytest.fixture
def own_copy(reported, tmp_path):
    """The same, to write in."""
    return shutil.copytree(reported, tmp_path / "copy")
