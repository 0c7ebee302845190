"""The laboratory as `pip install` leaves it: a fresh venv with the wheel, and no file of the clone in sight."""

import os
import shlex
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


def build(folder):
    """Makes the wheel, and a venv with it in `folder`; all that it needs comes from the packages of this Python."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    done = subprocess.run(pip, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # A line of a .pth file is a folder behind the venv's own, and .pth files in there, as of the clone, are not read.
    (Installed(folder / "venv").site / "needed.pth").write_text(sysconfig.get_path("purelib"))


@dataclass(frozen=True)
class Installed:
    """A venv in which the wheel is."""

    venv: Path

    @property
    def site(self):
        (found,) = self.venv.glob("lib/python3*/site-packages")
        return found

    def run(self, command, folder, **variables):
        """Runs a command line of `pytest`, `lab` or `python` in a folder, as a user who has no clone."""
        program, *arguments = shlex.split(command)
        python, script = self.venv / "bin" / "python", self.venv / "bin" / program
        start = [script] if script.exists() else [python, "-m", program]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
        return subprocess.run([*start, *arguments], cwd=folder, env=environment, capture_output=True, text=True)

    def output(self, command, folder, **variables):
        """What a command printed that ended well."""
        done = self.run(command, folder, **variables)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout
