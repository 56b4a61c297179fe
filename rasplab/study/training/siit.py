"""Realistic models with a known circuit: strict interchange-intervention training.

A model with ordinary weights learns to answer as a compiled one, also when what one site writes is
taken from another input: then that site does what its namesake in the compiled model does. What is
no part of the circuit (more heads, MLPs without work) must change nothing when it is swapped.
Source: Gupta et al. 2024 (arXiv:2407.14494), with our own compiled models, sizes and schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from rasplab.base.errors import RaspError
from rasplab.circuit.patching.experiment import patch_experiment
from rasplab.circuit.patching.from_bridge import ACTIVATIONS, edge_model_of
from rasplab.circuit.patching.pairs import Pairs, draw_longer
from rasplab.compiler.compiled import Compiled
from rasplab.compiler.pipeline import compile_program
from rasplab.lang.loading import load
from rasplab.model.bridge import LensModel
from rasplab.model.native import fresh_model, plain_parameters
from rasplab.model.recipe import Trained
from rasplab.model.threads import few_threads
from rasplab.program.domain import Domain
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

POOL, HELD_OUT = 3000, 500
"""Pairs to train on, and others to measure on; of small domains many come several times."""

EVAL_INTERVAL = 100
"""Steps between measurements."""

BEHAVIOUR, INTERCHANGE, EFFECT, MOVED = 0.99, 0.95, 0.01, 0.01
"""What a realistic model must reach: accuracy, interchange accuracy of every site in the circuit,
the most that a swap of any other site may change, the least that one in the circuit must."""


SURPLUS = 0.5
"""Training stops when a model is so far beyond that (0: just good; 1: perfect)."""


@dataclass(frozen=True)
class Realistic:
    """How a realistic model is made.

    extra_heads   heads per layer beyond the compiled model's
    iit, strict   weights of the two interchange losses; that of plain answers is 1
    """

    program: str
    vocab: tuple
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
        """The model whose circuit it gets."""
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
        """Whether it is what a realistic model must be."""
        return (
            self.behaviour >= BEHAVIOUR
            and min(self.interchange.values()) >= INTERCHANGE
            and max(self.effect.values(), default=0) <= EFFECT
            and min(self.moved.values()) >= MOVED
        )

    @property
    def surplus(self) -> float:
        """By how much behaviour and interchange exceed what they must be, as shares of the most
        that they can.
        """
        least = min(self.interchange.values())
        over = ((self.behaviour, BEHAVIOUR), (least, INTERCHANGE))
        return min((x - wanted) / (1 - wanted) for x, wanted in over)

    def __str__(self) -> str:
        return (
            f"behaviour {self.behaviour:.4f}, interchange at least "
            f"{min(self.interchange.values()):.4f}, effect of others at most "
            f"{max(self.effect.values(), default=0):.4f}"
        )

    def to_json(self) -> dict:
        """Every field."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Lessons:
    """Pairs with the compiled model's answers.

    answers  [batch, pos] to the clean inputs; swapped: [site, batch, pos] with one site of the
             circuit from the corrupted input
    """

    pairs: Pairs
    answers: Tensor
    swapped: Tensor


@torch.no_grad()
def lessons(compiled: Compiled, circuit: list[Site], n: int, seed: int) -> Lessons:
    """What the compiled model says to `n` pairs, plainly and under each swap."""
    edge_model = edge_model_of(compiled.to_model(device="cpu").lens)
    pairs = draw_longer(compiled.domain, n, seed)
    plain, swapped = [], []
    for start in range(0, len(pairs), 256):
        posed = patch_experiment(
            edge_model, pairs.rows(start, start + 256), "resample", "mse", "node"
        )
        at = [posed.units.names.index(str(site)) for site in circuit]
        runs = [posed.run(posed.single_patches[i][None]).logits[0].argmax(-1) for i in at]
        plain.append(posed.base.logits[0].argmax(-1))
        swapped.append(torch.stack(runs))
    return Lessons(pairs, torch.cat(plain), torch.cat(swapped, 1))


def circuit_sites(compiled: Compiled) -> list[Site]:
    """The heads and MLPs that work in a compiled model."""
    heads = [Site("head", layer, i) for layer, i, _ in compiled.layout.heads]
    mlps = {Site("mlp", layer) for layer, _, _ in compiled.layout.neurons}
    return sorted([*heads, *mlps])


def blank(recipe: Realistic, compiled: Compiled) -> LensModel:
    """The untrained model: GELU, no norm, more heads than the circuit has."""
    if compiled.readout.number:
        raise RaspError(f"{recipe.program} gives one number; realistic models classify")
    heads = compiled.layout.n_heads + recipe.extra_heads
    return fresh_model(
        recipe.domain, compiled.readout, compiled.layout.n_layers, heads, heads * recipe.d_head,
        recipe.d_mlp, recipe.seed, None, "gelu", "cpu",
    )  # fmt: skip


def sites_of(model: LensModel) -> list[Site]:
    """Every head and MLP, in the order of `swapped_logits`."""
    return [
        site
        for layer in range(model.n_layers)
        for site in (*(Site("head", layer, h) for h in range(model.n_heads)), Site("mlp", layer))
    ]


def swapped_logits(w: Weights, causal: bool, tokens: Tensor, real: Tensor, swaps: Tensor) -> Tensor:
    """Logits [group, batch, pos, class]; group 0 is the source that others swap sites from.

    tokens, real  [group, batch, pos];  swaps [group, batch]: the site to swap, or -1
    """
    hidden, n_heads, x = hidden_keys(real, causal), w.n_heads, embed(w, tokens)
    for layer in range(w.n_layers):
        first = layer * (n_heads + 1)
        z, _ = self_attention(w, layer, x, hidden, w.W_Q.shape[-1] ** 0.5)
        written = head_outputs(w, layer, z)
        which = swaps[..., None] == first + torch.arange(n_heads)
        written = torch.where(which[..., None, None], written[:1], written)
        x = x + written.sum(2) + w.b_O[layer]
        written = mlp_output(w, layer, x, ACTIVATIONS["gelu"])
        x = x + torch.where((swaps == first + n_heads)[..., None, None], written[:1], written)
    return unembed(w, x)


def make(
    recipe: Realistic, report: Callable[[int, float, Measured | None], None] | None = None
) -> tuple[LensModel, Measured]:
    """Train the model of a recipe, until it is more than good or its steps are over.

    Inputs come from all of a small domain; what is held out are pairs.
    """
    compiled = recipe.compiled()
    circuit, model = circuit_sites(compiled), blank(recipe, compiled)
    taught = lessons(compiled, circuit, POOL, recipe.seed)
    unseen = lessons(compiled, circuit, HELD_OUT, recipe.seed + 1)
    measured = None
    with few_threads(model.lens.cfg.d_model):
        weights = _tensors(model)
        for step, loss in _descend(recipe, weights, model, circuit, taught):
            if step % EVAL_INTERVAL == 0 or step == recipe.steps:
                measured = measure(weights, model, circuit, unseen)
                if report:
                    report(step, loss, measured)
                if measured.good and measured.surplus >= SURPLUS:
                    break
    _put(model, weights)
    return replace(model, trained=Trained(step, measured.behaviour, 0.0)), measured


def _tensors(model: LensModel) -> Weights:
    """The model's weights as leaves that torch differentiates."""
    names = Weights.__dataclass_fields__
    return Weights(
        **{name: getattr(model.lens, name).detach().clone().requires_grad_() for name in names}
    )


def _put(model: LensModel, weights: Weights) -> None:
    from rasplab.model.native import parameters_of

    arrays = Weights(**{n: a.detach().numpy() for n, a in weights.arrays().items()})
    parameters = plain_parameters(model.lens)
    with torch.no_grad():
        for name, array in parameters_of(arrays).items():
            parameters[name].copy_(torch.from_numpy(np.ascontiguousarray(array)))
    model.lens.eval()


def _descend(
    recipe: Realistic, weights: Weights, model: LensModel, circuit: list[Site], taught: Lessons
) -> Iterator[tuple[int, float]]:
    """Adam on plain answers, answers under swaps in the circuit, and under swaps outside."""
    leaves = list(weights.arrays().values())
    optimizer = torch.optim.Adam(leaves, lr=recipe.lr, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: lr_schedule(step, recipe.steps, recipe.warmup)
    )
    generator = torch.Generator().manual_seed(recipe.seed)
    sites = sites_of(model)
    inside = torch.tensor([sites.index(site) for site in circuit])
    outside = torch.tensor([i for i, site in enumerate(sites) if site not in circuit] or [-1])

    def draw(n: int) -> Tensor:
        return torch.randint(n, (recipe.batch,), generator=generator)

    for step in range(1, recipe.steps + 1):
        rows, node, other = draw(len(taught.pairs)), draw(len(circuit)), draw(len(outside))
        none = torch.full_like(rows, -1)
        swaps = torch.stack([none, none, inside[node], outside[other]])
        logits = _logits(weights, model, taught.pairs, rows, swaps)
        plain, counted = taught.answers[rows], taught.pairs.counted[rows]
        wanted = (plain, taught.swapped[node, rows], plain)
        losses = [cross_entropy(logits[i + 1][counted], y[counted]) for i, y in enumerate(wanted)]
        loss = losses[0] + recipe.iit * losses[1] + recipe.strict * losses[2]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(leaves, recipe.clip)
        optimizer.step()
        schedule.step()
        yield step, loss.item()


def _logits(w: Weights, model: LensModel, pairs: Pairs, rows: Tensor, swaps: Tensor) -> Tensor:
    """The source's logits, then those of the clean inputs under each row of `swaps`."""
    clean, source = pairs.clean.tokens[rows], pairs.corrupt.tokens[rows]
    tokens = torch.stack([source, *[clean] * (len(swaps) - 1)])
    real = torch.stack([pairs.corrupt.real[rows], *[pairs.clean.real[rows]] * (len(swaps) - 1)])
    return swapped_logits(w, model.domain.causal, tokens, real, swaps)


@torch.no_grad()
def measure(w: Weights, model: LensModel, circuit: list[Site], unseen: Lessons) -> Measured:
    """Hold a model against the compiled one, on pairs that it was not trained on."""
    sites, counted = sites_of(model), unseen.pairs.counted
    rows = torch.arange(len(unseen.pairs))
    swaps = torch.full((len(sites) + 2, len(rows)), -1)
    swaps[2:] = torch.arange(len(sites))[:, None]
    answers = _logits(w, model, unseen.pairs, rows, swaps).argmax(-1)[1:]

    def share(same: Tensor) -> float:
        return float(same[counted].float().mean())

    swapped = {site: answers[1 + i] for i, site in enumerate(sites)}
    return Measured(
        share(answers[0] == unseen.answers),
        {str(s): share(swapped[s] == unseen.swapped[i]) for i, s in enumerate(circuit)},
        {str(s): share(swapped[s] != answers[0]) for s in sites if s not in circuit},
        {str(s): share(unseen.swapped[i] != unseen.answers) for i, s in enumerate(circuit)},
    )


def measured_model(recipe: Realistic, model: LensModel, seed: int = 1) -> Measured:
    """`measure` for a model that was made before, on pairs of `seed`."""
    compiled = recipe.compiled()
    circuit = circuit_sites(compiled)
    unseen = lessons(compiled, circuit, HELD_OUT, seed)
    return measure(_tensors(model), model, circuit, unseen)
