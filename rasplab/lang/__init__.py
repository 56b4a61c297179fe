"""The language: text to syntax, syntax to program, values to text (floor 2)."""

from rasplab.lang.files import load, parse

__all__ = ["load", "parse"]
