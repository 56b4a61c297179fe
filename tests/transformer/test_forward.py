"""The plain forward pass: numpy and torch agree, with each other and with TransformerLens."""

import numpy as np
import pytest
import torch
from support.compiled import compiled, fresh

from rasplab.transformer.forward import activations, attention, hidden_keys, with_bos
from rasplab.transformer.weights import Weights


@pytest.mark.parametrize("name", ["reverse", "hist"])
def test_numpy_torch_and_the_bridge_agree(name):
    """Logits and attention patterns of a compiled model, computed three ways."""
    program = compiled(name)
    ids = np.array([[0, 1, 1, 0], [1, 0, 1, 1]])
    causal = program.domain.causal
    plain = activations(program.weights, ids, causal)
    tensors = activations(program.weights.map(torch.tensor), torch.tensor(ids), causal)
    assert np.allclose(plain.logits, tensors.logits.numpy(), atol=1e-9)
    model = program.to_model("cpu", "float64")
    assert np.allclose(plain.logits[:, 1:], model.logits(ids).numpy(), atol=1e-9)
    patterns = np.stack(plain.patterns, 1)
    assert np.allclose(model.patterns_of(ids)[:, :, : patterns.shape[2]], patterns, atol=1e-6)


def test_write_sees_everything_that_is_added():
    """With all writes dropped the stream stays 0; with none changed it is the plain one."""
    program, ids = compiled("reverse"), np.array([[0, 1]])
    dropped = activations(program.weights, ids, write=np.zeros_like)
    assert not any(stream.any() for stream in dropped.stream)
    same = activations(program.weights, ids, write=lambda x: x)
    assert (same.logits == activations(program.weights, ids).logits).all()


def test_hidden_keys():
    """No key after the end of an input, nor, where causal, after the query."""
    real = np.array([True, True, False])
    expected = [[[0, 0, 1]] * 3, [[0, 1, 1], [0, 0, 1], [0, 0, 1]]]
    for causal in (False, True):
        assert (hidden_keys(real, causal) == np.array(expected[causal], bool)).all()
        assert (hidden_keys(torch.tensor(real), causal).numpy() == hidden_keys(real, causal)).all()
    assert with_bos(torch.tensor([[0, 2]])).tolist() == [[0, 1, 3]]


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor], ids=["numpy", "torch"])
def test_heads_may_read_apart(kind):
    """Heads that read equal streams apart compute what they do when they share one."""
    lens = fresh(None).lens
    names = Weights.__dataclass_fields__
    weights = Weights(**{n: kind(getattr(lens, n).detach().numpy()) for n in names})
    x = kind(np.random.default_rng(0).normal(size=(3, 1, 4, 16)).astype(np.float32))
    hidden = hidden_keys(x[:, 0, :, 0] < 9, True)
    apart = x + x[:, :1] * 0 + 0 * weights.W_Q[0, :, :1, :1]
    shared, pattern = attention(weights, 0, x, x, x, hidden, 2.0)
    z, _ = attention(weights, 0, apart, x, apart, hidden, 2.0)
    assert np.allclose(np.asarray(z), np.asarray(shared), atol=1e-6)
    assert np.allclose(np.asarray(pattern).sum(-1), 1, atol=1e-6)
