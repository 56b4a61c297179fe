"""Limits on the resources of a program, and how to raise them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace

from rasplab.base.errors import RaspValueError


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one text or one evaluation uses; the defaults mean seconds and at most 2 GB.

    tokens  of an input: a selector over n of them is n * n bits
    cells   values held while evaluating; 64 bits of a selector, 8 characters of a string count one
    steps   expressions and turns of loops, in a text or in a statement of a session
    nodes   s-ops and selectors that a text makes
    calls   how deep calls of functions nest
    range   ints that one range makes
    length  of a string or list that is joined or repeated, and of all strings of one s-op
    memory  estimated bytes that compiling takes: its tables and the weights
    bits    of an int: 12,000 are some 3,600 digits; Python writes none of more than 4,300
    """

    tokens: int = 10_000
    cells: int = 50_000_000
    steps: int = 3_000_000
    nodes: int = 300_000
    calls: int = 20_000
    range: int = 1_000_000
    length: int = 10_000_000
    memory: int = 4 << 30
    bits: int = 12_000


_CURRENT: ContextVar[Limits] = ContextVar("limits", default=Limits())  # noqa: B039 (frozen)


def current() -> Limits:
    """The limits in force in this context."""
    return _CURRENT.get()


def names() -> tuple[str, ...]:
    """The names of all limits."""
    return tuple(field.name for field in fields(Limits))


MAX_FRAMES = 1 << 30
"""The highest recursion limit that Python accepts."""

FRAMES_PER_NODE = 30
"""An upper bound on the frames in which anything goes from a node to one that it reads."""

MAX_CHAIN = 10_000
"""The longest chain of nodes, each reading the one before, that is followed by recursion."""


class limit:
    """Set limits: `rasplab.limit(tokens=100_000)` from now on; under `with`, until its end.

    Raises ValueError for an unknown name, or a bound that is not an int of at least 1.
    """

    def __init__(self, **bounds: int):
        for name, bound in bounds.items():
            if name not in names():
                raise ValueError(f"unknown limit {name!r}; the limits are {', '.join(names())}")
            if type(bound) is not int or bound < 1:
                raise ValueError(
                    f"the limit {name} is {_shown(bound)}; it has to be an int of at least 1"
                )
        self._before = _CURRENT.set(replace(current(), **bounds))
        _let_python_write(current().bits)

    def __enter__(self) -> Limits:
        return current()

    def __exit__(self, *_: object) -> None:
        _CURRENT.reset(self._before)


def _shown(bound: object) -> str:
    return (
        repr(bound)
        if isinstance(bound, int | float | str)
        else f"a value of type {type(bound).__name__}"
    )


def way_out(name: str) -> str:
    """The hint of an error that a limit causes."""
    return f"to allow more: rasplab --limit {name}=N ..., or rasplab.limit({name}=N) in Python"


@contextmanager
def deep_recursion(frames: int) -> Iterator[None]:
    """Let Python's calls nest up to `frames` deep.

    They live on the heap where Python calls Python; recursion through C functions (sort, map,
    generators in sum or any) takes the C stack, which cannot grow: none may recurse under this.
    """
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, min(frames, MAX_FRAMES)))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@contextmanager
def deep_nodes(count: int) -> Iterator[None]:
    """Let Python's calls nest as deep as the `count` nodes of a program can.

    Raises RaspValueError where more than MAX_CHAIN of them read one another.
    """
    try:
        with deep_recursion(1_000 + FRAMES_PER_NODE * min(count, MAX_CHAIN)):
            yield
    except RecursionError:
        message = f"more than {MAX_CHAIN:,} s-ops or selectors read one another in a chain"
        raise RaspValueError(message, hint="compute the program in parts") from None


def _let_python_write(bits: int) -> None:
    """Let Python write ints of up to `bits` bits: by default it refuses more than 4,300 digits."""
    digits = min(bits * 302 // 1000 + 1, 2**31 - 1)  # log10(2) < 0.302; Python takes a C int
    most = sys.get_int_max_str_digits()  # 0 means no limit
    if 0 < most < digits:
        sys.set_int_max_str_digits(digits)
