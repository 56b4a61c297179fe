"""What the compiler found and chose, stage by stage, as text."""

from __future__ import annotations

from rasplab.compiler.infer.value_sets import ValueSets
from rasplab.compiler.infer.values import POSITION, TOKEN
from rasplab.compiler.lower.residual import Choice

STAGES = ("infer", "encode", "lower", "place")
"""What `stage` can show."""


def stage(compiled, name: str) -> str:
    """What stands after a stage: infer (values), encode (choices), lower (heads and neurons by
    half layer) or place (the listing). Raises ValueError for another name.
    """
    match name:
        case "infer":
            return _inferred(compiled)
        case "encode":
            return report(compiled)
        case "lower":
            return _lowered(compiled)
        case "place":
            return compiled.listing()
    raise ValueError(f"stage is {name!r}; it can be {', '.join(STAGES)}")


def _inferred(compiled) -> str:
    """Each s-op with its values; computed anew, as a compiled model does not keep them."""
    value_sets, program = ValueSets(compiled.program, compiled.domain), compiled.program
    lines = []
    for node in range(len(program.nodes)):
        if node in value_sets.sets:
            values, cells = value_sets.sets[node].values, value_sets.sets[node].cells
            shown = ", ".join(map(repr, values[:8])) + (", ..." if len(values) > 8 else "")
            most = int(cells.sum(1).max())
            text = f"{len(values)} values, at most {most} at one length and position: {shown}"
        elif node in value_sets.ranges:
            spread = value_sets.ranges[node]
            text = f"{float(spread.low):.6g} to {float(spread.high):.6g}, too many to list"
        else:
            continue
        lines.append(f"{_heading(program, node)}\n  {text}")
    lines += [f"to be tried: {program.labels[n]}: {reason}" for n, reason in value_sets.doubts]
    return "\n".join(lines)


def _lowered(compiled) -> str:
    """Heads and neurons by half layer: 1 the first heads, 2 the first neurons, and so on."""
    times: dict[int, list[str]] = {}
    for layer, i, head in compiled.layout.heads:
        label = compiled.heads[layer, i]
        times.setdefault(head.time, []).append(f"head of width {len(head.pairs)}: {label}")
    groups: dict[tuple, int] = {}
    for _, _, neuron in compiled.layout.neurons:
        made = tuple(dict.fromkeys(compiled.layout.directions[d].label for d in neuron.outs))
        groups[neuron.time, made] = groups.get((neuron.time, made), 0) + 1
    for (time, made), count in groups.items():
        times.setdefault(time, []).append(f"{count} neurons -> {', '.join(made[:6])}")
    return "\n".join(f"half layer {t}\n  " + "\n  ".join(times[t]) for t in sorted(times))


def report(compiled) -> str:
    """Every decision of `compiled`: those of selectors, then by s-op in the program's order."""
    program = compiled.program
    by_node: dict[int | None, list[Choice]] = {}
    for choice in compiled.choices:
        by_node.setdefault(choice.node, []).append(choice)
    lines = []
    for node in sorted(by_node, key=lambda n: (n is not None, n if n is not None else 0)):
        lines += ["", _heading(program, node)]
        for choice in by_node[node]:
            lines.append(f"  {choice.about}: {choice.chosen}")
            lines += [f"      instead of {other}" for other in choice.others]
    return "\n".join(lines).lstrip("\n")


def _heading(program, node: int | None) -> str:
    if node is None:
        return "selectors"
    if node in (TOKEN, POSITION):
        return "tokens" if node == TOKEN else "positions"
    span = program.span(node)
    return program.labels[node] + (f"  [{span.place}]" if span else "")
