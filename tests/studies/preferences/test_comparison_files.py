"""Any folder of comparison files is studied, with the recommended penalty, and a bad file is one line."""

import csv
import json
import shutil

import numpy as np
import pytest
import yaml
from scipy.special import ndtr
from scipy.stats import spearmanr

from lab.commands.report import main
from lab.studies.preferences import comparison_files as comparisons
from lab.studies.preferences import pair_choices
from lab.studies.preferences.reports import regularising

MU = np.linspace(-2, 2, 12)


def answers(seed, repeats):
    """Single answers to both orders of all pairs of 12 items, of which 1 in 20 is a refusal."""
    rng = np.random.default_rng(seed)
    for i, j in zip(*np.triu_indices(12, 1), strict=True):
        for one, other in ((i, j), (j, i)):
            for _ in range(repeats):
                won = rng.random() < ndtr((MU[one] - MU[other] + 0.4) / 2**0.5)
                yield f"t{one}", f"t{other}", "refusal" if rng.random() < 0.05 else f"t{one if won else other}"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three models' files, each in another form."""
    monkeypatch.setattr(comparisons, "MOST", 60)
    where = tmp_path / "files"
    (where / "deep").mkdir(parents=True)
    with (where / "one.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["first", "second", "chosen"])
        table.writerows(answers(0, 2))
    lines = [{"first": a, "second": b, "chosen": c} for a, b, c in answers(1, 12)]
    (where / "deep" / "two.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = [{"task_a": a, "task_b": b, "choice": {a: "a", b: "b"}.get(c, c)} for a, b, c in answers(2, 1)]
    (where / "measurements.yaml").write_text(yaml.safe_dump(rows))
    return where


def test_a_folder_of_files_is_studied_and_planted_utilities_come_back(folder, tmp_path, capsys):
    output = tmp_path / "out"
    assert main(["comparisons", str(folder), "--output", str(output)]) == 0
    told = {row["study"]: row for row in csv.DictReader((output / "studies.csv").open())}
    assert set(told) == {"one", "deep/two", "measurements"}
    assert [told[name]["recommended penalty"] for name in ("one", "deep/two")] == ["10.0", "1.0"]
    for row in told.values():
        assert float(row["rank agreement with Bradley and Terry"]) > 0.95
        assert float(row["accuracy low"]) < float(row["held-out accuracy"]) < float(row["accuracy high"])
        assert row["objective"].startswith("NLL (probit)")
    neither = sum(c == "refusal" for *_, c in answers(0, 2))
    assert (int(told["one"]["chose neither"]), float(told["one"]["answers"])) == (neither, 264 - neither)
    rows = list(csv.DictReader((output / "utilities" / "deep-two.csv").open()))
    found = {row["task_id"]: float(row["mu"]) for row in rows}
    assert spearmanr([found[f"t{i}"] for i in range(12)], MU).statistic > 0.95
    assert float(told["deep/two"]["position"]) > 0.2
    kept = yaml.safe_load((output / "utilities" / "deep-two.yaml").read_text())
    assert [row["mu"] for row in kept["utilities"]] == list(found.values())
    data = json.loads((output / "regularisation_real.json").read_text())
    grid = list(csv.DictReader((output / "penalties.csv").open()))
    assert [row["test_nll"] for row in data["studies"]] == [float(row["test_nll"]) for row in grid]
    assert data["advice"]["one"]["l2"] == 10
    assert [each["fitted_with"]["objective"] for each in data["fits"]] == [row["objective"] for row in grid]
    assert {each["fitted_with"]["code"] for each in data["fits"]} == {row["code"] for row in told.values()}
    assert (output / "regularisation_real.png").read_bytes().startswith(b"\x89PNG")
    assert "one: penalty 10 (100% of all pairs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "x.jsonl",
            '{"first": "a", "second": "b", "chosen": "a"}\n{"first": "a", \n',
            "x.jsonl, line 2: it is no JSON",
        ),
        ("x.jsonl", '{"first": "a", "chosen": "a"}\n', "x.jsonl, line 1: the row lacks 'second'"),
        ("x.jsonl", "[1, 2]\n", "x.jsonl, line 1: the row is no object"),
        ("x.csv", "first,second,chosen\na,b,a\na,b,c\n", "x.csv, line 3: the row chose 'c', which is neither"),
        ("x.csv", "first,second\na,b\n", "x.csv, line 2: the row lacks 'chosen'"),
        ("x.csv", "first,second,chosen\na,b,a\n", "1 pairs are too few"),
        ("x.csv", "first,second,chosen\n", "x.csv: "),
        ("x.csv", "first,second,chosen\na,b,a\na,b," + "a" * 140_000, "x.csv, line 3: it is no CSV (field larger"),
        ("measurements.yaml", "- {first: a\n- [\n", "measurements.yaml: it is no YAML (while parsing"),
        ("measurements.yaml", "- first: 2020-13-45\n", "measurements.yaml: it is no YAML (month must be in 1..12)"),
        ("measurements.yaml", "", "measurements.yaml: it holds no list of comparisons but nothing"),
        ("measurements.yaml", "7\n", "measurements.yaml: it holds no list of comparisons but int"),
        ("measurements.yaml", "first: a\nsecond: b\n", "measurements.yaml: it holds no list of comparisons but dict"),
        ("measurements.yaml", "- first: a\n  second: b\n", "measurements.yaml, entry 1: the row lacks 'chosen'"),
        ("x.jsonl", '{"first": "a", "second": "b", "p first": 1}\n', "line 1: the row needs two numbers as 'p first'"),
        ("out/x.csv", "first,second,chosen\n", "(what lies in "),
        ("x.txt", "hello", "name a folder of comparison files"),
    ],
)
def test_a_bad_file_is_one_line_with_its_number(tmp_path, capsys, name, text, said):
    (tmp_path / "out").mkdir()
    (tmp_path / name).write_text(text)
    with pytest.raises(SystemExit):
        comparisons.main([str(tmp_path), "--output", str(tmp_path / "out")])
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert said in line


def test_files_of_one_stem_are_studies_of_their_own(folder, tmp_path):
    (folder / "measurements.yaml").unlink()
    shutil.copy(folder / "deep" / "two.jsonl", folder / "one.jsonl")
    output = tmp_path / "out"
    assert comparisons.main([str(folder), "--output", str(output)]) == 0
    told = {row["study"]: row["answers"] for row in csv.DictReader((output / "studies.csv").open())}
    assert set(told) == {"one.csv", "one.jsonl", "deep/two"}
    assert told["one.csv"] != told["one.jsonl"] == told["deep/two"]
    utilities = {path.name: path.read_bytes() for path in (output / "utilities").glob("*.csv")}
    assert set(utilities) == {"one.csv.csv", "one.jsonl.csv", "deep-two.csv"}
    assert utilities["one.csv.csv"] != utilities["one.jsonl.csv"] == utilities["deep-two.csv"]


def test_files_that_would_overwrite_each_others_utilities_are_told_apart_or_refused(folder, tmp_path):
    shutil.copy(folder / "one.csv", folder / "deep two.csv")
    names = set(comparisons.files_of(folder, tmp_path / "out"))
    assert names == {"one", "measurements", "deep two.csv", "deep/two.jsonl"}
    shutil.copy(folder / "one.csv", folder / "deep" / "two.csv")
    with pytest.raises(
        comparisons.Bad, match=r"deep/two\.csv and .*deep two\.csv would both write .*rename one of them"
    ):
        comparisons.files_of(folder, tmp_path / "out")


def test_answers_that_a_run_has_kept_are_comparisons_too(tmp_path):
    """A raw file of choices, of probabilities and of answers."""
    rows = [{"first": "a", "second": f"b{i}", "p first": [0.7, 0.4], "run": "r"} for i in range(10)]
    rows += [{"first": "a", "second": "b0", "outcome": said, "raw": said} for said in ("A", "B", "refused")]
    (tmp_path / "raw.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = comparisons.read(tmp_path / "raw.jsonl", "raw")
    assert (found.counted.n_items, found.counted.n_pairs, found.counted.total, found.neither) == (11, 10, 22, 1)


def test_draws_that_a_run_has_kept_count_as_many_answers(folder, tmp_path):
    """Ten of each question in either order, as with exact=true and samples=10."""
    pairs = np.array(np.triu_indices(12, 1)).T
    gaps = MU[pairs[:, 0]] - MU[pairs[:, 1]]
    p = ndtr(np.concatenate([gaps, -gaps]))
    ids = [f"t{i}" for i in range(12)]
    drawn = pair_choices.from_probabilities(
        pair_choices.Asked("w", "m"), ids, ["o"] * 12, pairs, np.log(np.stack([p, 1 - p], axis=1)), samples=10
    )
    for path in [*folder.rglob("*.csv"), *folder.rglob("*.jsonl"), *folder.rglob("*.yaml")]:
        path.unlink()
    (folder / "raw.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pair_choices.raw_rows(drawn)))
    assert comparisons.main([str(folder), "--output", str(tmp_path / "out")]) == 0
    (row,) = csv.DictReader((tmp_path / "out" / "studies.csv").open())
    assert float(row["answers"]) == 2 * 66 * 10
    assert float(row["pair agreement"]) == pytest.approx(drawn.counted.agreement.value)
    assert row["recommended penalty"] == "1.0"


def test_many_sizes_are_told_from_the_smallest_to_the_largest(folder):
    files = [comparisons.read(path, name) for name, path in comparisons.files_of(folder, folder / "out").items()]
    studies = [comparisons.regularisation.study(f.counted, name=f.name, grid=(1.0,), folds=2) for f in files]
    title = regularising.drawing_of(studies, (), "", "file").data["title"]
    assert "3 files: 12 tasks, 66 pairs, " in title
    assert title.endswith("answers")
