"""RASP texts in tests: what they give, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rasplab.lang.loading import parse
from rasplab.program.interpret.exact import evaluate


def output_of(text: str, tokens: Sequence = "hello") -> Any:
    """The output of a text's program on an input."""
    return evaluate(parse(text), tokens).output
