"""Runs with patched edges: equal to TransformerLens' own, exact edge by edge."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.compiled import compiled, fresh

import rasplab
from rasplab.base.errors import RaspValueError
from rasplab.circuit.graph import true_units
from rasplab.circuit.patching.edge_model import Inputs, Patch
from rasplab.circuit.patching.experiment import ABLATIONS, patch_experiment
from rasplab.circuit.patching.from_bridge import check_edge_model, edge_model_of
from rasplab.circuit.patching.pairs import draw_pairs, pairs_of
from rasplab.circuit.patching.units import units_of
from rasplab.program.domain import make_domain

LETTERS = make_domain("abcd", 5)


@pytest.mark.parametrize("norm", [None, "LN", "LNPre", "RMS"])
@pytest.mark.parametrize("causal", [False, True])
def test_the_sum_over_edges_is_the_model(norm, causal):
    """Without a patch, the logits are those of the bridge, whatever the norm and mask."""
    model = fresh(norm, causal=causal)
    pairs = draw_pairs(model.domain, 20, lengths=[5])
    edge_model = edge_model_of(model.lens, torch.float32)
    found = edge_model.run(pairs.clean).logits[0]
    assert torch.allclose(found, model.lens(pairs.clean.tokens), atol=1e-4)
    check_edge_model(edge_model, model.lens, pairs.clean, pairs.counted)


def test_shorter_inputs_are_run_as_if_alone():
    """What stands after an input's end changes none of its outputs."""
    model = compiled("sort").to_model(device="cpu")
    pairs = draw_pairs(model.domain, 40, seed=1)
    logits = edge_model_of(model.lens).run(pairs.clean).logits[0]
    for row, tokens in enumerate(pairs.clean.tokens):
        n = int(pairs.clean.real[row].sum())
        alone = model.lens(tokens[None, :n])[0]
        assert torch.allclose(logits[row, :n].float(), alone, atol=1e-4)


def hooked_logits(lens, tokens, clean, corrupt, src, dst) -> torch.Tensor:
    """One edge patched by hand through the bridge's hooks, for a model without norms."""
    delta = written(lens, corrupt, src) - written(lens, clean, src)
    site, port = dst.site, dst.name

    def add(activation, hook):
        edited = activation.clone()
        if site.kind == "head":
            weight = getattr(lens, f"W_{port.upper()}")[site.layer, site.head]
            edited[:, :, site.head] += delta @ weight
        else:
            edited += delta @ lens.W_in[site.layer] if site.kind == "mlp" else delta
        return edited

    name = {
        "head": f"blocks.{site.layer}.attn.hook_{port}",
        "mlp": f"blocks.{site.layer}.mlp.hook_pre",
        "unembed": "unembed.hook_in",
    }[site.kind]
    return lens.run_with_hooks(tokens, fwd_hooks=[(name, add)])


def written(lens, cache, site) -> torch.Tensor:
    """What a site adds to the residual stream [batch, pos, d_model]."""
    match site.kind:
        case "tok_embed":
            return cache["hook_embed"]
        case "pos_embed":
            return cache["hook_pos_embed"].expand_as(cache["hook_embed"])
        case "head":
            z = cache[f"blocks.{site.layer}.attn.hook_z"]
            return z[:, :, site.head] @ lens.W_O[site.layer, site.head]
        case "mlp":
            return cache[f"blocks.{site.layer}.hook_mlp_out"]


@pytest.mark.parametrize("act", ["relu", "gelu"])
@torch.no_grad()
def test_every_edge_patched_alone_is_as_through_hooks(act):
    """Single edges: the same logits as TransformerLens with the delta put into the port's hook."""
    model = fresh(None, act)
    pairs = draw_pairs(model.domain, 6, lengths=[5])
    edge_model = edge_model_of(model.lens, torch.float32)
    base = edge_model.run(pairs.clean)
    patch = Patch(torch.eye(len(edge_model.edges)), edge_model.run(pairs.corrupt).stacked())
    together = edge_model.run(pairs.clean, patch).logits
    lens, tokens = model.lens, pairs.clean.tokens
    caches = [lens.run_with_cache(t)[1] for t in (tokens, pairs.corrupt.tokens)]
    moved = 0
    for i, edge in enumerate(edge_model.edges):
        wanted = hooked_logits(lens, tokens, *caches, edge.src, edge.dst)
        assert torch.allclose(together[i], wanted, atol=2e-4), str(edge)
        one = Patch(patch.mask[i : i + 1], patch.values)
        assert torch.allclose(edge_model.run(pairs.clean, one, base).logits[0], wanted, atol=2e-4)
        moved += not torch.allclose(wanted, base.logits[0], atol=1e-3)
    assert moved > 40  # the test can fail: most edges of a random model matter


@torch.no_grad()
def test_layernorm_edges_are_normed_at_the_port():
    """With LN, a patched MLP input is the norm of the patched stream, by the bridge's own hook."""
    model = fresh("LN")
    pairs = draw_pairs(model.domain, 6, lengths=[5])
    edge_model = edge_model_of(model.lens, torch.float32)
    base, corrupt = edge_model.run(pairs.clean), edge_model.run(pairs.corrupt).stacked()
    edge = next(e for e in edge_model.edges if str(e) == "L0H1->L1M.in")
    mask = torch.zeros(1, len(edge_model.edges))
    mask[0, edge_model.index[edge]] = 1
    site = edge_model.writers.index(edge.src)
    stream = base.streams[4][0] + corrupt[site, 0] - base.stacked()[site, 0]
    normed = model.lens.blocks[1].ln2._original_component(stream)
    wanted = model.lens.run_with_hooks(
        pairs.clean.tokens, fwd_hooks=[("blocks.1.mlp.hook_in", lambda a, hook: normed)]
    )
    got = edge_model.run(pairs.clean, Patch(mask, corrupt), base).logits[0]
    assert torch.allclose(got, wanted, atol=2e-4)
    assert not torch.allclose(got, base.logits[0], atol=1e-2)


@torch.no_grad()
def test_all_edges_patched_is_the_corrupted_run():
    """Every edge from the corrupted run: the corrupted run's logits."""
    model = fresh("LN")
    pairs = draw_pairs(model.domain, 30)
    edge_model = edge_model_of(model.lens)
    corrupt = edge_model.run(pairs.corrupt)
    patch = Patch(torch.ones(1, len(edge_model.edges), dtype=torch.float64), corrupt.stacked())
    assert torch.allclose(edge_model.run(pairs.clean, patch).logits, corrupt.logits)


@torch.no_grad()
def test_a_node_patch_is_the_patch_of_all_its_edges():
    """Node granularity replaces what the site writes for every reader."""
    model = fresh(None)
    pairs = draw_pairs(model.domain, 20, lengths=[3, 5])
    edge_model = edge_model_of(model.lens)
    nodes = patch_experiment(edge_model, pairs, granularity="node", metric="mse")
    edges = patch_experiment(edge_model, pairs, granularity="edge", metric="mse")
    found = nodes.damage(torch.eye(len(nodes.units)))
    for name, damage in zip(nodes.units.names, found, strict=True):
        mask = torch.tensor([[float(e.startswith(f"{name}->")) for e in edges.units.names]])
        assert torch.allclose(edges.damage(mask), damage)


@torch.no_grad()
def test_positions_add_up_to_their_edge():
    """An edge patched at every position at once is the edge patched."""
    model = fresh(None)
    pairs = draw_pairs(model.domain, 12, lengths=[4])
    edge_model = edge_model_of(model.lens)
    places = patch_experiment(edge_model, pairs, granularity="position", metric="mse")
    edges = patch_experiment(edge_model, pairs, granularity="edge", metric="mse")
    whole = edges.damage(torch.eye(len(edges.units)))
    for i in (0, 17, len(edges.units) - 1):
        name = edges.units.names[i]
        mask = torch.tensor([[float(p.startswith(f"{name}@")) for p in places.units.names]])
        assert mask.sum() == 5
        assert torch.allclose(places.damage(mask), whole[i])


@pytest.mark.parametrize("name", ["reverse", "sort", "hist", "dyck1"])
def test_no_edge_outside_the_structure_matters(name):
    """Compiled models: an edge that reads nothing of its source does nothing, in any ablation."""
    model = compiled(name)
    edge_model = edge_model_of(model.to_model(device="cpu").lens)
    pairs = draw_pairs(model.domain, 24, seed=3)
    truth = true_units(rasplab.circuit_of(model), "edge")
    for ablation in ABLATIONS:
        found = patch_experiment(edge_model, pairs, ablation, "mse")
        outside = ~found.units.only(truth)
        damage = found.damage(torch.eye(len(found.units)))
        assert damage[outside].abs().max() < 1e-9, ablation
        assert damage.max() > 1e-3


def test_randomised_positions_stay_inside_the_input():
    """Each input's positions are its own in another order; BOS keeps its place."""
    pairs = draw_pairs(LETTERS, 60, seed=2)
    for row, real in zip(pairs.shuffled, pairs.clean.real, strict=True):
        n = int(real.sum())
        assert row[0] == 0 and sorted(row[:n].tolist()) == list(range(n))


def test_pairs_without_contrast_are_refused():
    """Clean equal to corrupted is a fault, some equal rows and a single length are notes."""
    rows = np.array([[0, 1, 2], [0, 2, 1], [0, 1, 1], [0, 2, 2]])
    with pytest.raises(RaspValueError, match="equals its clean one"):
        pairs_of(rows, rows)
    other = rows.copy()
    other[0, 1] = 2
    notes = pairs_of(rows, other).notes
    assert "75% of the corrupted" in notes[0] and "one length (2 tokens)" in notes[1]
    with pytest.raises(RaspValueError, match="one token"):
        draw_pairs(make_domain("a", 4))


def test_unknown_names_are_refused():
    """Ablations, metrics, granularities and units are named in the message."""
    model = compiled("reverse").to_model(device="cpu")
    edge_model, pairs = edge_model_of(model.lens), draw_pairs(model.domain, 16)
    for wrong in ({"ablation": "noise"}, {"metric": "f1"}, {"granularity": "neuron"}):
        with pytest.raises(RaspValueError, match=next(iter(wrong.values()))):
            patch_experiment(edge_model, pairs, **wrong)
    with pytest.raises(RaspValueError, match="no edge L9H9->L9M.in"):
        units_of(edge_model, "edge", 9).only(["L9H9->L9M.in"])


def test_models_that_are_no_plain_sum_are_refused():
    """Rotary positions and a scaled stream: refused with the reason, never a wrong number."""
    model = fresh(None)
    pairs = draw_pairs(model.domain, 6, lengths=[5])
    edge_model = edge_model_of(model.lens)
    with torch.no_grad():
        model.lens.blocks[0].mlp.out.weight.mul_(1.5)
    with pytest.raises(RaspValueError, match="other logits"):
        check_edge_model(edge_model, model.lens, pairs.clean, pairs.counted)
    model.lens.cfg.positional_embedding_type = "rotary"
    with pytest.raises(RaspValueError, match="positions are rotary"):
        edge_model_of(model.lens)


def test_gradients_of_masks_are_slopes():
    """The gradient with respect to an edge's mask is the limit of small exact patches."""
    model = fresh("LN")
    pairs = draw_pairs(model.domain, 12)
    found = patch_experiment(edge_model_of(model.lens), pairs, metric="label")
    slope = found.gradient(found.none)[0]
    step = 1e-5
    eye = torch.eye(len(found.units), dtype=torch.float64)
    numeric = (found.damage(step * eye) - found.clean_damage) / step
    assert torch.allclose(slope, numeric, atol=1e-4)
    assert slope.abs().max() > 1e-2
    assert isinstance(pairs.clean, Inputs)
