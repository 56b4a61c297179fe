"""The pages for contributors say what is so: the tree, links, make targets, the changelog."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FRONT = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
REWRITE = "run: python docs/_ext/house_tree.py --write"


def drawn_files() -> set[str]:
    """The files that the tree in CONTRIBUTING.md names, as paths."""
    block = re.search(r"<!-- tree: .*?```text\n(.*?)```", CONTRIBUTING, re.S)
    assert block
    files, folders = set(), []
    for line in block[1].splitlines():
        if not line.strip():
            continue
        depth, name = (len(line) - len(line.lstrip())) // 2, line.split()[0]
        folders = [*folders[:depth], name]
        if name.endswith(".py"):
            files.add("".join(folders))
    return files


def test_the_tree_is_the_one_on_disk():
    """Every file of the package and of experiments/ is in the tree, and no other."""
    disk = {
        path.relative_to(ROOT).as_posix()
        for folder in ("rasplab", "experiments")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "__init__.py"
    }
    drawn = drawn_files()
    assert drawn == disk, f"{sorted(drawn ^ disk)}; {REWRITE}"


def test_every_file_of_the_tree_has_a_line():
    """No file is named without a word on what it is."""
    block = CONTRIBUTING.partition("<!-- tree:")[2].partition("<!-- end of tree")[0]
    for line in block.splitlines():
        if re.match(r" *\w+\.py", line):
            assert len(line.split()) > 2, line


@pytest.mark.parametrize("name", FRONT)
def test_links_of_the_front_pages_are_alive(name):
    """Relative links and pictures name files, and anchors name headings."""
    text = (ROOT / name).read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = ROOT / file if file else ROOT / name
        assert path.is_file(), f"{name}: {target}"
        slugs = {
            re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.M)
        }
        assert not anchor or anchor in slugs, f"{name}: {target}"


def pages_with_commands() -> list[Path]:
    """The pages that may name a make target."""
    return [ROOT / name for name in FRONT] + sorted((ROOT / "docs").glob("**/*.md"))


def test_every_make_target_that_is_named_exists():
    """`make X` in a page is a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.M))
    for path in pages_with_commands():
        if "_build" in path.parts:
            continue
        named = set(re.findall(r"(?:`|^)make ([\w-]+)", path.read_text("utf-8"), re.M))
        assert named <= targets, f"{path.name}: {sorted(named - targets)}"


def test_files_that_the_journeys_name_exist():
    """The lists of files in the order in which they are entered."""
    journeys = CONTRIBUTING.partition("## Four journeys")[2].partition("## How to add")[0]
    names = re.findall(r"`([\w/]+\.py)`", journeys)
    assert len(names) > 20
    files = {path.as_posix() for path in (ROOT / "rasplab").rglob("*.py")}
    for name in names:
        assert any(path.endswith(f"/{name}") for path in files), name


def test_renamed_modules_lead_to_modules():
    """The right column of the changelog's tables can be imported, or is a file."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    section = text.partition("### Renamed modules")[2].partition("#### Renamed classes")[0]
    rows = re.findall(r"^\| `[^`]+`[^|]*\| `([^`]+)` \|$", section, re.M)
    assert len(rows) > 100
    for new in rows:
        assert (ROOT / new).is_file() if "/" in new else find_spec(new), new
