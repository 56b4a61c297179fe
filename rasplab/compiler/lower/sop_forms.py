"""From s-ops to linear forms over residual directions; embeddings, heads and neurons on demand.

What is needed is given as a *target*: a number for every row of a joint leaf table, NaN where any
will do. `Lowering.forms` answers with linear forms, and tries in order: a constant; a function of
one leaf; a sum of functions of single leaves; neurons on one linear form (joint_functions.py).
A function of one leaf is a multiple of a feature that the leaf has already, or a new feature, or a
combination of its one-hot directions.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from rasplab.compiler.infer.leaf_tables import Affine
from rasplab.compiler.infer.value_sets import ValueSets
from rasplab.compiler.infer.values import POSITION, TOKEN, as_number, code_of_key
from rasplab.compiler.lower.form_source import CountedWidth, FormSource
from rasplab.compiler.lower.heads import Attention
from rasplab.compiler.lower.joint_functions import best_argument
from rasplab.compiler.lower.neurons import Neurons
from rasplab.compiler.lower.part_costs import PartCosts
from rasplab.compiler.lower.residual import (
    TOKEN_FLAG,
    Direction,
    LinearForm,
    ResidualStream,
)
from rasplab.compiler.lower.value_tables import (
    Features,
    Split,
    additive,
    affine_map,
    distinct_up_to_scale,
    padded,
    single_leaf,
    tolerance,
)
from rasplab.program.graph import Aggregate, SelectorWidth
from rasplab.program.values import is_number, typed_key

MAX_ONE_HOT = 512
"""Values of a leaf that may each have a direction of their own."""


class Lowering(FormSource):
    """The linear forms of a program's s-ops, for weights of one dtype.

    basis         "compact": scalars, squares where equality needs them, one-hot only where order
                  does; "one_hot": every value of a leaf is a direction of its own
    dtype         "float32" or "float64": the arithmetic that errors are bounded for
    allow_shares  whether widths are read from 1/(1+w) where that is fine enough; else heads give w
    """

    def __init__(
        self, value_sets: ValueSets, basis: str, dtype: str = "float32", allow_shares: bool = True
    ):
        self.value_sets, self.program = value_sets, value_sets.program
        self.basis, self.dtype, self.allow_shares = basis, dtype, allow_shares
        self.stream = ResidualStream(dtype)
        self.features: dict[int, Features] = {}
        self.one_hots: dict[int, list[LinearForm]] = {}
        self.means: dict[int, LinearForm] = {}
        self._joints: dict[tuple[tuple[int, ...], bytes, bool], list[LinearForm]] = {}
        self._part_costs: PartCosts | None = None
        self.attention = Attention(self)
        self.neurons = Neurons(self.stream, value_sets)
        ones = (1.0,) * len(value_sets.domain.vocab)
        flag = self.stream.add(Direction("real token (not BOS)", None, "tok", 0, table=ones))
        assert flag == TOKEN_FLAG

    @property
    def part_costs(self) -> PartCosts:
        """When s-ops are expected to be written; computed where a joint function first needs it."""
        if self._part_costs is None:
            self._part_costs = PartCosts(self.value_sets, self.takes_no_mean, self.allow_shares)
        return self._part_costs

    # --- s-ops, and functions of leaves -----------------------------------------------------------

    def scalar(self, node: int) -> LinearForm:
        """The form of the number itself, for an s-op of numbers (listed or a range)."""
        if node in self.value_sets.ranges:
            return self._range_scalar(node)
        table = np.array([as_number(v) for v in self.value_sets.sets[node].values])
        return self.node_forms(node, table[:, None])[0]

    def _range_scalar(self, node: int) -> LinearForm:
        if self.value_sets.leaf_sets[node] == (node,):
            return self.mean(node)
        terms = self.value_sets.linear(node)
        assert terms is not None, f"node {node} is a range and not linear"
        return self._affine(terms)

    def _affine(self, terms: Affine) -> LinearForm:
        coefficients, const = terms
        form = LinearForm((), float(const))
        for leaf, coefficient in coefficients.items():
            form = form + self.scalar(leaf).scaled(float(coefficient))
        return form

    def node_forms(self, node: int, tables: Float[np.ndarray, "value target"]) -> list[LinearForm]:
        """Forms of functions of one s-op, given by the values of its set."""
        leaves = self.value_sets.leaf_sets[node]
        column = self.value_sets.column(node, leaves)
        codes = code_of_key(self.value_sets.sets[node].values)
        rows = np.array([codes.get(typed_key(v), -1) for v in column.values])[column.codes]
        targets = np.where((rows >= 0)[:, None], tables[rows], np.nan)
        return self.forms(leaves, targets, node)

    def forms(
        self,
        leaves: tuple[int, ...],
        targets: Float[np.ndarray, "row target"],
        node: int | None = None,
    ) -> list[LinearForm]:
        """Linear forms that take the targets on the rows of joint(leaves).

        node  the s-op that the forms serve, if they serve one
        Raises CompileError where no neurons can tell the values apart.
        """
        results: dict[int, LinearForm] = {}
        by_leaf: dict[int, list[tuple[int, Split]]] = {}
        joint: list[int] = []
        codes = self.value_sets.joint(leaves).codes
        for t in range(targets.shape[1]):
            target = targets[:, t]
            single = single_leaf(codes, target)
            if single is not None and single.leaves:
                by_leaf.setdefault(single.leaves[0], []).append((t, single))
            elif single is not None:
                results[t] = LinearForm((), single.const, single.missed)
            elif (form := self._sum_of_leaves(leaves, codes, target)) is not None:
                results[t] = form
            else:
                joint.append(t)
        for at, functions in by_leaf.items():
            leaf = leaves[at]
            size = self.value_sets.value_count(leaf)
            tables = np.column_stack([padded(split.tables[0], size) for _, split in functions])
            forms = self.leaf_forms(leaf, tables, node)
            for (t, split), form in zip(functions, forms, strict=True):
                results[t] = form.within(split.missed)
        if joint:
            forms = self._joint_forms(leaves, targets[:, joint], node)
            results |= dict(zip(joint, forms, strict=True))
        return [results[t] for t in range(targets.shape[1])]

    def _sum_of_leaves(
        self, leaves: tuple[int, ...], codes: np.ndarray, target: np.ndarray
    ) -> LinearForm | None:
        """The target as a sum of functions of single leaves, if it is one."""
        key = (leaves, target.tobytes())
        if key not in self.value_sets.leaf_sums:
            self.value_sets.leaf_sums[key] = additive(codes, target)
        split = self.value_sets.leaf_sums[key]
        if split is None:
            return None
        form = LinearForm((), split.const, split.missed)
        for at, table in zip(split.leaves, split.tables, strict=True):
            size = self.value_sets.value_count(leaves[at])
            form = form + self.leaf_forms(leaves[at], padded(table, size)[:, None])[0]
        return form

    # --- functions of one leaf --------------------------------------------------------------------

    def leaf_forms(
        self, leaf: int, tables: Float[np.ndarray, "value target"], node: int | None = None
    ) -> list[LinearForm]:
        """Forms of functions of one leaf, given by its values; NaN where any value will do."""
        if self.basis == "one_hot" and self._can_be_one_hot(leaf):
            self._ensure_one_hot(leaf)
        forms = {t: self._known_form(leaf, table) for t, table in enumerate(tables.T)}
        missing = [t for t, form in forms.items() if form is None]
        fresh = distinct_up_to_scale(tables[:, missing])
        # As many new features as one-hot directions (less the constant): one-hot serves any more.
        if len(fresh) >= max(3, self.value_sets.value_count(leaf) - 1) and self._can_be_one_hot(
            leaf
        ):
            one_hot = f"one-hot, {self.value_sets.value_count(leaf)} directions"
            features = f"own, {len(fresh)} directions"
            self.stream.choose(leaf, "functions of one leaf", one_hot, features)
            self._ensure_one_hot(leaf)
        elif fresh:
            new = tables[:, [missing[f] for f in fresh]]
            new = np.nan_to_num(new) if leaf < 0 else new  # embeddings write numbers
            made = self._new_features(leaf, new, node)
            self.features.setdefault(leaf, Features()).add(new, made)
        forms |= {t: self._known_form(leaf, tables[:, t]) for t in missing}
        known = [form for form in forms.values() if form is not None]
        assert len(known) == len(forms), f"leaf {leaf} has no form for one of {tables}"
        return known

    def _known_form(self, leaf: int, table: np.ndarray) -> LinearForm | None:
        """A form from what the leaf has: a constant, an affine map of one feature, or one-hot."""
        care = ~np.isnan(table)
        known = table[care]
        if not len(known):
            return LinearForm()
        if np.ptp(known) <= tolerance(known):
            return LinearForm((), float(known[0]), float(np.ptp(known)))
        for feature, form in self.features.get(leaf, Features()).similar(table):
            scaling = affine_map(feature[care], known)
            if scaling is not None:
                return _mapped(form, scaling)
        if leaf in self.one_hots:
            return self._from_one_hot(leaf, np.where(care, table, 0.0))
        return None

    def _from_one_hot(self, leaf: int, table: np.ndarray) -> LinearForm:
        """The commonest value as the constant (one of the directions is 1), the others on top."""
        numbers, counts = np.unique(table, return_counts=True)
        base = float(numbers[counts.argmax()]) if counts.max() > 1 else 0.0
        offsets = table - base
        missed = float(np.abs(offsets + base - table).max())
        hot = self.one_hots[leaf]
        others = [(float(offsets[at]), hot[at]) for at in np.flatnonzero(offsets)]
        return LinearForm.combination(others, base).within(missed)

    def _can_be_one_hot(self, leaf: int) -> bool:
        known = self.value_sets
        few = leaf not in known.ranges and 2 < known.value_count(leaf) <= MAX_ONE_HOT
        return few and not known.repeats_numbers(leaf)

    def _ensure_one_hot(self, leaf: int) -> None:
        if leaf not in self.one_hots:
            forms = self._new_features(leaf, np.eye(self.value_sets.value_count(leaf)), None)
            self.one_hots[leaf] = forms
            self.stream.mark_shares(forms, 1.0)

    def _new_features(self, leaf: int, tables: np.ndarray, node: int | None) -> list[LinearForm]:
        if leaf < 0:
            return [self._embedded(leaf, t) for t in tables.T]
        match self.program.nodes[leaf]:
            case SelectorWidth():
                return self._width_forms(leaf, tables)
            case Aggregate() as aggregate:
                return self._aggregate_forms(leaf, aggregate, tables)
        if leaf in self.value_sets.steps:
            return self._step_forms(leaf, tables)
        if self.value_sets.leaf_sets[leaf] == (leaf,):  # a sum over keys
            numbers = np.array([as_number(v) for v in self.value_sets.sets[leaf].values])
            return self._on_number(leaf, self.mean(leaf), numbers, tables)
        return self.node_forms(leaf, tables)  # a Map cut off, as its joint table was too large

    def _embedded(self, leaf: int, table: np.ndarray) -> LinearForm:
        site = "tok" if leaf == TOKEN else "pos"
        label = self.feature_label(leaf, table)
        return LinearForm.of(self.stream.embedded(label, site, table))

    def feature_label(self, leaf: int, table: Float[np.ndarray, " value"]) -> str:
        """The label of a feature: its leaf for a scalar, leaf = value for a one-hot, or f(leaf)."""
        name = {TOKEN: "token", POSITION: "position"}.get(leaf) or self.program.labels[leaf]
        values = self.value_sets.sets[leaf].values
        hot = np.nonzero(np.nan_to_num(table))[0]
        if len(hot) == 1 and len(values) > 2:
            return f"{name} = {values[hot[0]]!r}"
        numbers = [float(v) if is_number(v) else k for k, v in enumerate(values)]
        return name if affine_map(np.array(numbers, float), table) else f"f({name})"

    # --- leaves that attention makes --------------------------------------------------------------

    def width(self, leaf: int) -> CountedWidth:
        """The width of a selector as its heads give it."""
        return self.attention.width(leaf)

    def takes_no_mean(self, leaf: int) -> bool:
        """Whether an aggregate never averages several keys."""
        return self.attention.takes_no_mean(leaf)

    def direct_forms(
        self,
        leaves: tuple[int, ...],
        targets: Float[np.ndarray, "row target"],
        node: int | None = None,
    ) -> list[LinearForm] | None:
        """Forms of functions of one leaf, by neurons on the number of its head.

        They may be finer than sums over one-hot directions, or than the number itself.
        None where there are several leaves, or attention gives no number.
        """
        if len(leaves) != 1 or (number := self._number(leaves[0])) is None:
            return None
        form, numbers, error = number
        points = numbers[self.value_sets.joint(leaves).codes[:, 0]]
        # One by one, as each has its own error; neurons with equal breaks are shared all the same.
        columns = [targets[:, [t]] for t in range(targets.shape[1])]
        return [self.neurons.forms(form, points, t, node, error)[0] for t in columns]

    def _number(self, leaf: int) -> tuple[LinearForm, np.ndarray, float | None] | None:
        """What attention gives for a leaf: form, its number by value, error if not the form's."""
        known = self.value_sets
        if leaf < 0 or leaf in known.ranges or leaf in known.steps:
            return None
        node, values = self.program.nodes[leaf], known.sets[leaf].values
        carries = isinstance(node, Aggregate) and self.takes_no_mean(leaf)
        if carries or known.leaf_sets[leaf] != (leaf,):
            return None
        numbers = np.array([as_number(v) for v in values])
        if not isinstance(node, SelectorWidth):
            return self.mean(leaf), numbers, None
        counted = self.width(leaf)
        return counted.form, numbers if counted.linear else 1 / (1 + numbers), counted.error

    def _width_forms(self, leaf: int, tables: np.ndarray) -> list[LinearForm]:
        """Neurons on 1/(1+w), or on w where the heads give w itself."""
        number = self._number(leaf)
        assert number is not None
        form, points, error = number
        if self.width(leaf).linear:
            return self._on_number(leaf, form, points, tables, error)
        return self.neurons.forms(form, points, tables, leaf, error)

    def _on_number(
        self,
        leaf: int,
        form: LinearForm,
        numbers: np.ndarray,
        tables: np.ndarray,
        error: float | None = None,
    ) -> list[LinearForm]:
        """Functions of a leaf whose number attention gives: free where linear in it."""
        return [
            _mapped(form, scaling)
            if (scaling := affine_map(numbers, t))
            else self.neurons.forms(form, numbers, t[:, None], leaf, error)[0]
            for t in tables.T
        ]

    def _aggregate_forms(
        self, leaf: int, aggregate: Aggregate, tables: np.ndarray
    ) -> list[LinearForm]:
        if self.takes_no_mean(leaf):
            return self._carried_forms(leaf, aggregate, tables)
        numbers = np.array([as_number(v) for v in self.value_sets.sets[leaf].values])
        return self._on_number(leaf, self.mean(leaf), numbers, tables)

    def _step_forms(self, leaf: int, tables: np.ndarray) -> list[LinearForm]:
        """Neurons on the form that a step is a function of; any value will do where it fails."""
        step = self.value_sets.steps[leaf]
        targets = np.where((step.codes >= 0)[:, None], tables[step.codes], np.nan)
        return self.neurons.forms(self._affine(step.terms), step.points, targets, leaf)

    def mean(self, leaf: int) -> LinearForm:
        """The number that an aggregate, or a sum over keys, gives, straight from its head."""
        if leaf not in self.means:
            self.means[leaf] = self._head_number(leaf)
        return self.means[leaf]

    def _head_number(self, leaf: int) -> LinearForm:
        node = self.program.nodes[self.value_sets.sums.aggregates.get(leaf, leaf)]
        assert isinstance(node, Aggregate)
        if leaf in self.value_sets.sums.aggregates:
            # the head weighs BOS many times a key, so what neurons give there has to be exactly 0
            self.neurons.silent_at_bos = True
            value = self.scalar(node.values)
            self.neurons.silent_at_bos = False
            return self.attention.total(leaf, node.selector, value)
        value = self.scalar(node.values)
        label = self.program.labels[leaf]
        return self.attention.carry(leaf, [value], [float(node.default)], [label])[0]

    def _carried_forms(
        self, leaf: int, aggregate: Aggregate, tables: np.ndarray
    ) -> list[LinearForm]:
        """Functions of an aggregate of one key at most: the head itself carries f(value).

        f(aggregate(s, x)) is aggregate(s, f(x)) where no mean is taken: f is computed at the key.
        """
        codes = code_of_key(self.value_sets.sets[leaf].values)
        operand = self.value_sets.sets[aggregate.values]
        rows = np.array([codes.get(typed_key(v), -1) for v in operand.values])
        at_keys = np.where((rows >= 0)[:, None], tables[rows], np.nan)
        default = codes.get(typed_key(aggregate.default), -1)
        defaults = np.nan_to_num(tables[default]) if default >= 0 else np.zeros(tables.shape[1])
        forms = self.node_forms(aggregate.values, at_keys)
        labels = [self.feature_label(leaf, t) for t in tables.T]
        return self.attention.carry(leaf, forms, [float(d) for d in defaults], labels)

    # --- functions of several leaves --------------------------------------------------------------

    def _joint_forms(
        self, leaves: tuple[int, ...], targets: np.ndarray, node: int | None
    ) -> list[LinearForm]:
        """Functions of several leaves at once: neurons on the form that needs the fewest."""
        key = (leaves, targets.tobytes(), self.neurons.silent_at_bos)
        if key not in self._joints:
            label = self.program.labels[node] if node is not None else "a selector's operands"
            argument = best_argument(self, leaves, targets, node)
            self.neurons.check_memory(label, node, argument.cost.neurons)
            form = LinearForm.combination([(c, part.form()) for part, c in argument.parts if c])
            self.stream.choose(node, "joint argument", argument.described(), *argument.others)
            self._joints[key] = self.neurons.forms(form, argument.points, targets, node)
        return self._joints[key]


def _mapped(form: LinearForm, scaling: tuple[float, float, float]) -> LinearForm:
    """What `affine_map` says of the feature that the form gives."""
    factor, offset, missed = scaling
    return form.scaled(factor).plus(offset).within(missed)
