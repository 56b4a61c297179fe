"""The tree of the repository with a line for each file: `python docs/_ext/house_tree.py --write`.

The lines are the summaries of the files' docstrings. With --write the block in CONTRIBUTING.md is
replaced; without, the tree is printed. tests/docs checks that the block names the files on disk.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
BLOCK = re.compile(r"(<!-- tree: .*? -->\n```text\n)(.*?)(```\n<!-- end of tree -->)", re.S)

ROOMS = ("base", "program", "lang", "transformer", "compiler", "model", "circuit", "study", "apps")
"""From the ground up, as in `rasplab/__init__.py`."""

COLUMN = 34
"""Where the texts begin."""

BESIDE = {
    "circuits/": "the zoo: programs, index.toml (domains, samples), models, circuits, tasks/",
    "docs/": "the site: pages in Markdown, _ext/ (what runs examples and generates pages)",
    "grammars/": "rasp.lark (grammar), prelude.rasp (library), rasp.tables.json (LALR tables)",
    "notebooks/": "the four tutorials",
    "tests/": "a folder for each room; support/ (program generator, fuzzer, small models)",
}


def summary(path: Path) -> str:
    """The first line of a file's docstring, without the full stop; of a room, its own line."""
    if path.name == "__init__.py" and path.parent.name in ROOMS:
        return room_line(path.parent.name)
    return docstring(path).partition("\n")[0].removesuffix(".")


def docstring(path: Path) -> str:
    """The docstring of a file."""
    return ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""


def room_line(room: str) -> str:
    """What `rasplab/__init__.py` says of a room."""
    lines = docstring(ROOT / "rasplab" / "__init__.py").splitlines()
    return next((text.split(None, 1)[1] for text in lines if text.startswith(f"  {room} ")), "")


def line(depth: int, name: str, text: str) -> str:
    """One line of the tree."""
    shown = f"{'  ' * depth}{name}"
    return f"{shown:<{COLUMN}}{text}".rstrip() if text else shown


def folder_lines(folder: Path, depth: int) -> list[str]:
    """A folder's files, then its folders."""
    lines = [
        line(depth, path.name, summary(path))
        for path in sorted(folder.glob("*.py"))
        if path.name != "__init__.py"
    ]
    rooms = [p for p in folder.iterdir() if (p / "__init__.py").is_file()]
    order = {name: i for i, name in enumerate(ROOMS)}
    for room in sorted(rooms, key=lambda p: (order.get(p.name, -1), p.name)):
        lines.append(line(depth, f"{room.name}/", summary(room / "__init__.py")))
        lines += folder_lines(room, depth + 1)
    return lines


def tree() -> str:
    """The whole tree."""
    lines = [line(0, "rasplab/", summary(ROOT / "rasplab" / "__init__.py"))]
    lines += folder_lines(ROOT / "rasplab", 1)
    lines += ["", line(0, "experiments/", "what maintainers run, and its results/")]
    lines += folder_lines(ROOT / "experiments", 1)
    lines += ["", *(line(0, name, text) for name, text in BESIDE.items())]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the tree, or write it into CONTRIBUTING.md."""
    if "--write" not in sys.argv[1:]:
        print(tree(), end="")
        return
    text = CONTRIBUTING.read_text("utf-8")
    CONTRIBUTING.write_text(BLOCK.sub(lambda m: m[1] + tree() + m[3], text), "utf-8")


if __name__ == "__main__":
    main()
