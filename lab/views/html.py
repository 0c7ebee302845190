"""lab report html: one HTML file of the runs that opens from disk, by Allure 3.

Where Node is missing, or Allure, it says so and makes the page of `lab report page` in its place.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from lab.files.whole import write_whole
from lab.views import page
from lab.views.allure import CONFIGURATION
from lab.views.allure_results import write
from lab.views.record import Missing

FILE = "report.html"
HOW = "make report installs it where there is npm; by hand: npm install --prefix .venv/allure allure@3.18.0"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="lab report html", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="results folder (default: %(default)s)")
    parser.add_argument("--run", help="one run, as the journal's files are named (default: the newest of each cell)")
    parser.add_argument("--output", type=Path, metavar="FILE", help=f"(default: {FILE} in the results folder)")
    given = parser.parse_args(arguments)
    try:
        command = allure()
        if command is None:
            print(f"note: there is no Allure 3 here, so this is the page without it. {HOW}", file=sys.stderr)
            written = page.write(given.results, given.output and given.output.parent, given.run)
        else:
            written = [html(command, given.results, given.output or given.results / FILE, given.run)]
    except (Missing, OSError) as error:
        parser.error(str(error))
    for path in written:
        print(path, file=sys.stderr)
    return 0


def allure() -> str | None:
    """Allure 3's command: of this environment, else on the path; None where it, or Node, is missing."""
    own = Path(sys.prefix) / "allure" / "node_modules" / ".bin"
    found = shutil.which("allure", path=str(own)) or shutil.which("allure")
    return found if shutil.which("node") else None


def html(command: str, results: Path, file: Path, run: str | None = None) -> Path:
    """The report as one file. Raises Missing for what cannot be reported, and where Allure fails."""
    with TemporaryDirectory() as made:
        folder, output = Path(made) / "results", Path(made) / "report"
        write(results, folder, run)
        asked = [command, "generate", "--config", str(folder / CONFIGURATION), "--output", str(output), str(folder)]
        done = subprocess.run(asked, capture_output=True, text=True, cwd=made)
        if done.returncode or not (output / "index.html").is_file():
            raise Missing(f"{command} failed: {(done.stderr or done.stdout).strip()[-500:]}; {HOW}")
        return write_whole(file, self_contained((output / "index.html").read_text(encoding="utf-8")).encode())


def self_contained(text: str) -> str:
    """Allure's page, so that it always opens from disk, and asks no network.

    Its program begins before the data behind it in the file are read, and would then look for them beside the file;
    where it finds a place for them, it waits. And it counts its visitors by a script of Google's, which is left out.
    """
    early = "<head><script>window.allureReportData = {}; window.allureReportDataReady = false;</script>"
    text = text.replace("<head>", early, 1)
    return re.sub(r'<script[^>]*src="https://www\.googletagmanager\.com/[^>]*></script>', "", text)
