"""Sums over selected keys: `selector_width(s) * aggregate(s, x)`, and what reads means smoothly.

A head gives such a sum as exactly as a width, and its values lie on the lattice of `x`, where the
means themselves would be too many to list. The interpreter multiplies a rounded mean, so its sums
can be off in the last digit; that may only be ignored where what reads them is continuous, or
rounds to the lattice.
"""

from __future__ import annotations

from dataclasses import dataclass

from rasplab.program.graph import Aggregate, Constant, Map, Node, Program, SelectorWidth, operands
from rasplab.program.values import is_number


@dataclass(frozen=True)
class Sums:
    """The sums of a program, and its means that only sums and continuous functions read.

    aggregates  by the product `selector_width(s) * aggregate(s, x)`: the aggregate
    rounded     the products that `round` reads: these have to lie on whole numbers
    smooth      s-ops that only continuous functions read: a small error stays small
    readers     by s-op or selector, what reads it
    """

    aggregates: dict[int, int]
    rounded: frozenset[int]
    smooth: frozenset[int]
    readers: dict[int, list[int]]


def sums_of(program: Program) -> Sums:
    """The sums of a program."""
    readers: dict[int, list[int]] = {i: [] for i in range(len(program.nodes))}
    for i, node in enumerate(program.nodes):
        for a in operands(node):
            readers[a].append(i)
    smooth: set[int] = set()
    for i in reversed(range(len(program.nodes))):  # readers before what they read
        if all(r in smooth and _is_continuous(program, i, program.nodes[r]) for r in readers[i]):
            smooth.add(i)
    products = {i: a for i, node in enumerate(program.nodes) for a in _summed(program, node)}
    rounded = {i for i in products if any(_rounds(program.nodes[r]) for r in readers[i])}
    sums = {
        i: a
        for i, a in products.items()
        if all(
            _rounds(program.nodes[r])
            or (r in smooth and _is_continuous(program, i, program.nodes[r]))
            for r in readers[i]
        )
    }
    return Sums(sums, frozenset(rounded & set(sums)), frozenset(smooth), readers)


def _rounds(node: Node) -> bool:
    return isinstance(node, Map) and node.fn == "round"


def _is_continuous(program: Program, i: int, reader: Node) -> bool:
    """Whether an s-op changes little where s-op i, which it reads, changes little."""
    match reader:
        case Aggregate(_, values, _):
            return values == i  # and not its selector's operand
        case Map("+" | "-" | "neg" | "pos", _):
            return True
        case Map("*", (a, b)):
            return _is_constant(program, b if a == i else a)
        case Map("/", (a, b)):
            return a == i and _is_constant(program, b)
    return False


def _is_constant(program: Program, i: int) -> bool:
    node = program.nodes[i]
    return isinstance(node, Constant) and is_number(node.value)


def _summed(program: Program, node: Node) -> list[int]:
    """The aggregate that a product multiplies by the width of its own selector, if it does."""
    if not (isinstance(node, Map) and node.fn == "*"):
        return []
    for width, mean in (node.args, node.args[::-1]):
        w, a = program.nodes[width], program.nodes[mean]
        if isinstance(w, SelectorWidth) and isinstance(a, Aggregate) and w.selector == a.selector:
            return [mean]
    return []
