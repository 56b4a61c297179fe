"""The residual stream under construction: directions, linear forms, heads and neurons.

Time counts half layers: the embeddings write at 0, the heads of layer l at 2l+1, its MLP at 2l+2.
Every direction has one writing site. At position 0 (BOS) every direction has a known value, because
BOS attends only to itself. Sizes and errors of directions are bounds over all tokens of the domain;
the certificate of a model is made of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from rasplab.compiler.lower.piecewise_linear import ROUNDING

TOKEN_FLAG = 0
"""The id of the direction that is 1 at every token and 0 at BOS; it also carries constants."""

EPSILON = 2.0**-52
"""Spacing of float64 at 1: what differs by a few of these, relative, is one number rounded."""

UNITS = 1024
"""Numbers that are multiples of 1 / UNITS are looked at for whether their sums are exact."""

FEW = 8
"""Roundings of float64 that a short computation may add up to."""

LARGEST = {dtype: float(np.finfo(dtype).max) / 16 for dtype in ROUNDING}
"""No weight and no activation may be larger, by dtype; a sixteenth leaves room for partial sums."""


@dataclass(frozen=True, slots=True)
class Direction:
    """One residual direction.

    label  what it holds
    node   the s-op it serves; None for directions of tokens, positions and the token flag
    site   what writes it: "tok", "pos", "head" or "mlp"
    time   when it is written, in half layers
    bos    its value at BOS
    size   bound on its absolute value at tokens
    error  bound on its numerical error at tokens
    bos_error  the same at BOS
    table  for "tok" and "pos": what the embedding writes per token or position
    """

    label: str
    node: int | None
    site: str
    time: int
    bos: float = 0.0
    size: float = 1.0
    error: float = 0.0
    bos_error: float = 0.0
    table: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class LinearForm:
    """Sum of coefficient x direction, plus a constant; terms sorted by direction id, none 0.

    error  how far the form itself may be from what it stands for, in exact arithmetic; what its
           directions are off by comes on top (`ResidualStream.error`)
    """

    terms: tuple[tuple[int, float], ...] = ()
    const: float = 0.0
    error: float = 0.0

    @staticmethod
    def of(direction: int) -> LinearForm:
        """The form that is one direction."""
        return LinearForm(((direction, 1.0),))

    @staticmethod
    def combination(parts: list[tuple[float, LinearForm]], const: float = 0.0) -> LinearForm:
        """Sum of factor x form, plus a constant."""
        total: dict[int, float] = {}
        error = 0.0
        for factor, form in parts:
            const += factor * form.const
            error += abs(factor) * form.error
            for d, c in form.terms:
                total[d] = total.get(d, 0.0) + factor * c
        return LinearForm(tuple(sorted((d, c) for d, c in total.items() if c)), const, error)

    def __add__(self, other: LinearForm) -> LinearForm:
        return LinearForm.combination([(1.0, self), (1.0, other)])

    def scaled(self, factor: float) -> LinearForm:
        """The form factor * self."""
        terms = tuple((d, c * factor) for d, c in self.terms if factor)
        return LinearForm(terms, self.const * factor, self.error * abs(factor))

    def plus(self, constant: float) -> LinearForm:
        """The form self + constant."""
        return LinearForm(self.terms, self.const + constant, self.error)

    def within(self, error: float) -> LinearForm:
        """The same form, for something that it may miss by `error` more."""
        return LinearForm(self.terms, self.const, self.error + error)


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision of the compiler.

    node    the s-op it serves; None where it serves a selector's operands
    about   what was decided, such as "count" or "neurons"
    chosen  the alternative taken, with its cost
    others  the alternatives not taken, with their costs
    """

    node: int | None
    about: str
    chosen: str
    others: tuple[str, ...]


@dataclass
class Head:
    """An attention head over linear forms.

    nodes       the s-ops it serves; selector: the selector that its pattern shows, a node id
    bos_weight  in a head that counts, the weight of BOS relative to one selected key; 0 in a head
                that carries values
    pairs       (query form, key form): a score is the sum of their products
    error       bound on the numerical error of a score
    outs        (value form, direction that it is written to)
    """

    label: str
    nodes: list[int]
    selector: int
    time: int
    bos_weight: float
    pairs: list[tuple[LinearForm, LinearForm]]
    error: float
    outs: list[tuple[LinearForm, int]] = field(default_factory=list)


@dataclass
class Neuron:
    """A neuron relu(pre) of an MLP; it adds outs[d] * relu(pre) to direction d."""

    pre: LinearForm
    time: int
    node: int | None
    outs: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Share:
    """What is known of a direction that is a part of a whole.

    group  the first direction of the parts; const: a part is its direction plus this, at least 0
    total  bound on the sum of all parts
    """

    group: int
    total: float
    const: float


class ResidualStream:
    """The directions, heads and neurons made so far, with bounds on forms over them.

    dtype  "float32" or "float64": the arithmetic that the model is meant to run in
    ulp    its relative rounding, on which every error bound rests
    """

    def __init__(self, dtype: str):
        self.dtype, self.ulp = dtype, ROUNDING[dtype]
        self.directions: list[Direction] = []
        self.heads: list[Head] = []
        self.neurons: list[Neuron] = []
        self.choices: list[Choice] = []
        self._neuron_ids: dict[tuple, int] = {}
        self._shares: dict[int, _Share] = {}
        self._units: dict[int, float] = {}  # what `_table_unit` found, by direction

    def add(self, direction: Direction) -> int:
        """Append a direction; its id."""
        self.directions.append(direction)
        return len(self.directions) - 1

    def choose(self, node: int | None, about: str, chosen: str, *others: str) -> None:
        """Record a decision, for `Compiled.report`."""
        self.choices.append(Choice(node, about, chosen, others))

    def neuron(self, pre: LinearForm, time: int, node: int | None) -> tuple[Neuron, float]:
        """The neuron relu(pre) at `time`, and how far it may be off.

        It is shared by all who ask for the same one, up to rounding in float64.
        """
        # numbers that differ by rounding in float64 (15 to 17 digits) mostly share 13 digits
        key = (time, tuple((d, f"{c:.13g}") for d, c in pre.terms), f"{pre.const:.13g}")
        if key not in self._neuron_ids:
            self._neuron_ids[key] = len(self.neurons)
            self.neurons.append(Neuron(pre, time, node))
        neuron = self.neurons[self._neuron_ids[key]]
        if neuron.pre.terms == pre.terms and neuron.pre.const == pre.const:
            return neuron, 0.0
        pairs = zip(neuron.pre.terms, pre.terms, strict=True)
        sizes = (self.directions[d].size * abs(a - b) for (d, a), (_, b) in pairs)
        return neuron, sum(sizes, abs(neuron.pre.const - pre.const))

    def time(self, *forms: LinearForm) -> int:
        """The half layer in which the last direction of `forms` is written."""
        return max((self.directions[d].time for form in forms for d, _ in form.terms), default=0)

    def bos(self, form: LinearForm) -> float:
        """The value of a form at BOS."""
        return form.const + sum(c * self.directions[d].bos for d, c in form.terms)

    def mark_shares(self, forms: list[LinearForm], total: float) -> None:
        """Record that at every token these forms are at least 0, and add up to `total` at most.

        Each form is a direction plus a constant. `size` then bounds combinations of them better:
        of a one-hot code, whose total is 1, and of the parts of a sum.
        """
        members = {form.terms[0][0]: form.const for form in forms if len(form.terms) == 1}
        fresh = [d for d in members if d not in self._shares]
        self._shares |= {d: _Share(fresh[0], total, members[d]) for d in fresh}

    def size(self, form: LinearForm) -> float:
        """Bound on the absolute value of a form, and on the sum of its terms' sizes, at tokens.

        Directions that share a total add their largest coefficient times it at most. Each is its
        share minus a constant, and these constants add up separately.
        """
        size = abs(form.const)
        peaks: dict[int, float] = {}
        for d, c in form.terms:
            share = self._shares.get(d)
            if share is None:
                size += abs(c) * self.directions[d].size
                continue
            most = abs(c) * share.total
            if most > peaks.get(share.group, 0.0):
                peaks[share.group] = most
            if share.const:
                size += abs(c * share.const)
        return size + sum(peaks.values())

    def error(self, form: LinearForm) -> float:
        """Bound on the numerical error of a form at tokens."""
        directions = self.directions
        return form.error + sum([abs(c) * directions[d].error for d, c in form.terms])

    def bos_error(self, form: LinearForm) -> float:
        """Bound on the numerical error of a form at BOS, rounding of its sum included."""
        error = form.error
        for d, c in form.terms:
            direction = self.directions[d]
            error += abs(c) * (direction.bos_error + self.ulp * abs(direction.bos))
        return error + self.ulp * abs(form.const)

    def embedded(self, label: str, site: str, table: Float[np.ndarray, " value"]) -> int:
        """Append a direction of the embedding; its error is the rounding of the table itself."""
        numbers = tuple(table.astype(float).tolist())
        with np.errstate(over="ignore"):  # then the error is infinite
            rounded = table.astype(self.dtype).astype(float)
        error = float(np.abs(rounded - table).max(initial=0))
        size = float(np.abs(table).max(initial=0))
        return self.add(Direction(label, None, site, 0, 0.0, size, error, table=numbers))

    def is_exact(self, form: LinearForm) -> bool:
        """Whether the form has no error, and its sum does not round in `dtype`.

        That is so for embedded whole multiples of a unit, where all sums are below 1 / ulp units.
        """
        directions = self.directions
        if form.error or any(directions[d].error or directions[d].time for d, _ in form.terms):
            return False
        # The multiples of c that a table adds have the unit c times that of the table.
        steps = [c * self._table_unit(d) for d, c in form.terms]
        wholes = np.abs([*steps, *(c for _, c in form.terms), form.const]) * UNITS
        if wholes.max() > 2**52 or (wholes != np.rint(wholes)).any():
            return False
        unit = int(np.gcd.reduce(wholes.astype(np.int64))) / UNITS
        return not unit or self.size(form) * self.ulp < unit

    def _table_unit(self, direction: int) -> float:
        """The largest number that all of an embedded table are multiples of; nan if below 1/UNITS.

        0 for a table of zeros.
        """
        if direction not in self._units:
            wholes = np.abs(self.directions[direction].table) * UNITS
            whole = wholes.max(initial=0) <= 2**52 and not (wholes != np.rint(wholes)).any()
            unit = int(np.gcd.reduce(wholes.astype(np.int64))) / UNITS if whole else np.nan
            self._units[direction] = unit
        return self._units[direction]

    def overflows(self, logits: Iterable[LinearForm]) -> bool:
        """Whether `dtype` may not hold a weight or an activation: rounding bounds none of that."""
        sizes = [max(d.size, abs(d.bos)) for d in self.directions]
        sizes += [self.size(form) for form in logits]
        sizes += [size for neuron in self.neurons for size in self._neuron_sizes(neuron)]
        for head in self.heads:
            sizes += [self.size(q) * self.size(k) for q, k in head.pairs]
            sizes += [abs(c) for form, _ in head.outs for _, c in form.terms]
        return not max(sizes, default=0.0) <= LARGEST[self.dtype]

    def _neuron_sizes(self, neuron: Neuron) -> tuple[float, float]:
        """The largest activation of a neuron or term in it, and the largest that it writes."""
        top = max(self.size(neuron.pre), max((abs(c) for _, c in neuron.pre.terms), default=0.0))
        return top, top * max(map(abs, neuron.outs.values()), default=0.0)

    def at_bos(self, form: LinearForm, value: float) -> LinearForm:
        """A form equal to `form` at tokens, and to `value` at BOS."""
        shift = value - self.bos(form)
        scale = sum((abs(c * self.directions[d].bos) for d, c in form.terms), abs(form.const))
        if abs(shift) <= FEW * EPSILON * scale:
            return form.within(abs(shift))
        # shift - shift * TOKEN_FLAG: 0 at tokens, shift at BOS.
        return form + LinearForm(((TOKEN_FLAG, -shift),), shift)


def after(time: int, parity: int) -> int:
    """The first half layer after `time` of that parity: 1 for heads, 0 for MLPs."""
    return time + 1 if (time + 1) % 2 == parity else time + 2
