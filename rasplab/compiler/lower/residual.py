"""The residual stream while it is being designed: directions, linear forms over them, heads and
neurons.

Time counts half layers: the embeddings write at 0, the heads of layer l at 2l+1, its MLP at 2l+2.
Every direction has one writer. At position 0 (BOS) every direction has a known value, because BOS
attends only to itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rasplab.compiler.lower.piecewise_linear import ROUNDING

REAL = 0
"""The id of the direction that is 1 at every token and 0 at BOS: the constant, and the BOS flag."""


@dataclass(frozen=True, slots=True)
class Direction:
    """One residual direction.

    label  what it holds; node: the s-op it serves (None for bookkeeping)
    site   "tok", "pos" (then `table` is what the embedding writes per token or position), "head" or
           "mlp"
    bos    its value at BOS; size: bound on its absolute value; error: bound on its numerical error
    """

    label: str
    node: int | None
    site: str
    time: int
    bos: float = 0.0
    size: float = 1.0
    error: float = 0.0
    table: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class LinearForm:
    """sum of coefficient x direction, plus a constant; terms sorted by direction id, none 0."""

    terms: tuple[tuple[int, float], ...] = ()
    const: float = 0.0

    @staticmethod
    def of(direction: int) -> LinearForm:
        """The direction itself."""
        return LinearForm(((direction, 1.0),))

    @staticmethod
    def combination(parts: list[tuple[float, LinearForm]], const: float = 0.0) -> LinearForm:
        """sum of factor x form, plus a constant."""
        total: dict[int, float] = {}
        for factor, form in parts:
            const += factor * form.const
            for d, c in form.terms:
                total[d] = total.get(d, 0.0) + factor * c
        return LinearForm(tuple(sorted((d, c) for d, c in total.items() if abs(c) > 1e-12)), const)

    def __add__(self, other: LinearForm) -> LinearForm:
        return LinearForm.combination([(1.0, self), (1.0, other)])

    def scaled(self, factor: float) -> LinearForm:
        """factor * form."""
        return LinearForm(
            tuple((d, c * factor) for d, c in self.terms if factor), self.const * factor
        )

    def plus(self, constant: float) -> LinearForm:
        """form + constant."""
        return LinearForm(self.terms, self.const + constant)


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision of the compiler: what it was about, what was taken, and what else was there.

    node  the s-op it served (None where a selector's operands did)
    """

    node: int | None
    about: str
    chosen: str
    others: tuple[str, ...]


@dataclass
class Head:
    """A head: q and k as pairs of forms (their products are summed), and for each output a value
    form.

    bos_weight  what BOS weighs beside one selected key, in a head that counts; 0 in one that
                carries values
    error   bound on the numerical error of a score
    """

    label: str
    nodes: list[int]
    selector: int | None
    time: int
    bos_weight: float
    pairs: list[tuple[LinearForm, LinearForm]]
    error: float
    outs: list[tuple[LinearForm, int]] = field(default_factory=list)


@dataclass
class Neuron:
    """relu(pre); it adds outs[d] to direction d."""

    pre: LinearForm
    time: int
    node: int | None
    outs: dict[int, float] = field(default_factory=dict)


class ResidualStream:
    """The directions, heads and neurons made so far, and what follows from a form over them.

    ulp  the relative rounding of the dtype the model is meant for; every error bound comes from it
    """

    def __init__(self, dtype: str):
        self.ulp = ROUNDING[dtype]
        self.directions: list[Direction] = []
        self.heads: list[Head] = []
        self.neurons: list[Neuron] = []
        self.choices: list[Choice] = []
        self._neuron_ids: dict[tuple, int] = {}
        self._one_hot: dict[int, tuple[int, float]] = {}

    def add(self, direction: Direction) -> int:
        """A new direction's id."""
        self.directions.append(direction)
        return len(self.directions) - 1

    def choose(self, node: int | None, about: str, chosen: str, *others: str) -> None:
        """Note a decision."""
        self.choices.append(Choice(node, about, chosen, others))

    def neuron(self, pre: LinearForm, time: int, node: int | None) -> Neuron:
        """The neuron relu(pre) at `time`: an old one if there is one."""
        key = (time, tuple((d, round(c, 9)) for d, c in pre.terms), round(pre.const, 9))
        if key not in self._neuron_ids:
            self._neuron_ids[key] = len(self.neurons)
            self.neurons.append(Neuron(pre, time, node))
        return self.neurons[self._neuron_ids[key]]

    def time(self, *forms: LinearForm) -> int:
        """When all of `forms` can be read."""
        return max((self.directions[d].time for form in forms for d, _ in form.terms), default=0)

    def bos(self, form: LinearForm) -> float:
        """The value at BOS."""
        return form.const + sum(c * self.directions[d].bos for d, c in form.terms)

    def mark_one_hot(self, hot: list[LinearForm]) -> None:
        """Of these forms (a direction plus a constant each) one is 1 at every token, the rest 0."""
        for form in hot:
            if len(form.terms) == 1:
                self._one_hot[form.terms[0][0]] = (hot[0].terms[0][0], form.const)

    def size(self, form: LinearForm) -> float:
        """Bound on the absolute value at tokens."""
        total, peaks, shifts = abs(form.const), {}, {}
        for d, c in form.terms:
            if d not in self._one_hot:
                total += abs(c) * self.directions[d].size
                continue
            group, const = self._one_hot[d]
            peaks[group] = max(peaks.get(group, 0.0), abs(c))
            shifts[group] = shifts.get(group, 0.0) + c * const
        return total + sum(peaks.values()) + sum(map(abs, shifts.values()))

    def error(self, form: LinearForm) -> float:
        """Bound on the numerical error."""
        return sum(abs(c) * self.directions[d].error for d, c in form.terms)

    def at_bos(self, form: LinearForm, value: float) -> LinearForm:
        """The same form at tokens, but `value` at BOS."""
        shift = value - self.bos(form)
        if abs(shift) < 1e-12:
            return form
        return form + LinearForm(((REAL, -shift),), shift)


def after(time: int, parity: int) -> int:
    """The first time later than `time` of that parity: 1 for heads, 0 for MLPs."""
    return time + 1 if (time + 1) % 2 == parity else time + 2
