"""Fuzzing of the language: `python tests/support/fuzz.py COUNT SEED` (make fuzz).

Texts are drawn from the grammar itself, composed of parts that mostly fit together, or mutated from
the zoo and the golden faults. Each is parsed, evaluated on several inputs, written as text again,
and typed into the REPL. Whatever is no RaspError, takes more than SECONDS, or makes a text that
does not come back, is a failure.
"""

from __future__ import annotations

import io
import random
import re
import resource
import signal
import sys
import time
from collections import Counter
from functools import cache
from pathlib import Path

from lark import Lark

from rasplab.apps.repl.loop import main as repl
from rasplab.base.errors import RaspError
from rasplab.base.limits import limit
from rasplab.lang.loading import parse
from rasplab.program.interpret.exact import evaluate
from rasplab.program.zoo import shipped

HERE = Path(__file__).parents[1]
WORD = re.compile(r'"[^"\n]*"|\w+|\s+|\S')
SECONDS = 10
DEPTH = 12
"""How deep a drawn derivation goes before it takes the shortest way out."""

SMALL = {
    "tokens": 200,
    "cells": 100_000,
    "steps": 20_000,
    "nodes": 5_000,
    "calls": 300,
    "range": 5_000,
    "length": 50_000,
    "bits": 2_000,
}
"""Limits under which a program takes milliseconds; the default ones have tests of their own."""

INPUTS = ("hello", "1203", ["ab", "é", "漢", ""], [0, 1.5, True, -2], [float("nan"), float("inf")])

NAMES = re.findall(
    r"\w+",
    "a b c f g x y n tokens indices length full_s tokens_int tokens_float tokens_bool True False "
    "out selector_width has_focus count contains max min average shift sort load_from_location "
    "mark_last_instance select_from_first select_next_identical constant chr",
)
WORDS = {
    "OP": ["==", "!=", "<", "<=", ">", ">="],
    "INT": ["0", "1", "2", "3", "7", "64", "10000000", "99999999999999999999"],
    "FLOAT": ["0.5", "1.0", "2.25", "0.0", "1" + "0" * 308 + ".0"],
    "STRING": ['"a"', '"l"', '""', '"hello"', '"é漢"', '"%d"', '"%99999d"', '"1"'],
    "NAME": NAMES,
    "S_OP": ["s-op"],
    "FULL_DISPLAY": ["full seq display"],
    "EXIT": ["quit"],
}


@cache
def rules() -> dict[str, list[list[tuple[str, bool]]]]:
    """Nonterminal -> its expansions, as (symbol, is terminal) lists."""
    grammar = (shipped("grammars") / "rasp.lark").read_text(encoding="utf-8")
    built = Lark(grammar, parser="lalr", lexer="basic")
    expansions: dict[str, list] = {}
    for rule in built.rules:
        symbols = [(symbol.name, symbol.is_term) for symbol in rule.expansion]
        expansions.setdefault(rule.origin.name, []).append(symbols)
    for terminal in built.terminals:
        if terminal.pattern.type == "str":
            WORDS[terminal.name] = [terminal.pattern.value]
    WORDS.update({name: [name.lower()] for name in ["SELECT", "AGGREGATE", "RANGE", "ZIP", "LEN"]})
    return expansions


@cache
def heights() -> dict[str, int]:
    """Nonterminal -> the height of its smallest derivation."""
    height: dict[str, int] = {}
    while len(height) < len(rules()):
        for name, expansions in rules().items():
            ready = [e for e in expansions if all(t or s in height for s, t in e)]
            if name not in height and ready:
                height[name] = 1 + min(max([0, *(height[s] for s, t in e if not t)]) for e in ready)
    return height


def drawn(rng: random.Random) -> str:
    """A text of the grammar: a few statements."""
    words: list[str] = []
    for _ in range(rng.randint(1, 6)):
        stack: list[tuple[str, bool, int]] = [("item", False, 0)]
        while stack:
            symbol, is_terminal, depth = stack.pop()
            if is_terminal:
                words.append(rng.choice(WORDS[symbol]))
            else:
                stack += [(s, t, depth + 1) for s, t in reversed(_expansion(rng, symbol, depth))]
        words.append("\n")
    return " ".join(words)


def _expansion(rng: random.Random, symbol: str, depth: int) -> list[tuple[str, bool]]:
    expansions = rules()[symbol]
    if depth < rng.randint(3, DEPTH):
        return rng.choice(expansions)
    return min(expansions, key=lambda e: max([0, *(heights()[s] for s, t in e if not t)]))


FORMS = {
    "sop": (
        "tokens",
        "indices",
        "length",
        "tokens_asis",
        "tokens_bool",
        "{sop} {math} {sop}",
        "{sop} {math} {atom}",
        "({bool} {logic} {bool})",
        "-{sop}",
        "round({sop})",
        "{bool}",
        "({sop} if {bool} else {sop})",
        "aggregate({sel}, {sop})",
        "selector_width({sel})",
        "aggregate({sel}, {sop}, {atom})",
        "indicator({bool})",
        "shift({sop}, {atom}, {atom})",
        "sort({sop}, {sop})",
        "{list}[{sop}]",
        "{dict}[{sop}]",
        "{sop}[{atom}]",
        "f({sop}, {atom})",
        "max({sop}, {atom})",
        "count({sop}, {atom})",
        "load_from_location({sop}, {sop})",
        "s{n}",
    ),
    "bool": (
        "{sop} {test} {sop}",
        "{sop} {test} {atom}",
        "not {bool}",
        "has_focus({sel})",
        "({sop} in {list})",
        "({atom} in {sop})",
        "contains({sop}, {atom})",
        "True",
    ),
    "sel": (
        "select({sop}, {sop}, {test})",
        "select({sop}, {atom}, {test})",
        "({sel} {logic} {sel})",
        "not {sel}",
        "select_next_identical({sop})",
        "select_from_last({sop}, {atom})",
        "full_s",
        "select(indices, indices - {n}, {test})",
        "t{n}",
    ),
    "atom": ("0", "1", "2", "-1", "0.5", '"a"', '"l"', "True", "{n}", "len({list})", '"12"'),
    "list": ("[{atom}, {atom}]", "range({n})", '["h", "l"]', "[i for i in {list}]", "[]"),
    "dict": ('{{"h": {atom}, "l": {atom}}}', "{{c: {atom} for c in {list}}}", "{{1: 2}}"),
    "math": ("+", "-", "*", "/", "//", "%", "^"),
    "test": ("==", "!=", "<", "<=", ">", ">="),
    "logic": ("and", "or"),
    "n": ("0", "1", "2", "3"),
}
"""Kinds of parts and how each may be written, from parts of other kinds."""


def composed(rng: random.Random) -> str:
    """A text whose parts mostly fit together: s-ops s0 to s3, selectors t0 to t3, a function f."""
    lines = ["def f(a, b) {", f"c = {part(rng, 'sop', 3)};", "return c + a;", "}"]
    lines += [f"s{i} = tokens_asis; t{i} = full_s;" for i in range(4)]
    for _ in range(rng.randint(1, 8)):
        kind, name = rng.choice((("sop", "s"), ("sop", "s"), ("sel", "t")))
        lines.append(f"{name}{rng.randrange(4)} = {part(rng, kind, rng.randint(1, 5))};")
    return "\n".join(lines)


def part(rng: random.Random, kind: str, depth: int) -> str:
    """A part of a kind; one that has no parts itself when `depth` is 0."""
    forms = FORMS[kind]
    if depth <= 0:
        forms = min(forms, key=lambda form: form.count("{")), rng.choice(forms[:3])
        forms = [f for f in forms if "{" not in f] or forms[:1]
    form = rng.choice(forms)
    text = re.sub(r"(?<!\{)\{(\w+)\}", lambda m: part(rng, m[1], depth - 1), form)
    return text.replace("{{", "{").replace("}}", "}")


@cache
def corpus() -> tuple[str, ...]:
    """The zoo's texts, the library, and those of the golden faults."""
    zoo = sorted((HERE.parent / "circuits").glob("*.rasp"))
    texts = [
        path.read_text(encoding="utf-8") for path in (*zoo, shipped("grammars") / "prelude.rasp")
    ]
    blocks = (HERE / "golden" / "faults.txt").read_text(encoding="utf-8").split("=" * 40 + "\n")
    return (*texts, *(block.partition("\n" + "-" * 40)[0] for block in blocks[1:]))


def mutated(rng: random.Random) -> str:
    """A text with a few of its words replaced, dropped, or taken from another text."""
    words = WORD.findall(rng.choice(corpus()))
    for _ in range(rng.randint(1, 4)):
        other = WORD.findall(rng.choice(corpus()))
        at, start = rng.randrange(len(words) + 1), rng.randrange(len(other))
        words[at : at + rng.randint(0, 2)] = other[start : start + rng.randint(0, 4)]
    return "".join(words)


def text_of(seed: int) -> str:
    """The text of a seed: drawn, composed or mutated; some are garbled by a character."""
    rng = random.Random(seed)
    text = (drawn, composed, mutated)[seed % 3](rng)
    if rng.random() < 0.05:
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice("\"'\\;(){}[]=.!\0é\r\t9") + text[at + rng.randint(0, 3) :]
    return text


def tried(text: str) -> str:
    """What became of a text: "ran", or the kind of its fault. Raises whatever else leaves it."""
    outcome = "ran"
    try:
        program = parse(text)
        assert parse(program.unparse()).digest == program.digest, "not the same program again"
        for tokens in INPUTS:
            try:
                evaluate(program, tokens)
            except RaspError as error:
                outcome = str(error) and f"{type(error).__name__} when run"
    except RaspError as error:
        outcome = str(error) and type(error).__name__
    assert repl(io.StringIO(text), io.StringIO()) == 0
    return outcome


class TooSlow(BaseException):
    """Not an Exception, so that nothing on its way takes it for a fault of the program."""


def _too_slow(*_) -> None:
    raise TooSlow(f"more than {SECONDS} s")


def run(seeds: range) -> tuple[Counter, list[str]]:
    """How many texts of these seeds ended how; and what failed."""
    outcomes, failures = Counter(), []
    signal.signal(signal.SIGALRM, _too_slow)
    with limit(**SMALL):
        for seed in seeds:
            text = text_of(seed)
            signal.alarm(SECONDS)
            try:
                outcomes[tried(text)] += 1
            except (Exception, TooSlow) as error:  # the very thing that is looked for
                failures.append(f"seed {seed}: {type(error).__name__}: {error}\n{text}")
            finally:
                signal.alarm(0)
    return outcomes, failures


def main(count: int, first: int) -> int:
    """Try `count` texts; the exit code is 1 if any failed."""
    start, failed, outcomes = time.perf_counter(), 0, Counter()
    for at in range(first, first + count, 1000):
        counted, failures = run(range(at, min(at + 1000, first + count)))
        outcomes += counted
        failed += len(failures)
        print("\n\n".join(failures), end="\n" if failures else "")
        seconds = time.perf_counter() - start
        print(f"{at - first + counted.total()} texts, {seconds:.0f} s", file=sys.stderr)
    for what, n in outcomes.most_common():
        print(f"{n:7}  {what}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count} texts, {failed} failed, {time.perf_counter() - start:.0f} s, {memory:.0f} MB")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
