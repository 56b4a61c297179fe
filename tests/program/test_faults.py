"""Guards protect: a fault that no output reads is no error, in every interpreter and compiled."""

from __future__ import annotations

import pytest

from rasplab.base.errors import CompileError, RaspError
from rasplab.compiler.pipeline import compile_program
from rasplab.lang.loading import parse
from rasplab.lang.session import Session
from rasplab.model.verify import verify
from rasplab.program.batch.many import evaluate_many
from rasplab.program.domain import make_domain
from rasplab.program.interpret.exact import evaluate

GUARDED = [
    ("t = tokens_int; r = 1 / t if t > 0 else 0;", [0, 1, 2], [0, 1.0, 0.5]),
    ("a = tokens_int; b = indices; r = a % b if b > 0 else a;", [3, 1, 2], [3, 0, 0]),
    ("t = tokens_int; r = t ^ 0.5 if t >= 0 else -1;", [4, -1, 9], [2.0, -1, 3.0]),
    ("t = tokens_int; r = t > 0 and 1 / t > 0.6;", [0, 1, 2], [False, True, False]),
    ("t = tokens_int; r = t == 0 or 1 / t > 0.6;", [0, 1, 2], [True, True, False]),
    ('r = tokens_int if tokens != "x" else 0;', "1x2", [1, 0, 2]),
    ('r = {"a": 1}[tokens] if tokens == "a" else 0;', "aba", [1, 0, 1]),
    ("r = [5, 6][indices] if indices < 2 else 9;", "abc", [5, 6, 9]),
    ("r = indices if length > 0 else 1 / (indices - indices);", "ab", [0, 1]),
    ("r = aggregate(select(indices, 0, >), 1 / indices);", "abc", [0.75] * 3),
    ("r = aggregate(full_s, 1 / indices) if length > 9 else 0;", "ab", [0, 0]),
    (
        "r = selector_width(select(indices, 0, >) and select(1 / indices, 0.5, ==));",
        "abc",
        [1, 1, 1],
    ),
    ('r = aggregate(full_s, tokens) if length == 1 else "-";', "ab", ["-", "-"]),
    (
        "before = select(indices, indices, <);"
        'r = aggregate(before, tokens == "a", False) if indices == 1 else True;',
        "abc",
        [True, True, True],
    ),
    (
        'before = aggregate(select(indices, indices - 1, ==), tokens, "^");'
        "same = select(before, tokens, ==) and select(indices, indices, <=);"
        'r = aggregate(same, tokens, "?") if selector_width(same) == 1 else "?";',
        "abcab",
        ["?", "?", "?", "b", "c"],
    ),
    (
        "def safe(a, b) { q = a / b; return q if b != 0 else 0; } r = safe(1, indices);",
        "ab",
        [0, 1],
    ),
]


@pytest.mark.parametrize(("text", "tokens", "values"), GUARDED)
def test_guards_protect(text, tokens, values):
    """The exact and the batched interpreter and a session give the value of the branch taken."""
    program = parse(text)
    assert evaluate(program, tokens).output == values
    assert evaluate_many(program, [tokens, tokens]) == [values, values]
    Session(tokens if isinstance(tokens, str) else list(tokens)).run(text)


@pytest.mark.parametrize(("text", "tokens", "values"), GUARDED)
def test_guarded_programs_compile(text, tokens, values):
    """On every input of the domain the model gives what the interpreter gives."""
    program, domain = parse(text), make_domain(dict.fromkeys(tokens), len(tokens))
    model = compile_program(program, domain).to_model("cpu")
    for ids in domain.inputs():
        assert model.run(list(ids)) == pytest.approx(evaluate(program, list(ids)).output)


@pytest.mark.parametrize("basis", ["compact", "one_hot"])
@pytest.mark.parametrize("causal", [False, True])
def test_guarded_means_of_strings_compile(basis, causal):
    """Where several strings are selected and nothing reads the mean, a head takes the last one."""
    program = parse(
        'a = select(tokens, "a", ==); v = aggregate(a, tokens + "%s" % indices, "none");'
        'r = v if selector_width(a) <= 1 else "several";'
    )
    compiled = compile_program(program, make_domain("abc", 5, causal), basis)
    report = verify(compiled.to_model("cpu"))
    assert report.exhaustive and report.mismatches == 0
    labels = [head.label for _, _, head in compiled.layout.heads]
    assert any(label.startswith("last of ") for label in labels)


@pytest.mark.parametrize(
    ("text", "tokens", "reason"),
    [
        ("x = 1 / indices; r = shift(x, 1, 0);", "abc", "1 / 0 at position 0"),
        ("r = 1 / indices if indices < 2 else 0;", "abc", "1 / 0 at position 0"),
        ("r = 1 / indices > 0 and indices > 0;", "ab", "1 / 0 at position 0"),
        ("x = 1 / indices; r = selector_width(select(x, 1, ==));", "ab", "1 / 0 at position 0"),
        ("r = 0 if 1 / indices > 0 else 1;", "ab", "1 / 0 at position 0"),
        ("r = aggregate(select(indices, 1 / indices, ==), indices);", "ab", "1 / 0 at position 0"),
        ("r = tokens if indices > 0 else 0;", "ab", "the branches of a choice mix strings and num"),
    ],
)
def test_what_an_output_reads_is_refused(text, tokens, reason):
    """The error is that of the first fault that reaches the output, with its place and position."""
    program = parse(text)
    with pytest.raises(RaspError, match=reason) as fault:
        evaluate(program, tokens)
    assert fault.value.span is not None
    with pytest.raises(RaspError, match=reason):
        evaluate_many(program, [tokens, tokens])
    with pytest.raises(RaspError, match=reason):
        Session(tokens, kinds=True).run(text)
    with pytest.raises(CompileError, match=reason):
        compile_program(program, make_domain(dict.fromkeys(tokens), len(tokens)))


@pytest.mark.parametrize(
    ("text", "vocab", "reason"),
    [
        ("x = 10 ^ 400 * indices;", "ab", "numbers on an input that no float holds"),
        (
            "x = 10.0 ^ 300 * 10 ^ (20 * tokens_int); r = x > 1;",
            [0, 1],
            "numbers on an input that no float holds",
        ),
    ],
)
def test_parts_that_no_model_computes_are_refused(text, vocab, reason):
    """An infinite number is legal where nothing reads it, but not in weights."""
    with pytest.raises(CompileError, match=reason):
        compile_program(parse(text), make_domain(vocab, 2))


def test_a_session_keeps_its_names_where_a_statement_fails():
    """A statement whose s-op fails on the example assigns nothing, and `out` stays."""
    session = Session("ab", kinds=True)
    session.run("x = indices; x;")
    with pytest.raises(RaspError, match="division by zero"):
        session.run("x = 1 / indices;")
    assert session.program("x").digest == session.program("out").digest == parse("indices;").digest
