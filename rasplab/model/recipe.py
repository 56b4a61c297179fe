"""How a model is trained: one frozen record per run, and the table of defaults per task
(floor 4)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace

from rasplab import zoo
from rasplab.domain import Domain
from rasplab.program import Atom, Program

LETTERS = tuple("abcdefgh")

NORMS = ("LN", "LNPre", "RMS", "RMSPre")
ACTS = ("gelu", "gelu_new", "relu", "silu")
"""What TransformerLens' native models have."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a trained model, but the versions of the libraries.

    task    a zoo program; its interpreter gives the answers
    vocab, max_len, causal   what inputs there are; by default those of the zoo's index
    inputs     "random" tokens; or "repeated": a language model on sequences that repeat
    train_len  the longest input trained on; longer ones up to max_len are for testing. None: all
    supervise  selectors that heads are trained to attend as: (head, selector), as in
               ("L1H0", "flip"); a selector is a name in the program, or its text
    layers, heads, d_model, d_mlp, norm, act   the transformer; d_mlp 0 is attention only;
                                               norm and act are TransformerLens' names
    steps, batch, lr, warmup, weight_decay, clip   AdamW; linear warm-up,
                                                   then a cosine down to a tenth
    target  held-out accuracy (share of positions) at which training stops early; above 1, never
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
        for name in ("layers", "heads", "d_model", "steps", "batch", "max_len"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name, known in (("norm", (None, *NORMS)), ("act", ACTS)):
            if getattr(self, name) not in known:
                names = ", ".join(n or "none" for n in known)
                raise ValueError(f"{name} is {getattr(self, name)!r}; it can be {names}")
        if self.inputs not in ("random", "repeated"):
            raise ValueError(f"inputs is {self.inputs!r}; it can be random or repeated")
        if not 1 <= (self.train_len or 1) <= self.max_len or self.d_mlp < 0:
            raise ValueError(
                f"train_len lies from 1 to max_len and d_mlp from 0, got "
                f"train_len={self.train_len}, max_len={self.max_len}, d_mlp={self.d_mlp}"
            )
        if self.d_model % self.heads:
            raise ValueError(
                f"heads must divide d_model, got heads={self.heads}, d_model={self.d_model}"
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
        from rasplab.lang import load

        return load(zoo.entry(self.task).path)

    def to_json(self) -> dict:
        """Plain values; `from_json` gives an equal recipe back."""
        listed = {"vocab": list(self.vocab), "supervise": [list(p) for p in self.supervise]}
        return asdict(self) | listed

    @staticmethod
    def from_json(row: dict) -> Recipe:
        """The recipe of `to_json`. Raises KeyError or TypeError for anything else."""
        names = {f.name for f in fields(Recipe)}
        if set(row) != names:
            raise KeyError(f"fields {sorted(set(row) ^ names)}")
        pairs = tuple((head, selector) for head, selector in row["supervise"])
        return Recipe(**(row | {"vocab": tuple(row["vocab"]), "supervise": pairs}))


SMALL = {"vocab": LETTERS, "max_len": 8, "d_model": 48, "d_mlp": 96, "steps": 4000}

OWN: dict[str, dict] = {
    "reverse": SMALL | {"layers": 2, "heads": 1},
    "reverse_supervised": SMALL | {
        "task": "reverse", "layers": 2, "heads": 1, "supervise": (("L1H0", "flip"),),
    },
    "hist": SMALL | {"layers": 1, "heads": 1},
    "double_hist": SMALL | {"layers": 2, "heads": 2, "d_model": 64, "d_mlp": 128},
    "sort": SMALL | {"layers": 2, "heads": 1},
    "most_freq": {
        "vocab": LETTERS[:6], "max_len": 8, "layers": 3, "heads": 2, "steps": 6000, "target": 0.99,
    },
    "dyck1": {"max_len": 12, "layers": 2, "heads": 1, "steps": 4000},
    "dyck2": {"max_len": 10, "layers": 3, "heads": 1, "steps": 4000, "target": 0.998},
    "induction": {
        "vocab": tuple("abcdefghijklmnopqrstuvwxyzABCDEF"), "max_len": 32, "causal": True,
        "inputs": "repeated", "heads": 4, "d_mlp": 0, "steps": 1200, "batch": 128, "target": 1.1,
    },
}  # fmt: skip
"""Where a task differs from the defaults of Recipe: depth and heads are those of the RASP paper,
where it has the task. A name with a `task` of its own is another way to train that task. induction
goes on until its loss is near zero: its heads take shape after its answers are right."""


def recipe(task: str, **changes: object) -> Recipe:
    """The recipe of a task, or of a name in OWN, with `changes`; those that are None keep the
    default. norm can be "none".

    Raises RaspNameError for a task that is not in the zoo, ValueError for impossible sizes.
    """
    own = OWN.get(task, {})
    domain = zoo.entry(own.get("task", task)).domain
    base = Recipe(task, domain.vocab, domain.max_len, domain.causal)
    given = {name: value for name, value in changes.items() if value is not None}
    if "vocab" in given:
        given["vocab"] = tuple(given["vocab"])
    if "supervise" in given:
        pairs = given["supervise"]
        given["supervise"] = tuple(pairs.items()) if isinstance(pairs, dict) else tuple(pairs)
    if given.get("norm") == "none":
        given["norm"] = None
    return replace(base, **(own | given))
