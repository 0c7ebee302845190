"""Jobs by submitit: shared out, killed, preempted and gone on with, they come to what one machine would say."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lab.__main__ import main
from lab.commands import submit
from lab.plugin.share_file import Shards
from lab.record import Fold
from lab.record.events import Line, Share
from tests.plugin.test_shards import SUITE, bytes_of

QUICK = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:anyio")
TROUBLE = '''
"""Once for each line of trouble.txt: at the start of this cell, this process is killed, or its job preempted."""
import os, pathlib, signal, time
from lab.record.journal import Journal

whole = Journal.write

def write(self, cell, event, **fields):
    line = whole(self, cell, event, **fields)
    trouble = pathlib.Path("trouble.txt")
    planned = trouble.read_text().split() if trouble.exists() else []
    for one in planned:
        name, _, what = one.partition(":")
        if event.name_of() == "item" and cell == name:
            trouble.write_text("\\n".join([*planned[: planned.index(one)], *planned[planned.index(one) + 1 :]]))
            if what == "preempted":  # as Slurm does: the signal goes to the job, which ends this process
                os.kill(os.getppid(), signal.SIGUSR2)
                time.sleep(60)
            os.kill(os.getpid(), signal.SIGKILL)
    return line

Journal.write = write
'''


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """A folder with a suite, which is where we are; no job takes all cores."""
    plotted = '    evidence.plot("line", lambda axes: axes.plot([1, 2]))\n'  # matplotlib takes a second in each process
    (tmp_path / "test_suite.py").write_text(SUITE.replace(plotted, ""))
    (tmp_path / "conftest.py").write_text(TROUBLE)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def journals(results="results"):
    return [json.loads(line) for path in (Path(results) / "journal").glob("*.jsonl") for line in path.open()]


def test_three_jobs_of_which_one_is_killed_and_one_preempted_say_what_one_machine_says(suite, capfd):
    (suite / "test_suite.py").write_text((suite / "test_suite.py").read_text().replace('"c", "u"', '"c"'))
    (suite / "trouble.txt").write_text("2A1[a]:killed\n2A1[c]:preempted\n")
    asked = ["submit", "--shards", "3", "--local", "--", *QUICK, "--lab-force"]
    status = main(asked)
    assert (suite / "trouble.txt").read_text() == ""
    told = capfd.readouterr().out
    assert re.search(r"run \S+: 8 tests in 3 jobs\n  shard 0, wave 0: \d tests, [\d.]+ s, ", told)
    assert re.search(r"2A1  b +x 1 \[0.9, 1.1\] +> 0.5  PASS\n", told)  # what who merges says
    logs = "".join(path.read_text() for path in Path("results/shards").glob("*/*_log.out"))
    assert "Caught signal SIGUSR2" in logs
    events = journals()
    items = [(event["cell"], event["item"]) for event in events if event["event"] == "item"]
    assert len(items) == len(set(items)) == 12  # nothing was done twice
    command = [sys.executable, "-m", "pytest", *QUICK, "--lab-force", "--lab-results", "alone"]
    assert status == subprocess.run(command, capture_output=True).returncode == 1
    assert bytes_of("results") == bytes_of("alone")


def test_a_job_that_is_lost_is_named_and_what_it_left_is_gone_on_with(suite, capfd):
    (suite / "trouble.txt").write_text("2A1[a]:killed\n" * submit.ATTEMPTS)
    assert main(["submit", "--shards", "1", "--local", "--", *QUICK, "-k", "2a1 or a"]) == 1
    said = capfd.readouterr().err.splitlines()
    assert re.fullmatch(r"shard 0, wave 0, did not end: \S+_log.out says why", said[-2])
    assert not Path("results/summary_table.md").exists()
    again = re.fullmatch(r"nothing is merged; lab (submit --resume \S+ --local) goes on", said[-1])
    assert main(again[1].split()) == 1
    assert "2A1[a]" in Path("results/summary_table.md").read_text()
    items = [(event["cell"], event["item"]) for event in journals() if event["event"] == "item"]
    assert len(items) == len(set(items)) == 4


SBATCH = """#!/bin/sh
n=$(($(ls jobs 2>/dev/null | wc -l) + 1)); mkdir -p jobs; cp "$1" jobs/$n; echo "Submitted batch job $n"
"""


def test_on_slurm_waves_are_arrays_that_wait_for_each_other_and_merging_comes_last(suite, monkeypatch, capsys):
    """What sbatch is given. That a real Slurm runs, requeues and merges it was tried by hand: docs/clusters.md."""
    (suite / "bin").mkdir()
    for name, text in (("sbatch", SBATCH), ("srun", "#!/bin/sh\n")):
        (suite / "bin" / name).write_text(text)
        (suite / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{suite / 'bin'}{os.pathsep}{os.environ['PATH']}")
    resources = ["--gpus-per-node=1", "--timeout_min", "90", "--partition", "gpu", "--setup", '["module load cuda"]']
    assert main(["submit", "--shards", "3", *resources, "--folder", "kept", "--", *QUICK]) == 0
    told = capsys.readouterr().out
    assert "jobs 1, 2, 3, of which the last one merges; squeue --me shows them" in told
    first, second, merging = ((suite / "jobs" / name).read_text() for name in "123")
    for job in (first, second, merging):
        assert "#SBATCH --partition=gpu\n" in job
        assert "#SBATCH --time=90\n" in job
        assert "#SBATCH --signal=USR2@90\n" in job
        assert "\nmodule load cuda\n" in job
    assert "--array=0-2%3" in first
    assert "--dependency" not in first
    assert "--dependency=afterany:1\n" in second
    assert "--array" not in second
    assert "--dependency=afterany:2\n" in merging
    assert ["--gpus-per-node=1" in job for job in (first, second, merging)] == [True, True, False]
    shards = Shards.read(suite / "kept" / submit.FILE)
    assert shards.arguments == QUICK
    assert [len(wave) for wave in shards.waves] == [3, 1]
    assert main(["submit", "--resume", "kept"]) == 0  # nothing ran, so all is left
    assert "9 tests in 4 jobs" in capsys.readouterr().out


def test_only_what_did_not_end_is_left_and_what_comes_after_it(suite):
    shares = [
        {"shard": s, "wave": w, "tests": [], "models": [], "seconds": 1} for w, s in ((0, 0), (0, 1), (1, 0), (2, 1))
    ]
    (suite / "shards.json").write_text(
        json.dumps({"run": "r", "results": str(suite), "shares": shares, "arguments": []})
    )
    shards = Shards.read(suite / "shards.json")
    (suite / "journal").mkdir()

    def left(*names):
        lines = [json.dumps(Line("r", "", None, "1", Share(name, 0)).plain) + "\n" for name in names]
        (suite / "journal" / "r-x.jsonl").write_text("".join(lines))
        return [[share.name for share in wave] for wave in submit._left(shards)]

    assert left() == [["0.0", "0.1"], ["1.0"], ["2.1"]]
    assert left("0.1", "2.1") == [["0.0"], ["1.0"], ["2.1"]]
    assert left("0.0", "0.1", "1.0") == [["2.1"]]
    assert left("0.0", "0.1", "1.0", "2.1") == []
    again = [Line("r", "", None, time, Share("0.0", status)) for time, status in (("2", 0), ("1", 1))]
    assert Fold(again).shares("r") == {"0.0": 0}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--shards", "2", "--local", "--"], "after -- comes what pytest is to run, as -- hypotheses/"),
        (["--shards", "0", "--local", "--", "x"], "--shards is 1 or more"),
        (["--shards", "2", "--local", "hypotheses", "--"], "hypotheses: write --NAME VALUE for submitit"),
        (["--shards", "2", "--local", "--mem_gb"], "--mem_gb: write --NAME VALUE for submitit"),
        (["--shards", "2", "--local", "--", "nothing_here"], "nothing was submitted, pytest says"),
        (["--shards", "2", "--local", "--", "--lab-freeze"], "--lab-freeze runs nothing, so there is nothing to submit"),
        (["--shards", "2", "--", *QUICK], "there is no Slurm here: srun was not found; --local runs"),
        (["--resume", "nowhere"], "No such file or directory"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_one_line_and_nothing_is_submitted(suite, asked, said, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(suite))
    assert main(["submit", *asked]) == 2
    told = capsys.readouterr().err
    assert told.startswith("lab submit: ")
    assert said in told
    assert not (suite / "results" / "journal").exists()


def test_without_submitit_the_line_says_how_it_comes_here(suite, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert main(["submit", "--shards", "2", "--local", "--", "."]) == 2
    assert 'submitit is missing: pip install "lab-hypotheses[cluster]"' in capsys.readouterr().err


def test_a_parameter_that_nobody_knows_is_one_line(suite, capsys, monkeypatch):
    monkeypatch.setattr(submit.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("submitit.slurm.slurm.SlurmExecutor.affinity", classmethod(lambda cls: 2))
    with pytest.raises(submit.SubmitError, match="Unknown argument 'coffee' for executor 'slurm'"):
        submit._executor(suite, False, submit.parameters(["--coffee", "2"], False))
