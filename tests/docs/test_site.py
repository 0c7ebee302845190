"""The site is built without a warning; every page is in its contents, every link and picture is there."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest
import yaml

from docs.docstrings import escaped, fenced, sectioned
from tests.docs.pages import PAGES, ROOT

LINK = re.compile(r"(?<!`)\]\(([^)\s]+)\)")


def nav(entries):
    for entry in entries:
        for target in entry.values():
            yield from nav(target) if isinstance(target, list) else [target]


def anchors(text):
    """As GitHub and mkdocs make them of headings."""
    return {
        re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in re.findall(r"^#+ (.*)", text, re.M)
    }


def test_every_page_is_in_the_contents_once():
    told = list(nav(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    assert sorted(told) == [page.relative_to(ROOT / "docs").as_posix() for page in PAGES[1:]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    lost = []
    for link in filter(lambda link: "://" not in link, LINK.findall(text)):
        place, _, anchor = link.partition("#")
        target = page.parent / place if place else page
        if not target.is_file() or (anchor and anchor not in anchors(target.read_text())):
            lost.append(link)
    assert lost == []


def test_the_site_is_built_offline_and_strictly(tmp_path):
    if find_spec("mkdocs") is None or find_spec("mkdocstrings") is None:
        pytest.skip('mkdocs is not installed: pip install -c constraints.txt -e ".[docs]"')
    nowhere = {f"{scheme}_proxy": "http://127.0.0.1:9" for scheme in ("http", "https", "HTTP", "HTTPS")}
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, env=os.environ | nowhere | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    methods = (tmp_path / "site" / "reference" / "methods.html").read_text()
    assert 'id="lab.studies.activations.probing.logistic"' in methods
    assert "https://fonts.g" not in methods
    assert not (tmp_path / "site" / "docstrings.py").exists()


def test_prose_after_a_section_is_no_parameter():
    text = "Does it.\n\nParameters\n----------\nvalues\n    Of them.\n\n    >>> f(1)\n    2\n\nRaises ValueError for\nnone."
    told = fenced(sectioned(text))
    assert "    Of them.\n\nNotes\n-----\n\n```pycon\n>>> f(1)\n2\n```" in told
    assert told.endswith("Raises ValueError for\nnone.")
    assert told.count("Notes\n") == 1


def test_shapes_are_no_links_and_code_is_left_alone():
    assert escaped("[n, k][i] and `a[0][1]`") == "[n, k]\\[i] and `a[0][1]`"
