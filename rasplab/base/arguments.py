"""Arguments of public functions, checked at the door: wrong ones are one sentence with their name.

    @takes(program=PROGRAM, seed=whole(0))
    def judge(program: Program, seed: int = 0) -> Evidence: ...

A `Kind` says in words what is accepted, and tests a value. Types of the package are named as
"module:Name": where their module is not imported, no value is an instance of them.
"""

from __future__ import annotations

import functools
import inspect
import operator
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from typing import Any, ParamSpec, TypeVar

from rasplab.base.text import MAX_SHOWN, clipped

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Kind:
    """What a parameter takes.

    accepted  in words, after "it has to be"
    test      whether a value is of the type
    range     whether a value of the type is in range
    """

    accepted: str
    test: Callable[[Any], bool]
    range: Callable[[Any], bool] = lambda value: True


def takes(**kinds: Kind) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Check the named parameters of a function at each call; others are not looked at.

    A call raises TypeError for a value of another type, and ValueError for one out of range.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        parameters = inspect.signature(function).parameters
        names = [n for n, p in parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
        assert set(kinds) <= set(parameters), f"{function.__name__} has no such parameter"

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            for name, value in (*zip(names, args, strict=False), *kwargs.items()):
                if name in kinds:
                    _check(function.__qualname__, name, value, kinds[name])
            return function(*args, **kwargs)

        return checked

    return decorate


def _check(function: str, name: str, value: Any, kind: Kind) -> None:
    if not kind.test(value):
        message = f"{function}: {name} is {shown(value)}; it has to be {kind.accepted}"
        raise TypeError(message)
    if not kind.range(value):
        raise ValueError(f"{function}: {name} is {shown(value)}; it has to be {kind.accepted}")


def shown(value: Any) -> str:
    """A value in a message, on one line: as Python writes it where that is short, or its type."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deep; an int of more digits than it writes
        text = ""
    if text and len(text) <= MAX_SHOWN and " at 0x" not in text:
        return clipped(text)
    return clipped(text) if isinstance(value, str) else f"a value of type {type(value).__name__}"


# Kinds ------------------------------------------------------------------------------------------


def instance(home: str, accepted: str) -> Kind:
    """Instances of the class at `module:Name`."""
    module, _, name = home.partition(":")

    def test(value: Any) -> bool:
        return module in sys.modules and isinstance(value, getattr(sys.modules[module], name))

    return Kind(accepted, test)


def optional(kind: Kind) -> Kind:
    """None, or what `kind` takes."""
    return Kind(
        f"{kind.accepted}, or None",
        lambda value: value is None or kind.test(value),
        lambda value: value is None or kind.range(value),
    )


def either(*kinds: Kind) -> Kind:
    """What one of the kinds takes."""
    accepted = ", or ".join(kind.accepted for kind in kinds)
    return Kind(accepted, lambda value: any(kind.test(value) for kind in kinds))


def whole(least: int, most: int = 2**63 - 1) -> Kind:
    """An int, or an integer of numpy, from `least` to `most`; True and False are none."""

    def test(value: Any) -> bool:
        if isinstance(value, bool) or type(value).__name__ in ("bool_", "bool"):
            return False
        try:
            operator.index(value)
        except TypeError:
            return False
        return True

    return Kind(f"an int of at least {least}", test, lambda value: least <= value <= most)


def real(least: float) -> Kind:
    """A finite number from `least` on."""
    return Kind(
        f"a finite number of at least {least:g}",
        lambda value: isinstance(value, int | float) and not isinstance(value, bool),
        lambda value: least <= value <= 1e300,
    )


def choice(*names: str) -> Kind:
    """One of the names."""
    accepted = " or ".join(map(repr, names))
    return Kind(accepted, lambda value: isinstance(value, str), lambda value: value in names)


def is_hook(value: Any) -> bool:
    """Whether a value is a TransformerLens hook: a pair of its name and a function."""
    match value:
        case (name, function):  # a function of names stands for all that it is true of
            return (isinstance(name, str) or callable(name)) and callable(function)
    return False


def _is_sequence(value: Any) -> bool:
    unordered = isinstance(value, dict | set | frozenset | bytes | bytearray | type)
    return not unordered and hasattr(value, "__len__") and hasattr(value, "__iter__")


def _is_iterable(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, bytes | bytearray | dict)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


TEXT = Kind("a string", lambda value: isinstance(value, str))
FLAG = Kind("True or False", lambda v: isinstance(v, bool) or type(v).__name__ in ("bool_",))
PATH = Kind(
    "a path: a string or a pathlib.Path",
    lambda value: isinstance(value, str | PathLike),
    lambda value: "\0" not in str(value) and _encodable(str(value)),
)
FUNCTION = Kind("a function", callable)
TOKENS = Kind("an input: a string, or a list of tokens", _is_sequence)
VOCAB = Kind("a vocabulary: a string, or a list of tokens", _is_iterable)
SEED = whole(0)
INT = Kind("an int", SEED.test)
OUTPUT = either(
    optional(TEXT),
    Kind("a list of names", lambda v: _is_sequence(v) and all(isinstance(n, str) for n in v)),
)
INPUTS = Kind("inputs: a list of strings or of lists of tokens, or an array of ids", _is_iterable)
HOOKS = Kind(
    "a list of TransformerLens hooks: (hook name, function of the activation and the hook)",
    lambda value: _is_sequence(value) and all(map(is_hook, value)),
)
DEVICE = Kind(
    'a device: "auto", "cpu", "cuda"',
    lambda value: isinstance(value, str) or type(value).__module__ == "torch",
)
SEEDS = Kind(
    "a list of ints of at least 0",
    _is_sequence,
    lambda value: all(SEED.test(v) and SEED.range(v) for v in value),
)
PROGRAM = instance(
    "rasplab.program.graph:Program", "a Program, as rasplab.parse and rasplab.load make"
)
COMPILED = instance("rasplab.compiler.compiled:Compiled", "what rasplab.compile makes")
MODEL = instance(
    "rasplab.model.bridge:LensModel",
    "a LensModel, as compiled.to_model(), rasplab.train and rasplab.load_model make",
)
RECIPE = instance("rasplab.model.recipe:Recipe", "a Recipe, as a trained model has")
HEADS = Kind(
    "a dict of selector and head, as in {'flip': 'L1H0'}", lambda value: isinstance(value, Mapping)
)
A_CIRCUIT = instance("rasplab.circuit.graph:Circuit", "a Circuit, as rasplab.circuit_of makes")
SITE = instance("rasplab.transformer.sites:Site", "a Site, as `Site.parse` makes of its name")
EDGES = Kind("Edges of the circuit", _is_iterable)
EVIDENCE = instance("rasplab.study.heads.evidence:Evidence", "what rasplab.judge returns")
PAIRS = instance("rasplab.circuit.patching.pairs:Pairs", "a Pairs of inputs")
SCORES = instance(
    "rasplab.circuit.discovery.edge_scores:EdgeScores", "what rasplab.discover returns"
)
TRUTH = instance("rasplab.circuit.evaluation.score:Truth", "a Truth, as truth_of and as_truth make")
SHELL = Kind("the shell of IPython", lambda value: hasattr(value, "register_magic_function"))
TRACR = Kind("what tracr's compile_rasp_to_model makes", lambda v: hasattr(v, "model_config"))
