"""Docstrings in the style of the package, as reStructuredText for autodoc.

After a summary line the package writes aligned lists of arguments or fields,

    vocab    str, int, float or bool tokens; a string is read as its characters
    max_len  the longest input

and indented blocks of code. The lists become definition lists, code becomes literal blocks, a line
that starts with `Raises` or `Returns` becomes a paragraph, and all else is plain text, in which
only backticks have a meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sphinx.application import Sphinx

ENTRY = re.compile(r"^(\*{0,2}\w[\w.*]*(?:, \*{0,2}\w+)*|\"[^\"]+\")\s{2,}(\S.*)$")
RAISES = re.compile(r"^(Raises|Returns)\b\s*(.*)$")


def escaped(text: str) -> str:
    """Plain text as reStructuredText: code in backticks, no other markup."""
    out = ""
    for i, part in enumerate(re.split(r"`+([^`]+)`+", " ".join(text.split()))):
        if i % 2:
            out += ("``" if not out or out[-1] in " (" else "\\ ``") + part + "``"
        else:
            joint = "\\ " if i and part and part[0] not in " ).,;:!?" else ""
            out += joint + re.sub(r"([*_|\\<>])", r"\\\1", part)
    return out


def blocks(lines: list[str]) -> Iterator[list[str]]:
    """The paragraphs of a docstring, without empty lines."""
    block: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            block.append(line)
        elif block:
            yield block
            block = []


def entries(block: list[str]) -> Iterator[tuple[str, str]]:
    """A paragraph as (name, text) of list entries, and ("", text) of the prose between them."""
    name, text = "", []
    for line in block:
        entry, raises = ENTRY.match(line), RAISES.match(line)
        continues = line.startswith("  ")
        if raises or entry or (name and not continues):
            if text:
                yield name, " ".join(text)
            name, text = ("", [line]) if not entry or raises else (entry[1], [entry[2]])
        else:
            text.append(line.strip())
    if text:
        yield name, " ".join(text)


def rendered(lines: list[str]) -> list[str]:
    """The docstring as reStructuredText."""
    out: list[str] = []
    for block in blocks(lines):
        if all(line.startswith("  ") for line in block):
            indent = min(len(line) - len(line.lstrip()) for line in block)
            out += ["::", "", *("    " + line[indent:] for line in block), ""]
            continue
        for name, text in entries(block):
            shown = re.sub(r"^(Raises|Returns)\s+", r"\1 ", text)
            if name:
                out += [f"``{name}``", f"    {escaped(shown)}", ""]
            else:
                out += [escaped(shown), ""]
    return out


def process(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]):
    """Replace autodoc's lines."""
    lines[:] = rendered(lines)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the conversion."""
    app.connect("autodoc-process-docstring", process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
