"""Selectors as attention heads.

A head computes q.k. Within a row every selected key scores the same level, BOS half a gap below it
(in a head that counts: the level plus the logarithm of what BOS weighs beside one key), every other
key at least a gap below. The softmax is then the selector, normalised, with empty rows on BOS; what
leaks is below n * exp(-gap / 2).

A head that counts gives BOS either the weight of one key, and 1/(1+w) comes out; or so large a
weight E that E * share = w to the last place: the number itself, ready for sums, without neurons.

Every head has one pair for BOS: its key is 1 at BOS only, its query gives BOS its score at tokens,
and at BOS itself a high one, so that BOS attends to BOS and holds known values.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from rasplab.compiler.infer.normal_form import Conjunct, conjunction, normal_and, normal_or
from rasplab.compiler.infer.values import is_number
from rasplab.compiler.lower.equality_codes import (
    classes_of,
    code_rounding,
    equality_codes,
    first_of,
)
from rasplab.compiler.lower.residual import REAL, Direction, Head, LinearForm, after

GAP = {"float32": 40.0, "float64": 80.0}
"""Score difference of selected and unselected, by dtype: what leaks to or from BOS is exp(-gap/2)
a key.
"""

COUNT_GAP = {"float32": 20.0, "float64": 40.0}
"""The same in a head that counts, where BOS takes no place in the middle, and errors of scores
matter more.
"""

MAX_TERMS = 3
"""An `or` of more terms than this is not counted term by term."""

FINE_WIDTH = 1e-11
"""Relative error of a width itself below which nothing is gained."""

FINE_SHARE = 0.02
"""Error of w up to which it is read from 1/(1+w), whose pattern shows the selector."""

REAL_FORM = LinearForm(((REAL, 1.0),))
"""1 at tokens, 0 at BOS."""

NOT_REAL = LinearForm(((REAL, -1.0),), 1.0)
"""1 at BOS, 0 at tokens."""


@dataclass(frozen=True)
class Counted:
    """A width as its heads give it.

    form    1/(1+w) of a single head; or w, with `linear`: a signed sum over heads
    error   bound on the numerical error, at the width where it matters most
    """

    form: LinearForm
    error: float
    linear: bool


@dataclass(frozen=True)
class Scores:
    """Query and key forms whose products are at least a gap apart; `level` is a row's score when
    selected, `rounding` bounds how far numerics move it.
    """

    pairs: tuple[tuple[LinearForm, LinearForm], ...]
    level: LinearForm
    rounding: float = 0.0


class Attention:
    """Makes the heads of a Lowering; heads with equal selectors at the same time are one."""

    def __init__(self, lowering):
        self.lowering, self.value_sets, self.program = (
            lowering,
            lowering.value_sets,
            lowering.program,
        )
        self._heads: dict[tuple, Head] = {}
        self._scores: dict[tuple, Scores] = {}
        self._counted: dict[int, Counted] = {}
        self.gap, self.count_gap = GAP[lowering.dtype], COUNT_GAP[lowering.dtype]

    @property
    def stream(self):
        """The residual stream being designed."""
        return self.lowering.stream

    @property
    def has_shares(self) -> bool:
        """Whether some width is read from 1/(1+w)."""
        return any(not c.linear for c in self._counted.values())

    def at_most_one(self, leaf: int) -> bool:
        """Whether the aggregate never takes a mean: one key at most is selected, or values are no
        numbers.
        """
        node = self.program.nodes[leaf]
        if node.values in self.value_sets.ranges:
            return False
        numbers = all(is_number(v) for v in self.value_sets.sets[node.values].values)
        return not numbers or bool(self._widths(node.selector).high.max() <= 1)

    def _widths(self, selector: int):
        return self.value_sets.selectors.widths(normal_and(self.program, selector))

    # --- heads that carry values ------------------------------------------------------------------

    def carry(
        self, leaf: int, forms: list[LinearForm], defaults: list[float], labels: list[str]
    ) -> list[LinearForm]:
        """What the aggregate's head moves: each form from selected keys, its default from BOS."""
        node = self.program.nodes[leaf]
        conjuncts = normal_and(self.program, node.selector)
        results = []
        for form, default, label in zip(forms, defaults, labels, strict=True):
            head = self._head(conjuncts, node.selector, 0.0, ready=self.stream.time(form))
            value = self.stream.at_bos(form, default)
            results.append(self._output(head, leaf, value, default, label))
        return results

    def _leak(self) -> float:
        """Share of a row's attention that goes where it should not."""
        return float(self.value_sets.domain.max_len * np.exp(-self.gap / 2))

    def _output(
        self, head: Head, leaf: int, value: LinearForm, bos: float, label: str
    ) -> LinearForm:
        for old, direction in head.outs:
            if old == value:
                return LinearForm.of(direction)
        size = max(self.stream.size(value), abs(bos))
        single = self.at_most_one(leaf)
        blurred = (
            1.0
            if head.error > self.gap / 8
            else self.stream.ulp
            if single
            else self.stream.ulp + 2 * head.error
        )
        error = self.stream.error(value) + size * (blurred + self._leak())
        direction = self.stream.add(Direction(label, leaf, "head", head.time, bos, size, error))
        head.outs.append((value, direction))
        if leaf not in head.nodes:
            head.nodes.append(leaf)
        return LinearForm.of(direction)

    # --- heads that count -------------------------------------------------------------------------

    def counted(self, leaf: int) -> Counted:
        """The width as heads give it: one head, or one per term of an `or` and per overlap."""
        if leaf not in self._counted:
            self._counted[leaf] = self._count(leaf)
        return self._counted[leaf]

    def _count(self, leaf: int) -> Counted:
        terms = self._terms(self.program.nodes[leaf].selector)
        most = [int(self.value_sets.selectors.widths(c).high.max()) for _, c in terms]
        if len(terms) > 1 or not self.lowering.shares:
            why = f"w itself, a sum over {len(terms)} heads" if len(terms) > 1 else "w itself"
            self.stream.choose(leaf, "count", why)
            return self._linear(leaf, terms, most)
        share = self._share(leaf, terms[0][1], most[0])
        off = (1 + most[0]) ** 2 * self.stream.error(share.form)
        ways = f"1/(1+w), error of w {off:.2g}", "w itself, BOS outweighs the keys"
        self.stream.choose(leaf, "count", *(ways if off < FINE_SHARE else reversed(ways)))
        return share if off < FINE_SHARE else self._linear(leaf, terms, most)

    def _terms(self, selector: int) -> list[tuple[int, tuple[Conjunct, ...]]]:
        """Inclusion and exclusion over the terms of an `or`; overlaps that select nothing go."""
        whole = normal_and(self.program, selector)
        if all(len(c.keys) == 1 and len(c.queries) == 1 for c in whole):
            return [(1, whole)]
        terms = normal_or(self.program, selector)
        if len(terms) > MAX_TERMS:
            return [(1, whole)]
        signed = []
        for k in range(1, len(terms) + 1):
            for chosen in combinations(terms, k):
                met = chosen[0]
                for term in chosen[1:]:
                    met = conjunction(met, term)
                if all(self.value_sets.selectors.predicate(c)[2].any() for c in met):
                    signed.append((1 if k % 2 else -1, met))
        return signed

    def _share(self, leaf: int, conjuncts, most: int) -> Counted:
        """1/(1+w): an error e of the scores moves it by 2e u(1-u), so w by 2e w; the steepest piece
        of w(u) is (1+w)^2.
        """
        head = self._counting_head(leaf, conjuncts, 1.0)
        leak = self.value_sets.domain.max_len * float(np.exp(-self.count_gap))
        error = 2 * (head.error + 4 * self.stream.ulp + leak) / (1 + most)
        honest = head.error / 2 + 4 * self.stream.ulp + leak
        label = f"1/(1+{self.program.labels[leaf]})"
        form = self._count_output(
            head, leaf, NOT_REAL, Direction(label, leaf, "head", head.time, 1.0, 1.0, honest)
        )
        return Counted(form, error, linear=False)

    def _linear(self, leaf: int, terms, most: list[int]) -> Counted:
        """w: each head gives E * w/(E + w), off by w^2/E, and by 2 e w for an error e of scores.
        E is a whole power of e, so that BOS, scored ln E above the keys, is scored exactly; and no
        larger than it need be, or values of E leave a turned residual stream no digits.
        """
        total, error = LinearForm(), 0.0
        for (sign, conjuncts), top in zip(terms, most, strict=True):
            weight = float(np.exp(np.ceil(np.log(max(top, 1) / max(self.stream.ulp, FINE_WIDTH)))))
            head = self._counting_head(leaf, conjuncts, weight)
            rounding = 2 * head.error + 8 * self.stream.ulp
            leak = self.value_sets.domain.max_len * float(np.exp(-self.count_gap))
            off = top * rounding + top**2 / weight + leak
            label = self._part_label(leaf, sign, len(terms))
            direction = Direction(label, leaf, "head", head.time, 0.0, float(top), off)
            total = total + self._count_output(
                head, leaf, REAL_FORM.scaled(weight), direction
            ).scaled(sign)
            error += off
        return Counted(total, error, linear=True)

    def _part_label(self, leaf: int, sign: int, parts: int) -> str:
        label = self.program.labels[leaf]
        if parts == 1:
            return label
        return f"part of {label}" if sign == 1 else f"overlap of {label}"

    def _counting_head(self, leaf: int, conjuncts, weight: float) -> Head:
        head = self._head(conjuncts, self.program.nodes[leaf].selector, weight, ready=0)
        if leaf not in head.nodes:
            head.nodes.append(leaf)
        return head

    def _count_output(
        self, head: Head, leaf: int, value: LinearForm, direction: Direction
    ) -> LinearForm:
        for old, d in head.outs:
            if old == value:
                return LinearForm.of(d)
        head.outs.append((value, self.stream.add(direction)))
        return LinearForm.of(head.outs[-1][1])

    # --- queries and keys -------------------------------------------------------------------------

    def _head(self, conjuncts, selector: int, bos_weight: float, ready: int) -> Head:
        """The head of a selector, its values ready at `ready`; it counts where BOS has a weight."""
        may_be_empty = bool((self.value_sets.selectors.widths(conjuncts).low == 0).any())
        need_level = bool(bos_weight) or may_be_empty
        gap = self.count_gap if bos_weight else self.gap
        scores = self._all_scores(conjuncts, need_level, gap)
        time = after(
            max(ready, self.stream.time(*(f for pair in scores.pairs for f in pair), scores.level)),
            1,
        )
        key = (conjuncts, bos_weight, time)
        if key not in self._heads:
            label = self.program.labels[selector]
            pairs = [
                (self.stream.at_bos(q, 0.0), self.stream.at_bos(k, 0.0)) for q, k in scores.pairs
            ]
            pairs.append((self._bos_query(scores, bos_weight, need_level), NOT_REAL))
            head = Head(
                label,
                [],
                selector,
                time,
                bos_weight,
                pairs,
                self._score_error(pairs) + scores.rounding,
            )
            self._heads[key] = head
            self.stream.heads.append(head)
        return self._heads[key]

    def _bos_query(self, scores: Scores, bos_weight: float, need_level: bool) -> LinearForm:
        if bos_weight:
            at_tokens = scores.level.plus(float(np.log(bos_weight)))
        elif need_level:
            at_tokens = scores.level.plus(-self.gap / 2)
        else:
            at_tokens = LinearForm((), -self.gap)
        return self.stream.at_bos(at_tokens, self.gap)

    def _score_error(self, pairs) -> float:
        stream, error = self.stream, 0.0
        for q, k in pairs:
            error += stream.size(q) * stream.error(k) + stream.size(k) * stream.error(q)
            if stream.time(q, k) > 0:
                error += self.stream.ulp * stream.size(q) * stream.size(k)
        return error

    def _all_scores(self, conjuncts, need_level: bool, gap: float) -> Scores:
        pairs: list[tuple[LinearForm, LinearForm]] = []
        level, rounding = LinearForm(), 0.0
        for conjunct in conjuncts:
            key = (conjunct, need_level, gap)
            if key not in self._scores:
                self._scores[key] = self._conjunct_scores(conjunct, need_level, gap)
            pairs += self._scores[key].pairs
            level = level + self._scores[key].level
            rounding += self._scores[key].rounding
        return Scores(tuple(pairs), level, rounding)

    def _conjunct_scores(self, conjunct: Conjunct, need_level: bool, gap: float) -> Scores:
        keys, queries, table = self.value_sets.selectors.predicate(conjunct)
        key_class, query_class = classes_of(table), classes_of(table.T)
        small = table[np.ix_(first_of(key_class), first_of(query_class))]
        if small.all():
            return Scores((), LinearForm())
        table_cost = min((~small.all(1)).sum(), (~small.all(0)).sum())
        codes = equality_codes(conjunct, keys, queries, small, key_class, query_class)
        about = f"scores of {self._text(conjunct)}"
        ways = (f"table, width {table_cost}", *(["codes, width 2"] if codes is not None else []))
        if codes is not None and table_cost > 2 and self.lowering.basis == "compact":
            self.stream.choose(None, about, *reversed(ways))
            return self._equality(conjunct, *codes, need_level, gap)
        self.stream.choose(None, about, *ways)
        return self._by_table(conjunct, small, key_class, query_class, gap)

    def _text(self, conjunct: Conjunct) -> str:
        labels = self.program.labels
        tests = [
            f"{'not ' * lit.negated}{labels[lit.keys]} {lit.predicate} {labels[lit.queries]}"
            for clause in conjunct.clauses
            for lit in clause
        ]
        return ", ".join(tests[:3]) + (f" and {len(tests) - 3} more" if len(tests) > 3 else "")

    def _side(self, nodes: tuple[int, ...], tables: np.ndarray) -> list[LinearForm]:
        """Forms of functions of a tuple of s-ops: tables [tuple value, target]."""
        leaves, column = self.value_sets.selectors.tuples(nodes)
        return self.lowering.forms(
            leaves, tables[column.codes], nodes[0] if len(nodes) == 1 else None
        )

    def _by_table(
        self, conjunct: Conjunct, small: np.ndarray, key_class, query_class, gap: float
    ) -> Scores:
        """One side one-hot over its classes, the other side rows of the table: 0 if selected, else
        -GAP.
        """
        key_wide, query_wide = ~small.all(1), ~small.all(0)
        if query_wide.sum() <= key_wide.sum():
            chosen = np.nonzero(query_wide)[0]
            queries = (query_class[:, None] == chosen[None]).astype(float)
            keys = np.where(small[:, chosen], 0.0, -gap)[key_class]
        else:
            chosen = np.nonzero(key_wide)[0]
            keys = (key_class[:, None] == chosen[None]).astype(float)
            queries = np.where(small[chosen].T, 0.0, -gap)[query_class]
        q, k = self._side(conjunct.queries, queries), self._side(conjunct.keys, keys)
        return Scores(tuple(zip(q, k, strict=True)), LinearForm())

    def _equality(self, conjunct, key_codes, query_codes, need_level: bool, gap: float) -> Scores:
        """GAP * (2ab - b^2) = GAP * (a^2 - (a-b)^2): level GAP * a^2 where query a meets key a."""
        keys = self._side(conjunct.keys, np.column_stack([key_codes, key_codes**2]))
        wanted = [query_codes, query_codes**2] if need_level else [query_codes]
        queries = self._side(conjunct.queries, np.column_stack(wanted))
        level = queries[1].scaled(gap) if need_level else LinearForm()
        pairs = ((queries[0].scaled(2 * gap), keys[0]), (LinearForm((), -gap), keys[1]))
        return Scores(pairs, level, code_rounding(key_codes, query_codes, gap, self.stream.ulp))
