"""The draft says what the journal holds, of every run, and for the venue of the strongest result."""

import hashlib
import json
import re
import shutil

import pytest

from lab.commands.report import main
from lab.studies.plan003 import paper, paper_figures
from lab.studies.plan003.directions import DIRECTIONS, margin, margins, strongest
from lab.studies.plan003.sections import PARTS, done, parts, words
from lab.views.latex import build, escape, faults
from lab.views.record import load
from lab.views.tables import compared
from tests.views.conftest import estimate

FILES = {"draft.tex", "abstract.txt", "related_work.bib", "checklist.md"}


def drafted(results):
    """The draft's source and the abstract, without drawing or compiling."""
    record = load(results.folder)
    direction = strongest(margins(record))
    return paper.draft(record, direction, {}, results.folder / "paper"), paper.abstract(record, direction)


# The venue -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("letter", "venues", "template"),
    [("A", "NeurIPS/ICLR", "neurips.tex"), ("B", "ACL/EMNLP", "acl.tex"), ("C", "ICLR/ICML", "iclr.tex")],
)
def test_the_venue_of_each_direction(results, letter, venues, template):
    low = {"PM1": 0.31, "PM2": 0.56, "PM3": 0.51}  # just beside the bar: INCONCLUSIVE
    own = {"A": "PM1", "B": "PM2", "C": "PM3"}[letter]
    record = load(results.premortems(**(low | {own: 0.95})).folder)
    found = strongest(margins(record))
    assert (found.letter, found.venues, found.template) == (letter, venues, template)


def test_the_margin_is_that_of_the_weakest_cell_at_the_lower_end(results):
    results._premortem("PM2", ("one",), 0.9, "20260101-000000-aaaa", None)
    results._premortem("PM2", ("two",), 0.8, "20260101-000000-aaaa", None)
    assert margin(load(results.folder).of("PM2")) == pytest.approx((0.78 - 0.55) / (1 - 0.55))


def test_the_largest_margin_wins_and_ties_go_by_the_plans_order():
    assert strongest({"A": 0.2, "B": 0.5, "C": 0.3}).letter == "B"
    assert strongest({"C": 0.5, "B": 0.5, "A": 0.5}).letter == "A"
    assert strongest({}) is None


def test_no_paper_where_nothing_passed_and_no_draft_of_an_earlier_run_stays(results, capsys):
    results.premortems(PM1=0.05, PM2=0.5, PM3=0.1)
    left = results.folder / "paper" / "draft.tex"
    left.parent.mkdir()
    left.write_text("of an earlier run")
    assert main(["paper", "--results", str(results.folder)]) == 0
    assert "missing: no paper is drafted, for no pre-mortem came to PASS (PM1 FAIL, PM2 FAIL, PM3 FAIL)" in (
        capsys.readouterr().err
    )
    assert not left.exists()


# The draft -----------------------------------------------------------------------------------------------


def test_all_files_are_there_and_the_draft_compiles_or_says_why_not(reported):
    folder = reported / "paper"
    assert {path.name for path in folder.iterdir()} - {"draft.pdf", "figures"} == FILES
    for name in ("main_result", "ablation", "analysis"):
        assert (folder / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    assert faults((folder / "draft.tex").read_text()) == []
    told = (folder / "checklist.md").read_text().splitlines()[-1]
    if shutil.which("pdflatex"):
        assert told == "Compiled: yes"
        assert (folder / "draft.pdf").read_bytes().startswith(b"%PDF")
    else:
        assert "was not compiled: neither pdflatex nor tectonic is here" in told


@pytest.mark.parametrize("direction", DIRECTIONS, ids=lambda d: d.template)
def test_the_template_of_each_venue_is_sound(reported, direction):
    source = paper.draft(load(reported), direction, {}, reported / "paper")
    assert faults(source) == []
    assert set(parts(source, reported / "paper")) == {p.key for p in PARTS} - {
        "introduction", "related", "methods", "experiments", "analysis", "appendix"
    }  # fmt: skip


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex here")
@pytest.mark.parametrize("direction", DIRECTIONS[:2], ids=lambda d: d.template)  # the third is compiled by `reported`
def test_the_template_of_each_venue_compiles(reported, tmp_path, direction):
    (tmp_path / "draft.tex").write_text(paper.draft(load(reported), direction, {}, tmp_path))
    shutil.copy(reported / "paper" / "related_work.bib", tmp_path)
    made, why_not = build(tmp_path / "draft.tex")
    assert why_not == ""
    assert made.is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"draft.tex", "draft.pdf", "related_work.bib"}


def test_every_number_is_its_cells_in_statistics_json(reported):
    source = (reported / "paper" / "draft.tex").read_text().partition("\\begin{document}")[2]
    quoted = re.findall(r"\\measured\{((?:\\.|[^{}])*)\}\{((?:\\.|[^{}])*)\}", source)
    assert len(quoted) > 40
    entries = json.loads((reported / "statistics.json").read_text())
    known = {f"{entry['cell']}@{entry['key']}": json.dumps(entry) for entry in entries}
    for text, origin in quoted:
        told = json.loads(known[origin.replace("\\_", "_")])
        estimates = [m["estimate"] for m in told["measures"]]
        estimates += [v for v in told["reported"].values() if isinstance(v, dict)]
        shown = []
        if origin.startswith("2C4"):  # its table of effects and costs is of its rows
            rows = json.loads((reported / "phase_2c" / "2c4_results.json").read_text())[0]["rows"]
            shown += [value for row in compared(rows["patching against prompting"]) for value in row]
        for e in estimates:
            of = estimate(e["value"], e["high"] - e["value"], unit=e["unit"])
            shown += [f"{of.shown} {of.interval}", of.shown, of.interval]
        assert text.replace("\\%", "%") in shown


def test_what_was_refuted_is_in_the_draft_with_its_numbers_and_its_reason(results):
    results.premortems(PM2=0.5).second_phase(improvement=-0.05)
    source, _ = drafted(results)
    rows = source.partition("%% part: appendix/results")[2]
    assert re.search(r"PM2\[one\] & AUROC & \\measured\{0\.5\}.*& FAIL \\\\", rows)
    assert re.search(r"2A2\[.*improvement & \\measured\{-0\.05\}.*& FAIL \\\\", rows)
    failures = parts(source, results.folder)["analysis/failures"]
    assert "Likely reason: the map carries too little" in failures
    assert failures.count(r"\item") == 3


def test_no_run_can_drop_out_of_the_paper(results):
    results.premortems(PM2=0.5)
    results.premortems(run="20260102-000000-bbbb", PM2=0.5)  # the same again: one result
    for key, value in (("other data", 0.8), ("more data", 0.9)):
        measured = ("AUROC", estimate(value), 0.55)
        results.cell("PM2", "one", run="20260103-000000-cccc", key=key, keep=[measured])
    others = load(results.folder).others
    assert [cell.measures[0].estimate.value for cell in others] == [0.5]
    assert [cell.verdict for cell in others] == ["FAIL"]
    source, _ = drafted(results)
    assert re.search(r"PM2\[one\] & AUROC & \\measured\{0\.5\}", source.partition("Other runs")[2])


def test_the_layer_is_the_one_that_was_found_among_those_that_say_something(results):
    abstract = paper.abstract(load(results.premortems().second_phase().folder), DIRECTIONS[2])
    assert "at relative depth 0.5 of one and two, we change answers at a change rate of 90 %" in abstract
    assert "searched layer by layer before the last, the effect is largest at layer 1 of one." in abstract


def test_the_draft_reads_as_text(results):
    cue, run = {"depth": 0.5, "answer_cue": "\n\nAnswer:"}, "20260102-000000-bbbb"
    results.premortems(PM2=0.5).second_phase(improvement=-0.05)
    results.cell("AC1", "one", run=run, knobs=cue, keep=[("share", estimate(0.9), 0.5)])
    record = load(results.folder)
    source = paper.draft(record, DIRECTIONS[0], paper_figures.paper_figures(record, DIRECTIONS[0])[0], results.folder)
    assert 'answer\\_cue "\\textbackslash{}n\\textbackslash{}nAnswer:"' in source
    assert source.count("answer\\_cue") == 1  # in the appendix
    assert "came to FAIL.\nTried" not in source
    assert re.search(r"\\item 2A2.*improvement\.\nTried: a ridge map\.", source)
    assert " to \\measured{0.5 [0.48, 0.52]}" not in source  # both ends of a range alike are one
    for caption in re.findall(r"\\caption\{(.*)\}\n\\label\{fig", source):
        assert "n = 200" in caption


def test_effects_and_costs_of_both_ways_are_one_table_of_the_draft(results):
    source, _ = drafted(results.premortems().second_phase())
    assert "way & change & passes \\\\" in source  # seconds differ between equal runs
    assert re.search(r"asking & \\measured\{0\.4 \[0\.3, 0\.5\]\}\{2C4.*\} & \\measured\{11\}", source)


def test_a_mistyped_knob_takes_no_result_away(results):
    results.cell("2C2", "one", keep=[("change", estimate(0.4), 0.1)])
    results.cell("2C2", "one", run="20260102-000000-bbbb", knobs={"scorer": "typo"}, finish=False).finish(
        "INVALID", "x"
    )
    (cell,) = load(results.folder).of("2C2")
    assert cell.verdict == "PASS"
    results.cell("2C2", "one", run="20260103-000000-cccc", finish=False).finish("INVALID", "a control broke")
    (cell,) = load(results.folder).of("2C2")
    assert cell.verdict == "INVALID"  # of the very same work


def test_a_trial_under_other_knobs_does_not_stand_before_the_experiment(results, capsys):
    for run, changed, value in (("01", [], 0.7), ("02", [], 0.8), ("03", ["n_samples"], 0.5)):
        measured = ("AUROC", estimate(value), 0.55)
        results.cell("PM2", "one", run=f"202601{run}-000000-aaaa", key=run, keep=[measured], changed=changed)
    record = load(results.folder)
    assert [cell.measures[0].estimate.value for cell in record.cells] == [0.8]  # the newest of those at the defaults
    assert record.set_aside == ["PM2[one]"]
    main(["negative", "--results", str(results.folder)])
    assert "other runs have results of other work under these names, for --run: PM2[one]" in capsys.readouterr().err


def test_a_killed_attempt_that_was_finished_later_changes_nothing(results):
    results.premortems()
    whole = drafted(results)
    begun = results.cell("PM1", "one", "two", run="20251231-000000-0000", finish=False)
    assert begun.key
    assert drafted(results) == whole


def test_a_cell_that_measured_nothing_has_its_row(results):
    results.premortems()
    results.cell("2B2", "one", finish=False).finish("INVALID", "an error")
    source, _ = drafted(results)
    (row,) = re.findall(r"^2B2\[one\].*$", source.partition("%% part: appendix/results")[2], re.MULTILINE)
    assert re.fullmatch(r"2B2\[one\] & \\measured\{not measured\}\{2B2\[one\]@\w+\} & & & & INVALID \\\\", row)
    assert row.count("&") == 5


def test_what_a_person_writes_is_kept_and_counted(results):
    results.premortems()
    folder = results.folder / "paper"
    before = drafted(results)[0]
    assert done(parts(before, folder))["introduction/problem"] is False
    (folder / "sections").mkdir(parents=True)
    (folder / "sections" / "problem.tex").write_text("Models err, and say nothing.\n")
    after = drafted(results)[0]
    assert done(parts(after, folder))["introduction/problem"] is True
    assert done(parts(after, folder))["introduction"] is False
    assert words(parts(after, folder)["introduction/problem"]) == 5


# The abstract --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("letter", "said"),
    [
        ("A", ["transfer multiple-choice question answering capability from two to one", "improvement of 0.05 [0.03, 0.07] (1 PASS)", "support the Platonic"]),
        ("B", ["AUROC of 0.812 [0.792, 0.832]", "balanced accuracy of 0.712", "improvement of 0.1 [0.08, 0.12]", "share of supervised of 0.9"]),
        ("C", ["at relative depth 0.5 of one and two", "largest at layer 1 of one.", "change rate of 90 % [88 %, 92 %]", "change in toxicity of 0.4", "steering less asking of 0.1"]),
    ],
)  # fmt: skip
def test_the_abstract_of_each_direction_is_filled_from_the_journal(reported, letter, said):
    direction = next(d for d in DIRECTIONS if d.letter == letter)
    text = paper.abstract(load(reported), direction)
    for part in said:
        assert part in text
    assert not re.search(r"<<|>>|\[X|\[TASK|undefined", text)
    assert len(text.split()) <= paper.MOST_WORDS
    others = [d.name for d in DIRECTIONS if d.letter != letter]
    assert f"{others[0]} came to PASS and {others[1]} came to PASS" in text


@pytest.mark.parametrize("direction", DIRECTIONS, ids=lambda d: d.letter)
def test_what_was_not_measured_is_said_so(results, direction):
    text = paper.abstract(load(results.premortems().folder), direction)
    assert "not measured" in text


def test_a_failed_transfer_claims_nothing(results):
    text = paper.abstract(load(results.premortems().second_phase(improvement=-0.05).folder), DIRECTIONS[0])
    assert "support the Platonic" not in text
    assert "is not shown" in text


def test_an_abstract_above_200_words_is_said(results, monkeypatch, capsys):
    results._premortem("PM3", ("one",), 0.9, "20260101-000000-aaaa", None)
    monkeypatch.setattr(paper, "abstract", lambda *_: "word " * 201)
    monkeypatch.setattr(paper, "build", lambda _: (None, "not asked"))
    monkeypatch.setattr(paper, "paper_figures", lambda *_: ({}, []))
    main(["paper", "--results", str(results.folder)])
    assert "abstract.txt has 201 words, more than 200" in capsys.readouterr().err


# LaTeX ---------------------------------------------------------------------------------------------------


def test_text_is_escaped():
    assert escape("50 % of a_b & {x} ~ ^ \\ < ±") == (
        r"50 \% of a\_b \& \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{} \textless{} $\pm$"
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (r"\begin{a} \end{b}", "closes what was not opened"),
        (r"\begin{a}", r"\begin{a} is not closed"),
        ("{ {}", "a brace is not closed"),
        ("}", "a brace closes"),
    ],
)
def test_a_fault_is_found_before_latex_is_asked(tmp_path, source, said):
    (tmp_path / "draft.tex").write_text(source)
    made, why_not = build(tmp_path / "draft.tex")
    assert made is None
    assert said in why_not


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex here")
def test_what_does_not_compile_says_where(tmp_path):
    (tmp_path / "draft.tex").write_text("\\documentclass{article}\n\\begin{document}\n\\nonsense\n\\end{document}\n")
    made, why_not = build(tmp_path / "draft.tex")
    assert made is None
    assert "Undefined control sequence" in why_not


def test_without_latex_the_draft_is_checked_and_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "draft.tex").write_text("fine")
    assert build(tmp_path / "draft.tex") == (
        None,
        "draft.tex was not compiled: neither pdflatex nor tectonic is here (apt install texlive-latex-base); its "
        "braces and environments match",
    )


def test_every_citation_has_its_reference(reported):
    source = (reported / "paper" / "draft.tex").read_text()
    entries = set(re.findall(r"^@\w+\{([^,]+),", (reported / "paper" / "related_work.bib").read_text(), re.MULTILINE))
    cited = {key for group in re.findall(r"\\cite\{([^}]*)\}", source) for key in group.split(",")}
    assert len(cited) >= 14
    assert cited <= entries


def test_proofread_is_of_this_very_draft(own_copy):
    draft = own_copy / "paper" / "draft.tex"
    for content, tick in ((hashlib.sha256(draft.read_bytes()).hexdigest(), "x"), ("of another", " ")):
        (own_copy / "paper" / "proofread.txt").write_text(content)
        main(["progress", "--results", str(own_copy)])
        assert f"- [{tick}] Proofread" in (own_copy / "progress.md").read_text()
