"""The kinds of parts around which random programs are built: a `Grammar` -> the program's outputs.

Each kind is one in which a compiler, an interpreter or a read-out goes wrong easily, and that few
programs hold by chance: numbers of scales far apart, guards, sums over keys, selectors that never
select, text of numbers. `drawn(seed)` takes them in turn.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from support.expressions import (
    BOOL,
    NUMBER,
    TESTS,
    TEXT,
    Expression,
    aggregate,
    called,
    choice,
    combined,
    connected,
    constant,
    elementwise,
    select,
    source,
    width,
)
from support.grammar import Drawn, Grammar, grammar_of, make_drawn
from support.idioms import (
    extreme,
    hashed,
    indexed,
    neighbours,
    power,
    rotated,
    shifted,
    smaller,
    sorted_by,
    texted,
)


def large_integers(g: Grammar) -> Expression:
    """Large constants and tokens, beside small numbers."""
    small = g.tokens if g.tokens.kind == NUMBER else g.indices
    constants = (10**9, 10**12, 10**6 + 1, 2**53, 10**15, 10**7)
    big = g.binary("+", constant(g.pick(*constants)), small)
    forms = (
        lambda: choice(g.boolean(1), big, g.number(0)),
        lambda: small,
        lambda: g.binary("+", big, g.number(1)),
        lambda: g.binary("*", constant(g.pick(10**5, 10**8, 31)), g.number(1)),
        lambda: power(g, g.pick(2, 7, 31, 1000)),
        lambda: hashed(g, g.pick(31, 10, 1000, 257)),
        lambda: sorted_by(g, small, small),
        lambda: width(select(big, g.pick(big, small), g.pick(*TESTS))),
        lambda: elementwise(
            "indicator({0} == {1})", NUMBER, lambda a, b: int(a == b), big, g.number(1)
        ),
        lambda: aggregate(g.selector(1), big, g.pick(None, 1, -1)),
    )
    return g.pick(*forms)()


def far_scales(g: Grammar) -> Expression:
    """Numbers of scales far apart in one s-op."""
    number = g.tokens if g.tokens.kind == NUMBER else g.number(1)
    tiny = g.binary("*", g.pick(g.indices, number), constant(g.pick(0.001, 0.00001, 1e-9)))
    cubed = g.binary("^", aggregate(g.selector(0), number), constant(g.pick(2, 3)))
    steep = g.binary("^", constant(2), g.binary("*", g.indices, constant(g.pick(3, 5))))
    forms = (
        lambda: choice(g.boolean(1), constant(g.pick(1000000, 10**9, 1234567.5)), tiny),
        lambda: choice(g.boolean(1), steep, g.number(0)),
        lambda: g.binary("/", number, g.binary("+", g.indices, constant(1))),
        lambda: cubed,
        lambda: g.binary("+", g.binary("*", constant(10**6), g.indices), g.indicated(1)),
        lambda: g.binary("+", tiny, g.number(1)),
        lambda: aggregate(g.selector(1), g.binary("+", tiny, steep)),
    )
    return g.pick(*forms)()


def kinds_of_numbers(g: Grammar) -> Expression:
    """1 and 1.0, 0.0 and -0.0, where text or an index tells them apart."""
    number = g.pick(g.indices, g.number(1))
    float_ = g.binary("*", number, constant(1.0))
    zero = g.binary("*", constant(0.0), g.binary("-", number, constant(1)))
    mixed = choice(g.boolean(1), number, float_)
    either = choice(g.boolean(1), constant(2), constant(g.pick(2.0, 1.0, 0)))
    forms = (
        lambda: texted(mixed),
        lambda: texted(zero),
        lambda: texted(shifted(g, mixed, 1, g.pick(0, 0.0))),
        lambda: g.listed([5, 6, 7], either),
        lambda: mixed,
        lambda: width(select(mixed, g.pick(mixed, number), "==")),
        lambda: texted(g.number(2)),
        lambda: g.listed({0: 5, 1: 6, 2: 7}, g.binary("%", mixed, constant(3))),
    )
    return g.pick(*forms)()


def positions_in_lists(g: Grammar) -> Expression:
    """Lists and dicts at computed positions, which some leave."""
    values = [g.pick(0, 1, 5, -2, 10) for _ in range(g.pick(1, 2, 3, 4, 6))]
    n = len(values)
    position = g.pick(g.indices, g.number(1), g.binary("%", g.number(1), constant(n)))
    rounded = elementwise("round({0})", NUMBER, round, position)
    inside = elementwise(f"({{0}} < {n})", BOOL, lambda i: i < n, rounded)
    held = g.listed(values, rounded)
    squares = [i * i for i in range(n)]
    comprehension = elementwise(
        f"[i * i for i in range({n})][{{0}}]", NUMBER, indexed(squares), rounded
    )
    table = {v: g.pick("x", "y", "z") for v in g.vocab}
    forms = (
        lambda: held,
        lambda: choice(inside, held, constant(-1)),
        lambda: comprehension,
        lambda: choice(inside, comprehension, g.number(0)),
        lambda: g.listed(table, g.tokens),
        lambda: g.listed(["a", "b", "c"], g.binary("%", g.indices, constant(3))),
        lambda: elementwise(
            f"indicator({{0}} in {source(values)})", NUMBER, lambda x: int(x in values), g.number(1)
        ),
    )
    return g.pick(*forms)()


def guards(g: Grammar) -> Expression:
    """Branches that fail where they are not taken, and some where they are."""
    t = g.number(1)
    one, zero = constant(1), constant(0)
    test = g.pick(">", "!=", ">=", ">")
    positive = elementwise(f"({{0}} {test} 0)", BOOL, lambda x: TESTS[test](x, 0), t)
    root = g.binary("^", t, constant(0.5))
    forms = (
        lambda: choice(positive, g.binary("/", g.pick(one, g.number(1)), t), zero),
        lambda: choice(positive, g.binary("%", g.number(1), t), g.number(0)),
        lambda: choice(positive, g.binary("//", g.number(0), t), one),
        lambda: choice(positive, root, zero),
        lambda: choice(positive, g.binary("^", t, constant(-1)), zero),
        lambda: elementwise(
            "indicator({0})", NUMBER, int, connected("and", positive, _exceeds(g, t))
        ),
        lambda: g.binary("+", choice(positive, g.binary("/", one, t), zero), g.number(1)),
        lambda: aggregate(g.selector(1), choice(positive, g.binary("/", one, t), one)),
        lambda: shifted(g, choice(positive, g.binary("/", one, t), zero), 1, 0),
    )
    return g.pick(*forms)()


def _exceeds(g: Grammar, t: Expression) -> Expression:
    return elementwise("(1 / {0} < 1)", BOOL, lambda x: 1 / x < 1, t)


def hidden_defaults(g: Grammar) -> Expression:
    """Defaults that a condition hides, rotations, exchanged neighbours."""
    kind = g.tokens.kind if g.tokens.kind != BOOL else NUMBER
    values = g.tokens if g.tokens.kind == kind and g.rng.random() < 0.7 else g.of(kind, 1)
    default = g.pick("x", "", "a") if kind == TEXT else g.pick(0, 1, -1, 9)
    n = g.pick(1, 1, 2)
    guard = elementwise(f"(indices >= {n})", BOOL, lambda i: i >= n, g.indices)
    forms = (
        lambda: choice(guard, shifted(g, values, n, default), values),
        lambda: rotated(g, values, n, default),
        lambda: neighbours(g, values, default),
        lambda: choice(guard, shifted(g, values, n, default), g.of(kind, 1)),
        lambda: smaller(g, shifted(g, g.number(1), 2, 1), g.indices),
        lambda: aggregate(
            g.one_key(), choice(guard, shifted(g, values, 1, default), values), default
        ),
    )
    return g.pick(*forms)()


def means_of_means(g: Grammar) -> Expression:
    """Means of what is a mean, and their sums and comparisons."""
    first = g.name(aggregate(g.selector(1), g.number(1)))
    second = aggregate(g.selector(0), first, g.pick(None, 1))
    forms = (
        lambda: second,
        lambda: g.binary("-", second, first),
        lambda: width(select(first, g.pick(first, g.number(0)), g.pick(*TESTS))),
        lambda: elementwise("indicator({0} > {1})", NUMBER, lambda a, b: int(a > b), second, first),
        lambda: aggregate(g.selector(0), g.name(second)),
        lambda: elementwise(
            "round({0})", NUMBER, round, g.binary("*", second, constant(g.pick(2, 3)))
        ),
    )
    return g.pick(*forms)()


def sums(g: Grammar) -> Expression:
    """Sums over keys as a width times a mean, and the value of a row of digits."""
    everywhere = select(constant(1), constant(1), "==")
    digit = g.tokens if g.tokens.kind == NUMBER else g.indicated(1)
    places = g.binary("-", g.binary("-", g.length, constant(1)), g.indices)
    worth = g.binary("*", digit, g.binary("^", constant(g.pick(2, 10, 3)), places))
    total = g.binary("*", g.length, aggregate(everywhere, worth))
    chosen = g.selector(1)
    part = g.binary("*", width(chosen), aggregate(chosen, g.number(1)))
    forms = (
        lambda: elementwise("round({0})", NUMBER, round, total),
        lambda: elementwise("round({0})", NUMBER, round, part),
        lambda: part,
        lambda: g.binary("%", elementwise("round({0})", NUMBER, round, part), constant(3)),
        lambda: g.binary("*", g.length, aggregate(everywhere, g.number(1))),
        lambda: elementwise(
            "indicator({0} > {1})", NUMBER, lambda a, b: int(a > b), part, g.number(0)
        ),
    )
    return g.pick(*forms)()


def constant_selectors(g: Grammar) -> Expression:
    """Selectors that never or always select, in every combination."""
    t = g.pick(g.tokens if g.tokens.kind != BOOL else g.indices, g.number(0))
    never = (
        combined("and", select(t, t, g.pick("<=", "==")), select(t, t, g.pick(">", "<", "!="))),
        select(g.indices, constant(g.pick(9, 50, -3)), "=="),
        combined("not", select(g.indices, g.indices, ">="))
        if g.rng.random() < 0.3
        else select(g.length, g.indices, "<="),
    )
    always = (
        combined("or", select(t, t, "<="), select(t, t, ">")),
        select(constant(1), constant(1), "=="),
    )
    chosen: Expression = g.pick(*never, *always)
    for _ in range(g.pick(0, 1, 2)):
        other = g.pick(*never, *always, g.selector(0))
        chosen = combined(g.pick("and", "or"), *g.rng.sample([chosen, other], 2))
    if g.rng.random() < 0.25:
        chosen = combined("not", chosen)
    focus = elementwise("indicator({0} > 0)", NUMBER, lambda n: int(n > 0), width(chosen))
    forms = (
        lambda: width(chosen),
        lambda: aggregate(chosen, g.number(1), g.pick(0, 1, -1, 7)),
        lambda: focus,
        lambda: aggregate(chosen, constant(g.pick(2, 5)), g.pick(2, 0)),
    )
    return g.pick(*forms)()


def several_outputs(g: Grammar) -> list[Expression]:
    """Two to four outputs, some of which are one node or one value."""
    first = g.name(g.pick(g.number(2), g.boolean(2)))
    drawn = [first]
    for _ in range(g.pick(1, 2, 3)):
        drawn.append(g.pick(first, g.number(1), g.boolean(1), g.pick(*drawn), far_scales(g)))
    if g.tokens.kind == TEXT:
        drawn.append(g.word(1))
    g.rng.shuffle(drawn)
    return drawn[:4]


def chains(g: Grammar) -> Expression:
    """Rounds of one elementwise function on a few leaves."""
    a, b = g.name(g.number(1)), g.name(g.number(1))
    step = g.pick("gcd", "swap", "square")
    for _ in range(g.pick(2, 3, 4)):
        if step == "gcd":
            test = elementwise("({0} > 0)", BOOL, lambda x: x > 0, b)
            a, b = (
                g.name(choice(test, b, a)),
                g.name(choice(test, g.binary("%", a, b), constant(0))),
            )
        elif step == "swap":
            test = elementwise("({0} > {1})", BOOL, lambda x, y: x > y, a, b)
            a, b = g.name(choice(test, b, a)), g.name(g.binary("-", a, constant(1)))
        else:
            a = g.name(g.binary("%", g.binary("+", g.binary("*", a, a), b), constant(g.pick(5, 7))))
    return g.binary(g.pick("+", "-"), a, b)


def library(g: Grammar) -> Expression:
    """Functions of the library on numbers."""
    a, b, sel = g.number(1), g.number(0), g.selector(1)
    total = elementwise("", NUMBER, round, g.binary("*", aggregate(sel, a), width(sel)))
    where_args = g.boolean(1), g.number(1), g.number(0)
    forms = (
        lambda: called(f"abs({a.text})", elementwise("", NUMBER, lambda x: x if x >= 0 else -x, a)),
        lambda: called(f"sign({a.text})", elementwise("", NUMBER, lambda x: (x > 0) - (x < 0), a)),
        lambda: called(f"floor({a.text})", elementwise("", NUMBER, lambda x: round(x // 1), a)),
        lambda: called(f"ceil({a.text})", elementwise("", NUMBER, lambda x: -round(-x // 1), a)),
        lambda: called(f"where({', '.join(x.text for x in where_args)})", choice(*where_args)),
        lambda: called(f"sum({sel.text}, {a.text})", total),
        lambda: extreme(g, "largest", sel),
        lambda: extreme(g, "smallest", sel),
        lambda: smaller(g, a, b),
        lambda: called(
            f"max({a.text}, {b.text})",
            elementwise("", NUMBER, lambda x, y: x if x > y else y, a, b),
        ),
        lambda: sorted_by(
            g, g.tokens, g.pick(a, g.indices, g.tokens if g.tokens.kind != BOOL else b)
        ),
        lambda: g.binary("//", a, constant(g.pick(2, 3, -2, 0.5))),
    )
    return g.pick(*forms)()


def general(g: Grammar) -> Expression:
    """Anything that the general grammar gives."""
    if g.tokens.kind == TEXT and g.rng.random() < 0.4:
        return g.word(2)
    return g.pick(g.number, g.number, g.boolean)(3)


def orders(g: Grammar) -> Expression:
    """Sorting, ranks, counts and reversal of what was computed."""
    key = g.tokens if g.tokens.kind != BOOL and g.rng.random() < 0.5 else g.number(1)
    values = g.pick(g.tokens, key, g.number(1))
    flip = select(g.indices, g.binary("-", g.binary("-", g.length, constant(1)), g.indices), "==")
    default = {TEXT: "", BOOL: False}.get(values.kind, 0)
    same = combined("and", select(key, key, "=="), select(g.indices, g.indices, g.pick("<", "<=")))
    forms = (
        lambda: sorted_by(g, values, key),
        lambda: aggregate(flip, values, default),
        lambda: width(select(key, key, g.pick(*TESTS))),
        lambda: width(same),
        lambda: aggregate(flip, g.name(sorted_by(g, key, key)), "" if key.kind == TEXT else 0),
    )
    return g.pick(*forms)()


Rule = Callable[[Grammar], Expression | list[Expression]]

KINDS: dict[str, tuple[Rule, tuple[str, ...]]] = {
    "large integers": (large_integers, ("small", "large", "large", "letters")),
    "far scales": (far_scales, ("letters", "small", "far", "far")),
    "kinds of numbers": (kinds_of_numbers, ("letters", "small", "floats")),
    "positions in lists": (positions_in_lists, ("letters", "small")),
    "guards": (guards, ("small", "small", "floats", "letters")),
    "hidden defaults": (hidden_defaults, ("letters", "small", "letters")),
    "means of means": (means_of_means, ("small", "large", "floats")),
    "sums": (sums, ("digits", "small", "letters", "floats")),
    "constant selectors": (constant_selectors, ("letters", "small", "Booleans")),
    "several outputs": (several_outputs, ("letters", "small", "Booleans", "large")),
    "chains": (chains, ("small", "letters")),
    "library": (library, ("small", "floats", "letters", "Booleans")),
    "orders": (orders, ("letters", "small", "large", "far")),
    "general": (general, ("letters", "small", "floats", "Booleans", "far")),
}
"""Kind -> what draws its outputs, and the kinds of vocabularies that it takes."""


def drawn(seed: int, kind: str | None = None) -> Drawn:
    """The program of a seed, around `kind`, or around the seed's own one."""
    kind = kind or list(KINDS)[seed % len(KINDS)]
    rng = random.Random(f"{seed} {kind}")
    rule, vocabs = KINDS[kind]
    grammar = grammar_of(rng, rng.choice(vocabs))
    for _ in range(rng.choice((0, 0, 1, 2))):
        grammar.name(rng.choice((grammar.number, grammar.boolean, grammar.selector))(1))
    result = rule(grammar)
    outputs = result if isinstance(result, list) else [_wrapped(grammar, result)]
    # `sort` gives 0 where a causal mask hides the key, which does not go with text
    causal = rng.random() < 0.12 and "sort(" not in "".join(
        [*grammar.lines, *(o.text for o in outputs)]
    )
    return make_drawn(seed, kind, grammar, outputs, causal)


def _wrapped(g: Grammar, value: Expression) -> Expression:
    """The value itself, or something that reads it."""
    if g.rng.random() < 0.65:
        return value
    value = g.name(value)
    if value.kind != NUMBER:
        return choice(g.boolean(1), value, g.of(value.kind, 0))
    forms = (
        lambda: g.binary(g.pick("+", "-", "*"), value, g.number(1)),
        lambda: choice(g.boolean(1), value, g.number(0)),
        lambda: aggregate(g.selector(1), value),
        lambda: width(select(value, g.pick(value, g.number(0)), g.pick(*TESTS))),
        lambda: texted(value),
        lambda: elementwise("({0} > {1})", BOOL, lambda a, b: a > b, value, g.number(0)),
    )
    return g.pick(*forms)()
