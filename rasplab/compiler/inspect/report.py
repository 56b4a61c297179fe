"""What the compiler inferred and chose, stage by stage, as text."""

from __future__ import annotations

from rasplab.base.arguments import TEXT, takes
from rasplab.compiler import STAGE_VIEWS
from rasplab.compiler.compiled import Compiled
from rasplab.compiler.infer.value_sets import ValueSets, infer
from rasplab.compiler.infer.values import POSITION, TOKEN
from rasplab.compiler.inspect.listing import listing, neuron_groups
from rasplab.compiler.lower.residual import Choice
from rasplab.program.graph import Program

MAX_SHOWN = 8
"""Values of an s-op that are shown; the others are counted."""


@takes(name=TEXT)
def stage(compiled: Compiled, name: str) -> str:
    """The result of one stage as text.

    infer     the values of every s-op
    lower     heads and neurons by half layer
    encode    the decisions that lowering took (the same as `report`)
    place     every part with its place (the same as `listing`)
    assemble  the arrays with their shapes
    Raises ValueError for another name.
    """
    match name:
        case "infer":
            return _inferred(compiled)
        case "lower":
            return _lowered(compiled)
        case "encode":
            return report(compiled)
        case "place":
            return listing(compiled)
        case "assemble":
            return _assembled(compiled)
    raise ValueError(f"unknown stage {name!r}; the stages are {', '.join(STAGE_VIEWS)}")


def _inferred(compiled: Compiled) -> str:
    """Each s-op with its values; inferred anew, as a compiled model does not keep them."""
    program, value_sets = compiled.program, infer(compiled.program, compiled.domain)
    lines = [
        f"{_heading(program, node)}\n  {_values_text(value_sets, node)}"
        for node in range(len(program.nodes))
        if not program.is_selector(node)
    ]
    lines += [f"to be tried: {program.labels[n]}: {reason}" for n, reason in value_sets.doubts]
    return "\n".join(lines)


def _values_text(value_sets: ValueSets, node: int) -> str:
    if node in value_sets.ranges:
        numbers = value_sets.ranges[node]
        return f"{float(numbers.low):.6g} to {float(numbers.high):.6g}, too many to list"
    values, allowed = value_sets.sets[node].values, value_sets.sets[node].allowed
    shown = ", ".join(map(repr, values[:MAX_SHOWN])) + (", ..." if len(values) > MAX_SHOWN else "")
    most = int(allowed.sum(1).max())
    return f"{len(values)} values, at most {most} at one length and position: {shown}"


def _lowered(compiled: Compiled) -> str:
    """Heads and neurons by half layer: 1 the first heads, 2 the first neurons, and so on."""
    lines: dict[int, list[str]] = {}
    for layer, i, head in compiled.layout.heads:
        label = compiled.heads[layer, i]
        lines.setdefault(head.time, []).append(f"head of width {len(head.pairs)}: {label}")
    for layer in range(compiled.layout.n_layers):
        lines.setdefault(2 * layer + 2, []).extend(neuron_groups(compiled, layer))
    return "\n".join(
        f"half layer {time}\n  " + "\n  ".join(lines[time]) for time in sorted(lines) if lines[time]
    )


def _assembled(compiled: Compiled) -> str:
    """Each array with its shape and how many of its entries are not 0."""
    arrays = compiled.weights.arrays()
    shapes = {name: " x ".join(map(str, array.shape)) for name, array in arrays.items()}
    wide = max(map(len, shapes.values()))
    return "\n".join(
        f"{name:<6} {shapes[name]:<{wide}}  {int((array != 0).sum()):,} not 0"
        for name, array in arrays.items()
    )


def report(compiled: Compiled) -> str:
    """Every decision of the compiler: those on selectors, then by s-op in the program's order."""
    by_node: dict[int | None, list[Choice]] = {}
    for choice in compiled.choices:
        by_node.setdefault(choice.node, []).append(choice)
    lines: list[str] = []
    for node in sorted(by_node, key=lambda n: (n is not None, n if n is not None else 0)):
        lines += ["", _heading(compiled.program, node)]
        for choice in by_node[node]:
            lines.append(f"  {choice.about}: {choice.chosen}")
            lines += [f"      instead of {other}" for other in choice.others]
    return "\n".join(lines).lstrip("\n")


def _heading(program: Program, node: int | None) -> str:
    if node is None:
        return "selectors"
    if node in (TOKEN, POSITION):
        return "tokens" if node == TOKEN else "positions"
    span = program.span(node)
    return program.labels[node] + (f"  [{span.place}]" if span else "")
