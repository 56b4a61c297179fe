"""The generated programs reach every rule of the compiler, and a broken rule is noticed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import TypeCheckError
from support.compiled import mismatches
from support.generate import random_program

import rasplab
from rasplab.base.errors import CompileError
from rasplab.compiler import stage_checks
from rasplab.compiler.infer import means, normal_form, selector_bounds, value_sets
from rasplab.compiler.layout import place
from rasplab.compiler.lower import (
    heads,
    piecewise_linear,
    readout,
    residual,
    scores,
    sop_forms,
)
from rasplab.compiler.lower.residual import LinearForm
from rasplab.compiler.pipeline import compile_program
from rasplab.program.domain import Domain
from rasplab.program.zoo import entries

HOMES = {
    "columns": "infer.columns",
    "equality_codes": "lower.equality_codes",
    "heads": "lower.heads",
    "joints": "infer.joints",
    "joint_functions": "lower.joint_functions",
    "kinds": "infer.kinds",
    "leaf_tables": "infer.leaf_tables",
    "lower": "lower.lower",
    "means": "infer.means",
    "neurons": "lower.neurons",
    "normal_form": "infer.normal_form",
    "part_costs": "lower.part_costs",
    "piecewise_linear": "lower.piecewise_linear",
    "place": "layout.place",
    "ranges": "infer.ranges",
    "readout": "lower.readout",
    "residual": "lower.residual",
    "rounding": "infer.rounding",
    "running_count": "infer.running_count",
    "scores": "lower.scores",
    "selector_bounds": "infer.selector_bounds",
    "sop_forms": "lower.sop_forms",
    "steps": "infer.steps",
    "sums": "infer.sums",
    "total_order": "infer.total_order",
    "value_classes": "lower.value_classes",
    "value_sets": "infer.value_sets",
    "value_tables": "lower.value_tables",
    "values": "infer.values",
}
RULES = {name: import_module(f"rasplab.compiler.{home}") for name, home in HOMES.items()}
UNREACHED = {"_refuse_fault", "_refuse_joint", "_refuse_select", "_refuse_mixed_mean"}
"""Refusals, tested on their own."""

SEEDS = [4, 124, *range(160)]
"""Generated programs; the first two reach what no special one does."""


def defined(module) -> set[str]:
    """Qualified names of the functions that a module defines."""
    tree = compile(Path(module.__file__).read_text(encoding="utf-8"), module.__file__, "exec")
    names, waiting = set(), [tree]
    while waiting:
        for const in waiting.pop().co_consts:
            if hasattr(const, "co_qualname"):
                waiting.append(const)
                if "<" not in const.co_qualname and const.co_name not in ("__repr__", "__str__"):
                    names.add(const.co_qualname)
    return names


def special() -> list:
    """Ranks, values too many to list, a guard, and a joint table too large to keep whole."""
    means = """
        before = select(indices, indices, <=);
        mean = aggregate(before, tokens_int);
        mean_of_means = 2 * (aggregate(before, mean, 1) - mean) + 1;
    """
    wide = """
        pair = tokens == shift(tokens, 1, "");
        other = shift(tokens, 2, "") == shift(tokens, 3, "");
        wide = indicator(pair) + 2 * indicator(other);
    """
    order = """
        tie = select(tokens, tokens, ==) and select(indices, indices, <);
        rank = selector_width(select(tokens, tokens, <) or tie);
    """
    counts = """
        count = selector_width(select(tokens, tokens, ==));
        tie = select(count, count, ==) and select(indices, indices, <);
        rank = selector_width(select(count, count, <) or tie);
        rarest_first = aggregate(select(rank, indices, ==), tokens);
    """
    counted = """
        turn = selector_width(select(indices, indices, <=) and select(tokens, tokens, ==));
        r = aggregate(select(tokens, tokens, ==) and select(turn, turn - 1, ==), tokens, "-");
    """
    compared = """
        mean = aggregate(select(indices, indices, <=), tokens_int);
        rest = aggregate(select(indices, indices, >), tokens_int);
        beyond = 3 if mean > indices / length else 4;
        r = 1 if 0 == mean - rest else (2 if -mean < rest else beyond);
    """
    shown = compared.replace("mean > indices / length", '"%s" % (mean > 0.5) == "True"')
    step = "r = round(2 * aggregate(select(indices, indices, <=), tokens_int));"
    many = "r = selector_width(select(tokens, tokens, ==));"
    total = "r = round(length * aggregate(full_s, tokens_int * 10 ^ (length - 1 - indices)));"
    rounds = "b = min(tokens_int, shift(tokens_int, 1, 9)); r = max(b, shift(b, 1, 0));"
    return [
        (rasplab.parse(rounds), Domain(tuple(range(12)), 3)),
        (rasplab.parse(total), Domain(tuple(range(10)), 4)),
        (rasplab.parse("r = length * aggregate(full_s, tokens_int);"), Domain((0, 1), 3)),
        (rasplab.parse(order), Domain(tuple("abc"), 5)),
        (rasplab.parse(counts), Domain(("a", "b"), 56)),
        (rasplab.parse("r = tokens_int;"), Domain((10**12, 10**12 + 1), 2)),
        (rasplab.parse("r = 1 / tokens_int if tokens_int > 0 else 0;"), Domain((0, 1, 2), 2)),
        (rasplab.parse('r = "%s" % aggregate(full_s, tokens_int);'), Domain((0, 1), 3)),
        (rasplab.parse(means), Domain(tuple(range(-3, 9, 2)), 13)),
        (rasplab.parse(counted), Domain(tuple("abc"), 4, causal=True)),
        (rasplab.parse(compared), Domain((0, 1), 80)),
        (rasplab.parse(shown), Domain((0, 1), 80)),
        (rasplab.parse(step), Domain((0, 1), 80)),
        (rasplab.parse(many), Domain(tuple(range(700)), 2)),
        (rasplab.parse(wide), Domain(tuple("abcdefghijklmnopqrst"), 5)),
    ]


def is_class(module, name: str) -> bool:
    """Whether a qualified name is a class (its body is code too)."""
    part = module
    for piece in name.split("."):
        part = getattr(part, piece, None)
    return isinstance(part, type)


def rules() -> dict[str, set[str]]:
    """The functions that generated programs must reach, by the file that defines them."""
    return {
        module.__file__: {
            name
            for name in defined(module)
            if not is_class(module, name) and name.rpartition(".")[2] not in UNREACHED
        }
        for module in RULES.values()
    }


@pytest.mark.usefixtures("unchecked_annotations")
def test_generated_programs_reach_every_rule():
    """Every function of the compiler's rules runs while generated programs compile."""
    missed = rules()

    def note(frame, *_):
        if frame.f_code.co_filename in missed:
            missed[frame.f_code.co_filename].discard(frame.f_code.co_qualname)

    tracer = sys.gettrace()
    sys.settrace(note)  # called as a function starts; None as its result: not for its lines
    try:
        for program, domain in [*special(), *(random_program(s, size=12) for s in SEEDS)]:
            for basis in ("compact", "one_hot"):
                try:
                    compile_program(program, domain, basis)
                except CompileError:
                    continue
            if not any(missed.values()):
                break
    finally:
        sys.settrace(tracer)
    assert not any(missed.values()), missed


def wrapped(owner, name: str, change: Callable) -> Callable:
    """A mutation: `change` sees what the original returns, and its arguments."""

    def mutate(monkeypatch):
        original = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a, **k: change(original(*a, **k), *a))

    return mutate


def swap_table(table_scores, *_):
    """Selected and unselected keys exchanged."""
    gap = heads.SCORE_GAP["float32"]
    pairs = tuple((q, k.scaled(-1.0).plus(-gap)) for q, k in table_scores.pairs)
    return replace(table_scores, pairs=pairs)


MUTATIONS = {
    "BOS scored as a selected key": wrapped(
        heads.Attention, "_bos_query", lambda form, *_: form.plus(30.0)
    ),
    "BOS never attended": wrapped(
        heads.Attention, "_bos_query", lambda form, *_: form.plus(-200.0)
    ),
    "table scores turned": wrapped(scores.SelectorScores, "_table_scores", swap_table),
    "codes of an equality shifted": wrapped(
        scores, "equality_codes", lambda c, *_: c and (c[0] + 1, c[1])
    ),
    "the level of an equality forgotten": wrapped(
        scores.SelectorScores, "_equality_scores", lambda s, *_: replace(s, level=LinearForm())
    ),
    "overlaps of an or added": wrapped(
        heads.Attention, "_signed_terms", lambda terms, *_: [(1, c) for _, c in terms]
    ),
    "overlaps of an or left out": wrapped(
        heads.Attention, "_signed_terms", lambda terms, *_: [t for t in terms if t[0] > 0]
    ),
    "means taken for single values": wrapped(heads.Attention, "takes_no_mean", lambda *_: True),
    "values at BOS left as they are": wrapped(
        residual.ResidualStream, "at_bos", lambda _, stream, form, value: form
    ),
    "terms of a sum lost": wrapped(
        LinearForm, "combination", lambda form, *_: LinearForm(form.terms[:-1], form.const)
    ),
    "a constant of a sum lost": wrapped(
        sop_forms, "additive", lambda split, *_: split and replace(split, const=0.0)
    ),
    "multiples without their offset": wrapped(
        sop_forms, "affine_map", lambda fit, *_: fit and (fit[0], 0.0, fit[2])
    ),
    "the first neuron missing": wrapped(
        piecewise_linear,
        "_facing",
        lambda h, *_: replace(h, breaks=h.breaks[1:], weights=h.weights[1:]),
    ),
    "neurons facing the wrong way": wrapped(
        piecewise_linear, "_facing", lambda h, *_: replace(h, side=-h.side)
    ),
    "negation forgotten": wrapped(
        normal_form._Clauses,
        "_made",
        lambda clauses, *_: [tuple(replace(x, negated=False) for x in c) for c in clauses],
    ),
    "clauses lost": wrapped(normal_form, "_distinct", lambda clauses, *_: clauses[:1]),
    "every selector an order": wrapped(value_sets, "is_strict_order", lambda *_: True),
    "every selector of one key": wrapped(
        selector_bounds.Selectors, "_keys_distinct", lambda *_: True
    ),
    "every equality onto": wrapped(selector_bounds.Selectors, "_onto", lambda *_: True),
    "defaults not among the values": wrapped(
        means._Means, "_means", lambda values, m, *_: [v for v in values if v != m.node.default]
    ),
    "uniform taken for distinct": wrapped(value_sets.ValueSets, "_stays_distinct", lambda *_: True),
    "values lost": wrapped(
        value_sets.ValueSets,
        "_set_of",
        lambda s, *_: replace(s, values=s.values[:2], allowed=s.allowed[:, :2]),
    ),
    "layers in the wrong order": wrapped(
        place,
        "_numbered",
        lambda items, *_: [(max(layer - 1, 0), i + 50 * (layer > 0), x) for layer, i, x in items],
    ),
    "logits of the wrong sign": wrapped(
        readout, "_nearest_code", lambda logits, *_: [f.scaled(-1.0) for f in logits]
    ),
}


NOTICING = (63, 15, 4)
"""Generated programs that notice what the tasks do not; the others are tried where they fail."""


def noticed() -> bool:
    """Whether some program no longer compiles to what it means: tasks, then generated ones."""
    for name in (
        "reverse",
        "hist",
        "sort",
        "induction",
        "dyck1",
        "addition",
        "drop_a",
        "next_same",
    ):
        row = entries()[name]
        if wrong(rasplab.load(row.path), row.domain, 25):
            return True
    return any(wrong(*random_program(seed, size=12), 25) for seed in (*NOTICING, *range(400)))


def wrong(program, domain, count: int) -> bool:
    """A mismatch, or a breakdown: a refusal is none."""
    for basis in ("compact", "one_hot"):
        try:
            compiled = compile_program(program, domain, basis)
            if mismatches(compiled, domain.sample(count, 0)):
                return True
        except CompileError:
            continue
        except TypeCheckError:
            raise  # a false annotation, not a wrong answer
        except (AssertionError, KeyError, IndexError, ValueError, TypeError):
            return True
    return False


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_broken_rule_is_noticed(monkeypatch, name):
    """With one rule broken, a program of the zoo or a generated one goes wrong."""
    monkeypatch.setattr(stage_checks, "ENABLED", False)  # the model's answers alone must tell
    with np.errstate(all="ignore"):
        MUTATIONS[name](monkeypatch)
        assert noticed()


@pytest.mark.usefixtures("unchecked_annotations")
def test_without_a_mutation_nothing_is_noticed():
    """The same programs are right when nothing is broken (a part of them: all are elsewhere)."""
    for program, domain in [*(random_program(s, size=12) for s in range(30)), *special()]:
        assert not wrong(program, domain, 25)
