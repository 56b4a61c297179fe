"""Transforms of compiled models: the same function in weights that no longer show it.

They calibrate methods that say what a head does: the answer stays known, as `layout.heads`
names the true heads. After `rotated` the residual dimensions are no longer `layout.directions`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from rasplab.base.arguments import SEED, real, takes
from rasplab.base.rng import stream
from rasplab.compiler.compiled import Compiled
from rasplab.transformer.sites import Site
from rasplab.transformer.weights import Weights

READS = {"W_Q": -2, "W_K": -2, "W_V": -2, "W_in": -2, "W_U": -2}
WRITES = {"W_E": -1, "W_pos": -1, "W_O": -1, "b_O": -1, "W_out": -1, "b_out": -1}
"""Arrays that read from and write to the residual stream, with the axis that is d_model."""

PER_HEAD = ("W_Q", "W_K", "W_V", "b_Q", "b_K", "b_V", "W_O")
"""Arrays whose axis 1 is the head."""


@takes(seed=SEED)
def rotated(compiled: Compiled, seed: int = 0) -> Compiled:
    """The same function with the residual stream, q and k, v and z in randomly rotated bases.

    Exact up to rounding; the certificate asks for float64, in which rounding stays harmless.
    """
    w, rng = compiled.weights, stream(seed, "rotation")
    # with x' = x R, what writes to the stream gets R behind it, and what reads it R^T in front
    residual = _rotation(w.W_E.shape[1], rng)
    arrays = {name: residual.T @ getattr(w, name) for name in READS}
    arrays |= {name: getattr(w, name) @ residual for name in WRITES}
    # q and k share a rotation, and v and W_O, so that q.k and v @ W_O do not change.
    for layer, head in np.ndindex(*w.W_Q.shape[:2]):
        qk, vo = (_rotation(w.W_Q.shape[-1], rng) for _ in range(2))
        for name, inner in (("Q", qk), ("K", qk), ("V", vo)):
            arrays[f"W_{name}"][layer, head] = arrays[f"W_{name}"][layer, head] @ inner
            bias = arrays.setdefault(f"b_{name}", getattr(w, f"b_{name}").copy())
            bias[layer, head] = bias[layer, head] @ inner
        arrays["W_O"][layer, head] = vo.T @ arrays["W_O"][layer, head]
    return _transformed(compiled, replace(w, **arrays), ("rotated", (seed,)))


@takes(sigma=real(0), seed=SEED)
def with_noise(compiled: Compiled, sigma: float, seed: int = 0) -> Compiled:
    """Every weight times 1 + `sigma` * a standard normal number; 0 stays 0.

    The model is no longer exact; how far off it is depends on the program. The noise is relative,
    as compiled scores are thousands of times larger than values.
    """
    rng = stream(seed, "weight noise")
    noisy = {
        name: a * (1 + sigma * rng.standard_normal(a.shape))
        for name, a in compiled.weights.arrays().items()
    }
    return _transformed(
        compiled, replace(compiled.weights, **noisy), ("with_noise", (float(sigma), seed))
    )


@takes(seed=SEED)
def shuffled_heads(compiled: Compiled, seed: int = 0) -> Compiled:
    """The same function with the heads of every layer in another order; the layout follows."""
    w, rng = compiled.weights, stream(seed, "head order")
    orders = [rng.permutation(w.W_Q.shape[1]) for _ in range(w.W_Q.shape[0])]
    arrays = {
        name: np.stack([a[order] for a, order in zip(getattr(w, name), orders, strict=True)])
        for name in PER_HEAD
    }
    new = {
        (layer, int(old)): k for layer, order in enumerate(orders) for k, old in enumerate(order)
    }
    layout = compiled.layout
    heads = tuple(sorted(((n, new[n, i], h) for n, i, h in layout.heads), key=lambda x: x[:2]))
    writers = tuple(
        Site("head", s.layer, new[s.layer, s.head]) if s.kind == "head" else s
        for s in layout.writers
    )
    moved = replace(compiled, layout=replace(layout, heads=heads, writers=writers))
    transform = "shuffled_heads", (seed,)
    return _transformed(moved, replace(w, **arrays), transform, compiled.certificate.dtype)


@takes(seed=SEED)
def with_decoys(compiled: Compiled, seed: int = 0) -> Compiled:
    """The same function with a decoy for every head: it attends alike, and nothing reads it.

    The decoy of head h is head h + n_heads; it writes to d_head further residual dimensions.
    """
    w, rng = compiled.weights, stream(seed, "decoy heads")
    layers, heads, d_model, d_head = w.W_Q.shape
    wide = {name: _grown(getattr(w, name), axis, d_head) for name, axis in (READS | WRITES).items()}
    arrays = wide | {name: np.concatenate([wide[name]] * 2, 1) for name in PER_HEAD if name in wide}
    for name in ("b_Q", "b_K", "b_V"):
        arrays[name] = np.concatenate([getattr(w, name)] * 2, 1)
    # decoys write to the further dimensions only, where every array that reads has zeros
    arrays["W_O"][:, heads:, :, :d_model] = 0
    arrays["W_O"][:, heads:, :, d_model:] = rng.standard_normal((layers, heads, d_head, d_head))
    transform = "with_decoys", (seed,)
    return _transformed(compiled, replace(w, **arrays), transform, compiled.certificate.dtype)


def _grown(array: np.ndarray, axis: int, by: int) -> np.ndarray:
    """`array` with `by` zeros added at the end of `axis`."""
    width = [(0, 0)] * array.ndim
    width[axis] = (0, by)
    return np.pad(array, width)


def _rotation(n: int, rng: np.random.Generator) -> np.ndarray:
    """A random orthogonal matrix."""
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    # with these signs the rotation is uniform (Haar);
    # qr alone is not (Mezzadri 2007, math-ph/0609050)
    return q * np.sign(np.diag(r))


def _transformed(
    compiled: Compiled,
    weights: Weights,
    transform: tuple[str, tuple[float | int, ...]],
    dtype: str = "float64",
) -> Compiled:
    """The compiled model with other weights, and the transform that gave them on its list."""
    certificate = replace(compiled.certificate, dtype=dtype)
    transforms = (*compiled.transforms, transform)
    return replace(compiled, weights=weights, certificate=certificate, transforms=transforms)


def transformed_again(
    compiled: Compiled, transforms: Sequence[tuple[str, Sequence[float | int]]]
) -> Compiled:
    """The transforms on a list, as `Compiled.transforms` holds it, one after the other.

    Raises ValueError for a transform that is not in TRANSFORMS, or whose arguments are not numbers.
    """
    for name, arguments in transforms:
        if name not in TRANSFORMS or not all(type(a) in (int, float) for a in arguments):
            raise ValueError(f"unknown transform {name!r} with {list(arguments)!r}")
        compiled = TRANSFORMS[name](compiled, *arguments)
    return compiled


TRANSFORMS: dict[str, Callable[..., Compiled]] = {
    function.__name__: function for function in (rotated, with_noise, shuffled_heads, with_decoys)
}
"""The transforms that a saved model may name."""
