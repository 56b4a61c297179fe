"""Tables of leaf values: what does not fit is refused."""

from __future__ import annotations

import pytest
from support.graphs import graph, reverse

from rasplab.base.errors import CompileError
from rasplab.compiler.pipeline import compile_program
from rasplab.program.domain import Domain


@pytest.mark.parametrize("domain", [Domain(("a", "b"), 2000), Domain(tuple(range(10**6)), 20)])
def test_domains_too_large_are_refused_at_once(domain):
    """No minutes of work and no gigabytes: a sentence."""
    with pytest.raises(CompileError, match="too large"):
        compile_program(graph(reverse), domain)
