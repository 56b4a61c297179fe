"""The site builds without warnings, and every link in it leads somewhere.

Notebooks are not executed here: the tests of notebooks do that.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The folder of a fresh build: examples are run, warnings are errors."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    environment = {**os.environ, "RASPLAB_DOCS_NOTEBOOKS": "off"}
    build = subprocess.run(
        [*command, str(ROOT / "docs"), str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert build.returncode == 0, build.stdout + build.stderr
    return folder


class Page(HTMLParser):
    """The links, the loaded files and the anchors of a page."""

    def __init__(self, path: Path):
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag refers to."""
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag in ("script", "img", "link", "iframe"):
            self.loaded.append(values.get("src") or values.get("href", ""))


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    """Every page of the site, parsed once."""
    return {path.resolve(): Page(path) for path in site.rglob("*.html")}


def test_links_lead_somewhere(pages):
    """Every local link names a file of the site, and an anchor of it."""
    dead = []
    for path, page in pages.items():
        for link in page.links:
            if re.match(r"[a-z]+:", link):
                continue
            name, _, anchor = unquote(link).partition("#")
            target = (path.parent / name).resolve() if name else path
            alive = target.is_file()
            if alive and anchor and target in pages:
                alive = anchor in pages[target].anchors
            if not alive:
                dead.append(f"{path.name}: {link}")
    assert not dead


def test_nothing_is_fetched(pages):
    """Pages load styles, scripts and pictures from the site alone."""
    for path, page in pages.items():
        assert not [name for name in page.loaded if re.match(r"(https?:)?//", name)], path.name


def test_examples_are_run(site):
    """What an example prints is on the page."""
    for name, output in (
        ("index", "['c', 'b', 'a', 'd']"),
        ("errors/compile", "the output is a selector"),
        ("howto/verify", "0 mismatches"),
    ):
        text = re.sub(r"<[^>]+>", "", (site / f"{name}.html").read_text("utf-8"))
        assert output in unescape(text), name


def test_every_command_has_a_page(site):
    """The command line reference is complete, options included."""
    from rasplab.apps.cli.parser import build_parser

    choices = next(a for a in build_parser()._actions if a.dest == "command").choices
    assert isinstance(choices, dict)
    for name, parser in choices.items():
        text = (site / "generated" / "cli" / f"{name}.html").read_text("utf-8")
        for action in parser._actions:
            for option in action.option_strings:
                assert option in text or option in ("-h", "--help"), (name, option)
