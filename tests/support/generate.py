"""Seeded random programs over the whole node set: mostly legal on their domain."""

from __future__ import annotations

import math
import random

import numpy as np

from rasplab.program.domain import Domain
from rasplab.program.graph import (
    Aggregate,
    Builder,
    Combine,
    Constant,
    Indices,
    Map,
    Program,
    Select,
    SelectorWidth,
    Tokens,
)

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
DOMAINS = (
    Domain(("a", "b", "c"), 4),
    Domain(("a", "b"), 6),
    Domain((0, 1, 3), 4),
    Domain((0.5, -1.0, 2.0), 3),
    Domain((True, False), 4),
    Domain(("a", "b", "c"), 4, causal=True),
    Domain(("a", "b", "c", "d", "e"), 9),
    Domain((0, 1, 2, 3, 4, 5), 8, causal=True),
)


class Generator:
    """Draws s-ops of kinds number, bool, str and selectors into one Builder."""

    def __init__(self, seed: int, domain: Domain):
        self.rng, self.domain, self.builder = np.random.default_rng(seed), domain, Builder()
        kind = {str: "str", int: "number", float: "number", bool: "bool"}[type(domain.vocab[0])]
        tokens = self.builder.add(Tokens("asis"))
        self.pool = {"number": [self.builder.add(Indices())], "bool": [], "str": [], "selector": []}
        self.pool[kind].append(tokens)

    def pick(self, kind: str) -> int:
        """A node of that kind: an old one, or a constant."""
        if self.pool[kind] and self.rng.random() < 0.85:
            return int(self.rng.choice(self.pool[kind]))
        values = {"number": [0, 1, 2, 0.5, -1], "bool": [True, False], "str": ["a", "b", "-"]}[kind]
        return self.builder.add(Constant(values[self.rng.integers(len(values))]))

    def grow(self) -> None:
        """Add one node of a random type."""
        make = [
            self._arithmetic,
            self._compare,
            self._logic,
            self._choose,
            self._divide,
            self._look_up,
            self._select,
            self._select,
            self._combine,
            self._aggregate,
            self._aggregate,
            self._width,
        ]
        make[self.rng.integers(len(make))]()

    def _add(self, kind: str, node) -> None:
        self.pool[kind].append(self.builder.add(node))

    def _arithmetic(self):
        fn = str(self.rng.choice(["+", "-", "*", "neg", "round", "%"]))
        if fn in ("neg", "round"):
            self._add("number", Map(fn, (self.pick("number"),)))
        elif fn == "%":
            self._add("number", Map("%", (self.pick("number"), self.builder.add(Constant(3)))))
        else:
            self._add("number", Map(fn, (self.pick("number"), self.pick("number"))))

    def _divide(self):
        divisor = self.builder.add(Constant([2, 3, -1.5][self.rng.integers(3)]))
        self._add("number", Map("/", (self.pick("number"), divisor)))

    def _look_up(self):
        """A list at a position, or whether a list holds a value."""
        values = tuple("abab"[: self.rng.integers(2, 5)])
        if self.pool["str"] and self.rng.random() < 0.5:
            held = self.builder.add(Constant(values[:1]))
            self._add("bool", Map("in", (self.pick("str"), held)))
        else:
            container, indices = (self.builder.add(n) for n in (Constant((0, 2, 2, 1)), Indices()))
            at = self.builder.add(Map("%", (indices, self.builder.add(Constant(4)))))
            self._add("number", Map("index", (container, at)))

    def _kind(self) -> str:
        return str(self.rng.choice([k for k in ("number", "bool", "str") if self.pool[k]]))

    def _compare(self):
        kind = self._kind()
        self._add(
            "bool", Map(str(self.rng.choice(COMPARISONS)), (self.pick(kind), self.pick(kind)))
        )

    def _logic(self):
        if self.rng.random() < 0.3:
            self._add("bool", Map("not", (self.pick("bool"),)))
        elif self.rng.random() < 0.3:
            self._add("number", Map("indicator", (self.pick("bool"),)))
        else:
            self._add(
                "bool",
                Map(str(self.rng.choice(["and", "or"])), (self.pick("bool"), self.pick("bool"))),
            )

    def _choose(self):
        kind = self._kind()
        self._add(kind, Map("if", (self.pick("bool"), self.pick(kind), self.pick(kind))))

    def _select(self):
        kind = self._kind()
        self._add(
            "selector", Select(self.pick(kind), self.pick(kind), str(self.rng.choice(COMPARISONS)))
        )

    def _selector(self) -> int:
        if not self.pool["selector"]:
            self._select()
        return int(self.rng.choice(self.pool["selector"]))

    def _combine(self):
        fn = str(self.rng.choice(["and", "or", "not"]))
        parts = (self._selector(),) if fn == "not" else (self._selector(), self._selector())
        self._add("selector", Combine(fn, parts))

    def _aggregate(self):
        kind = self._kind()
        defaults = {"number": [0, 1, -2], "bool": [False, True, 0], "str": ["-", "a"]}[kind]
        default = defaults[self.rng.integers(len(defaults))]
        selector = self._selector()
        if kind != "number" and self.rng.random() < 0.8:
            selector = self._one_key()
        self._add(kind, Aggregate(selector, self.pick(kind), default))

    def _one_key(self) -> int:
        """A selector of at most one key: positions compared for equality."""
        indices = self.builder.add(Indices())
        shifted = self.builder.add(
            Map("-", (indices, self.builder.add(Constant(int(self.rng.integers(3))))))
        )
        return self.builder.add(Select(indices, shifted, "=="))

    def _width(self):
        selector = self._selector()
        if self.rng.random() < 0.3:
            self._select()
            other = self.pool["selector"][-1]
            selector = self.builder.add(Combine("or", (selector, other)))
        self._add("number", SelectorWidth(selector))


def random_program(seed: int, size: int = 9) -> tuple[Program, Domain]:
    """A program of some `size` grown nodes, and a small domain for it."""
    domain = DOMAINS[seed % len(DOMAINS)]
    generator = Generator(seed, domain)
    for _ in range(size):
        generator.grow()
    nodes = generator.builder.nodes
    outputs = [i for i, n in enumerate(nodes) if not isinstance(n, Select | Combine | Constant)]
    deep = outputs[-3:]
    return generator.builder.program(int(generator.rng.choice(deep))), domain


ATOMS = (
    0,
    1,
    -1,
    True,
    False,
    0.0,
    -0.0,
    1.5,
    1e-7,
    1e300,
    5e-324,
    -2.5e-10,
    math.inf,
    -math.inf,
    math.nan,
    10**50,
    -(10**3000),
    "",
    "a",
    '"',
    'a"b',
    "\n",
    "é",
    "漢字",
    "\ud800",
    "\r\n",
    "#",
)
NAMES = (
    "x1",
    "x2",
    "a",
    "tokens",
    "length",
    "full_s",
    "select",
    "shift",
    "chr",
    "out",
    "if",
    "b c",
)


class Anything:
    """Draws programs over every node type and every kind of constant, meaningful or not."""

    def __init__(self, seed: int):
        self.rng, self.b = random.Random(seed), Builder()
        self.sops, self.selectors = [self.add(Tokens("asis")), self.add(Indices())], []
        self.selectors.append(self.add(Select(0, 1, "==")))

    def add(self, node) -> int:
        """The node's id."""
        return self.b.add(node)

    def sop(self) -> int:
        """One that is there."""
        return self.rng.choice(self.sops)

    def selector(self) -> int:
        """One that is there."""
        return self.rng.choice(self.selectors)

    def value(self, depth: int = 0):
        """An atom, or a list that may hold lists."""
        if depth < 3 and self.rng.random() < 0.3:
            return tuple(self.value(depth + 1) for _ in range(self.rng.randrange(4)))
        return self.rng.choice(ATOMS)

    def lookup(self) -> Map:
        """A list, a string or a dict, looked up."""
        items = {self.rng.choice(ATOMS): self.value() for _ in range(self.rng.randrange(4))}
        fn = self.rng.choice(("index", "lookup", "in"))
        if fn == "in":
            return Map(fn, (self.sop(), self.add(Constant(tuple(items)))))
        container = tuple(items.items()) if fn == "lookup" else self.rng.choice(('a"', (1, (2,))))
        return Map(fn, (self.add(Constant(container)), self.sop()))

    def grow(self) -> None:
        """One node more."""
        rng, sop, selector = self.rng, self.sop, self.selector
        match rng.randrange(9):
            case 0:
                self.sops.append(self.add(Constant(self.value())))
            case 1:
                self.sops.append(self.add(Tokens(rng.choice(("asis", "bool")))))
            case 2:
                self.selectors.append(self.add(Select(sop(), sop(), rng.choice(("==", "!=")))))
            case 3:
                self.selectors.append(self.add(Combine("not", (selector(),))))
            case 4:
                fn = rng.choice(("and", "or"))
                self.selectors.append(self.add(Combine(fn, (selector(), selector()))))
            case 5:
                self.sops.append(self.add(Aggregate(selector(), sop(), self.value())))
            case 6:
                self.sops.append(self.add(SelectorWidth(selector())))
            case 7:
                fn, n = rng.choice((("not", 1), ("if", 3), ("and", 2), ("==", 2), ("indicator", 1)))
                self.sops.append(self.add(Map(fn, tuple(sop() for _ in range(n)))))
            case 8:
                self.sops.append(self.add(self.lookup()))

    def program(self) -> Program:
        """Over one of the last nodes; some have names, legal or not."""
        for _ in range(self.rng.randrange(3, 25)):
            self.grow()
        names = {self.rng.choice(NAMES): self.sop() for _ in range(self.rng.randrange(5))}
        return self.b.program(self.rng.choice([*self.sops[-3:], self.selectors[-1]]), names)
