"""Compiled zoo programs, untrained models, and weights held against the interpreter."""

from __future__ import annotations

import numpy as np
import torch

import rasplab
from rasplab.model.bridge import LensModel, by_length
from rasplab.model.native import fresh_model
from rasplab.program.domain import Domain, make_domain
from rasplab.program.inputs import all_ids
from rasplab.program.interpret.exact import evaluate
from rasplab.program.values import same_value
from rasplab.program.zoo import entry
from rasplab.transformer.decode import row_values
from rasplab.transformer.forward import activations
from rasplab.transformer.readout import Readout

CELLS = 20_000
"""Pairs of positions in one forward pass."""


def outputs(compiled, ids) -> list:
    """What the weights say on one input."""
    return all_outputs(compiled, [ids])[0]


def all_outputs(compiled, inputs) -> list[list]:
    """What the weights say on each input, in numpy and in the dtype of the certificate."""
    dtype = np.dtype(compiled.certificate.dtype)
    weights = compiled.weights.map(lambda array: array.astype(dtype))
    inputs = [list(map(int, ids)) for ids in inputs]
    results: list[list] = [[]] * len(inputs)
    for rows in by_length(inputs):
        step = 1 + CELLS // len(inputs[rows[0]]) ** 2
        for part in (rows[k : k + step] for k in range(0, len(rows), step)):
            ids = np.array([inputs[row] for row in part])
            logits = activations(weights, ids, compiled.domain.causal).logits[:, 1:]
            table = compiled.readout.table([logits])
            for i, row in enumerate(part):
                results[row] = row_values(table, i)
    return results


def mismatches(compiled, inputs) -> list:
    """The inputs on which weights and interpreter differ, with both answers."""
    wrong = []
    for ids, got in zip(inputs, all_outputs(compiled, inputs), strict=True):
        tokens = [compiled.domain.vocab[i] for i in ids]
        expected = evaluate(compiled.program, tokens, causal=compiled.domain.causal).output
        if len(expected) != len(got) or not all(map(same_value, expected, got)):
            wrong.append((tokens, expected, got))
    return wrong


def every_input(domain: Domain) -> list[list[int]]:
    """The ids of all inputs of a domain."""
    return [ids for batch in all_ids(domain) for ids in batch.tolist()]


def compiled(name: str):
    """A zoo program, compiled for its domain."""
    about = entry(name)
    domain = about.domain
    return rasplab.compile(
        rasplab.load(about.path), domain.vocab, domain.max_len, causal=domain.causal
    )


def fresh(norm: str | None, act: str = "gelu", seed: int = 0, causal: bool = False) -> LensModel:
    """An untrained model with weights large enough that every edge matters."""
    domain = make_domain("abcd", 5, causal)
    model = fresh_model(domain, Readout(tuple("abcd")), 2, 2, 16, 24, seed, norm, act, "cpu")
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.lens.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model
