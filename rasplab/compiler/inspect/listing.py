"""A compiled model as text: what sits where, which s-op it serves, and where that stands in the
source.
"""

from __future__ import annotations

from rasplab.compiler.lower.residual import LinearForm


def listing(compiled) -> str:
    """Layer by layer: heads, neuron groups, residual directions, each with its s-op and place."""
    layout, shape = compiled.layout, compiled.weights.shape()
    sizes = ", ".join(f"{name} {size}" for name, size in shape.items())
    lines = [
        sizes,
        f"{compiled.n_params:,} parameters, {compiled.nonzero_params:,} not 0",
        "",
        "residual directions",
    ]
    for k, (direction, site) in enumerate(zip(layout.directions, layout.writers, strict=True)):
        lines.append(
            f"  {k:>3}  {str(site):<10} {direction.label}{_place(compiled, direction.node)}"
        )
    for layer in range(layout.n_layers):
        lines += ["", f"layer {layer}", *_heads(compiled, layer), *_neurons(compiled, layer)]
    return "\n".join(lines)


def _place(compiled, node: int | None) -> str:
    span = compiled.program.span(node) if node is not None else None
    return f"  [{span.place}]" if span else ""


def _heads(compiled, layer: int) -> list[str]:
    lines = []
    for at, i, head in compiled.layout.heads:
        if at == layer:
            lines.append(
                f"  L{layer}H{i}: {compiled.heads[layer, i]}{_place(compiled, head.selector)}"
            )
            lines += [
                f"    q {_text(compiled, q)}  .  k {_text(compiled, k)}" for q, k in head.pairs[:4]
            ]
            if len(head.pairs) > 4:
                lines.append(f"    ... {len(head.pairs) - 4} more pairs")
    return lines


def _neurons(compiled, layer: int) -> list[str]:
    groups: dict[tuple, int] = {}
    for at, _, neuron in compiled.layout.neurons:
        if at == layer:
            key = tuple(dict.fromkeys(compiled.layout.directions[d].label for d in neuron.outs))
            groups[key] = groups.get(key, 0) + 1
    return [
        f"  L{layer}M: {count} neurons -> {', '.join(labels[:6])}"
        for labels, count in groups.items()
    ]


def _text(compiled, form: LinearForm) -> str:
    """A form over the labels of its directions."""
    parts = [f"{c:+.6g} {compiled.layout.directions[d].label}" for d, c in form.terms[:5]]
    if len(form.terms) > 5:
        parts.append(f"... {len(form.terms) - 5} more")
    if form.const or not parts:
        parts.append(f"{form.const:+.6g}")
    return " ".join(parts)
