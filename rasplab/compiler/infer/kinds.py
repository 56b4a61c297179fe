"""Whether a program can tell an int from the float that is equal to it.

A head gives a number and not its kind, so the values of a mean take 2 and 2.0 as one. That is right
where nothing tells them apart: text shows the kind, an index has to be an int, and beyond 2^53
floats round where ints do not.
"""

from __future__ import annotations

from collections.abc import Iterable

from rasplab.program.graph import Aggregate, Constant, Map, Program
from rasplab.program.values import MAX_WHOLE, is_number


def shows_kinds(program: Program) -> bool:
    """Whether the program may show if a mean is an int or a float: as text, or as an index."""
    means: set[int] = set()
    for i, node in enumerate(program.nodes):
        if isinstance(node, Aggregate):
            means.add(i)
        elif isinstance(node, Map):
            if tells_kinds(program, node) and node.args[1] in means:
                return True
            if means.intersection(node.args):
                means.add(i)
    return False


def tells_kinds(program: Program, node: Map) -> bool:
    """Whether a function makes a text of its second operand, or takes it as an index."""
    first = program.nodes[node.args[0]]
    is_number_there = isinstance(first, Constant) and is_number(first.value)
    return node.fn == "index" or (node.fn == "%" and not is_number_there)


def has_large_int(values: Iterable[object]) -> bool:
    """Whether an int among the values may be rounded where it meets a float."""
    return any(type(v) is int and abs(v) > MAX_WHOLE for v in values)
