"""Selectors as attention heads.

A head computes q.k. Within a row every selected key scores the same level, every other key at least
a gap below it, and BOS half a gap below it. The softmax is then the selector, normalised, with
empty rows on BOS. What leaks is below n * exp(-gap / 2) for n keys: in a row that selects, at most
exp(-gap / 2) to BOS and n * exp(-gap) to other keys; in an empty row, n * exp(-gap / 2) from BOS.

A head that counts gives BOS a chosen weight relative to one selected key. With weight 1 its share
is 1/(1+w), which neurons turn into w. With a large weight E the share of the keys times E is w to
the last place: the number itself, ready for sums, without neurons.

Every head has one pair for BOS: its key is 1 at BOS only; its query gives BOS its score at tokens,
and a high one at BOS itself, so that BOS attends to BOS alone and holds known values.

A mean of values that are not numbers does not exist. Where an input has one that no output reads,
the head takes the value of the latest selected key instead, see `_with_latest`.

Read `Attention.carry` and `Attention.width` first, then `_head`, then scores.py.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np

from rasplab.compiler.infer.normal_form import Conjunct, conjunction, normal_and, normal_or
from rasplab.compiler.infer.selector_bounds import SelectorBounds
from rasplab.compiler.infer.values import POSITION, as_number
from rasplab.compiler.lower.form_source import CountedWidth, FormSource
from rasplab.compiler.lower.residual import TOKEN_FLAG, Direction, Head, LinearForm, after
from rasplab.compiler.lower.scores import COUNT_GAP, SCORE_GAP, Pair, Scores, SelectorScores
from rasplab.program.graph import Aggregate, SelectorWidth
from rasplab.program.values import is_number

MAX_TERMS = 3
"""An `or` of more terms than this is not counted term by term."""

FINE_WIDTH = 1e-11
"""Relative error of a width itself below which nothing is gained."""

FINE_SHARE = 0.02
"""Error of w up to which it is read from 1/(1+w), whose pattern shows the selector."""

AT_TOKENS = LinearForm(((TOKEN_FLAG, 1.0),))
"""1 at tokens, 0 at BOS."""

AT_BOS = LinearForm(((TOKEN_FLAG, -1.0),), 1.0)
"""1 at BOS, 0 at tokens."""

Term = tuple[int, tuple[Conjunct, ...]]
"""A sign (1 or -1) and an `and` of conjuncts, whose widths add up to that of an `or`."""


class Attention:
    """The heads of a lowering; heads with equal selectors at the same time are one."""

    def __init__(self, source: FormSource):
        self.source, self.value_sets = source, source.value_sets
        self.stream, self.program = source.stream, source.value_sets.program
        self._heads: dict[tuple[tuple[Conjunct, ...], float, int, bool], Head] = {}
        self._scores = SelectorScores(source)
        self._widths: dict[int, CountedWidth] = {}
        self.score_gap = SCORE_GAP[self.stream.dtype]
        self.count_gap = COUNT_GAP[self.stream.dtype]

    @property
    def has_shares(self) -> bool:
        """Whether some width is read from 1/(1+w)."""
        return any(not width.linear for width in self._widths.values())

    def takes_no_mean(self, leaf: int) -> bool:
        """Whether an aggregate never averages: one key at most, or values that are not numbers."""
        node = self.program.nodes[leaf]
        assert isinstance(node, Aggregate)
        if node.values in self.value_sets.ranges:
            return False
        numbers = all(is_number(v) for v in self.value_sets.sets[node.values].values)
        return not numbers or bool(self._bounds(node.selector).high.max() <= 1)

    def _bounds(self, selector: int) -> SelectorBounds:
        return self.value_sets.selectors.bounds(normal_and(self.program, selector))

    # --- heads that carry values ------------------------------------------------------------------

    def carry(
        self, leaf: int, forms: list[LinearForm], defaults: list[float], labels: list[str]
    ) -> list[LinearForm]:
        """What an aggregate's head moves: each form from selected keys, its default from BOS."""
        node = self.program.nodes[leaf]
        assert isinstance(node, Aggregate)
        conjuncts = normal_and(self.program, node.selector)
        latest = self.value_sets.total and leaf in self.value_sets.unaveraged
        results = []
        for form, default, label in zip(forms, defaults, labels, strict=True):
            ready = self.stream.time(form)
            head = self._head(conjuncts, node.selector, 0.0, ready, latest)
            value = self.stream.at_bos(form, default)
            results.append(self._value_output(head, leaf, value, default, label))
        return results

    def _value_output(
        self, head: Head, leaf: int, value: LinearForm, bos: float, label: str
    ) -> LinearForm:
        for known, direction in head.outs:
            if known == value:
                return LinearForm.of(direction)
        size = max(self.stream.size(value), abs(bos))
        leak = self._leak(head, self.score_gap / 2)
        # A row that selects nothing gives the value at BOS, with the error that it has there.
        bos_error = self.stream.bos_error(value)
        error = max(self.stream.error(value), bos_error) + size * (self._blur(head, leaf) + leak)
        direction = Direction(label, leaf, "head", head.time, bos, size, error, bos_error)
        head.outs.append((value, self.stream.add(direction)))
        if leaf not in head.nodes:
            head.nodes.append(leaf)
        return LinearForm.of(head.outs[-1][1])

    def _blur(self, head: Head, leaf: int) -> float:
        """Relative error of what a head carries, from errors of its scores.

        A single selected key has all of the weight whatever its score. In a mean, scores off by e
        shift the log-odds of any set of keys by at most 2e, and so its share by tanh(e/2): all
        shares together change by at most 2 tanh(e/2), which is below 2e. Beyond an eighth of the
        gap nothing is guaranteed, and the whole value counts as error.
        """
        if head.error > self.score_gap / 8:
            return 1.0
        return self.stream.ulp + (0.0 if self.takes_no_mean(leaf) else 2 * head.error)

    def _leak(self, head: Head, distance: float) -> float:
        """What all keys take together whose scores lie `distance` below, as a share.

        Scores off by e bring two of them nearer by 2e.
        """
        nearer = min(0.0, 2 * head.error - distance)  # 0: they take as much as what is selected
        return self.value_sets.domain.max_len * float(np.exp(nearer))

    # --- heads that count -------------------------------------------------------------------------

    def width(self, leaf: int) -> CountedWidth:
        """The width as heads give it: one head, or one per term of an `or` and per overlap."""
        if leaf not in self._widths:
            self._widths[leaf] = self._cheapest_width(leaf)
        return self._widths[leaf]

    def _cheapest_width(self, leaf: int) -> CountedWidth:
        node = self.program.nodes[leaf]
        assert isinstance(node, SelectorWidth)
        terms = self._signed_terms(node.selector)
        if not terms:
            self.stream.choose(leaf, "count", "0, as no row can select")
            return CountedWidth(LinearForm(), 0.0, linear=True)
        most = [int(self.value_sets.selectors.bounds(c).high.max()) for _, c in terms]
        if len(terms) > 1 or not self.source.allow_shares:
            summed = f", a sum over {len(terms)} heads" if len(terms) > 1 else ""
            self.stream.choose(leaf, "count", f"w itself{summed}")
            return self._width_itself(leaf, node.selector, terms, most)
        share = self._width_from_share(leaf, node.selector, terms[0][1], most[0])
        # w = 1/u - 1 is steepest at the largest w, with slope (1+w)^2.
        error = (1 + most[0]) ** 2 * self.stream.error(share.form)
        ways = f"1/(1+w), error of w {error:.2g}", "w itself, BOS outweighs the keys"
        fine = error < FINE_SHARE
        self.stream.choose(leaf, "count", *(ways if fine else reversed(ways)))
        return share if fine else self._width_itself(leaf, node.selector, terms, most)

    def _signed_terms(self, selector: int) -> list[Term]:
        """Inclusion and exclusion over the terms of an `or`; overlaps that select nothing go.

        A selector stays whole where every conjunct tests one key s-op against one query s-op, which
        a single head does exactly, and where it has too many terms. None are left where no key can
        be selected.
        """
        whole = normal_and(self.program, selector)
        if all(len(c.keys) == 1 and len(c.queries) == 1 for c in whole):
            return [(1, whole)]
        terms = normal_or(self.program, selector)
        if len(terms) > MAX_TERMS:
            return [(1, whole)]
        signed: list[Term] = []
        for k in range(1, len(terms) + 1):
            for subset in combinations(terms, k):
                overlap = subset[0]
                for term in subset[1:]:
                    overlap = conjunction(overlap, term)
                if all(self.value_sets.selectors.predicate(c)[2].any() for c in overlap):
                    signed.append((1 if k % 2 else -1, overlap))
        return signed

    def _width_from_share(
        self, leaf: int, selector: int, conjuncts: tuple[Conjunct, ...], most: int
    ) -> CountedWidth:
        """The share u = 1/(1+w) of BOS, from values 1 at BOS and 0 at keys.

        An error e of the scores shifts the log-odds of u by at most 2e, and so u by at most
        (exp(2e) - 1) u(1-u), and by tanh(e/2) < e/2 wherever it is: the error of the direction.
        """
        head = self._counting_head(leaf, selector, conjuncts, 1.0)
        leak = self._leak(head, self.count_gap)
        # u(1-u) <= u = 1/(1+most) at the largest width, where 1/u is steepest.
        steepest = (_drift(head.error) + 8 * self.stream.ulp + 2 * leak) / (1 + most)
        anywhere = head.error / 2 + 4 * self.stream.ulp + leak
        label = f"1/(1+{self.program.labels[leaf]})"
        least = int(self.value_sets.selectors.bounds(conjuncts).low.min())
        size = 1.0 / (1 + least)
        direction = Direction(label, leaf, "head", head.time, 1.0, size, anywhere)
        return CountedWidth(self._count_output(head, AT_BOS, direction), steepest, linear=False)

    def _width_itself(
        self, leaf: int, selector: int, terms: list[Term], most: list[int]
    ) -> CountedWidth:
        """The width w, a signed sum over one head per term.

        With BOS weight E and value E at keys, a head gives E * w/(E + w), which is w off by less
        than w^2/E, and by (exp(2e) - 1) w for an error e of scores. E is a whole power of 2.718...,
        so that ln E, the score of BOS above the keys, is exact; and no larger than the dtype uses:
        values of size E would leave a rotated residual stream no digits for the others.
        """
        total, error = LinearForm(), 0.0
        parts: list[LinearForm] = []
        for (sign, conjuncts), top in zip(terms, most, strict=True):
            weight = float(np.exp(np.ceil(np.log(max(top, 1) / max(self.stream.ulp, FINE_WIDTH)))))
            head = self._counting_head(leaf, selector, conjuncts, weight)
            rounding = _drift(head.error) + 8 * self.stream.ulp
            leak = self._leak(head, self.count_gap)
            term_error = top * rounding + top**2 / weight + leak
            label = self._term_label(leaf, sign, len(terms))
            direction = Direction(label, leaf, "head", head.time, 0.0, float(top), term_error)
            form = self._count_output(head, AT_TOKENS.scaled(weight), direction)
            total = total + form.scaled(float(sign))
            parts.append(form)
            error += term_error
        if all(sign > 0 for sign, _ in terms):
            # No two terms select the same key, so that the parts add up to a width.
            widths = map(as_number, self.value_sets.sets[leaf].values)
            self.stream.mark_shares(parts, max(widths))
        return CountedWidth(total, error, linear=True)

    def total(self, leaf: int, selector: int, value: LinearForm) -> LinearForm:
        """The sum of a form over the selected keys, as `_width_itself` counts them.

        With BOS weight E and value E v at keys, a head gives the sum of v times E/(E + w), which is
        off by less than w/E of it.
        """
        conjuncts = normal_and(self.program, selector)
        most = max(1, int(self.value_sets.selectors.bounds(conjuncts).high.max()))
        value = self.stream.at_bos(value, 0.0)
        size = self.stream.size(value)
        at_bos = self.stream.bos_error(replace(value, error=0.0)) + abs(self.stream.bos(value))
        weight = most / max(self.stream.ulp, FINE_WIDTH)
        if at_bos:
            # BOS passes on its own error, E times: E where both errors are equal.
            weight = min(weight, max(1.0, most * float(np.sqrt(size / at_bos))))
        weight = float(np.exp(np.ceil(np.log(weight))))
        head = self._head(conjuncts, selector, weight, ready=self.stream.time(value))
        if leaf not in head.nodes:
            head.nodes.append(leaf)
        leak = self._leak(head, self.count_gap)
        rounding = _drift(head.error) + 8 * self.stream.ulp + most / weight
        error = most * (self.stream.error(value) + size * rounding)
        error += size * leak + weight * at_bos
        label = self.program.labels[leaf]
        bos_error = weight * at_bos + size * leak
        direction = Direction(label, leaf, "head", head.time, 0.0, most * size, error, bos_error)
        return self._count_output(head, value.scaled(weight), direction)

    def _term_label(self, leaf: int, sign: int, term_count: int) -> str:
        label = self.program.labels[leaf]
        if term_count == 1:
            return label
        return f"part of {label}" if sign == 1 else f"overlap of {label}"

    def _counting_head(
        self, leaf: int, selector: int, conjuncts: tuple[Conjunct, ...], bos_weight: float
    ) -> Head:
        head = self._head(conjuncts, selector, bos_weight, ready=0)
        if leaf not in head.nodes:
            head.nodes.append(leaf)
        return head

    def _count_output(self, head: Head, value: LinearForm, direction: Direction) -> LinearForm:
        for known, d in head.outs:
            if known == value:
                return LinearForm.of(d)
        head.outs.append((value, self.stream.add(direction)))
        return LinearForm.of(head.outs[-1][1])

    # --- both -------------------------------------------------------------------------------------

    def _head(
        self,
        conjuncts: tuple[Conjunct, ...],
        selector: int,
        bos_weight: float,
        ready: int,
        latest: bool = False,
    ) -> Head:
        """The head of a selector, made once; it counts where BOS has a weight.

        ready   the half layer in which the values that it carries are written
        latest  attend to the last of the selected keys alone
        """
        may_be_empty = bool((self.value_sets.selectors.bounds(conjuncts).low == 0).any())
        need_level = bool(bos_weight) or may_be_empty or latest
        gap = self.count_gap if bos_weight else self.score_gap
        if latest:
            scores = self._with_latest(conjuncts, gap)
        else:
            scores = self._scores.joined(conjuncts, need_level, gap)
        read = (*(form for pair in scores.pairs for form in pair), scores.level)
        time = after(max(ready, self.stream.time(*read)), 1)
        key = (conjuncts, bos_weight, time, latest)
        if key not in self._heads:
            at_bos = self.stream.at_bos
            pairs = [(at_bos(q, 0.0), at_bos(k, 0.0)) for q, k in scores.pairs]
            doubted = [(at_bos(q, 0.0), at_bos(k, 0.0)) for q, k in scores.doubted]
            bos = self._bos_query(scores, bos_weight, need_level), AT_BOS
            error = self._score_error([*doubted, bos]) + scores.rounding
            pairs.append(bos)
            label = f"{'last of ' * latest}{self.program.labels[selector]}"
            head = Head(label, [], selector, time, bos_weight, pairs, error)
            self._heads[key] = head
            self.stream.heads.append(head)
        return self._heads[key]

    def _with_latest(self, conjuncts: tuple[Conjunct, ...], gap: float) -> Scores:
        """Scores by which a selected key is a gap above every earlier one.

        With n positions and a gap of n * gap between selected and other keys, position p adds
        gap * (p - (n-1)), from -gap * (n-1) to 0. A selected key is then at least at the level less
        gap * (n-1), which is the new level, and every other key a gap below that.
        """
        n = self.value_sets.domain.max_len
        scores = self._scores.joined(conjuncts, True, gap * n)
        lateness = gap * (np.arange(n, dtype=float)[:, None] - (n - 1))
        (key,) = self.source.forms((POSITION,), lateness)
        late = LinearForm((), 1.0), key
        level, pairs = scores.level.plus(-gap * (n - 1)), (*scores.pairs, late)
        return Scores(pairs, level, scores.rounding, (*scores.doubted, late))

    def _bos_query(self, scores: Scores, bos_weight: float, need_level: bool) -> LinearForm:
        """The score of BOS: relative to the level of the row, and a whole gap at BOS itself."""
        if bos_weight:
            # exp(level + ln E) is E times the weight of one selected key.
            at_tokens = scores.level.plus(float(np.log(bos_weight)))
        elif need_level:
            at_tokens = scores.level.plus(-self.score_gap / 2)
        else:
            # No row is empty, and without a level form: low enough for every row.
            at_tokens = LinearForm((), -self.score_gap)
        return self.stream.at_bos(at_tokens, self.score_gap)

    def _score_error(self, pairs: list[Pair]) -> float:
        """Bound on the error of a score from errors of its factors, and from rounding.

        Exact factors bring their own bound (`code_rounding`): tables are 0, 1 and the gap.
        """
        stream, error = self.stream, 0.0
        for pair in pairs:
            size_q, size_k = map(stream.size, pair)
            exact_q, exact_k = map(stream.is_exact, pair)
            of_q = stream.error(pair[0]) + (0.0 if exact_q else stream.ulp * size_q)
            of_k = stream.error(pair[1]) + (0.0 if exact_k else stream.ulp * size_k)
            error += size_q * of_k + size_k * of_q
            if not (exact_q and exact_k):
                error += stream.ulp * size_q * size_k
        return error


def _drift(error: float) -> float:
    """Relative error of a key's weight beside BOS where scores are off by `error`.

    Both scores may be off, so the weight changes by a factor of at most exp(2 error).
    """
    return float(np.expm1(min(2 * error, 700.0)))  # beyond 700 no float64 holds it
