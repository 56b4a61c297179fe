"""Recipe: everything that decides a trained model, and the defaults of each task."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from rasplab.base.arguments import TEXT, shown, takes
from rasplab.base.schema import (
    array,
    atom,
    boolean,
    integer,
    nullable,
    number,
    record,
    row,
    string,
)
from rasplab.program import zoo
from rasplab.program.domain import Domain, make_domain
from rasplab.program.graph import Program
from rasplab.program.values import Atom

LETTERS = tuple("abcdefgh")

NORMS = ("LN", "LNPre", "RMS", "RMSPre")
ACTS = ("gelu", "gelu_new", "relu", "silu")
"""The norms and activations that native models of TransformerLens have."""

INPUTS = ("random", "repeated")
"""Where inputs come from.

random: tokens drawn independently; repeated: a sequence of distinct tokens over and over, where the
answer is the next token from the second round on."""

MAX_NUMBER = 2**63
"""Every number of a recipe is below: torch takes no larger seed."""

MINIMA: dict[str, int | float] = {
    "seed": 0,
    "layers": 1,
    "heads": 1,
    "d_model": 1,
    "d_mlp": 0,
    "steps": 1,
    "batch": 1,
    "warmup": 0,
    "lr": 0.0,
    "weight_decay": 0.0,
    "clip": 0.0,
    "target": 0.0,
}
"""The smallest value of each field; a field with an int here takes whole numbers only."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a trained model, except the versions of the libraries.

    task    a zoo program; its interpreter gives the answers
    vocab, max_len, causal   the domain of inputs; by default that of the zoo's index
    inputs     "random" tokens; or "repeated": a language model on sequences that repeat
    train_len  the longest training input; longer ones up to max_len are for testing. None: all
    supervise  selectors that heads are trained to attend as: (head, selector), as in
               ("L1H0", "flip"); a selector is a name in the program, or its text
    layers, heads, d_model, d_mlp, norm, act   the transformer; d_mlp 0 is attention only;
                                               norm and act are TransformerLens' names
    steps, batch, lr, warmup, weight_decay, clip   AdamW with a linear warm-up, then a cosine down
                                                   to a tenth of lr; clip is the gradient norm
    target  held-out accuracy (share of positions) at which training stops early; above 1, never

    Raises ValueError for a field out of its range.
    """

    task: str
    vocab: tuple[Atom, ...]
    max_len: int
    causal: bool = False
    inputs: str = "random"
    train_len: int | None = None
    supervise: tuple[tuple[str, str], ...] = ()
    seed: int = 0
    layers: int = 2
    heads: int = 2
    d_model: int = 64
    d_mlp: int = 128
    norm: str | None = "LN"
    act: str = "gelu"
    steps: int = 3000
    batch: int = 256
    lr: float = 2e-3
    warmup: int = 100
    weight_decay: float = 0.01
    clip: float = 1.0
    target: float = 0.999

    def __post_init__(self):
        make_domain(self.vocab, self.max_len, self.causal)
        self._check_numbers()
        self._check_choices()

    def _check_numbers(self) -> None:
        for name, least in MINIMA.items():
            if not _at_least(getattr(self, name), least):
                what = "whole number" if isinstance(least, int) else "number"
                value = shown(getattr(self, name))
                raise ValueError(f"{name} must be a {what} of at least {least:g}, got {value}")
        longest = self.max_len if self.train_len is None else self.train_len
        if not (_at_least(longest, 1) and longest <= self.max_len):
            raise ValueError(
                f"train_len must be 1 to max_len, got {shown(longest)} of {self.max_len}"
            )
        if self.d_model % self.heads:
            raise ValueError(
                f"heads must divide d_model, got heads={self.heads}, d_model={self.d_model}"
            )

    def _check_choices(self) -> None:
        for name, known in (("norm", (None, *NORMS)), ("act", ACTS), ("inputs", INPUTS)):
            if getattr(self, name) not in known:
                names = ", ".join(n or "none" for n in known)
                raise ValueError(f"{name} is {shown(getattr(self, name))}; it can be {names}")
        if type(self.causal) is not bool:
            raise ValueError(f"causal is true or false, got {shown(self.causal)}")
        if not (isinstance(self.supervise, tuple) and all(map(_is_pair, self.supervise))):
            raise ValueError(
                f"supervise lists pairs of a head and a selector, as in [('L1H0', 'flip')], "
                f"got {shown(self.supervise)}"
            )

    @property
    def domain(self) -> Domain:
        """The inputs it takes."""
        return Domain(self.vocab, self.max_len, self.causal)

    @property
    def trained_lengths(self) -> range:
        """The lengths of the inputs it is trained on."""
        return range(1, (self.train_len or self.max_len) + 1)

    def program(self) -> Program:
        """The zoo program of the task."""
        from rasplab.lang.loading import load

        return load(zoo.entry(self.task).path)

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values; `from_json` gives an equal recipe back."""
        listed = {"vocab": list(self.vocab), "supervise": [list(p) for p in self.supervise]}
        return asdict(self) | listed

    @staticmethod
    def from_json(rows: dict[str, Any]) -> Recipe:
        """The recipe of `to_json`.

        Raises ValueError for anything else.
        """
        recipe_schema(rows, "recipe")
        pairs = tuple((head, selector) for head, selector in rows["supervise"])
        return Recipe(**(rows | {"vocab": tuple(rows["vocab"]), "supervise": pairs}))


def recipe_schema(value: Any, where: str) -> dict[str, Any]:
    """What `Recipe.to_json` writes: every field, of its type; `Recipe` itself checks the ranges."""
    numbers = {
        name: integer(least) if isinstance(least, int) else number(least)
        for name, least in MINIMA.items()
    }
    schema = record(
        {
            **numbers,
            "task": string,
            "vocab": array(atom, 1),
            "max_len": integer(1),
            "causal": boolean,
            "inputs": string,
            "train_len": nullable(integer(1)),
            "supervise": array(row(string, string)),
            "norm": nullable(string),
            "act": string,
        },
        further=False,
    )
    return schema(value, where)


def _at_least(value: Any, least: int | float) -> bool:
    """Whether `value` is a number of that kind (bool is not one), and at least `least`."""
    # compared so that nan, for which every comparison is false, is refused
    kinds = (int,) if isinstance(least, int) else (int, float)
    return type(value) in kinds and least <= value < MAX_NUMBER


def _is_pair(pair: object) -> bool:
    return isinstance(pair, tuple) and [type(part) for part in pair] == [str, str]


SMALL = {"vocab": LETTERS, "max_len": 8, "d_model": 48, "d_mlp": 96, "steps": 4000}

TASK_RECIPES: dict[str, dict[str, Any]] = {
    "reverse": SMALL | {"layers": 2, "heads": 1},
    "reverse_supervised": SMALL
    | {"task": "reverse", "layers": 2, "heads": 1, "supervise": (("L1H0", "flip"),)},
    "hist": SMALL | {"layers": 1, "heads": 1},
    "double_hist": SMALL | {"layers": 2, "heads": 2, "d_model": 64, "d_mlp": 128},
    "sort": SMALL | {"layers": 2, "heads": 1},
    "most_freq": {
        "vocab": LETTERS[:6],
        "max_len": 8,
        "layers": 3,
        "heads": 2,
        "steps": 6000,
        "target": 0.99,
    },
    "dyck1": {"max_len": 12, "layers": 2, "heads": 1, "steps": 4000},
    "dyck2": {"max_len": 10, "layers": 3, "heads": 1, "steps": 4000, "target": 0.998},
    "induction": {
        "vocab": tuple("abcdefghijklmnopqrstuvwxyzABCDEF"),
        "max_len": 32,
        "causal": True,
        "inputs": "repeated",
        "heads": 4,
        "d_mlp": 0,
        "steps": 1200,
        "batch": 128,
        "target": 1.1,
    },
}
"""Where a task differs from the defaults of Recipe.

Layers and heads are those of the RASP paper, where it has the task. A row with `task` is another
way to train that task. induction has no early stop: its heads form after its answers are right."""


@takes(task=TEXT)
def recipe(task: str, **changes: object) -> Recipe:
    """The recipe of a task, or of a name in TASK_RECIPES, with `changes`.

    changes  fields of Recipe; None keeps the default, and norm "none" means no norm

    Raises RaspNameError for a task that is not in the zoo, ValueError for a value that cannot be.
    """
    defaults = TASK_RECIPES.get(task, {})
    domain = zoo.entry(defaults.get("task", task)).domain
    base = Recipe(task, domain.vocab, domain.max_len, domain.causal)
    given: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
    known = [f.name for f in fields(Recipe)]
    if set(given) - set(known):
        raise ValueError(
            f"a recipe has no {', '.join(sorted(set(given) - set(known)))}; "
            f"it has {', '.join(known)}"
        )
    if not isinstance(given.get("vocab", ()), str | list | tuple):
        raise ValueError(f"vocab is a string or a list of tokens, got {shown(given['vocab'])}")
    if "vocab" in given:
        given["vocab"] = tuple(given["vocab"])
    if "supervise" in given:
        pairs = given["supervise"]
        pairs = list(pairs.items()) if isinstance(pairs, dict) else pairs
        if isinstance(pairs, list | tuple):
            pairs = tuple(tuple(p) if isinstance(p, list) else p for p in pairs)
        given["supervise"] = pairs
    # None means the task's default, so no norm needs a word of its own
    if given.get("norm") == "none":
        given["norm"] = None
    return replace(base, **(defaults | given))


@dataclass(frozen=True, slots=True)
class Trained:
    """How far training went.

    held_out  accuracy on held-out inputs, as a share of positions
    seconds   wall time
    curve     (step, mean training loss since the last measurement, held_out) at each measurement
    """

    step: int
    held_out: float
    seconds: float
    curve: tuple[tuple[int, float, float], ...] = ()
