"""From s-ops to linear forms over residual directions: embeddings, heads and neurons are made on
demand.

Everything is asked for as a *target*: a number for every row of a joint leaf table. `forms` answers
with linear forms, trying in order: a constant; a function of one leaf; a sum of functions of single
leaves; neurons on one linear form.
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from rasplab.base.errors import CompileError
from rasplab.compiler.infer.value_sets import ValueSets
from rasplab.compiler.infer.values import POSITION, TOKEN, is_number, value_key
from rasplab.compiler.lower import piecewise_linear as hinges
from rasplab.compiler.lower.joint_functions import best_argument
from rasplab.compiler.lower.residual import REAL, Direction, LinearForm, ResidualStream, after
from rasplab.compiler.lower.value_tables import (
    EXACT,
    additive,
    grouped,
    multiple,
    padded,
    single_leaf,
    up_to_scale,
)
from rasplab.program.graph import Aggregate, SelectorWidth


class Lowering:
    """The residual stream of a program in the making, for weights of `dtype`.

    basis  "compact": scalars, squares where equality needs them, one-hot only where order does;
           "one_hot": every value of a leaf is a direction of its own
    shares whether widths are read from 1/(1+w) where that is fine enough; else heads give w itself
    """

    def __init__(self, value_sets: ValueSets, basis: str, dtype: str = "float32", shares=True):
        from rasplab.compiler.lower.heads import Attention

        self.value_sets, self.program = value_sets, value_sets.program
        self.basis, self.dtype, self.shares = basis, dtype, shares
        self.stream = ResidualStream(dtype)
        self.features: dict[int, list[tuple[np.ndarray, LinearForm]]] = {}
        self.one_hots: dict[int, list[LinearForm]] = {}
        self.means: dict[int, LinearForm] = {}
        self.attention = Attention(self)
        ones = (1.0,) * len(value_sets.domain.vocab)
        real = self.stream.add(Direction("real token (not BOS)", None, "tok", 0, table=ones))
        assert real == REAL

    # --- what consumers ask for -------------------------------------------------------------------

    def node_forms(self, node: int, tables: np.ndarray) -> list[LinearForm]:
        """Forms of functions of one s-op: tables [value of its set, target]."""
        leaves = self.value_sets.leaf_sets[node]
        column = self.value_sets.column(node, leaves)
        ids = {value_key(v): k for k, v in enumerate(self.value_sets.sets[node].values)}
        rows = np.array([ids.get(value_key(v), -1) for v in column.values])[column.codes]
        targets = np.where((rows >= 0)[:, None], tables[rows], np.nan)
        return self.forms(leaves, targets, node)

    def scalar(self, node: int) -> LinearForm:
        """The number itself, for an s-op of numbers (listed or a range)."""
        if node in self.value_sets.ranges:
            return self._range_scalar(node)
        table = np.array([float(v) for v in self.value_sets.sets[node].values])
        return self.node_forms(node, table[:, None])[0]

    def _range_scalar(self, node: int) -> LinearForm:
        if self.value_sets.leaf_sets[node] == (node,):
            return self.mean(node)
        coefficients, const = self.value_sets.linear(node)
        form = LinearForm((), float(const))
        for leaf, coefficient in coefficients.items():
            form = form + self.scalar(leaf).scaled(float(coefficient))
        return form

    def forms(
        self, leaves: tuple[int, ...], targets: np.ndarray, node: int | None = None
    ) -> list[LinearForm]:
        """Linear forms that take targets [row, target] on the rows of joint(leaves); NaN rows may
        take any value.
        """
        results: list[LinearForm | None] = [None] * targets.shape[1]
        waiting: dict[int, list[tuple[int, np.ndarray]]] = {}
        joint: list[int] = []
        codes = self.value_sets.joint(leaves).codes
        for t in range(targets.shape[1]):
            target = targets[:, t]
            single = single_leaf(codes, target)
            if single is not None:
                at, table = single
                if at < 0:
                    results[t] = LinearForm((), float(table[0]))
                else:
                    waiting.setdefault(at, []).append((t, table))
            elif (parts := self._sum_of_leaves(leaves, codes, target)) is not None:
                results[t] = parts
            else:
                joint.append(t)
        for at, asked in waiting.items():
            tables = np.column_stack([padded(table, self._size(leaves[at])) for _, table in asked])
            for (t, _), form in zip(asked, self.leaf_forms(leaves[at], tables, node), strict=True):
                results[t] = form
        if joint:
            for t, form in zip(
                joint, self._joint_forms(leaves, targets[:, joint], node), strict=True
            ):
                results[t] = form
        return results

    def _size(self, leaf: int) -> int:
        return len(self.value_sets.sets[leaf].values)

    def _sum_of_leaves(self, leaves, codes: np.ndarray, target: np.ndarray) -> LinearForm | None:
        """The target as a sum of functions of single leaves, if it is one."""
        key = (leaves, target.tobytes())
        if key not in self.value_sets.sums:
            self.value_sets.sums[key] = additive(codes, target)
        parts = self.value_sets.sums[key]
        if parts is None:
            return None
        const, tables = parts
        form = LinearForm((), const)
        for leaf, table in zip(leaves, tables, strict=True):
            if np.abs(table).max(initial=0) > EXACT:
                form = form + self.leaf_forms(leaf, padded(table, self._size(leaf))[:, None])[0]
        return form

    # --- functions of one leaf --------------------------------------------------------------------

    def leaf_forms(
        self, leaf: int, tables: np.ndarray, node: int | None = None
    ) -> list[LinearForm]:
        """Forms of functions of one leaf: tables [value, target], NaN where any value does."""
        if self.basis == "one_hot" and self._can_be_one_hot(leaf):
            self._make_one_hot(leaf)
        found = [self._known(leaf, t) for t in tables.T]
        missing = [t for t, form in enumerate(found) if form is None]
        fresh = up_to_scale(tables[:, missing])
        if len(fresh) >= max(3, self._size(leaf) - 1) and self._can_be_one_hot(leaf):
            made, own = f"one-hot, {self._size(leaf)} directions", f"own, {len(fresh)} directions"
            self.stream.choose(leaf, "functions of one leaf", made, own)
            self._make_one_hot(leaf)
        elif fresh:
            chosen = tables[:, [missing[f] for f in fresh]]
            chosen = np.nan_to_num(chosen) if leaf < 0 else chosen
            forms = self._make(leaf, chosen, node)
            self.features.setdefault(leaf, []).extend(zip(chosen.T, forms, strict=True))
        for t in missing:
            found[t] = self._known(leaf, tables[:, t])
            assert found[t] is not None, f"leaf {leaf} has no form for {tables[:, t]}"
        return found

    def _known(self, leaf: int, table: np.ndarray) -> LinearForm | None:
        """A form for the table from what the leaf already has: a constant, a multiple of one
        feature, or one-hot.
        """
        care = ~np.isnan(table)
        if not care.any() or np.ptp(table[care]) < EXACT:
            return LinearForm((), float(table[care][0]) if care.any() else 0.0)
        for have, form in self.features.get(leaf, []):
            fit = multiple(have[care], table[care])
            if fit is not None:
                return form.scaled(fit[0]).plus(fit[1])
        if leaf in self.one_hots:
            return self._from_one_hot(leaf, np.where(care, table, 0.0))
        return None

    def _from_one_hot(self, leaf: int, table: np.ndarray) -> LinearForm:
        """The commonest value as the constant (one of the directions is 1), the others on top."""
        numbers, counts = np.unique(table, return_counts=True)
        base = float(numbers[counts.argmax()]) if counts.max() > 1 else 0.0
        others = zip((table - base).tolist(), self.one_hots[leaf], strict=True)
        return LinearForm.combination([(v, hot) for v, hot in others if abs(v) > EXACT], base)

    def _can_be_one_hot(self, leaf: int) -> bool:
        if leaf in self.value_sets.ranges:
            return False
        return 2 < self._size(leaf) <= 512

    def _make_one_hot(self, leaf: int) -> None:
        if leaf in self.one_hots:
            return
        made = self._make(leaf, np.eye(self._size(leaf)), None)
        self.one_hots[leaf] = made
        self.stream.mark_one_hot(made)

    def _make(self, leaf: int, tables: np.ndarray, node: int | None) -> list[LinearForm]:
        """New features of a leaf; remembered."""
        if leaf < 0:
            forms = [self._embedded(leaf, t) for t in tables.T]
        else:
            match self.program.nodes[leaf]:
                case SelectorWidth():
                    forms = self._width_forms(leaf, tables)
                case Aggregate():
                    forms = self._aggregate_forms(leaf, tables)
                case _:
                    forms = self._cut_forms(leaf, tables)
        return forms

    def _embedded(self, leaf: int, table: np.ndarray) -> LinearForm:
        site = "tok" if leaf == TOKEN else "pos"
        label = self.table_label(leaf, table)
        numbers = tuple(float(x) for x in table)
        size = float(np.abs(table).max())
        return LinearForm.of(
            self.stream.add(Direction(label, None, site, 0, 0.0, size, 0.0, numbers))
        )

    def table_label(self, leaf: int, table: np.ndarray) -> str:
        """What a feature of a leaf is called: a scalar by the leaf's name, a one-hot entry by its
        value.
        """
        name = {TOKEN: "token", POSITION: "position"}.get(leaf) or self.program.labels[leaf]
        values = self.value_sets.sets[leaf].values
        hot = np.nonzero(np.nan_to_num(table))[0]
        if len(hot) == 1 and len(values) > 2:
            return f"{name} = {values[hot[0]]!r}"
        numbers = [float(v) if is_number(v) else k for k, v in enumerate(values)]
        return name if multiple(np.array(numbers), table) else f"f({name})"

    # --- leaves that attention makes --------------------------------------------------------------

    def _width_forms(self, leaf: int, tables: np.ndarray) -> list[LinearForm]:
        """Neurons on 1/(1+w), or on w where the heads give w itself."""
        widths = np.array(self.value_sets.sets[leaf].values, float)
        counted = self.attention.counted(leaf)
        if counted.linear:
            return self._on_numbers(leaf, counted.form, widths, tables, counted.error)
        return self.on_form(counted.form, 1 / (1 + widths), tables, leaf, counted.error)

    def _on_numbers(
        self, leaf: int, form: LinearForm, numbers, tables, error=None
    ) -> list[LinearForm]:
        """Functions of a leaf whose number attention gives: free where linear in it."""
        return [
            form.scaled(fit[0]).plus(fit[1])
            if (fit := multiple(numbers, t))
            else self.on_form(form, numbers, t[:, None], leaf, error)[0]
            for t in tables.T
        ]

    def _aggregate_forms(self, leaf: int, tables: np.ndarray) -> list[LinearForm]:
        values = self.value_sets.sets[leaf].values
        if self.attention.at_most_one(leaf):
            return self._carried(leaf, tables)
        return self._on_numbers(leaf, self.mean(leaf), np.array([float(v) for v in values]), tables)

    def mean(self, leaf: int) -> LinearForm:
        """The number an aggregate gives, straight from its head."""
        if leaf not in self.means:
            node, label = self.program.nodes[leaf], self.program.labels[leaf]
            forms = [self.scalar(node.values)]
            self.means[leaf] = self.attention.carry(leaf, forms, [float(node.default)], [label])[0]
        return self.means[leaf]

    def _carried(self, leaf: int, tables: np.ndarray) -> list[LinearForm]:
        """An aggregate of one key at most: the head itself carries any function of its value."""
        node = self.program.nodes[leaf]
        ids = {value_key(v): k for k, v in enumerate(self.value_sets.sets[leaf].values)}
        operand = self.value_sets.sets[node.values]
        rows = np.array([ids.get(value_key(v), -1) for v in operand.values])
        moved = np.where((rows >= 0)[:, None], tables[rows], np.nan)
        default = ids.get(value_key(node.default), -1)
        defaults = np.nan_to_num(tables[default]) if default >= 0 else np.zeros(tables.shape[1])
        forms = self.node_forms(node.values, moved)
        labels = [self.table_label(leaf, t) for t in tables.T]
        return self.attention.carry(leaf, forms, [float(d) for d in defaults], labels)

    def _cut_forms(self, node: int, tables: np.ndarray) -> list[LinearForm]:
        """A Map that stands alone as its joint table was too large: neurons over its operands."""
        leaves = self.value_sets.leaf_sets[node]
        column = self.value_sets.column(node, leaves)
        ids = {value_key(v): k for k, v in enumerate(self.value_sets.sets[node].values)}
        rows = np.array([ids.get(value_key(v), -1) for v in column.values])[column.codes]
        return self.forms(leaves, np.where((rows >= 0)[:, None], tables[rows], np.nan), node)

    # --- neurons ----------------------------------------------------------------------------------

    def on_form(
        self,
        form: LinearForm,
        points: np.ndarray,
        targets: np.ndarray,
        node: int | None,
        error: float | None = None,
    ) -> list[LinearForm]:
        """Functions of one linear form: points [row] are its values, targets [row, target] what to
        take there.
        """
        merged = grouped(points, targets)
        if merged is None:
            self._refuse_close(node)
        order, targets = merged
        s_error = self.stream.error(form) if error is None else error
        ulp = self.stream.ulp
        fit = hinges.fit(order, targets, s_error + ulp * self.stream.size(form), ulp)
        time = after(self.stream.time(form), 0)
        others = (fit.other,) if fit.other else ()
        self.stream.choose(node, "neurons", fit.described(s_error), *others)
        outs = [
            self._neuron_direction(node, targets[:, t], fit, t, s_error, time)
            for t in range(targets.shape[1])
        ]
        for b, weights in zip(fit.breaks, fit.weights, strict=True):
            neuron = self.stream.neuron(form.plus(-float(b)).scaled(fit.side), time, node)
            for d, w in zip(outs, weights, strict=True):
                if abs(w) > EXACT:
                    neuron.outs[d] = neuron.outs.get(d, 0.0) + float(w)
        for t, d in enumerate(outs):
            self._set_bos(d, form, fit, t)
        return [LinearForm(((d, 1.0),), float(c)) for d, c in zip(outs, fit.const, strict=True)]

    def _refuse_close(self, node: int | None) -> NoReturn:
        """Values that differ in their last digits only, told apart by the program."""
        label = self.program.labels[node] if node is not None and node >= 0 else "a selector"
        raise CompileError(
            f"values of {label!r} that differ by rounding only are told apart: no neuron can",
            self.program.span(node) if node is not None and node >= 0 else None,
            "round the means that it compares, as in round(mean * 1000)",
        )

    def _neuron_direction(self, node, target, fit, t: int, s_error: float, time: int) -> int:
        known = target[~np.isnan(target)]
        size = float(np.abs(known - fit.const[t]).max(initial=0))
        label = self.program.labels[node] if node is not None and node >= 0 else "f"
        if node in self.value_sets.sets and self.value_sets.leaf_sets.get(node) == (node,):
            label = f"{label}" if len(np.unique(known)) > 2 else f"f({label})"
        return self.stream.add(Direction(label, node, "mlp", time, 0.0, size, fit.error(s_error)))

    def _set_bos(self, direction: int, form: LinearForm, fit, t: int) -> None:
        """What the neurons give at BOS is known, because the form is."""
        from dataclasses import replace

        active = np.maximum(fit.side * (self.stream.bos(form) - fit.breaks), 0)
        value = float(active @ fit.weights[:, t])
        self.stream.directions[direction] = replace(self.stream.directions[direction], bos=value)

    def _joint_forms(self, leaves, targets: np.ndarray, node: int | None) -> list[LinearForm]:
        """Functions that need several leaves at once: neurons on the linear form that needs the
        fewest.
        """
        label = self.program.labels[node] if node is not None else "a selector's operands"
        argument = best_argument(self, leaves, targets, node)
        if argument is None:
            span = self.program.span(node) if node is not None else None
            raise CompileError(
                f"{label!r} joins too many values for neurons to tell apart", span,
                "use a smaller vocabulary or max_len, or compute it in smaller steps",
            )  # fmt: skip
        form = LinearForm.combination([(c, part()) for part, c in argument.parts])
        self.stream.choose(node, "joint argument", argument.described(), *argument.others)
        return self.on_form(form, argument.points, targets, node)
