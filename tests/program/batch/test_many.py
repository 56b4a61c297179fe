"""evaluate_many says what evaluate says, input by input, whatever the batch is made of."""

from collections import Counter

import numpy as np
import pytest
from speed import plain, seconds
from support.generate import random_program

import rasplab
from rasplab.base.errors import RaspError
from rasplab.program import zoo
from rasplab.program.values import typed_key


def outcome(run):
    """What a call gives: a value with its types, or the text of its fault."""
    try:
        outputs = run()
    except RaspError as error:
        return str(error)
    return outputs.tolist() if isinstance(outputs, np.ndarray) else [typed_key(v) for v in outputs]


def agree(program, batch, **options) -> Counter:
    """Assert equality on every input alone, and on those without a fault together."""
    seen: Counter = Counter()
    good, expected = [], []
    for tokens in batch:
        exact = outcome(lambda: rasplab.evaluate(program, tokens, **options).output)  # noqa: B023
        alone = outcome(lambda: rasplab.evaluate_many(program, [tokens], **options)[0])  # noqa: B023
        assert alone == exact, (program.listing(), tokens)
        seen["fault" if isinstance(exact, str) else "value"] += 1
        if not isinstance(exact, str):
            good.append(tokens)
            expected.append(exact)
    together = rasplab.evaluate_many(program, good, **options)
    assert [outcome(lambda: output) for output in together] == expected  # noqa: B023
    return seen


def test_generated_programs_over_mixed_lengths():
    """400 generated programs on 12 inputs each, of lengths mixed; values and faults both occur."""
    seen: Counter = Counter()
    for seed in range(400):
        program, domain = random_program(seed)
        rng = np.random.default_rng(seed)
        vocab = domain.vocab if seed % 4 else (*domain.vocab, "a", 7)
        lengths = rng.integers(1, 9, 12)
        batch = [[vocab[i] for i in rng.integers(len(vocab), size=n)] for n in lengths]
        seen += agree(program, batch, causal=domain.causal)
    assert min(seen["fault"], seen["value"]) > 400, seen


@pytest.mark.parametrize("name", list(zoo.entries("zoo")))
def test_the_zoo_as_ids_words_and_lists(name):
    """Ids with their vocabulary, and the token sequences themselves, give the same outputs."""
    entry = zoo.entry(name)
    program, vocab = rasplab.load(entry.path), entry.domain.vocab
    ids = np.random.default_rng(1).integers(0, len(vocab), (30, entry.domain.max_len))
    rows = [[vocab[i] for i in row] for row in ids]
    try:
        expected = [rasplab.evaluate(program, row).output for row in rows]
    except RaspError as error:
        with pytest.raises(type(error)):
            rasplab.evaluate_many(program, rows)
        return
    assert rasplab.evaluate_many(program, ids.astype(np.uint8), vocab=vocab) == expected
    assert rasplab.evaluate_many(program, ids.tolist(), vocab=vocab) == expected
    assert rasplab.evaluate_many(program, rows) == expected


EACH_KIND = [
    [1, 1.0, True, 2],
    [True, 1, 1.0, False],
    [0.0, -0.0, 1e300, 2**70],
    [float("inf"), float("-inf"), float("nan"), 0.5],
    [-(2**63), 2**63, 2**62, 3],
    ["", "ab", "a", "日本"],
    ["\ud800", "a", "é", "\0"],
    ["1", "2", 3, 4.5],
]


@pytest.mark.parametrize(
    "text",
    [
        "tokens_asis;",
        "tokens;",
        "tokens_float;",
        "selector_width(select(tokens_asis, tokens_asis, ==));",
        "select(tokens_asis, tokens_asis, <=);",
        "aggregate(select(indices, indices, <=), tokens_asis);",
        "tokens_asis if tokens_asis == 1 else 0;",
    ],
)
def test_tokens_of_every_kind_keep_their_kind(text):
    """1, 1.0 and True stay apart; long ints, nan, -0.0, surrogates and long tokens come through."""
    agree(rasplab.parse(text), EACH_KIND)


def test_strings_are_their_characters():
    """A batch of strings, ASCII or not."""
    program = rasplab.load(zoo.entry("reverse").path)
    assert rasplab.evaluate_many(program, ["abc", "é日", "x"]) == [list("cba"), list("日é"), ["x"]]


def test_no_input_gives_no_output():
    """An empty batch is a batch."""
    assert rasplab.evaluate_many(rasplab.parse("tokens;"), []) == []


def test_a_selector_gives_matrices():
    """One bool matrix [query, key] for each input, also where all are equal."""
    program = rasplab.parse("select(indices, indices, <=);")
    assert [m.tolist() for m in rasplab.evaluate_many(program, ["ab", "b", "cd"])] == [
        [[True, False], [True, True]],
        [[True]],
        [[True, False], [True, True]],
    ]


def test_the_first_failing_input_tells_its_fault():
    """Of several faults in several lengths the one of the first input is raised."""
    program = rasplab.parse("1 / tokens_int;")
    with pytest.raises(RaspError, match="cannot read the token 'x'|cannot read the token \"x\""):
        rasplab.evaluate_many(program, ["12", "1x", "0", "345", "0"])
    with pytest.raises(RaspError, match="empty"):
        rasplab.evaluate_many(program, ["12", "", "0"])


def test_long_inputs_are_run_one_by_one():
    """Beyond the bound the interpreter itself is used, and says the same."""
    program = rasplab.load(zoo.entry("hist").path)
    tokens = np.random.default_rng(3).integers(0, 5, 1500).tolist()
    assert rasplab.evaluate_many(program, [tokens]) == [rasplab.evaluate(program, tokens).output]


@pytest.mark.parametrize(
    "ids", [[[0, 3]], [[-1, 0]], [0, 1], [[0.5]], [[]], [["a"]], np.zeros((2, 0), int)]
)
def test_ids_that_are_no_ids_are_refused(ids):
    """Out of range, of another shape, or no integers."""
    with pytest.raises(ValueError, match="ids"):
        rasplab.evaluate_many(rasplab.parse("tokens;"), ids, vocab="abc")


@pytest.mark.parametrize("name", list(zoo.entries("zoo")))
def test_the_plain_evaluation_of_the_benchmark_is_the_interpreter(name):
    """What the benchmark divides by computes the same outputs."""
    entry = zoo.entry(name)
    program = rasplab.load(entry.path)
    assert plain(program, list(entry.sample)) == rasplab.evaluate(program, entry.sample).output


def test_batches_are_fast():
    """A quarter of the promised 200,000 sequences a second, on a machine busy with other work."""
    ids = np.random.default_rng(0).integers(0, 8, (20_000, 32))
    for name in ("hist", "reverse"):
        program = rasplab.load(zoo.entry(name).path)
        took = seconds(lambda: rasplab.evaluate_many(program, ids, vocab="abcdefgh"))  # noqa: B023
        assert len(ids) / took > 50_000, name
