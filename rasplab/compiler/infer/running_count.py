"""Running counts: widths that number the positions of equal values, and so tell them apart."""

from __future__ import annotations

from rasplab.compiler.infer.leaf_tables import LeafTables
from rasplab.compiler.infer.normal_form import Conjunct, Literal, normal_and
from rasplab.program.graph import Indices, SelectorWidth

ORDERS = ("<", "<=", ">", ">=")


def keys_are_counted(tables: LeafTables, conjuncts: tuple[Conjunct, ...]) -> bool:
    """Whether equalities with x and with a running count of equal x select one key at most.

    The running count of a position is the width of `indices <= indices and x == x` or a like one.
    Proof: of two positions with equal values of x, all that the first counts the second counts too,
    and besides itself or the first. So equal x have different counts, and a query that asks for
    both a value of x and a count is met by one key at most.
    """
    keys = {
        clause[0].keys
        for c in conjuncts
        for clause in c.clauses
        if len(clause) == 1 and is_equality(clause[0])
    }
    return any(_counted(tables, key) <= keys - {key} for key in keys)


def _counted(tables: LeafTables, key: int) -> set[int]:
    """The s-ops x that `key` is a running count of; `key` itself where it is none."""
    node = tables.program.nodes[key]
    if not isinstance(node, SelectorWidth):
        return {key}
    clauses = [clause for c in normal_and(tables.program, node.selector) for clause in c.clauses]
    literals = [clause[0] for clause in clauses if len(clause) == 1]
    alike = all(lit.keys == lit.queries for lit in literals) and len(literals) == len(clauses)
    orders = [lit for lit in literals if not is_equality(lit)]
    if not alike or not _is_order(tables, orders):
        return {key}
    equal = {lit.keys for lit in literals if is_equality(lit)}
    return {i for i in equal if tables.leaf_sets[i]}  # constants are equal everywhere


def _is_order(tables: LeafTables, literals: list[Literal]) -> bool:
    """Whether literals select what is before, or after, a position in one order of all of them."""
    if tables.domain.causal:  # then what is before, by position, and no order may take away from it
        return all(_is_before(tables, lit) for lit in literals)
    if len(literals) != 1 or literals[0].predicate not in ORDERS:
        return False
    return literals[0].keys in tables.sets and tables.sets[literals[0].keys].distinct


def _is_before(tables: LeafTables, literal: Literal) -> bool:
    """Whether a literal selects the keys before a position, with or without itself."""
    is_position = isinstance(tables.program.nodes[literal.keys], Indices)
    return is_position and literal.predicate in ORDERS and literal.test(0, 1)


def is_equality(literal: Literal) -> bool:
    """Whether a literal selects equal keys."""
    return (literal.predicate, literal.negated) in (("==", False), ("!=", True))
