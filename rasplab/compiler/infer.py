"""Which values every s-op can take at every (length, position), and how they hang together (floor 3).

A *leaf* is what elementwise expressions are made of: the token, the position, or a node that attention computes
(or, where a joint table would be too large, an elementwise node cut off to stand alone). A node's *column* over some
leaves is its value for every combination of leaf values that can meet in a cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from rasplab.compiler.normalize import Conjunct, normal_and
from rasplab.compiler.sums import Range, mean_values
from rasplab.domain import Domain
from rasplab.errors import CompileError
from rasplab.functions import CASTS, FUNCTIONS
from rasplab.program import (
    Aggregate, Constant, Indices, Map, Program, SelectorWidth, Tokens, Value, operands,
)  # fmt: skip

TOKEN, POSITION = -2, -1
"""The leaves that the embedding gives; other leaves are node ids."""

MAX_ROWS = 6000
"""Combinations of leaf values that one table may hold; beyond it an expression is cut in two."""

MAX_CELLS = 150_000_000
"""Entries (cells x values) that one table of the analysis may hold: a bound on memory, 1 byte each."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What an elementwise function raised for a combination of values; absorbs whatever reads it."""

    reason: str


def value_key(value: Value | Fault) -> tuple:
    """Equal for values that mean the same: 2 and 2.0 do, True and 1 do not."""
    if isinstance(value, tuple):
        return ("tuple", *(value_key(v) for v in value))
    if isinstance(value, bool | str | Fault):
        return (type(value).__name__, value)
    return ("number", value)


def is_number(value: Value) -> bool:
    """An int or a float, and no bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True)
class ValueSet:
    """The values a node can take.

    values       distinct under value_key
    cells        bool [cell, value]: can it take that value there
    distinct     no two positions of one input hold the same value
    permutation  the values over an input are 0 .. n-1 in some order
    """

    values: tuple[Value, ...]
    cells: np.ndarray
    distinct: bool = False
    permutation: bool = False


@dataclass(frozen=True)
class Column:
    """A node over rows of leaf combinations: values[codes[row]]."""

    values: tuple[Value | Fault, ...]
    codes: np.ndarray

    def numbers(self) -> np.ndarray:
        """The values as float64 per row; NaN where the row holds a fault."""
        table = [np.nan if isinstance(v, Fault) else float(v) for v in self.values]
        return np.array(table)[self.codes]


@dataclass(frozen=True)
class Joint:
    """Leaf combinations that can occur: codes [row, leaf], and mask [row, pattern] of where they do.

    cell_pattern [cell]: the pattern of each cell, so mask[:, cell_pattern] is [row, cell].
    """

    leaves: tuple[int, ...]
    codes: np.ndarray
    mask: np.ndarray
    cell_pattern: np.ndarray


class Cells:
    """The cells (n, i) of a domain: length n, position i < n; numbered by n, then i."""

    def __init__(self, max_len: int):
        self.max_len = max_len
        self.length = np.repeat(np.arange(1, max_len + 1), np.arange(1, max_len + 1))
        self.position = np.concatenate([np.arange(n) for n in range(1, max_len + 1)])
        self.count = len(self.length)

    def of_length(self, n: int) -> slice:
        """The cells of length n."""
        return slice(n * (n - 1) // 2, n * (n + 1) // 2)


@dataclass(frozen=True)
class Widths:
    """Bounds of a selector. low, high [cell]: how many keys a row selects; may, must [n] -> bool [query, key]."""

    low: np.ndarray
    high: np.ndarray
    may: dict[int, np.ndarray]
    must: dict[int, np.ndarray]


class Inferred:
    """The value sets of a program on a domain, node by node; columns and joints on demand, each computed once.

    ranges   nodes whose values are too many to list: numbers with a lattice, usable linearly and as an output
    doubts   (node, reason): what is legal only if some combination never occurs; to be checked on inputs
    Raises CompileError where a use needs values that cannot be listed.
    """

    def __init__(self, program: Program, domain: Domain):
        self.program, self.domain = program, domain
        _check_size(domain)
        self.cells = Cells(domain.max_len)
        self.sets: dict[int, ValueSet] = {}
        self.ranges: dict[int, Range] = {}
        self.doubts: list[tuple[int, str]] = []
        self.leaf_sets: dict[int, tuple[int, ...]] = {}
        self._joints: dict[tuple, Joint] = {}
        self._columns: dict[tuple, Column] = {}
        self._widths: dict[tuple, Widths] = {}
        self._leaf(TOKEN, domain.vocab, np.ones((self.cells.count, len(domain.vocab)), bool))
        positions = np.eye(domain.max_len, dtype=bool)[self.cells.position]
        self.sets[POSITION] = ValueSet(tuple(range(domain.max_len)), positions, True, True)
        for i in range(len(program.nodes)):
            if not program.is_selector(i):
                self._visit(i)

    def _leaf(self, leaf: int, values: tuple, cells: np.ndarray) -> None:
        self.sets[leaf] = ValueSet(tuple(values), cells)

    def _visit(self, i: int) -> None:
        match self.program.nodes[i]:
            case SelectorWidth(selector):
                self.leaf_sets[i] = (i,)
                self.sets[i] = self._width_set(selector)
            case Aggregate():
                self.leaf_sets[i] = (i,)
                self._aggregate(i)
            case node:
                self._elementwise(i, node)
        if i in self.sets and len({isinstance(v, str) for v in self.sets[i].values}) > 1:
            self.doubts.append((i, "mixing strings with other values"))

    # --- elementwise nodes -----------------------------------------------------------------------------------------

    def _elementwise(self, i: int, node) -> None:
        match node:
            case Tokens():
                self.leaf_sets[i] = (TOKEN,)
            case Indices():
                self.leaf_sets[i] = (POSITION,)
            case Constant():
                self.leaf_sets[i] = ()
            case Map(_, args):
                self.leaf_sets[i] = self._map_leaves(i, args)
        if any(leaf in self.ranges for leaf in self.leaf_sets[i]):
            self.ranges[i] = self._range_of(i)
            return
        column = self.column(i, self.leaf_sets[i])
        for value in column.values:
            if isinstance(value, Fault):
                self.doubts.append((i, value.reason))
        self.sets[i] = self._set_of(i, column)

    def _map_leaves(self, i: int, args: tuple[int, ...]) -> tuple[int, ...]:
        """The leaves of a Map: those of its operands, unless their joint table is too large: then the operands."""
        leaves = tuple(sorted({leaf for a in args for leaf in self.leaf_sets[a]}))
        if any(leaf in self.ranges for leaf in leaves) or self._fits(leaves):
            return leaves
        cut = tuple(sorted({a for a in args if self.leaf_sets[a]}))
        if not self._fits(cut):
            sizes = " x ".join(str(len(self.sets[a].values)) for a in cut)
            raise CompileError(
                f"{self.program.labels[i]!r} joins {sizes} values: more than {MAX_ROWS:,} combinations",
                self.program.span(i),
                "use a smaller vocabulary or max_len, or compute it in smaller steps",
            )
        return cut

    def _fits(self, leaves: tuple[int, ...]) -> bool:
        try:
            self.joint(leaves)
        except _TooLarge:
            return False
        return True

    def _set_of(self, i: int, column: Column) -> ValueSet:
        leaves = self.leaf_sets[i]
        joint = self.joint(leaves)
        good = [c for c, v in enumerate(column.values) if not isinstance(v, Fault)]
        if not good:
            self._refuse_fault(i, column.values[0])
        by_pattern = np.zeros((joint.mask.shape[1], len(column.values)), bool)
        rows, patterns = np.nonzero(joint.mask)
        by_pattern[patterns, column.codes[rows]] = True
        values = tuple(column.values[c] for c in good)
        return ValueSet(values, by_pattern[joint.cell_pattern][:, good], self._stays_distinct(i, column))

    def _refuse_fault(self, i: int, fault: Fault) -> None:
        raise CompileError(f"{self.program.labels[i]!r} fails on every input: {fault.reason}", self.program.span(i))

    def _stays_distinct(self, i: int, column: Column) -> bool:
        """Injective in one distinct leaf, given the others, which are the same at every position of an input."""
        leaves = self.leaf_sets[i]
        spread = [leaf for leaf in leaves if not self._uniform(leaf)]
        if len(spread) != 1 or not self.sets[spread[0]].distinct:
            return False
        at = leaves.index(spread[0])
        codes = self.joint(leaves).codes
        context = np.delete(codes, at, axis=1)
        pairs = np.column_stack([context, column.codes])
        return len(np.unique(pairs, axis=0)) == len(codes)

    def _uniform(self, leaf: int) -> bool:
        """Whether the leaf holds one value all over an input, given its length."""
        cells = self.sets[leaf].cells
        if not (cells.sum(1) == 1).all():
            return False
        codes = cells.argmax(1)
        return bool((codes == codes[self.cells.count - self.cells.max_len :][self.cells.length - 1]).all()) or all(
            len(set(codes[self.cells.of_length(n)])) == 1 for n in range(1, self.cells.max_len + 1)
        )

    def _range_of(self, i: int) -> Range:
        """A linear expression over ranges: its range. Raises CompileError for anything else."""
        terms = self.linear(i)
        if terms is None:
            label = self.program.labels[i]
            raise CompileError(
                f"{label!r} needs every single value of a mean that has too many to list",
                self.program.span(i),
                "use a smaller max_len or fewer different numbers; sums, differences and multiples are possible",
            )
        coefficients, const = terms
        result = Range.of_value(const)
        for leaf, coefficient in coefficients.items():
            result = result + self.range(leaf).scaled(coefficient)
        return result

    def range(self, leaf: int) -> Range:
        """Bounds and lattice of a numeric leaf, listed or not."""
        if leaf in self.ranges:
            return self.ranges[leaf]
        return Range.of_values(self.sets[leaf].values)

    def linear(self, i: int) -> tuple[dict[int, Fraction], Fraction] | None:
        """The node as sum of coefficient x leaf plus a constant; None where it is not written as one."""
        node = self.program.nodes[i]
        match node:
            case Constant(value) if is_number(value):
                return {}, Fraction(value)
            case Map("pos", (a,)):
                return self.linear(a)
            case Map("neg", (a,)):
                return _scaled(self.linear(a), Fraction(-1))
            case Map("+", (a, b)):
                return _plus(self.linear(a), self.linear(b), 1)
            case Map("-", (a, b)):
                return _plus(self.linear(a), self.linear(b), -1)
            case Map("*", (a, b)):
                left, right = self.linear(a), self.linear(b)
                if left and right and not (left[0] and right[0]):
                    return _scaled(right, left[1]) if not left[0] else _scaled(left, right[1])
            case Map("/", (a, b)):
                left, right = self.linear(a), self.linear(b)
                if left and right and not right[0] and right[1]:
                    return _scaled(left, 1 / right[1])
        if i in self.ranges and self.leaf_sets.get(i) == (i,):
            return {i: Fraction(1)}, Fraction(0)
        if i in self.sets and all(is_number(v) for v in self.sets[i].values):
            return {i: Fraction(1)}, Fraction(0)
        return None

    def joint(self, leaves: tuple[int, ...]) -> Joint:
        """The combinations of leaf values that share a cell. Raises _TooLarge beyond MAX_ROWS."""
        if leaves not in self._joints:
            self._joints[leaves] = self._build_joint(leaves)
        return self._joints[leaves]

    def _build_joint(self, leaves: tuple[int, ...]) -> Joint:
        cells = [self.sets[leaf].cells for leaf in leaves]
        packed = np.concatenate([np.packbits(c, axis=1) for c in cells] or [np.zeros((self.cells.count, 1), np.uint8)], 1)
        _, first, pattern = np.unique(packed, axis=0, return_index=True, return_inverse=True)
        codes, mask = np.zeros((1, 0), int), np.ones((1, len(first)), bool)
        for c in cells:
            if len(codes) * c.shape[1] * len(first) > MAX_CELLS:
                raise _TooLarge
            meets = mask[:, None, :] & c[first].T[None]
            rows, values = np.nonzero(meets.any(2))
            if len(rows) > MAX_ROWS:
                raise _TooLarge
            codes, mask = np.column_stack([codes[rows], values]), meets[rows, values]
        return Joint(leaves, codes, mask, pattern.reshape(-1))

    def column(self, i: int, leaves: tuple[int, ...]) -> Column:
        """Node (or leaf) i over the rows of joint(leaves); its own leaves must be among them."""
        key = (i, leaves)
        if key not in self._columns:
            self._columns[key] = self._build_column(i, leaves)
        return self._columns[key]

    def _build_column(self, i: int, leaves: tuple[int, ...]) -> Column:
        joint = self.joint(leaves)
        if i in leaves:
            return Column(self.sets[i].values, joint.codes[:, leaves.index(i)])
        node = self.program.nodes[i]
        match node:
            case Tokens(cast):
                return _apply(CASTS[cast], [self.column(TOKEN, leaves)], len(joint.codes))
            case Indices():
                return self.column(POSITION, leaves)
            case Constant(value):
                return Column((value,), np.zeros(len(joint.codes), int))
            case Map(fn, args):
                return _apply(FUNCTIONS[fn].apply, [self.column(a, leaves) for a in args], len(joint.codes))
        raise AssertionError(f"node {i} is not over leaves {leaves}")

    # --- selectors -------------------------------------------------------------------------------------------------

    def tuples(self, nodes: tuple[int, ...]) -> tuple[tuple[int, ...], Column]:
        """Several s-ops seen as one: their leaves, and a column of tuples of their values."""
        leaves = tuple(sorted({leaf for i in nodes for leaf in self.leaf_sets[i]}))
        for leaf in leaves:
            if leaf in self.ranges:
                self._refuse_select(nodes, leaf)
        if not self._fits(leaves):
            leaves = tuple(sorted({i for i in nodes if self.leaf_sets[i]}))
        if not self._fits(leaves):
            raise CompileError(
                f"a selector joins {' and '.join(self.program.labels[i] for i in nodes)}: too many combinations",
                self.program.span(nodes[0]),
                "use a smaller vocabulary or max_len, or select in several steps",
            )
        columns = [self.column(i, leaves) for i in nodes]
        return leaves, _apply(lambda *values: values, columns, len(self.joint(leaves).codes))

    def _refuse_select(self, nodes: tuple[int, ...], leaf: int) -> None:
        raise CompileError(
            f"select needs every single value of {self.program.labels[leaf]!r}, a mean with too many to list",
            self.program.span(nodes[0]),
            "use a smaller max_len or fewer different numbers",
        )

    def cells_of(self, leaves: tuple[int, ...], column: Column) -> np.ndarray:
        """bool [cell, value of column]: which of a column's values can occur where."""
        joint = self.joint(leaves)
        by_pattern = np.zeros((joint.mask.shape[1], len(column.values)), bool)
        rows, patterns = np.nonzero(joint.mask)
        by_pattern[patterns, column.codes[rows]] = True
        return by_pattern[joint.cell_pattern]

    def predicate(self, conjunct: Conjunct) -> tuple[Column, Column, np.ndarray]:
        """Key column, query column, and table bool [key value, query value] of a conjunct; faults test False."""
        _, keys = self.tuples(conjunct.keys)
        _, queries = self.tuples(conjunct.queries)
        return keys, queries, self._table(conjunct, keys, queries)

    def _table(self, conjunct: Conjunct, keys: Column, queries: Column) -> np.ndarray:
        table = np.ones((len(keys.values), len(queries.values)), bool)
        for clause in conjunct.clauses:
            chosen = np.zeros_like(table)
            for literal in clause:
                at_key, at_query = conjunct.keys.index(literal.keys), conjunct.queries.index(literal.queries)
                chosen |= self._literal_table(literal, keys, at_key, queries, at_query)
            table &= chosen
        return table

    def _literal_table(self, literal, keys: Column, at_key: int, queries: Column, at_query: int) -> np.ndarray:
        key_codes, key_values = _component(keys, at_key)
        query_codes, query_values = _component(queries, at_query)
        small = np.zeros((len(key_values), len(query_values)), bool)
        for a, key in enumerate(key_values):
            for b, query in enumerate(query_values):
                small[a, b] = self._test(literal, key, query)
        return small[np.ix_(key_codes, query_codes)]

    def _test(self, literal, key, query) -> bool:
        if isinstance(key, Fault) or isinstance(query, Fault):
            return False
        try:
            return literal.test(key, query)
        except TypeError as error:
            doubt = (literal.keys, f"comparing {key!r} with {query!r}: {error}")
            if doubt not in self.doubts:
                self.doubts.append(doubt)
            return False

    def widths(self, conjuncts: tuple[Conjunct, ...]) -> Widths:
        """How many keys each row of an `and` of conjuncts selects, at least and at most."""
        if conjuncts not in self._widths:
            self._widths[conjuncts] = self._build_widths(conjuncts)
        return self._widths[conjuncts]

    def _build_widths(self, conjuncts: tuple[Conjunct, ...]) -> Widths:
        parts = [self._conjunct_bounds(c) for c in conjuncts]
        may, must, low, high = {}, {}, [], []
        for n in range(1, self.cells.max_len + 1):
            may[n], must[n] = np.ones((n, n), bool), np.ones((n, n), bool)
            if self.domain.causal:
                may[n] &= np.tri(n, dtype=bool)
                must[n] &= np.tri(n, dtype=bool)
            for part in parts:
                may[n] &= part[n][0]
                must[n] &= part[n][1]
            low.append(must[n].sum(1))
            high.append(may[n].sum(1))
        low, high = np.concatenate(low), np.concatenate(high)
        if any(self._keys_distinct(c) for c in conjuncts):
            high = np.minimum(high, 1)
        if len(conjuncts) == 1 and self._onto(conjuncts[0]) and not self.domain.causal:
            low = np.maximum(low, 1)
        return Widths(low, high, may, must)

    def _conjunct_bounds(self, conjunct: Conjunct) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """Per length: bool [query, key] of what may, and what must, be selected by this conjunct alone."""
        key_leaves, keys = self.tuples(conjunct.keys)
        query_leaves, queries = self.tuples(conjunct.queries)
        table = self._table(conjunct, keys, queries)
        at_key = self.cells_of(key_leaves, keys).astype(np.float32)
        at_query = self.cells_of(query_leaves, queries).astype(np.float32)
        hit, miss = table.T.astype(np.float32), (~table).T.astype(np.float32)
        own_may, own_must = self._own(conjunct)
        bounds = {}
        for n in range(1, self.cells.max_len + 1):
            cells = self.cells.of_length(n)
            may = (at_query[cells] @ hit @ at_key[cells].T) > 0
            must = (at_query[cells] @ miss @ at_key[cells].T) == 0
            np.fill_diagonal(may, may.diagonal() & own_may[cells])
            np.fill_diagonal(must, must.diagonal() | own_must[cells])
            bounds[n] = (may, must)
        return bounds

    def _own(self, conjunct: Conjunct) -> tuple[np.ndarray, np.ndarray]:
        """[cell]: may, and must, a position select itself. There key and query values belong together."""
        nodes = tuple(sorted({*conjunct.keys, *conjunct.queries}))
        leaves = tuple(sorted({leaf for i in nodes for leaf in self.leaf_sets[i]}))
        unknown = np.ones(self.cells.count, bool), np.zeros(self.cells.count, bool)
        if not self._fits(leaves):
            return unknown
        columns = {i: self.column(i, leaves) for i in nodes}
        tested = np.ones(len(self.joint(leaves).codes), bool)
        for clause in conjunct.clauses:
            tested &= np.logical_or.reduce([self._own_literal(lit, columns) for lit in clause])
        seen = self.cells_of(leaves, Column((False, True), tested.astype(int)))
        return seen[:, 1], ~seen[:, 0]

    def _own_literal(self, literal, columns: dict[int, Column]) -> np.ndarray:
        pair = _apply(lambda k, q: (k, q), [columns[literal.keys], columns[literal.queries]], None)
        hits = [False if isinstance(v, Fault) else self._test(literal, *v) for v in pair.values]
        return np.array(hits)[pair.codes]

    def _keys_distinct(self, conjunct: Conjunct) -> bool:
        """An equality with keys that differ at every position selects one key at most."""
        return any(
            len(clause) == 1 and self._is_equality(clause[0]) and self.sets[clause[0].keys].distinct
            for clause in conjunct.clauses
        )

    def _is_equality(self, literal) -> bool:
        return literal.predicate == "==" and not literal.negated or literal.predicate == "!=" and literal.negated

    def _onto(self, conjunct: Conjunct) -> bool:
        """An equality of a permutation with queries in 0 .. n-1 selects exactly one key."""
        if len(conjunct.clauses) != 1 or len(conjunct.clauses[0]) != 1:
            return False
        literal = conjunct.clauses[0][0]
        if not (self._is_equality(literal) and self.sets[literal.keys].permutation):
            return False
        queries = self.sets[literal.queries]
        if not all(is_number(v) and v == int(v) for v in queries.values):
            return False
        numbers = np.array([int(v) for v in queries.values])
        outside = (numbers < 0)[None] | (numbers[None] >= self.cells.length[:, None])
        return not (queries.cells & outside).any()

    # --- attention nodes -------------------------------------------------------------------------------------------

    def _width_set(self, selector: int) -> ValueSet:
        from rasplab.compiler.order import is_strict_order

        conjuncts = normal_and(self.program, selector)
        top = self.cells.max_len
        if not self.domain.causal and is_strict_order(self, conjuncts):
            cells = np.arange(top)[None] < self.cells.length[:, None]
            return ValueSet(tuple(range(top)), cells, True, True)
        widths = self.widths(conjuncts)
        numbers = np.arange(int(widths.high.max()) + 1)
        cells = (numbers >= widths.low[:, None]) & (numbers <= widths.high[:, None])
        used = np.nonzero(cells.any(0))[0]
        return ValueSet(tuple(int(v) for v in used), cells[:, used])

    def _aggregate(self, i: int) -> None:
        node = self.program.nodes[i]
        widths = self.widths(normal_and(self.program, node.selector))
        if node.values in self.ranges:
            if widths.high.max() > 1:
                self.ranges[i] = self.range(node.values).mean(int(widths.high.max())).with_value(node.default)
            else:
                self.ranges[i] = self.range(node.values).with_value(node.default)
            return
        result = mean_values(self, node, widths)
        if isinstance(result, Range):
            self.ranges[i] = result
        else:
            self.sets[i] = result
        values = self.sets[node.values].values
        if widths.high.max() > 1 and not all(is_number(v) for v in values):
            if any(is_number(v) for v in values) and any(isinstance(v, bool) for v in values):
                self._refuse_mixed_mean(i)
            self.doubts.append((i, "taking the mean of values that are no numbers"))

    def _refuse_mixed_mean(self, i: int) -> None:
        """Whether bools may be averaged depends on the numbers beside them: that has no fixed form."""
        raise CompileError(
            f"{self.program.labels[i]!r} may take the mean of bools among numbers",
            self.program.span(i),
            "make them numbers first: indicator(...); or give the aggregate below a bool as default",
        )


def _check_size(domain: Domain) -> None:
    """Refuse a domain whose (length, position, value) table alone would not fit."""
    n, widest = domain.max_len, max(domain.max_len, len(domain.vocab))
    if n * (n + 1) // 2 * widest > MAX_CELLS:
        raise CompileError(
            f"a domain of {len(domain.vocab):,} tokens up to length {n:,} is too large to analyse",
            hint=f"lengths x positions x values may be {MAX_CELLS:,}: max_len about 600 with as many tokens",
        )


class _TooLarge(Exception):
    """A joint table beyond MAX_ROWS."""


def _apply(function, columns: list[Column], rows: int | None) -> Column:
    """`function` over columns, called once per distinct combination; what it raises becomes a Fault."""
    if not columns:
        return Column(((),), np.zeros(rows or 1, int))
    combined = np.zeros(len(columns[0].codes), int)
    for column in columns:
        combined = combined * len(column.values) + column.codes
    _, first, inverse = np.unique(combined, return_index=True, return_inverse=True)
    values: list[Value | Fault] = []
    ids: dict[tuple, int] = {}
    codes = np.empty(len(first), int)
    for at, row in enumerate(first):
        value = _call(function, [c.values[c.codes[row]] for c in columns])
        key = value_key(value)
        if key not in ids:
            ids[key] = len(values)
            values.append(value)
        codes[at] = ids[key]
    return Column(tuple(values), codes[inverse.reshape(-1)])


def _call(function, args: list) -> Value | Fault:
    for arg in args:
        if isinstance(arg, Fault):
            return arg
    try:
        value = function(*args)
    except (TypeError, ValueError, ZeroDivisionError, KeyError, OverflowError, IndexError) as error:
        return Fault(f"{type(error).__name__} on {', '.join(map(repr, args))}: {error}")
    if isinstance(value, complex) or (isinstance(value, float) and not np.isfinite(value)):
        return Fault(f"{', '.join(map(repr, args))} gives {value}")
    return value


def _component(column: Column, at: int) -> tuple[np.ndarray, list]:
    """Component `at` of a column of tuples: codes per tuple, and its distinct values."""
    ids: dict[tuple, int] = {}
    values, codes = [], []
    for value in column.values:
        part = value if isinstance(value, Fault) else value[at]
        key = value_key(part)
        if key not in ids:
            ids[key] = len(values)
            values.append(part)
        codes.append(ids[key])
    return np.array(codes), values


def _scaled(terms, factor: Fraction):
    if terms is None:
        return None
    return {leaf: c * factor for leaf, c in terms[0].items()}, terms[1] * factor


def _plus(left, right, sign: int):
    if left is None or right is None:
        return None
    coefficients = dict(left[0])
    for leaf, c in right[0].items():
        coefficients[leaf] = coefficients.get(leaf, Fraction(0)) + sign * c
    return coefficients, left[1] + sign * right[1]
