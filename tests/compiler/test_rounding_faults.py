"""Faults of rounding, one stage at a time: the certificate or the comparison notices each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from support.outcomes import Disagreement, check_compiled

import rasplab
from rasplab.base.errors import CompileError
from rasplab.compiler import stage_checks
from rasplab.compiler.layout import assemble
from rasplab.compiler.lower import heads, piecewise_linear, readout, residual
from rasplab.compiler.lower.readout import Certificate
from rasplab.compiler.lower.residual import LinearForm, ResidualStream
from rasplab.program.domain import make_domain
from rasplab.program.inputs import all_ids
from rasplab.program.semantics import Semantics

PROGRAMS = {
    "large tokens": ("r = tokens_int;", [10**12, 10**12 + 1, 0], 2),
    "a large constant": ("r = 10^9 + tokens_int if indices == 1 else 0;", [0, 1], 2),
    "a hash": (
        "h = tokens_int + 31 * shift(tokens_int, 1, 0); r = h * 31 + shift(tokens_int, 2, 1);",
        [0, 1, 2],
        4,
    ),
    "a mean": ("r = aggregate(select(indices, indices, <=), tokens_int);", [0, 1, 300, 70000], 5),
    "a width": ("r = selector_width(select(tokens_int, tokens_int, <=)) * 3;", [0, 1, 2], 5),
    "a table": ("r = (tokens_int * 7 + indices) % 5;", [0, 1, 2, 3], 4),
    "a large multiple": ("r = 10^9 * tokens_int + indices;", [0, 1], 3),
    "a width of an or": (
        "r = selector_width(select(tokens_int, 1, ==) or select(indices, 0, ==));",
        [0, 1, 2],
        4,
    ),
    "a moved sum": ("r = shift(1234567 * tokens_int + 7654321 * indices, 1, 0);", [0, 1], 3),
    "multiples": ("r = 123456 * tokens_int;", [0, 1, 2], 2),
    "a default beside its values": (
        "r = shift((tokens_int * 7 + indices) % 5 + 10, 1, 9);",
        [0, 1, 2],
        4,
    ),
    "far scales": ("r = 1000000 if tokens_int == 0 else indices * 0.001;", [0, 1], 4),
    "fractions": ("r = tokens_asis / (indices + 1) + 0.1;", [0.1, 0.30000001, 0.3], 3),
}


def compiled(name: str, basis: str):
    """The model of one of PROGRAMS."""
    text, vocab, max_len = PROGRAMS[name]
    return rasplab.compile(rasplab.parse(text), vocab, max_len, basis=basis)


def batches(name: str) -> list:
    """The batched interpreter on every input."""
    text, vocab, max_len = PROGRAMS[name]
    domain = make_domain(vocab, max_len)
    semantics = Semantics(rasplab.parse(text), domain)
    return [semantics.evaluate(ids) for ids in all_ids(domain)]


@pytest.fixture(scope="module")
def certificates() -> dict[tuple[str, str], Certificate]:
    """The certificates without a fault, of models that are exact."""
    known = {}
    for name in PROGRAMS:
        for basis in ("compact", "one_hot"):
            model = compiled(name, basis)
            check_compiled(model, batches(name))
            known[name, basis] = model.certificate
    return known


def noticed(certificates: dict[tuple[str, str], Certificate]) -> bool:
    """Whether a program is refused, certified for less, wrong, or beyond its certificate."""
    for (name, basis), certificate in certificates.items():
        try:
            model = compiled(name, basis)
            check_compiled(model, batches(name))
        except (CompileError, Disagreement):
            return True
        share = model.certificate.share
        if model.certificate.dtype == certificate.dtype and share > 1.01 * certificate.share:
            return True
        if (model.certificate.dtype, certificate.dtype) == ("float64", "float32"):
            return True
    return False


def changed(owner, name: str, change: Callable) -> Callable:
    """A fault: `change` gets what the original returns."""

    def inject(monkeypatch):
        original = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a, **k: change(original(*a, **k)))

    return inject


def given(owner, name: str, change: Callable) -> Callable:
    """A fault: `change` gets the arguments, and gives those that the original is called with."""

    def inject(monkeypatch):
        original = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a: original(*change(*a)))

    return inject


def without_small_terms(form: LinearForm) -> LinearForm:
    """The form without terms below 1e-7 of the largest."""
    largest = max((abs(c) for _, c in form.terms), default=0.0)
    return replace(form, terms=tuple(t for t in form.terms if abs(t[1]) >= 1e-7 * largest))


def in_float16(numbers) -> np.ndarray:
    """Numbers rounded to float16, and so to some three digits."""
    with np.errstate(over="ignore"):
        return np.asarray(numbers).astype(np.float16).astype(float)


def rounded_form(form: LinearForm) -> LinearForm:
    """A form with coefficients rounded to 4 digits."""
    return replace(form, terms=tuple((d, float(f"{c:.3e}")) for d, c in form.terms))


def integers_as_floats(monkeypatch) -> None:
    """The read-out's classes made as if every integer were a float."""
    monkeypatch.setattr(readout, "integer_rank", lambda value: 0)
    inject = given(readout, "_number_classes", lambda values: (tuple(map(float, values)),))
    inject(monkeypatch)


FAULTS = {
    "small terms dropped": changed(LinearForm, "combination", without_small_terms),
    "integers merged by the read-out": integers_as_floats,
    "codes rounded to float32": changed(
        readout,
        "_number_classes",
        lambda c: replace(c, codes=c.codes.astype(np.float32).astype(float)),
    ),
    "values merged that differ by a millionth": lambda patch: patch.setattr(
        readout, "SAME_NUMBER", 1e-6
    ),
    "slopes of neurons off": changed(
        piecewise_linear, "_facing", lambda fit: replace(fit, weights=fit.weights * (1 + 1e-3))
    ),
    "breaks of neurons off": changed(
        piecewise_linear, "_facing", lambda fit: replace(fit, breaks=fit.breaks + 1e-3)
    ),
    "bends taken for noise": lambda patch: patch.setattr(piecewise_linear, "FEW", 1e15),
    "the scale of a width off": changed(
        heads.Attention, "_width_itself", lambda w: replace(w, form=w.form.scaled(1 + 1e-3))
    ),
    "the share of a width off": changed(
        heads.Attention, "_width_from_share", lambda w: replace(w, form=w.form.scaled(1 + 1e-3))
    ),
    "embeddings in float16": given(
        ResidualStream,
        "embedded",
        lambda s, label, site, table: (s, label, site, in_float16(table)),
    ),
    "weights of forms in four digits": given(
        assemble, "_write_form", lambda m, b, k, form: (m, b, k, rounded_form(form))
    ),
    "biases in four digits": given(
        assemble,
        "_write_form",
        lambda m, b, k, form: (m, b, k, replace(form, const=float(f"{form.const:.3e}"))),
    ),
    "logits' forms in four digits": changed(
        readout, "_nearest_code", lambda forms: [rounded_form(f) for f in forms]
    ),
    "values at BOS taken for noise": lambda patch: patch.setattr(residual, "FEW", 1e15),
    "errors of directions forgotten": changed(ResidualStream, "error", lambda _: 0.0),
    "rounding of what is read forgotten": changed(
        readout, "_certificate", lambda c: replace(c, error=1e-3 * c.error)
    ),
    "scores too close": given(
        assemble,
        "_write_heads",
        lambda w, layout: (w, replace(layout, heads=[_weak(*h) for h in layout.heads])),
    ),
}


def _weak(layer: int, k: int, head: heads.Head) -> tuple[int, int, heads.Head]:
    """A head whose scores are a third of what they should be."""
    return layer, k, replace(head, pairs=[(q.scaled(1 / 3), key) for q, key in head.pairs])


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_rounding_is_noticed(monkeypatch, certificates, fault):
    """By a refusal, a larger bound, a wrong value, or an error beyond the bound."""
    monkeypatch.setattr(stage_checks, "ENABLED", False)
    with np.errstate(all="ignore"):
        FAULTS[fault](monkeypatch)
        assert noticed(certificates)


def test_without_a_fault_nothing_is_noticed(certificates):
    """The same programs and comparisons."""
    assert not noticed(certificates)
