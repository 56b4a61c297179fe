"""Numbers that are too many to list: their bounds, and the lattice that they lie on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, inf, lcm, ulp

from rasplab.program.values import Value

MAX_DENOMINATOR = 1_000_000
"""Fractions up to this denominator are further apart than floats of moderate size are rounded."""


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from low to high that are multiples of unit / k for some k of 1 .. denominator."""

    low: Fraction
    high: Fraction
    unit: Fraction
    denominator: int = 1

    @staticmethod
    def of_value(number: Value | Fraction) -> Range:
        """The range of a single number."""
        exact = decimal(number)
        return Range(exact, exact, abs(exact) or Fraction(1))

    @staticmethod
    def of_values(values: Iterable[Value]) -> Range:
        """The range of listed numbers."""
        numbers = [decimal(v) for v in values]
        return Range(min(numbers), max(numbers), common_unit(numbers))

    def scaled(self, factor: Fraction) -> Range:
        """The range of factor * x."""
        low, high = sorted((self.low * factor, self.high * factor))
        return Range(low, high, self.unit * abs(factor) or Fraction(1), self.denominator)

    def __add__(self, other: Range) -> Range:
        """The range of x + y.

        x is a multiple of unit / k with k unknown, so of unit / lcm(1 .. denominator): that is how
        the operand with the smaller denominator enters the unit; the other keeps its denominator.
        """
        smaller, larger = sorted((self.denominator, other.denominator))
        unit = common_unit([self.unit, other.unit]) / lcm(*range(1, smaller + 1))
        return Range(self.low + other.low, self.high + other.high, unit, larger)

    def mean(self, count: int) -> Range:
        """The range of the mean of up to `count` such numbers."""
        # x is a multiple of unit / k, k <= denominator, and so of unit / lcm(1 ..
        # denominator); a sum of j of them too, and their mean of that by j
        return Range(self.low, self.high, self.unit / lcm(*range(1, self.denominator + 1)), count)

    def total(self, count: int) -> Range:
        """The range of the sum of up to `count` such numbers, none included."""
        unit = self.unit / lcm(*range(1, self.denominator + 1))
        return Range(min(self.low, Fraction(0)) * count, max(self.high, Fraction(0)) * count, unit)

    @property
    def is_whole(self) -> bool:
        """Whether all its numbers are whole."""
        return self.denominator == 1 and self.unit.denominator == 1

    def with_value(self, number: Value) -> Range:
        """The range that also holds one more number."""
        exact = decimal(number)
        unit = common_unit([self.unit, exact]) if exact else self.unit
        return Range(min(self.low, exact), max(self.high, exact), unit, self.denominator)


@dataclass(frozen=True, slots=True)
class Rounding:
    """How far floats may be from exact numbers.

    absolute  bound on the difference
    relative  bound on it as a share of the exact number; infinite where terms may cancel
    """

    absolute: float
    relative: float = inf


EXACT = Rounding(0.0, 0.0)
"""No difference at all."""


def as_float(number: Fraction) -> float:
    """The nearest float; infinite beyond the largest."""
    try:
        return float(number)
    except OverflowError:
        return inf if number > 0 else -inf


def as_value(number: Fraction) -> Value:
    """The number as an int where it is whole, else as the nearest float."""
    return int(number) if number.denominator == 1 else float(number)


def decimal(number: Value | Fraction) -> Fraction:
    """The number as it is written: 0.1 is a tenth, not the float nearest to it."""
    assert not isinstance(number, tuple), f"{number!r} is not a number"
    return Fraction(repr(number)) if isinstance(number, float) else Fraction(number)


def recovered(number: Value | Fraction) -> Fraction:
    """The simple fraction that a float is the rounding of, or else the number as it is written."""
    if not isinstance(number, float):
        return decimal(number)
    # two such fractions are at least 1e-12 apart, more than 4 ulp of numbers up to a thousand or so
    simple = Fraction(number).limit_denominator(MAX_DENOMINATOR)
    return simple if abs(float(simple) - number) <= 4 * ulp(number) else decimal(number)


def common_unit(numbers: Sequence[Fraction]) -> Fraction:
    """The largest number that every one of `numbers` is a multiple of (1 if all are 0)."""
    # over a common denominator q: gcd(a/q, b/q) = gcd(a, b) / q
    bottom = lcm(*(n.denominator for n in numbers)) if numbers else 1
    top = gcd(*(int(n * bottom) for n in numbers)) if numbers else 0
    return Fraction(top, bottom) if top else Fraction(1)
