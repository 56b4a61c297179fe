"""Parts of an expression that attention reads before it: they stand in for their leaves in a joint.

In `y = min(x, aggregate(s, x))` the head waits for x, so y gains nothing from the leaves of x.
Without such cuts every round of a loop joins the leaves of all rounds before it.
"""

from __future__ import annotations

from rasplab.program.graph import Aggregate, Map, Program, Select, SelectorWidth, operands


class ReadyParts:
    """The elementwise s-ops of a program that heads read, and which heads come after which.

    Sets of nodes are bits of a whole number: bit i for node i.
    """

    def __init__(self, program: Program):
        self._nodes = program.nodes
        self._read = 0
        for node in program.nodes:
            match node:
                case Select(keys, queries, _):
                    self._read |= 1 << keys | 1 << queries
                case Aggregate(_, values, _):
                    self._read |= 1 << values
        self._before: list[int] = []
        for node in program.nodes:  # operands before users, so one pass suffices
            before = 0
            for operand in operands(node):
                before |= self._before[operand] | 1 << operand
            self._before.append(before)

    def before(self, leaves: tuple[int, ...]) -> int:
        """What heads have read before the last of some leaves is known."""
        read = 0
        for leaf in leaves:
            if leaf >= 0 and isinstance(self._nodes[leaf], Aggregate | SelectorWidth):
                read |= self._before[leaf]
        return read & self._read

    def parts(
        self, args: tuple[int, ...], leaf_sets: dict[int, tuple[int, ...]], ready: int
    ) -> tuple[int, ...]:
        """What `args` are functions of, with the s-ops among `ready` as leaves of their own.

        An s-op of one leaf is no part: its leaf is.
        """
        parts: set[int] = set()
        waiting, seen = list(args), set(args)
        while waiting:
            i = waiting.pop()
            node = self._nodes[i]
            if len(leaf_sets[i]) < 2 or not isinstance(node, Map) or leaf_sets[i] == (i,):
                parts |= set(leaf_sets[i])
            elif ready >> i & 1:
                parts.add(i)
            else:
                waiting += [a for a in node.args if a not in seen]
                seen |= set(node.args)
        return tuple(sorted(parts))
