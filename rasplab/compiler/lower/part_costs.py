"""When the parts of a joint function are expected to be written, and whether they are made anyway.

A joint function can be computed on its leaves, or on other s-ops between them and it. Which is
better depends on when these s-ops are ready, and on the neurons that they take. The times are
estimates from the program alone, as if every elementwise s-op were one step of neurons.
"""

from __future__ import annotations

from collections.abc import Callable

from rasplab.compiler.infer.normal_form import normal_and
from rasplab.compiler.infer.value_sets import ValueSets
from rasplab.compiler.lower.residual import after
from rasplab.program.graph import Aggregate, Select, SelectorWidth


class PartCosts:
    """Expected times of a program's s-ops in half layers, as residual.py counts them.

    takes_no_mean  whether an aggregate, a node id, never averages
    shares         whether widths may come as 1/(1+w), which neurons have to invert
    plain_neurons  cache of joint_functions.py: (s-op, bytes of a table) -> neurons for the table
    """

    def __init__(self, value_sets: ValueSets, takes_no_mean: Callable[[int], bool], shares: bool):
        self._value_sets, self._takes_no_mean = value_sets, takes_no_mean
        self._shares = shares
        program = value_sets.program
        self.plain_neurons: dict[tuple[int, bytes], int] = {}
        self._heads: dict[int, int] = {}
        self._numbers: dict[int, int] = {}
        self._features: dict[int, int] = {}
        self._attended = set(program.outputs)
        for i, node in enumerate(program.nodes):  # operands before users, so one pass suffices
            match node:
                case Select(keys, queries, _):
                    self._attended |= {keys, queries}
                case Aggregate(_, values, _):
                    self._attended.add(values)
            if not program.is_selector(i):
                self._visit(i)

    def head_time(self, leaf: int) -> int:
        """When attention writes what it gives for a leaf; 0 for what is embedded."""
        return self._heads.get(leaf, 0)

    def number_time(self, item: int) -> int:
        """When the number itself is written."""
        return self._numbers.get(item, 0)

    def feature_time(self, item: int) -> int:
        """When a function of the item, linear or not, is written."""
        return self._features.get(item, 0)

    def is_made_anyway(self, item: int) -> bool:
        """Whether attention reads the s-op, or it is an output."""
        return item in self._attended

    def _visit(self, i: int) -> None:
        match self._value_sets.program.nodes[i]:
            case SelectorWidth(selector):
                self._heads[i] = after(self._operands_time(selector), 1)
                self._numbers[i] = self._features[i] = after(self._heads[i], 0)
            case Aggregate(selector, values, _):
                self._visit_aggregate(i, selector, values)
            case _ if i in self._value_sets.steps:
                leaves = self._value_sets.steps[i].terms[0]
                self._numbers[i] = self._features[i] = after(max(map(self.number_time, leaves)), 0)
            case _ if self._value_sets.leaf_sets[i] == (i,):
                self._visit_sum(i, self._value_sets.sums.aggregates[i])
            case _:
                self._visit_elementwise(i)

    def _visit_aggregate(self, i: int, selector: int, values: int) -> None:
        carries = self._takes_no_mean(i)
        ready = self.feature_time(values) if carries else self.number_time(values)
        time = after(max(ready, self._operands_time(selector)), 1)
        self._heads[i] = self._numbers[i] = time
        # a head carries any function of single values; of a
        # mean it carries the number, and others take neurons
        self._features[i] = time if carries else after(time, 0)

    def _visit_sum(self, i: int, aggregate: int) -> None:
        node = self._value_sets.program.nodes[aggregate]
        assert isinstance(node, Aggregate)
        ready = max(self.number_time(node.values), self._operands_time(node.selector))
        self._heads[i] = self._numbers[i] = after(ready, 1)
        self._features[i] = after(self._heads[i], 0)

    def _visit_elementwise(self, i: int) -> None:
        leaves = self._value_sets.leaf_sets[i]
        if len(leaves) == 1:
            self._numbers[i] = self._features[i] = self.feature_time(leaves[0])
            return
        time = after(max(map(self._earliest, leaves)), 0) if leaves else 0
        terms = self._value_sets.linear(i)
        # A sum waits for its terms only; an s-op that is no sum is its own only term.
        parts = [i] if terms is None else list(terms[0])
        self._features[i] = time
        self._numbers[i] = time if i in parts else max(map(self.number_time, parts), default=0)

    def _earliest(self, leaf: int) -> int:
        """When a number is written that joins others: for an aggregate the head's own."""
        counts = leaf >= 0 and isinstance(self._value_sets.program.nodes[leaf], SelectorWidth)
        if leaf not in self._heads or (counts and self._shares):
            return self.feature_time(leaf)
        return self._heads[leaf]

    def _operands_time(self, selector: int) -> int:
        conjuncts = normal_and(self._value_sets.program, selector)
        nodes = {i for c in conjuncts for i in (*c.keys, *c.queries)}
        return max(map(self.feature_time, nodes), default=0)
