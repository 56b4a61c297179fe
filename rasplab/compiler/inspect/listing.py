"""A compiled model as text: each part with its place, and the s-op that it serves."""

from __future__ import annotations

from collections.abc import Iterator

from rasplab.compiler.compiled import Compiled
from rasplab.compiler.lower.residual import LinearForm

MAX_PAIRS, MAX_TERMS, MAX_LABELS = 4, 5, 6
"""Pairs of a head, terms of a form, and directions of a neuron group that are shown."""


def listing(compiled: Compiled) -> str:
    """Sizes and residual directions, then heads and neuron groups layer by layer."""
    layout, shape = compiled.layout, compiled.weights.shape()
    lines = [
        ", ".join(f"{name} {size}" for name, size in shape.items()),
        f"{compiled.n_params:,} parameters, {compiled.nonzero_params:,} not 0",
        "",
        "residual directions",
    ]
    for k, (direction, site) in enumerate(zip(layout.directions, layout.writers, strict=True)):
        source = _source(compiled, direction.node)
        lines.append(f"  {k:>3}  {str(site):<10} {direction.label}{source}")
    for layer in range(layout.n_layers):
        neurons = [f"  L{layer}M: {group}" for group in neuron_groups(compiled, layer)]
        lines += ["", f"layer {layer}", *_heads(compiled, layer), *neurons]
    return "\n".join(lines)


def neuron_groups(compiled: Compiled, layer: int) -> list[str]:
    """The neurons of a layer, grouped by the directions they write: `3 neurons -> a, b`."""
    groups: dict[tuple[str, ...], int] = {}
    for at, _, neuron in compiled.layout.neurons:
        if at == layer:
            key = tuple(dict.fromkeys(compiled.layout.directions[d].label for d in neuron.outs))
            groups[key] = groups.get(key, 0) + 1
    return [
        f"{count} neurons -> {', '.join(labels[:MAX_LABELS])}" for labels, count in groups.items()
    ]


def _source(compiled: Compiled, node: int | None) -> str:
    span = compiled.program.span(node) if node is not None else None
    return f"  [{span.place}]" if span else ""


def _heads(compiled: Compiled, layer: int) -> Iterator[str]:
    for at, i, head in compiled.layout.heads:
        if at == layer:
            yield f"  L{layer}H{i}: {compiled.heads[layer, i]}{_source(compiled, head.selector)}"
            for q, k in head.pairs[:MAX_PAIRS]:
                yield f"    q {_form_text(compiled, q)}  .  k {_form_text(compiled, k)}"
            if len(head.pairs) > MAX_PAIRS:
                yield f"    ... {len(head.pairs) - MAX_PAIRS} more pairs"


def _form_text(compiled: Compiled, form: LinearForm) -> str:
    """A form over the labels of its directions."""
    labels = compiled.layout.directions
    parts = [f"{c:+.6g} {labels[d].label}" for d, c in form.terms[:MAX_TERMS]]
    if len(form.terms) > MAX_TERMS:
        parts.append(f"... {len(form.terms) - MAX_TERMS} more")
    if form.const or not parts:
        parts.append(f"{form.const:+.6g}")
    return " ".join(parts)
