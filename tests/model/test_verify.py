"""The check of a model against the interpreter finds what is wrong, and only that."""

from dataclasses import dataclass

import numpy as np
import pytest

import rasplab
from rasplab.model.bridge import LensModel
from rasplab.model.verify import verify
from rasplab.program.batch.columns import Column
from rasplab.program.batch.compare import equal_cells
from rasplab.program.domain import Domain
from rasplab.program.graph import (
    Aggregate,
    Builder,
    Constant,
    Indices,
    Map,
    Program,
    Select,
    SelectorWidth,
    Tokens,
)
from rasplab.program.inputs import all_ids, sampled_ids
from rasplab.program.semantics import Semantics
from rasplab.transformer.readout import Readout
from rasplab.transformer.weights import Weights


@dataclass(frozen=True, eq=False)
class Claiming(LensModel):
    """A model that is said to compute `claim`."""

    claim: Program | None = None

    @property
    def program(self) -> Program | None:
        """What it is checked against."""
        return self.claim


def embedding_model(program, domain, table, readout):
    """A model without attention: token t gives the logits table[t]; it claims to be `program`."""
    from rasplab.model.native import load_weights

    n, out = len(domain.vocab), len(table[0])
    zeros = {
        "W_pos": (domain.max_len + 1, n + 1),
        "W_Q": (1, 1, n + 1, 1),
        "W_K": (1, 1, n + 1, 1),
        "W_V": (1, 1, n + 1, 1),
        "b_Q": (1, 1, 1),
        "b_K": (1, 1, 1),
        "b_V": (1, 1, 1),
        "W_O": (1, 1, 1, n + 1),
        "b_out": (1, n + 1),
        "b_O": (1, n + 1),
        "W_in": (1, n + 1, 1),
        "b_in": (1, 1),
        "W_out": (1, 1, n + 1),
    }
    arrays = {name: np.zeros(shape) for name, shape in zeros.items()}
    unembed = np.vstack([np.zeros(out), np.array(table, float)])
    weights = Weights(W_E=np.eye(n + 1), W_U=unembed, **arrays)
    lens = load_weights(weights, domain, readout, "cpu").lens
    return Claiming(lens, domain, readout, claim=program)


def program_of(make):
    """The program whose output `make(builder)` adds."""
    b = Builder()
    return b.program(make(b))


ABC = Domain(("a", "b", "c"), 4)
TOKENS = program_of(lambda b: b.add(Tokens()))


def test_an_exact_model_has_no_mismatch():
    """The identity on every input: 3 + 9 + 27 + 81 of them."""
    report = verify(embedding_model(TOKENS, ABC, np.eye(3), Readout(("a", "b", "c"))))
    assert (report.checked, report.mismatches, report.exhaustive, report.seed) == (
        120,
        0,
        True,
        None,
    )
    assert report.counterexample is None and report.ok


def test_a_wrong_model_gives_a_shortest_counterexample():
    """c read as b: wrong on every input that holds c."""
    report = verify(embedding_model(TOKENS, ABC, np.eye(3)[[0, 1, 1]], Readout(("a", "b", "c"))))
    assert report.mismatches == 120 - (2 + 4 + 8 + 16)
    wrong = report.counterexample
    assert (wrong.input, wrong.expected, wrong.got) == (("c",), ("c",), ("b",))
    assert report.to_json()["counterexample"] == {"input": ["c"], "expected": ["c"], "got": ["b"]}


def test_a_larger_domain_is_sampled_with_the_stated_seed():
    """The same seed, the same findings; the full length is always there."""
    model = embedding_model(TOKENS, ABC, np.eye(3)[[0, 1, 1]], Readout(("a", "b", "c")))
    one, again = (verify(model, max_inputs=100, seed=5) for _ in range(2))
    assert not one.exhaustive and one.checked == 100 and one.seed == 5
    assert one.mismatches == again.mismatches > 0
    assert max(ids.shape[1] for ids in sampled_ids(ABC, 100, 5)) == 4


def test_an_input_that_the_interpreter_refuses_is_a_mismatch_with_its_reason():
    """1 / tokens at 0."""
    program = program_of(lambda b: b.add(Map("/", (b.add(Constant(1)), b.add(Tokens("asis"))))))
    model = embedding_model(program, Domain((0, 1), 2), [[1, 0], [0, 1]], Readout((0.0, 1.0)))
    report = verify(model)
    assert report.mismatches == 4 and report.counterexample.expected is None
    assert "zero" in report.counterexample.reason


def test_true_is_not_1():
    """A model that says 1 where the program says True is wrong, though Python calls them equal."""
    program = program_of(lambda b: b.add(Map("==", (b.add(Tokens()), b.add(Constant("a"))))))
    right = embedding_model(program, ABC, [[0, 1], [1, 0], [1, 0]], Readout((False, True)))
    wrong = embedding_model(program, ABC, [[0, 1], [1, 0], [1, 0]], Readout((0, 1)))
    assert verify(right).mismatches == 0
    assert verify(wrong).mismatches == 120


def test_large_integers_are_compared_exactly():
    """Integers that differ by less than a float's tolerance are still different."""
    program = rasplab.parse("x = 1000000000 + indices;")
    model = rasplab.compile(program, [0, 1], 3).to_model("cpu")
    assert verify(model).ok
    report = verify(model, program=rasplab.parse("x = 1000000001 + indices;"))
    assert report.mismatches == report.checked == 14


def test_values_are_compared_by_kind():
    """2 is 2.0; True is not 1; a rounding error passes only for number readouts."""
    codes = np.arange(4)[None]
    expected = Column(codes, (2, True, "1", 0.1 + 0.2))
    same = equal_cells(expected, Column(codes, (2.0, 1, "1", 0.3)))
    assert same[0].tolist() == [True, False, True, True]


def test_every_input_comes_once():
    """all_ids is Domain.inputs, in order."""
    rows = [tuple(ABC.vocab[i] for i in row) for ids in all_ids(ABC) for row in ids]
    assert rows == list(ABC.inputs())


def reverse():
    """The paper's reverse, node by node."""
    b = Builder()
    i, one = b.add(Indices()), b.add(Constant(1))
    length = b.add(SelectorWidth(b.add(Select(one, one, "=="))))
    opposite = b.add(Map("-", (b.add(Map("-", (length, one))), i)))
    flip = b.add(Select(i, opposite, "=="))
    return b.program(b.add(Aggregate(flip, b.add(Tokens()))), {"flip": flip})


def test_a_compiled_model_is_exact_and_a_damaged_one_is_found():
    """Reverse over three letters: 0 mismatches; with one row of W_U moved, some."""
    from dataclasses import replace

    from rasplab.model.native import load_weights

    compiled = rasplab.compile(reverse(), vocab="abc", max_len=5)
    assert verify(compiled.to_model("cpu")).mismatches == 0
    unembed = compiled.weights.W_U.copy()
    unembed[:, [0, 1]] = unembed[:, [1, 0]]
    weights = replace(compiled.weights, W_U=unembed)
    assert (
        verify(
            load_weights(weights, compiled.domain, compiled.readout, "cpu", compiled=compiled)
        ).mismatches
        > 300
    )


def test_progress_reaches_the_total():
    """A bar that ends where it should."""
    seen = []
    verify(
        embedding_model(TOKENS, ABC, np.eye(3), Readout(("a", "b", "c"))),
        progress=lambda *at: seen.append(at),
    )
    assert seen[-1] == (120, 120)


def reverse_with_a_late_fault(where: int):
    """A compiled reverse whose position embedding is zeroed from position `where` on."""
    from dataclasses import replace

    from rasplab.model.native import load_weights
    from rasplab.program.zoo import entry

    compiled = rasplab.compile(rasplab.load(entry("reverse").path), "abcdefgh", 7)
    positions = compiled.weights.W_pos.copy()
    positions[where + 1 :] = 0
    weights = replace(compiled.weights, W_pos=positions)
    return load_weights(weights, compiled.domain, compiled.readout, "cpu", compiled=compiled)


def test_a_sampled_counterexample_is_shrunk_to_a_shortest_one():
    """The sample finds a fault in the last position only; the report's input has no shorter one."""
    model = reverse_with_a_late_fault(4)
    report = verify(model, max_inputs=300, seed=1)
    assert report.mismatches > 0 and not report.exhaustive
    shortest = len(report.counterexample.input)
    assert 1 < shortest < model.domain.max_len
    semantics = Semantics(model.program, model.domain)
    for ids in all_ids(Domain(model.domain.vocab, shortest)):
        right = semantics.compare(semantics.evaluate(ids), model.codes(ids)).all()
        assert right or ids.shape[1] == shortest


def test_batches_side_by_side_come_back_in_order():
    """in_order gives results in the order of the items, whoever finishes first; errors come out."""
    from time import sleep

    from rasplab.model.threads import in_order

    def slow_first(k: int) -> int:
        sleep(0.02 if k % 3 == 0 else 0)
        if k == 50:
            raise ValueError("fifty")
        return k

    assert list(in_order(slow_first, range(20), workers=3)) == list(range(20))
    with pytest.raises(ValueError, match="fifty"):
        list(in_order(slow_first, range(60), workers=2))


def test_a_program_that_is_none_is_refused():
    """An empty text is not "the model's own program"."""
    model = rasplab.compile(rasplab.parse("r = tokens;"), "abc", 3).to_model("cpu")
    with pytest.raises(TypeError, match="^verify: program is ''; it has to be a Program"):
        rasplab.verify(model, program="")  # pyright: ignore[reportArgumentType]
