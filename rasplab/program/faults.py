"""Faults: what an s-op holds where it cannot be computed, and which operands pass them on.

A Fault is a value: what reads it at its position is a Fault too, and a choice reads only the branch
that it takes. A program refuses an input where an output holds one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from rasplab.base.errors import RaspError


class Fault:
    """Stands for a value that could not be computed.

    error  makes what is raised where an output holds it; None where only its place counts
    """

    __slots__ = ("error",)

    def __init__(self, error: Callable[[], RaspError] | None = None):
        self.error = error

    def __repr__(self) -> str:
        return "fault"


class Faulty(list):
    """The values of an s-op on an input, some of which are Faults."""


class FaultyRows(list):
    """The rows of a selector (interpret/bitrows), some of whose cells could not be computed.

    failed    per query the bits of the keys for which it could not; the bits of a row mean nothing
              there
    by_query  the Fault of all cells of a query; by_key of all those of a key
    """

    def __init__(
        self,
        rows: Iterable[int],
        failed: list[int],
        by_query: dict[int, Fault],
        by_key: dict[int, Fault],
    ):
        super().__init__(rows)
        self.failed, self.by_query, self.by_key = failed, by_query, by_key

    def fault(self, query: int) -> Fault:
        """Why a query with failed cells has no row."""
        bits = self.failed[query]
        lowest = (bits & -bits).bit_length() - 1
        return self.by_query.get(query) or self.by_key[lowest]


def with_faults(values: list[Any]) -> list[Any]:
    """The values, marked as Faulty where some are Faults."""
    return Faulty(values) if Fault in set(map(type, values)) else values


def read_operands(fn: str, operands: Sequence[Any]) -> Sequence[Any]:
    """The operands that the elementwise function `fn` reads at a position, in order.

    `if` reads the branch that it takes, `and` and `or` nothing after the operand that decides.
    """
    if fn == "if":
        return operands[0], operands[1 if operands[0] else 2]
    if fn in ("and", "or") and bool(operands[0]) == (fn == "or"):
        return operands[:1]
    return operands


def first_fault(values: Iterable[Any]) -> Fault | None:
    """The first Fault among values, if there is one."""
    return next((v for v in values if isinstance(v, Fault)), None)


def check_column(column: list[Any]) -> None:
    """Raise the error of the first Fault of an s-op's or a selector's column."""
    fault = None
    if isinstance(column, Faulty):
        fault = first_fault(column)
    elif isinstance(column, FaultyRows):
        fault = next((column.fault(q) for q, bits in enumerate(column.failed) if bits), None)
    if fault is not None:
        _raise(fault)


def _raise(fault: Fault) -> NoReturn:
    assert fault.error is not None, "a fault of the exact interpreter has its error"
    raise fault.error() from None
