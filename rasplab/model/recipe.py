"""How a model is trained: one frozen record per run, and the table of defaults per task
(floor 4)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace

from rasplab import zoo
from rasplab.domain import Domain
from rasplab.program import Atom, Program

LETTERS = tuple("abcdefgh")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a trained model, but the versions of the libraries.

    task    a zoo program; its interpreter gives the answers
    vocab, max_len, causal   what inputs there are; by default those of the zoo's index
    layers, heads, d_model, d_mlp, norm, act   the transformer;
                                               norm and act are TransformerLens' names
    steps, batch, lr, warmup, weight_decay, clip   AdamW; linear warm-up,
                                                   then a cosine down to a tenth
    target  held-out accuracy (share of positions) at which training stops early
    """

    task: str
    vocab: tuple[Atom, ...]
    max_len: int
    causal: bool = False
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
        if self.d_model % self.heads:
            raise ValueError(
                f"heads must divide d_model, got heads={self.heads}, d_model={self.d_model}"
            )

    @property
    def domain(self) -> Domain:
        """The inputs it is trained on and takes."""
        return Domain(self.vocab, self.max_len, self.causal)

    def program(self) -> Program:
        """The zoo program of the task."""
        from rasplab.lang import load

        return load(zoo.entry(self.task).path)

    def to_json(self) -> dict:
        """Plain values; `from_json` gives an equal recipe back."""
        return asdict(self) | {"vocab": list(self.vocab)}

    @staticmethod
    def from_json(row: dict) -> Recipe:
        """The recipe of `to_json`. Raises KeyError or TypeError for anything else."""
        names = {f.name for f in fields(Recipe)}
        if set(row) != names:
            raise KeyError(f"fields {sorted(set(row) ^ names)}")
        return Recipe(**(row | {"vocab": tuple(row["vocab"])}))


OWN: dict[str, dict] = {
    "reverse": {
        "vocab": LETTERS,
        "max_len": 8,
        "layers": 2,
        "heads": 2,
        "d_model": 48,
        "d_mlp": 96,
    },
    "hist": {"vocab": LETTERS, "max_len": 8, "layers": 1, "heads": 2, "d_model": 48, "d_mlp": 96},
    "sort": {"vocab": LETTERS, "max_len": 8, "layers": 2, "heads": 2, "d_model": 48, "d_mlp": 96},
}
"""Where a task differs from the defaults of Recipe."""


def recipe(task: str, **changes: object) -> Recipe:
    """The task's recipe with `changes`; those that are None keep the default.

    Raises RaspNameError for a task that is not in the zoo, ValueError for impossible sizes.
    """
    domain = zoo.entry(task).domain
    base = Recipe(task, domain.vocab, domain.max_len, domain.causal)
    given = {name: value for name, value in changes.items() if value is not None}
    if "vocab" in given:
        given["vocab"] = tuple(given["vocab"])
    return replace(base, **(OWN.get(task, {}) | given))
