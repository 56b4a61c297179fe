"""Models: weights arrive in TransformerLens as they are; inputs, decoding, hooks, devices."""

import warnings

import numpy as np
import pytest
import torch
from support.shape_checks import unchecked

import rasplab
from rasplab.base.errors import RaspValueError
from rasplab.compiler.pipeline import compile_program
from rasplab.lang.loading import load
from rasplab.model.bridge import pattern_hook, plain_parameters, resolve_device
from rasplab.model.native import fresh_model, load_weights
from rasplab.program.domain import Domain
from rasplab.program.zoo import entry
from rasplab.transformer.readout import Readout
from rasplab.transformer.weights import Weights

LETTERS = Domain(("a", "b", "c"), 5)


def random_weights(domain, layers=2, heads=3, d_model=10, d_head=4, d_mlp=7, out=3, seed=0):
    """Random weights of the given shape; d_model is not heads * d_head, as in compiled models."""
    rng = np.random.default_rng(seed)
    block = (layers, heads, d_model, d_head)
    shapes = {
        "W_E": (len(domain.vocab) + 1, d_model),
        "W_pos": (domain.max_len + 1, d_model),
        **dict.fromkeys(("W_Q", "W_K", "W_V"), block),
        **dict.fromkeys(("b_Q", "b_K", "b_V"), (layers, heads, d_head)),
        "W_O": (layers, heads, d_head, d_model),
        "b_O": (layers, d_model),
        "W_in": (layers, d_model, d_mlp),
        "b_in": (layers, d_mlp),
        "W_out": (layers, d_mlp, d_model),
        "b_out": (layers, d_model),
        "W_U": (d_model, out),
    }
    return Weights(**{name: rng.normal(size=shape) / 2 for name, shape in shapes.items()})


def reference_logits(w, ids, causal):
    """The forward pass written from the docstring of Weights, in numpy; ids with BOS, [pos]."""
    x = w.W_E[ids] + w.W_pos[: len(ids)]
    for layer in range(w.W_Q.shape[0]):
        out = np.zeros_like(x) + w.b_O[layer]
        for head in range(w.W_Q.shape[1]):
            q = x @ w.W_Q[layer, head] + w.b_Q[layer, head]
            k = x @ w.W_K[layer, head] + w.b_K[layer, head]
            v = x @ w.W_V[layer, head] + w.b_V[layer, head]
            scores = q @ k.T / np.sqrt(q.shape[-1])
            if causal:
                scores = np.where(np.tri(len(ids), dtype=bool), scores, -np.inf)
            pattern = np.exp(scores - scores.max(-1, keepdims=True))
            out += pattern / pattern.sum(-1, keepdims=True) @ v @ w.W_O[layer, head]
        x = x + out
        x = x + np.maximum(x @ w.W_in[layer] + w.b_in[layer], 0) @ w.W_out[layer] + w.b_out[layer]
    return x @ w.W_U


@pytest.mark.parametrize("causal", [False, True])
def test_loaded_weights_compute_what_their_docstring_says(causal):
    """TransformerLens' logits equal a numpy forward pass with every bias and the causal mask."""
    domain = Domain(LETTERS.vocab, LETTERS.max_len, causal)
    weights = random_weights(domain)
    model = load_weights(weights, domain, Readout(("x", "y", "z")), "cpu", "float64")
    ids = np.array([[0, 2, 1, 1], [2, 2, 0, 1]])
    for row, logits in zip(ids, model.logits(ids).numpy(), strict=True):
        wanted = reference_logits(weights, np.array([0, *(row + 1)]), causal)[1:]
        np.testing.assert_allclose(logits, wanted, atol=1e-10)


def test_weights_without_heads_or_neurons_load():
    """Empty widths become zero ones: the logits are those of the embeddings."""
    weights = random_weights(LETTERS, layers=1, heads=0, d_head=0, d_mlp=0)
    model = load_weights(weights, LETTERS, Readout(("x", "y", "z")), "cpu", "float64")
    wanted = reference_logits(weights, np.array([0, 1, 3]), False)[1:]
    np.testing.assert_allclose(model.logits(np.array([[0, 2]]))[0].numpy(), wanted, atol=1e-10)


def test_weights_without_layers_load():
    """A program that only maps tokens may need no layer at all."""
    weights = random_weights(LETTERS, layers=0)
    model = load_weights(weights, LETTERS, Readout(("x", "y", "z")), "cpu")
    assert len(model.run("ab")) == 2


@pytest.fixture(scope="module")
def small():
    """An untrained two-layer model."""
    return fresh_model(LETTERS, Readout(("x", "y", "z")), 2, 2, 16, 32, seed=1, device="cpu")


def test_a_batch_of_mixed_lengths_comes_back_in_order(small):
    """run_batch equals run on each input, whatever the lengths."""
    inputs = ["abc", "a", "cab", "bbbbb", "c"]
    assert small.run_batch(inputs) == [small.run(tokens) for tokens in inputs]
    assert [len(values) for values in small.run_batch(inputs)] == [3, 1, 3, 5, 1]


def test_codes_decode_as_the_readout_does(small):
    """The vectorised decoding agrees with Readout.decode."""
    ids = np.array([[0, 1, 2], [2, 2, 1]])
    table = small.codes(ids)
    for codes, logits in zip(table.codes, small.logits(ids).numpy(), strict=True):
        assert [table.values[c] for c in codes] == small.readout.decode(logits)


@pytest.mark.parametrize("bad", ["", "abcabc", "abx", ["a", 1], 7])
def test_bad_input_is_a_fault_of_the_user(small, bad):
    """No tokens, too many, a token outside the vocabulary: RaspValueError with a reason."""
    with pytest.raises(RaspValueError):
        small.run(bad)


IDS = ([[0.5]], [[0, 9]], [[-1]], [[0], [0, 1]], [0, 1], [[]], None, "ab", [["a"]])


def test_ids_that_are_no_ids_are_refused():
    """Fractions, ids outside the vocabulary, other shapes: one sentence each."""
    model = rasplab.compile(rasplab.parse("r = tokens;"), "abc", 3).to_model("cpu")
    lines = []
    for ids in IDS:
        # unchecked, as the annotations of the tests would refuse them first
        with pytest.raises(rasplab.RaspError) as error, unchecked():
            model.codes(ids)  # pyright: ignore[reportArgumentType]
        lines.append(error.value.message)
    assert lines[0].endswith("inputs of one length, not float64 of shape [1, 1]")
    assert lines[1] == "the id 9 is outside the vocabulary, ids 0 to 2"


def test_logits_that_are_no_numbers_are_refused():
    """nan in the weights is no answer, neither when they are loaded nor afterwards."""
    weights = random_weights(LETTERS)
    model = load_weights(weights, LETTERS, Readout(("x", "y", "z")), "cpu")
    with torch.no_grad():
        next(model.lens.parameters())[:] = float("nan")
    for answer in (lambda: model.run("ab"), lambda: model.run_hooked("ab", [])):
        with pytest.raises(RaspValueError, match="weights hold nan or inf, in tok_embed"):
            answer()
    with pytest.raises(RaspValueError, match="logits hold nan or inf, in float32"):
        model.decoded([torch.full((1, 2, 3), float("inf"))])
    weights.W_E[0, 0] = np.nan
    with pytest.raises(RaspValueError, match="weights hold nan or inf, in tok_embed"):
        load_weights(weights, LETTERS, Readout(("x", "y", "z")), "cpu")


def test_a_dtype_below_the_certificate_is_told_with_its_errors():
    """The share of wrong answers is measured; weights that overflow are refused."""
    about = entry("hist")
    compiled = compile_program(load(about.path), about.domain).rotated(1)
    assert compiled.certificate.dtype == "float64"
    with pytest.warns(UserWarning, match=r"holds in float64, not in float16: \d+ of 300 inputs"):
        compiled.to_model("cpu", "float16")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled.to_model("cpu", "float64")
    with pytest.raises(RaspValueError, match="unknown dtype 'int8'; the dtypes are float64, "):
        compiled.to_model("cpu", "int8")
    about = entry("sort")
    with pytest.raises(RaspValueError, match="hold nan or inf") as refused:
        compile_program(load(about.path), about.domain).to_model("cpu", "float16")
    assert refused.value.hint and "too large for float16" in refused.value.hint


@pytest.mark.parametrize("cast", ["half", "to", "bfloat16", "inside"])
def test_a_model_cast_below_its_certificate_says_so_once(cast):
    """However it is cast after it was made, and whatever runs it; measured on the weights alone."""
    about = entry("hist")
    model = compile_program(load(about.path), about.domain).to_model("cpu")
    casts = {
        "half": model.lens.half,
        "to": lambda: model.lens.to(torch.float16),
        "bfloat16": model.lens.bfloat16,
        "inside": model.lens.original_model.half,
    }
    casts[cast]()
    name = "bfloat16" if cast == "bfloat16" else "float16"
    text = rf"holds in float32, not in {name}: \d+ of 300 inputs come out wrong"
    with pytest.warns(UserWarning, match=text):
        # a hook is at work in the model itself, and not in the one that is measured
        model.run_hooked("abab", [(pattern_hook(0), lambda pattern, hook: pattern)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.run("abab")
        model.lens.double()
        assert model.run("abab") == [2, 2, 2, 2]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_become_nan_in_memory_are_refused_when_run(value):
    """A single entry of every parameter, also where no logit shows it; the message has its name."""
    about = entry("hist")
    model = compile_program(load(about.path), about.domain).to_model("cpu")
    for name, parameter in plain_parameters(model.lens).items():
        before = parameter.data.clone()
        parameter.data.view(-1)[-1] = value
        with pytest.raises(RaspValueError, match=f"weights hold nan or inf, in {name}"):
            model.run("abab")
        parameter.data.copy_(before)
    assert model.run("abab") == [2, 2, 2, 2]


def test_patterns_are_probabilities_over_keys(small):
    """[batch, layer, head, query, key] with BOS, each row summing to 1."""
    patterns = small.patterns(["abc", "cba"])
    assert patterns.shape == (2, 2, 2, 4, 4)
    np.testing.assert_allclose(patterns.sum(-1), 1, atol=1e-5)


def test_equal_seeds_give_equal_models():
    """A fresh model is a function of its arguments."""
    readout = Readout(("x", "y", "z"))
    one, two, other = (
        fresh_model(LETTERS, readout, 1, 1, 8, 8, seed=s, device="cpu") for s in (3, 3, 4)
    )
    ids = np.array([[0, 1]])
    assert torch.equal(one.logits(ids), two.logits(ids))
    assert not torch.equal(one.logits(ids), other.logits(ids))


def test_an_unknown_device_is_a_fault_of_the_user():
    """So that --device cdua says what to write."""
    with pytest.raises(RaspValueError, match="unknown device"):
        resolve_device("cdua")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no cuda device here")
def test_a_model_computes_the_same_on_the_gpu(small):
    """Moving the model moves everything it needs."""
    inputs = ["abc", "a"]
    on_cpu = small.run_batch(inputs)
    try:
        assert small.to("cuda").run_batch(inputs) == on_cpu
    finally:
        small.to("cpu")
