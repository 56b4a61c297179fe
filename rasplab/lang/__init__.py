"""The language: text to syntax, syntax to program, values to text."""

from rasplab.lang.loading import load, parse

__all__ = ["load", "parse"]
