"""Realistic models with a known circuit, by strict interchange-intervention training (SIIT).

A model with ordinary weights (GELU, no norm, spare heads) learns to answer as a compiled one, also
when what one site writes is taken from another input: then that site does what its namesake in the
compiled model does. Sites outside the circuit (spare heads, MLPs without neurons in the compiled
model) must change nothing when they are swapped. The loss of a step is
    CE(plain) + iit * CE(a site of the circuit swapped) + strict * CE(another site swapped)
with the compiled model's answers as classes: under the same swap for the second term, plain for the
first and third. Source: Gupta et al. 2024 (arXiv:2407.14494), with our own compiled models, sizes
and schedule.

Realistic (a recipe) -> `train_siit` -> LensModel and Measured, by way of `label_pairs` (answers of
the compiled model), `swapped_logits` (the model under swaps) and `measure`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from rasplab.base.errors import RaspError
from rasplab.circuit.patching.experiment import patch_experiment
from rasplab.circuit.patching.from_bridge import ACTIVATIONS, edge_model_of
from rasplab.circuit.patching.pairs import Pairs, draw_longer
from rasplab.compiler.compiled import Compiled
from rasplab.compiler.pipeline import compile_program
from rasplab.lang.loading import load
from rasplab.model.bridge import LensModel, plain_parameters
from rasplab.model.native import fresh_model
from rasplab.model.recipe import Trained
from rasplab.model.threads import few_threads
from rasplab.program.domain import Domain
from rasplab.program.values import Atom
from rasplab.program.zoo import entry
from rasplab.study.training.trainer import lr_schedule
from rasplab.transformer.forward import (
    embed,
    head_outputs,
    hidden_keys,
    mlp_output,
    self_attention,
    unembed,
)
from rasplab.transformer.sites import Site
from rasplab.transformer.weights import Weights

TRAINING_PAIRS, HELD_OUT_PAIRS = 3000, 500
"""Pairs to train on, and others to measure on; of small domains many come several times."""

PAIRS_PER_RUN = 256
"""Pairs in one run of the compiled model."""

EVAL_INTERVAL = 100
"""Steps between measurements."""

MIN_BEHAVIOUR, MIN_INTERCHANGE = 0.99, 0.95
"""What a good model reaches: accuracy, and interchange accuracy of every site in the circuit."""

MAX_EFFECT, MIN_MOVED = 0.01, 0.01
"""The most that a swap of a site outside the circuit changes, the least that one inside must."""

ENOUGH_SURPLUS = 0.5
"""Training stops when a model is so far beyond the thresholds (0: just good; 1: perfect)."""


@dataclass(frozen=True)
class Realistic:
    """How a realistic model is made.

    vocab, max_len  the inputs, fewer than the program's own so that training is short
    extra_heads   heads per layer beyond the compiled model's
    steps, warmup, batch, lr, clip   Adam; linear warm-up, then a cosine down to a tenth
    iit, strict   weights of the two interchange losses; that of plain answers is 1
    """

    program: str
    vocab: tuple[Atom, ...]
    max_len: int
    seed: int = 0
    extra_heads: int = 1
    d_head: int = 12
    d_mlp: int = 64
    steps: int = 3000
    warmup: int = 100
    batch: int = 96
    lr: float = 3e-3
    clip: float = 1.0
    iit: float = 1.0
    strict: float = 0.4

    @property
    def domain(self) -> Domain:
        """The inputs it takes; causal where the program's own domain is."""
        return Domain(self.vocab, self.max_len, entry(self.program).domain.causal)

    def compiled(self) -> Compiled:
        """The compiled model whose circuit it gets."""
        return compile_program(load(entry(self.program).path), self.domain)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a realistic model does on held-out pairs, as shares of positions.

    behaviour    answers as the compiled model
    interchange  by site of the circuit: answers as the compiled model with that site swapped
    effect       by other site: answers changed by a swap
    moved        by site of the circuit: answers of the compiled model changed by a swap; where that
                 is 0, swaps say nothing about the site
    """

    behaviour: float
    interchange: dict[str, float]
    effect: dict[str, float]
    moved: dict[str, float]

    @property
    def good(self) -> bool:
        """Whether it reaches all four thresholds."""
        return (
            self.behaviour >= MIN_BEHAVIOUR
            and min(self.interchange.values()) >= MIN_INTERCHANGE
            and max(self.effect.values(), default=0) <= MAX_EFFECT
            and min(self.moved.values()) >= MIN_MOVED
        )

    @property
    def surplus(self) -> float:
        """How far behaviour and interchange exceed their thresholds: 0 not at all, 1 perfect."""
        least = min(self.interchange.values())
        values = ((self.behaviour, MIN_BEHAVIOUR), (least, MIN_INTERCHANGE))
        return min((value - threshold) / (1 - threshold) for value, threshold in values)

    def __str__(self) -> str:
        return (
            f"behaviour {self.behaviour:.4f}, interchange at least "
            f"{min(self.interchange.values()):.4f}, effect of others at most "
            f"{max(self.effect.values(), default=0):.4f}"
        )

    def to_json(self) -> dict:
        """Every field, as it stands in measured.json."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class LabelledPairs:
    """Pairs of inputs with the compiled model's answers, as classes.

    answers  to the clean inputs
    swapped  to the clean inputs with one site of the circuit taken from the corrupted input
    """

    pairs: Pairs
    answers: Int[Tensor, "batch pos"]
    swapped: Int[Tensor, "site batch pos"]


@torch.no_grad()
def label_pairs(compiled: Compiled, circuit: Sequence[Site], n: int, seed: int) -> LabelledPairs:
    """About `n` random pairs with the compiled model's answers, plain and under each swap."""
    edge_model = edge_model_of(compiled.to_model(device="cpu").lens)
    pairs = draw_longer(compiled.domain, n, seed)
    answers, swapped = [], []
    for start in range(0, len(pairs), PAIRS_PER_RUN):
        # "resample" by node: a patched unit writes what it writes on the corrupted input
        rows = pairs.rows(start, start + PAIRS_PER_RUN)
        experiment = patch_experiment(edge_model, rows, "resample", "mse", "node")
        units = [experiment.units.names.index(str(site)) for site in circuit]
        masks = [experiment.single_patches[unit][None] for unit in units]
        answers.append(experiment.base.logits[0].argmax(-1))
        swapped.append(torch.stack([experiment.run(mask).logits[0].argmax(-1) for mask in masks]))
    return LabelledPairs(pairs, torch.cat(answers), torch.cat(swapped, 1))


def circuit_sites(compiled: Compiled) -> list[Site]:
    """The heads and MLPs that work in a compiled model."""
    heads = [Site("head", layer, i) for layer, i, _ in compiled.layout.heads]
    mlps = {Site("mlp", layer) for layer, _, _ in compiled.layout.neurons}
    return sorted([*heads, *mlps])


def blank(recipe: Realistic, compiled: Compiled) -> LensModel:
    """The untrained model: GELU, no norm, more heads than the circuit has.

    Raises RaspError for a program whose output is read as one number.
    """
    if compiled.readout.number:
        raise RaspError(f"{recipe.program} gives one number; realistic models classify")
    heads = compiled.layout.n_heads + recipe.extra_heads
    return fresh_model(
        recipe.domain,
        compiled.readout,
        compiled.layout.n_layers,
        heads,
        heads * recipe.d_head,
        recipe.d_mlp,
        recipe.seed,
        norm=None,
        act="gelu",
        device="cpu",
    )


def sites_of(model: LensModel) -> list[Site]:
    """Every head and MLP, in the order of `swapped_logits`."""
    return [
        site
        for layer in range(model.n_layers)
        for site in (*(Site("head", layer, h) for h in range(model.n_heads)), Site("mlp", layer))
    ]


def swapped_logits(
    w: Weights[Tensor],
    causal: bool,
    tokens: Int[Tensor, "variant batch pos"],
    real: Bool[Tensor, "variant batch pos"],
    swaps: Int[Tensor, "variant batch"],
) -> Float[Tensor, "variant batch pos d_vocab_out"]:
    """Logits of a GELU model where each row has what one site writes taken from another input.

    tokens, real  variant 0 is the input to take from, run in the same pass; real as in
                  `hidden_keys`
    swaps         the number of the site to swap in `sites_of`, or -1 for none
    """
    hidden, n_heads, x = hidden_keys(real, causal), w.n_heads, embed(w, tokens)
    for layer in range(w.n_layers):
        first = layer * (n_heads + 1)  # heads, then the MLP
        # fresh models of TransformerLens divide scores by sqrt(d_head)
        z, _ = self_attention(w, layer, x, hidden, w.W_Q.shape[-1] ** 0.5)
        written = head_outputs(w, layer, z)
        # written[:1] is variant 0: what the same site writes on the input to take from
        swapped = swaps[..., None] == first + torch.arange(n_heads)
        written = torch.where(swapped[..., None, None], written[:1], written)
        x = x + written.sum(2) + w.b_O[layer]
        written = mlp_output(w, layer, x, ACTIVATIONS["gelu"])
        x = x + torch.where((swaps == first + n_heads)[..., None, None], written[:1], written)
    return unembed(w, x)


def train_siit(
    recipe: Realistic, report: Callable[[int, float, Measured], None] | None = None
) -> tuple[LensModel, Measured]:
    """Train the model of a recipe until it is well beyond the thresholds or its steps are over.

    report  called at each measurement with step, loss and what is measured

    Inputs come from all of a small domain; what is held out are pairs of them.
    """
    compiled = recipe.compiled()
    circuit, model = circuit_sites(compiled), blank(recipe, compiled)
    training = label_pairs(compiled, circuit, TRAINING_PAIRS, recipe.seed)
    held_out = label_pairs(compiled, circuit, HELD_OUT_PAIRS, recipe.seed + 1)
    step, measured = 0, None
    with few_threads(model.lens.cfg.d_model):
        weights = _leaves(model)
        for step, loss in _training_steps(recipe, weights, model, circuit, training):
            if step % EVAL_INTERVAL and step != recipe.steps:
                continue
            measured = measure(weights, model, circuit, held_out)
            if report:
                report(step, loss, measured)
            if measured.good and measured.surplus >= ENOUGH_SURPLUS:
                break
    assert measured is not None, "the last step is measured"
    _store(model, weights)
    return replace(model, trained=Trained(step, measured.behaviour, 0.0)), measured


def _leaves(model: LensModel) -> Weights[Tensor]:
    """Copies of the model's weights that torch differentiates."""
    names = Weights.__dataclass_fields__
    return Weights(
        **{name: getattr(model.lens, name).detach().clone().requires_grad_() for name in names}
    )


def _store(model: LensModel, weights: Weights[Tensor]) -> None:
    """Copy the weights into the model's own parameters."""
    from rasplab.model.native import parameters_of

    arrays = Weights(**{n: a.detach().numpy() for n, a in weights.arrays().items()})
    parameters = plain_parameters(model.lens)
    with torch.no_grad():
        for name, array in parameters_of(arrays).items():
            parameters[name].copy_(torch.from_numpy(np.ascontiguousarray(array)))
    model.lens.eval()


def _training_steps(
    recipe: Realistic,
    weights: Weights[Tensor],
    model: LensModel,
    circuit: Sequence[Site],
    training: LabelledPairs,
) -> Iterator[tuple[int, float]]:
    """Change `weights` by Adam, one step at a time: the step, from 1, and its loss."""
    leaves = list(weights.arrays().values())
    optimizer = torch.optim.Adam(leaves, lr=recipe.lr, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: lr_schedule(step, recipe.steps, recipe.warmup)
    )
    generator = torch.Generator().manual_seed(recipe.seed)
    sites = sites_of(model)
    # Where every site is in the circuit, -1 makes the third variant a second plain one.
    inside = torch.tensor([sites.index(site) for site in circuit])
    outside = torch.tensor([i for i, site in enumerate(sites) if site not in circuit] or [-1])

    def draw(n: int) -> Tensor:
        return torch.randint(n, (recipe.batch,), generator=generator)

    for step in range(1, recipe.steps + 1):
        rows, node, other = draw(len(training.pairs)), draw(len(circuit)), draw(len(outside))
        swapped = torch.stack([inside[node], outside[other]])
        logits = _variants(weights, model, training.pairs, rows, swapped)
        plain, counted = training.answers[rows], training.pairs.counted[rows]
        expected = (plain, training.swapped[node, rows], plain)
        losses = [
            cross_entropy(variant[counted], answers[counted])
            for variant, answers in zip(logits, expected, strict=True)
        ]
        loss = losses[0] + recipe.iit * losses[1] + recipe.strict * losses[2]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(leaves, recipe.clip)
        optimizer.step()
        schedule.step()
        yield step, loss.item()


def _variants(
    w: Weights[Tensor], model: LensModel, pairs: Pairs, rows: Tensor, swapped: Tensor
) -> Tensor:
    """Logits [variant, batch, pos, class] of the same clean inputs: plain, then under each swap.

    swapped  the site that each row swaps [variant - 1, batch]
    """
    none = torch.full_like(rows, -1)  # of the corrupted inputs, which come first, and the plain run
    return _logits(w, model, pairs, rows, torch.stack([none, none, *swapped]))[1:]


def _logits(
    w: Weights[Tensor], model: LensModel, pairs: Pairs, rows: Tensor, swaps: Tensor
) -> Tensor:
    """Logits [variant, batch, pos, class]: of the corrupted inputs, then of the clean ones.

    rows   which pairs [batch]
    swaps  [variant, batch] as in `swapped_logits`, the first row for the corrupted inputs
    """
    clean, corrupt, n_clean = pairs.clean, pairs.corrupt, len(swaps) - 1
    tokens = torch.stack([corrupt.tokens[rows], *[clean.tokens[rows]] * n_clean])
    real = torch.stack([corrupt.real[rows], *[clean.real[rows]] * n_clean])
    return swapped_logits(w, model.domain.causal, tokens, real, swaps)


@torch.no_grad()
def measure(
    w: Weights[Tensor], model: LensModel, circuit: Sequence[Site], held_out: LabelledPairs
) -> Measured:
    """Compare weights of the model's shape with the compiled model, on held-out pairs."""
    sites, counted = sites_of(model), held_out.pairs.counted
    rows = torch.arange(len(held_out.pairs))
    # one run of all: the source, the plain inputs, then each site swapped
    swaps = torch.full((len(sites) + 2, len(rows)), -1)
    swaps[2:] = torch.arange(len(sites))[:, None]
    answers = _logits(w, model, held_out.pairs, rows, swaps).argmax(-1)[1:]

    def share(cells: Tensor) -> float:
        return float(cells[counted].float().mean())

    plain, swapped = answers[0], dict(zip(sites, answers[1:], strict=True))
    expected = dict(zip(circuit, held_out.swapped, strict=True))
    return Measured(
        share(plain == held_out.answers),
        {str(site): share(swapped[site] == expected[site]) for site in circuit},
        {str(site): share(swapped[site] != plain) for site in sites if site not in circuit},
        {str(site): share(expected[site] != held_out.answers) for site in circuit},
    )


def measured_model(recipe: Realistic, model: LensModel, seed: int = 1) -> Measured:
    """`measure` for a trained model, on new pairs of `seed`."""
    compiled = recipe.compiled()
    circuit = circuit_sites(compiled)
    return measure(
        _leaves(model), model, circuit, label_pairs(compiled, circuit, HELD_OUT_PAIRS, seed)
    )
