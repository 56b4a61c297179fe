"""What is known before a program runs is so when it runs."""

from __future__ import annotations

import json
import random
import re

import pytest
from support.generate import random_program

import rasplab
from rasplab import dsl
from rasplab.apps.cli import parser as cli
from rasplab.lang.loading import load, parse
from rasplab.program import zoo
from rasplab.program.analysis.rasp_l import is_raspl
from rasplab.program.graph import Program
from rasplab.program.interpret.exact import evaluate

CIRCUITS = zoo.shipped("circuits")
QUICK = ("length", "reverse", "hist", "double_hist", "sort", "shift_1", "has_seen", "dyck1")


@pytest.mark.parametrize(
    ("file", "name", "heads"),
    [
        ("paper_examples", "hist_bos", (1,)),
        ("paper_examples", "hist_nobos", (1,)),
        ("paper_examples", "reverse", (1, 1)),
        ("paper_examples", "sort_bos", (1, 1)),
        ("paper_examples", "hist2_bos", (2, 1)),
        ("paper_examples", "dyck1_ptf", (2, 1)),
        ("double_hist", None, (2, 1)),
        ("induction", None, (2, 1, 1)),
    ],
)
def test_layers_and_heads(file, name, heads):
    """The bound: an aggregate a layer after what it reads, a head for each selector of a layer."""
    assert load(CIRCUITS / f"{file}.rasp", name).explain().heads_per_layer == heads


def test_aggregates_share_the_head_of_their_selector():
    """In one layer; in another layer the selector takes another head."""
    text = "s = select(indices, 0, ==); a = aggregate(s, indices) + selector_width(s); "
    assert parse(text + "x = a;").explain().heads_per_layer == (1,)
    assert parse(text + "x = aggregate(s, a);").explain().heads_per_layer == (1, 1)
    assert parse("x = indices + 1;").explain().heads_per_layer == ()


@pytest.mark.parametrize("name", QUICK)
def test_compiled_models_have_the_layers(name):
    """The compiler needs no fewer layers than the bound, and no fewer heads in the fullest."""
    entry = zoo.entry(name)
    explained = load(entry.path).explain()
    shape = rasplab.compile(load(entry.path), entry.domain.vocab, 3).weights.shape()
    assert shape["n_layers"] >= explained.layers
    assert shape["n_heads"] >= max(explained.heads_per_layer)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("x = tokens;", "string"),
        ("x = tokens_asis;", "any"),
        ('x = tokens == "a";', "bool"),
        ("x = indices / 2;", "number"),
        ("x = aggregate(full_s, indices);", "number"),
        ('x = aggregate(select(indices, 0, ==), tokens, "-");', "string"),
        ("x = aggregate(select(indices, 0, ==), tokens);", "any"),
        ('x = "a" if indices == 0 else tokens;', "string"),
        ('x = {"a": 1, "b": 2.5}[tokens];', "number"),
        ('x = {"a": "A"}[tokens];', "string"),
        ("x = full_s;", "selector"),
    ],
)
def test_kinds(text, kind):
    """Strings, numbers, bools, or whatever the input holds."""
    program = parse(text)
    assert program.explain().kind[program.output] == kind


@pytest.mark.parametrize(
    ("selector", "causal"),
    [
        ("select(indices, indices, <=)", True),
        ("select(indices, indices, <)", True),
        ("select(indices, indices - 2, ==)", True),
        ("select(indices + 1, indices, ==)", True),
        ("select(indices, indices + 1, <)", True),
        ("select(indices, 0, ==)", True),
        ("select(indices, 1, <)", True),
        ("not select(indices, indices, >)", True),
        ("select(tokens, tokens, ==) and select(indices, indices, <)", True),
        ("not (full_s or select(indices, 5, ==))", False),
        ("not (select(tokens, tokens, ==) or select(indices, indices, >=))", True),
        ("select(indices, 0, ==) or select(indices, indices - 1, ==)", True),
        ("select(indices, indices + 1, ==)", False),
        ("select(indices, indices + 1, <=)", False),
        ("select(indices, 1, ==)", False),
        ("select(indices, indices, >)", False),
        ("select(tokens, tokens, ==)", False),
        ("select(length, indices, ==) and select(indices, indices, <)", False),
    ],
)
def test_causal_selectors(selector, causal):
    """Those whose positions show it, through and, or, not and shifts."""
    program = parse(f"s = {selector};")
    assert program.explain().causal[program.output] == causal


def check_causal(program: Program, vocab: tuple, masked: bool, rng: random.Random) -> int:
    """Change what comes after a position: what is called causal is the same up to it."""
    causal, checked = program.explain(masked).causal, 0
    for _ in range(4):
        tokens = rng.choices(vocab, k=rng.randint(1, 6))
        cut = rng.randint(1, len(tokens))
        other = tokens[:cut] + rng.choices(vocab, k=rng.randint(0, 4))
        try:
            traces = [evaluate(program, t, masked) for t in (tokens, other)]
        except rasplab.RaspError:
            continue
        for i, known in enumerate(causal):
            if not known:
                continue
            left, right = (t.columns[i][:cut] for t in traces)
            assert left == right, (program.labels[i], tokens, other)
            checked += 1
    return checked


@pytest.mark.parametrize("first", range(0, 600, 200))
def test_causal_means_causal(first):
    """On random programs, masked or not; a selector's rows too, which select no later key."""
    rng, checked = random.Random(first), 0
    for seed in range(first, first + 200):
        program, domain = random_program(seed, 12)
        checked += check_causal(program, domain.vocab, domain.causal, rng)
    assert checked > 2000


def test_the_zoo_is_causal_where_it_says_so():
    """The same on the zoo's programs."""
    rng = random.Random(0)
    for entry in zoo.entries().values():
        check_causal(load(entry.path), entry.domain.vocab, entry.domain.causal, rng)


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ('x = shift(tokens, 1, "-");', []),
        ("x = selector_width(select(tokens, tokens, ==) and select(indices, indices, <=));", []),
        ("x = tokens_int + 1;", []),
        ("x = indices == 0;", []),
        # by meaning: a small shift is so many steps
        ('x = shift(tokens, 2, "-");', []),
        ('x = aggregate(select(indices, (indices - 1) - 1, ==), tokens, "-");', []),
        ('x = shift(tokens, 1000, "-");', ["1000 is not within", "`-` on the index indices"]),
        ("x = indices % 2;", ["`%` on the index indices"]),
        ("x = [1, 0][indices];", ["a table over the index indices"]),
        ("x = tokens_int / 2;", ["`/` makes fractions"]),
        ("x = tokens_int + 200;", ["200 is not within -128 to 127"]),
        ("x = tokens_int * 0.5;", ["0.5 is a fraction"]),
        ("x = selector_width(select(tokens, tokens, ==));", ["may look at keys after its query"]),
        ("x = aggregate(select(indices, indices, <=), tokens_int);", ["the mean of several"]),
        ("x = select(tokens, tokens, ==);", ["may look at keys after its query"]),
        ("x = indices * length;", ["`*` on the index", "full_s may look"]),
    ],
)
def test_raspl(text, reasons):
    """What is within RASP-L, and what breaks it, with its place."""
    verdict = rasplab.is_raspl(parse(text, name="t.rasp"))
    assert bool(verdict) == (not reasons)
    assert len(verdict.breaches) == len(reasons)
    given = sorted(str(b.reason) for b in verdict.breaches)
    for reason, expected in zip(given, sorted(reasons), strict=True):
        assert expected in reason
    assert all("t.rasp:1:" in str(b) and "^" in str(b) for b in verdict.breaches)


def test_raspl_of_masked_programs():
    """A mask makes any selector causal."""
    program = parse("x = selector_width(select(tokens, tokens, ==));")
    assert rasplab.is_raspl(program, causal=True) and not rasplab.is_raspl(program)


def test_golden(capsys):
    """What `rasplab explain` prints."""
    assert cli.main(["explain", "shift_1"]) == 0
    assert re.sub(r" +\n", "\n", capsys.readouterr().out) == GOLDEN


GOLDEN = """\
shift_1: string; 1 layer, heads per layer 1; causal

layer  head attends by                   and computes
─────  ────────────────────────────────  ────────────
    1  select(indices, indices - 1, ==)  shift_1

node                              kind      depth  causal
────────────────────────────────  ────────  ─────  ──────
indices                           number        0  yes
indices - 1                       number        0  yes
select(indices, indices - 1, ==)  selector      0  yes
tokens                            string        0  yes
shift_1                           string        1  yes

RASP-L: yes
"""


def test_json(capsys):
    """One object with layers, heads, nodes and the verdict."""
    assert cli.main(["explain", "induction", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["layers"], report["heads_per_layer"]) == (3, [2, 1, 1])
    assert report["output"] == "induction" and report["is_raspl"] is False
    assert {"label", "names", "kind", "depth", "causal", "place"} == report["nodes"][0].keys()
    assert report["breaches"][0]["place"].startswith("induction.rasp:")


def test_several_outputs(tmp_path, capsys):
    """Layers of the deepest, causal where all are; each output with its kind."""
    path = tmp_path / "two.rasp"
    path.write_text("a = indices + 1;\nb = aggregate(select(indices, 0, ==), tokens);\n")
    assert cli.main(["explain", str(path), "--output", "a", "--output", "b"]) == 0
    assert capsys.readouterr().out.startswith(
        "a: number, b: any; 1 layer, heads per layer 1; causal"
    )
    assert cli.main(["explain", str(path), "--output", "a", "--output", "b", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["outputs"] == ["a", "b"]


def test_shifts_of_an_index_count_in_all():
    """RASP-L by meaning: steps add up, so two shifts by 100 are one by 200."""

    def verdict(shifted: str) -> bool:
        return bool(is_raspl(parse(f"x = aggregate(select(indices, {shifted}, ==), tokens);")))

    assert verdict("(indices - 1) - 1") and verdict("indices - 2") and verdict("1 + indices - 3")
    assert not verdict("indices - 200") and not verdict("indices - 100 - 100")


@pytest.mark.parametrize("word", ["largest", "smallest"])
def test_reductions_by_the_largest_and_smallest_are_raspl(word):
    """As `kqv(..., reduction="max")` and "min" of np_rasp are: of numbers, and of positions."""
    past = "s = select(indices, indices, <=) and select(tokens, tokens, ==);"
    for values in ("tokens_int", "indices"):
        assert is_raspl(parse(f"{past} x = {word}(s, {values}, [0, 1, 2, 3]);"))
        assert not is_raspl(parse(f"x = {word}(full_s, {values}, [0, 1, 2, 3]);"))
    # np_rasp's counting program: one after the last start, moved to here
    text = f"{past} at = {word}(s, indices, range(9)) + 1; "
    text += "x = aggregate(select(indices, at, ==) and select(indices, indices, <=), tokens);"
    assert is_raspl(parse(text))


def test_every_output_counts_for_raspl():
    """A selector among the outputs that looks ahead is a breach, first or not."""
    text = "a = indices; s = select(tokens, tokens, ==);"
    assert not is_raspl(parse(text, output=["a", "s"]))
    assert not is_raspl(parse(text, output=["s", "a"]))


def test_analysis_is_linear_in_what_several_nodes_read():
    """A sum of a value with itself, 60 times, is looked into once, and so is a selector."""
    total, selector = dsl.indices, dsl.select(dsl.tokens, dsl.tokens)
    for _ in range(60):
        total, selector = total + total, selector & (selector | selector)
    program = dsl.program(dsl.selector_width(dsl.select(total, total, "<=") & selector))
    assert program.explain().layers == 1 and not is_raspl(program)


def test_positions_beyond_floats_are_not_known():
    """An int that no float holds is not added to a float: the selector may look ahead."""
    program = parse("x = selector_width(select(indices + 10^400 + 0.5, indices - 0.5, ==));")
    assert not program.explain().causal[program.output]
