"""What leaks past a selector is in the bound, also where the scores themselves are off."""

from __future__ import annotations

import numpy as np

import rasplab
from rasplab.transformer.forward import activations

TEXT = """m = aggregate(select(indices, indices, <=), tokens_int) * 240;
r = aggregate(select(m, indices * 80, ==) and select(indices, indices, ==), tokens_int, 0);
"""


def test_scores_off_by_their_bound_move_values_within_theirs():
    """Every score is moved against its selector by as much as the head's bound says it may be.

    The comparison of means with positions has exact scores on the domain; the bound on them is not
    0, and the certificate has to hold for whatever it allows.
    """
    compiled = rasplab.compile(rasplab.parse(TEXT), [0, 1], 6)
    weights, layout = compiled.weights, compiled.layout
    ids = np.array([[1, 0, 1, 0, 0, 1], [0, 0, 0, 1, 1, 1], [1, 1, 1, 1, 1, 1], [0] * 6])
    run = activations(weights, ids)
    head_errors = []
    for layer, i, head in layout.heads:
        if head.bos_weight:
            continue
        x = run.stream[layer][:, 1:]
        keys = run.stream[layer]
        q = x @ weights.W_Q[layer, i] + weights.b_Q[layer, i]
        k = keys @ weights.W_K[layer, i] + weights.b_K[layer, i]
        v = keys @ weights.W_V[layer, i] + weights.b_V[layer, i]
        scores = q @ k.swapaxes(-1, -2) / weights.attn_scale
        selected = scores == scores.max(-1, keepdims=True)
        moved = _softmax(scores + np.where(selected, -head.error, head.error))
        off = np.abs((moved - _softmax(scores)) @ v @ weights.W_O[layer, i]).max((0, 1))
        if not np.any(selected.sum(-1) > 1):  # in a mean the selected keys are moved apart as well
            for _, direction in head.outs:
                assert off[direction] <= layout.directions[direction].error
            head_errors.append(head.error)
    assert max(head_errors) > 1


def _softmax(scores: np.ndarray) -> np.ndarray:
    exp = np.exp(scores - scores.max(-1, keepdims=True))
    return exp / exp.sum(-1, keepdims=True)
