"""Selectors as scores: query and key forms whose products separate selected from unselected keys.

A conjunct that is an equality takes codes of width 2 (equality_codes.py); any other takes its truth
table, one side as one-hot classes. Conjuncts are joined by adding their scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rasplab.compiler.infer.normal_form import Conjunct
from rasplab.compiler.lower.equality_codes import (
    classes_of,
    code_rounding,
    equality_codes,
    first_of,
)
from rasplab.compiler.lower.form_source import FormSource
from rasplab.compiler.lower.residual import LinearForm

SCORE_GAP = {"float32": 40.0, "float64": 80.0}
"""Selected minus unselected score, by dtype; exp(-gap/2) a key leaks to or from BOS."""

COUNT_GAP = {"float32": 20.0, "float64": 40.0}
"""The same in a head that counts, where BOS does not stand in the middle of the gap.

Half the size, as errors of scores grow with it and move widths more than values.
"""

SHARE = 1 / 64
"""Share of what the error of a score may be, from which on a code is made with less error."""

MAX_CODE_ERROR = 1 / 8
"""Error of a query code up to which its exact keys keep their order."""

Pair = tuple[LinearForm, LinearForm]
"""A query form and a key form."""


@dataclass(frozen=True)
class Scores:
    """Query and key forms whose products separate selected from unselected keys by a gap.

    pairs     their products, summed, are the score
    level     the score of selected keys, a form at the query
    rounding  bound on how far arithmetic moves a score
    doubted   the pairs whose errors are not in `rounding`
    """

    pairs: tuple[Pair, ...]
    level: LinearForm
    rounding: float
    doubted: tuple[Pair, ...]


class SelectorScores:
    """Makes the scores of selectors, each conjunct once."""

    def __init__(self, source: FormSource):
        self.source, self.stream, self.value_sets = source, source.stream, source.value_sets
        self._cache: dict[tuple[Conjunct, bool, float], Scores] = {}

    def joined(self, conjuncts: tuple[Conjunct, ...], need_level: bool, gap: float) -> Scores:
        """The scores of an `and`: the sum over its conjuncts, so one miss costs a whole gap.

        need_level  whether the row's level is used, by BOS; else it may be left out
        """
        for conjunct in conjuncts:
            key = (conjunct, need_level, gap)
            if key not in self._cache:
                self._cache[key] = self._conjunct_scores(conjunct, need_level, gap)
        return self._sum_of_scores([self._cache[c, need_level, gap] for c in conjuncts])

    def _sum_of_scores(self, parts: list[Scores]) -> Scores:
        level = LinearForm()
        for part in parts:
            level = level + part.level
        pairs = tuple(pair for part in parts for pair in part.pairs)
        doubted = tuple(pair for part in parts for pair in part.doubted)
        return Scores(pairs, level, sum(part.rounding for part in parts), doubted)

    def _conjunct_scores(self, conjunct: Conjunct, need_level: bool, gap: float) -> Scores:
        """Scores of one conjunct by codes of width 2 where it is an equality, else by a table."""
        keys, queries, table = self.value_sets.selectors.predicate(conjunct)
        key_class, query_class = classes_of(table), classes_of(table.T)
        # Values that are selected alike need no telling apart: one class each.
        small = table[np.ix_(first_of(key_class), first_of(query_class))]
        if small.all():
            # selects everything: without any pair all keys score 0, which is the level
            return Scores((), LinearForm(), 0.0, ())
        table_width = min((~small.all(1)).sum(), (~small.all(0)).sum())
        dtype = self.stream.dtype
        codes = equality_codes(conjunct, keys, queries, small, key_class, query_class, dtype)
        about = f"scores of {self._conjunct_text(conjunct)}"
        ways = (
            f"table, width {table_width}",
            *([f"codes, width {2 * len(codes)}"] if codes else []),
        )
        if codes and table_width > 2 * len(codes) and self.source.basis == "compact":
            self.stream.choose(None, about, *reversed(ways))
            return self._sum_of_scores(
                [self._equality_scores(conjunct, *digit, need_level, gap) for digit in codes]
            )
        self.stream.choose(None, about, *ways)
        return self._table_scores(conjunct, small, key_class, query_class, gap)

    def _conjunct_text(self, conjunct: Conjunct) -> str:
        labels = self.value_sets.program.labels
        tests = [
            f"{'not ' * lit.negated}{labels[lit.keys]} {lit.predicate} {labels[lit.queries]}"
            for clause in conjunct.clauses
            for lit in clause
        ]
        return ", ".join(tests[:3]) + (f" and {len(tests) - 3} more" if len(tests) > 3 else "")

    def _operand_forms(self, nodes: tuple[int, ...], tables: np.ndarray) -> list[LinearForm]:
        """Forms of functions of a tuple of s-ops: tables [tuple value, target]."""
        leaves, column = self.value_sets.selectors.tuples(nodes)
        node = nodes[0] if len(nodes) == 1 else None
        return self.source.forms(leaves, tables[column.codes], node)

    def _code_forms(
        self, nodes: tuple[int, ...], codes: np.ndarray, squared: bool, factor: float, limit: float
    ) -> list[LinearForm]:
        """A code and its square, if wanted: by neurons of their own where they are too rough.

        factor  how much an error of the code counts, against one of the square
        """
        tables = np.column_stack([codes, codes**2] if squared else [codes])
        forms = self._operand_forms(nodes, tables)
        if self._roughness(forms, factor) <= limit:
            return forms
        leaves, column = self.value_sets.selectors.tuples(nodes)
        direct = self.source.direct_forms(leaves, tables[column.codes], nodes[0])
        if direct is None or self._roughness(direct, factor) >= self._roughness(forms, factor):
            return forms
        return direct

    def _roughness(self, forms: list[LinearForm], factor: float) -> float:
        errors = [self.stream.error(form) for form in forms]
        return max(factor * errors[0], *errors[1:], 0.0)

    def _error_limit(self, gap: float) -> float:
        """Error of a score that harms no head; a head of the gap of widths counts up to max_len.

        Values are carried up to an error of gap / 8, of which this is a share; an error of e moves
        a width w by 2 e w. In float32 there is none: float64 takes fewer directions than finer
        codes do.
        """
        if self.stream.dtype == "float32":
            return np.inf
        counts = gap == COUNT_GAP[self.stream.dtype]
        return SHARE / self.value_sets.domain.max_len if counts else SHARE * gap

    def _table_scores(
        self,
        conjunct: Conjunct,
        small: np.ndarray,
        key_class: np.ndarray,
        query_class: np.ndarray,
        gap: float,
    ) -> Scores:
        """One side one-hot over its classes, the other side rows of the table: 0 or -gap.

        small  the truth table by classes, bool [key class, query class]
        The one-hot side is the one with fewer classes; a class that selects all needs no direction.
        Every selected key scores exactly 0, so the level is 0.
        """
        partial_keys, partial_queries = ~small.all(1), ~small.all(0)
        if partial_queries.sum() <= partial_keys.sum():
            classes = np.nonzero(partial_queries)[0]
            queries = (query_class[:, None] == classes[None]).astype(float)
            keys = np.where(small[:, classes], 0.0, -gap)[key_class]
        else:
            classes = np.nonzero(partial_keys)[0]
            keys = (key_class[:, None] == classes[None]).astype(float)
            queries = np.where(small[classes].T, 0.0, -gap)[query_class]
        q = self._operand_forms(conjunct.queries, queries)
        k = self._operand_forms(conjunct.keys, keys)
        pairs = tuple(zip(q, k, strict=True))
        return Scores(pairs, LinearForm(), 0.0, pairs)

    def _equality_scores(
        self,
        conjunct: Conjunct,
        key_codes: np.ndarray,
        query_codes: np.ndarray,
        need_level: bool,
        gap: float,
    ) -> Scores:
        """Scores gap * (2ab - b^2) for query code a and key code b.

        This is gap * (a^2 - (a-b)^2): largest at b = a, where it is the level gap * a^2, and lower
        by at least a gap elsewhere, as codes differ by at least 1. Equal keys score bit for bit the
        same, so the pattern is flat over them.
        """
        # Errors e of a code and f of its square move a score by 2 |code| gap e and gap f.
        largest_a, largest_b = (float(np.abs(c).max()) for c in (query_codes, key_codes))
        factor, limit = 2 * max(largest_a, largest_b), self._error_limit(gap) / gap
        keys = self._code_forms(conjunct.keys, key_codes, True, factor, limit)
        queries = self._code_forms(conjunct.queries, query_codes, need_level, factor, limit)
        level = queries[1].scaled(gap) if need_level else LinearForm()
        # 2 gap a times b, and -gap times b^2
        pairs = ((queries[0].scaled(2 * gap), keys[0]), (LinearForm((), -gap), keys[1]))
        rounding = code_rounding(key_codes, query_codes, gap, self.stream.ulp)
        if not need_level:
            known = self._error_of_exact_keys(pairs, largest_a, largest_b, gap)
            if known is not None:
                return Scores(pairs, level, rounding + known, ())
        return Scores(pairs, level, rounding, pairs)

    def _error_of_exact_keys(
        self, pairs: tuple[Pair, Pair], largest_a: float, largest_b: float, gap: float
    ) -> float | None:
        """Error of scores, of one against another, where keys are exact and rows never empty.

        A query code off by e scores gap ((a+e)^2 - (a+e-b)^2): keys at a distance m = |a-b| from a
        lie gap (m^2 - 2 e m) below the selected ones, at least gap (1 - 2 e) for e < 1/2, where two
        scores off by gap e leave as much. What all keys of a row have in common is lost in the
        softmax; against BOS, a gap below 0, the selected ones lose gap e^2 at most.
        """
        stream = self.stream
        if not all(stream.is_exact(stream.at_bos(key, 0.0)) for _, key in pairs):
            return None
        query = stream.at_bos(pairs[0][0], 0.0)
        e = (stream.error(query) + stream.ulp * stream.size(query)) / (2 * gap)
        if e > MAX_CODE_ERROR:
            return None
        products = 2 * (largest_a + e) * largest_b + largest_b**2
        return gap * (e + stream.ulp * products)
