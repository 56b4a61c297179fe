"""Realistic models: trained to have a compiled model's circuit, and held to it."""

from __future__ import annotations

import pytest
import torch

from rasplab.base.errors import RaspError
from rasplab.circuit.patching.experiment import patch_experiment
from rasplab.circuit.patching.from_bridge import edge_model_of
from rasplab.circuit.patching.pairs import draw_longer
from rasplab.study.training import siit
from rasplab.study.training.siit import (
    Realistic,
    blank,
    circuit_sites,
    measured_model,
    sites_of,
    train_siit,
)
from rasplab.study.training.siit_zoo import folder, load_realistic, recipes, stored

LARGEST = 1_000_000
"""Bytes of a shipped model's folder, at most."""


def small(**changes) -> Realistic:
    """A recipe that trains in seconds."""
    return Realistic("reverse", tuple("abc"), 3, **changes)


@torch.no_grad()
def test_a_swap_is_a_node_patch():
    """The training's own forward pass is the bridge's, and a swapped site is a patched node."""
    recipe = small()
    model = blank(recipe, recipe.compiled())
    pairs, sites = draw_longer(model.domain, 12, seed=2), sites_of(model)
    experiment = patch_experiment(
        edge_model_of(model.lens, torch.float32), pairs, "resample", "mse", "node"
    )
    rows = torch.arange(len(pairs))
    swaps = torch.full((len(sites) + 2, len(rows)), -1)
    swaps[2:] = torch.arange(len(sites))[:, None]
    found = siit._logits(siit._leaves(model), model, pairs, rows, swaps)
    counted = pairs.counted
    assert torch.allclose(found[1][counted], experiment.base.logits[0][counted], atol=1e-4)
    for i, site in enumerate(sites):
        mask = experiment.units.only([str(site)])[None].float()
        made = experiment.run(mask).logits[0]
        assert torch.allclose(found[2 + i][counted], made[counted], atol=1e-4), str(site)
    assert not torch.allclose(found[2], found[1], atol=1e-3)


def test_training_gives_the_circuit(monkeypatch):
    """A few hundred steps on reverse: right answers, right swaps, extra heads without effect.

    An untrained model has none of it.
    """
    monkeypatch.setattr(siit, "TRAINING_PAIRS", 600)
    monkeypatch.setattr(siit, "HELD_OUT_PAIRS", 200)
    recipe = small(steps=500, batch=64, extra_heads=1)
    untrained = measured_model(recipe, blank(recipe, recipe.compiled()))
    assert not untrained.good and untrained.behaviour < 0.9
    model, measured = train_siit(recipe)
    assert measured.good, str(measured)
    assert set(measured.interchange) == {str(s) for s in circuit_sites(recipe.compiled())}
    assert {"L0H1", "L1H1"} <= set(measured.effect)
    assert model.run("abc") == ["c", "b", "a"]
    again = measured_model(recipe, model, seed=5)  # the weights are in the bridge
    assert again.behaviour > 0.98


def test_shipped_models_are_many_small_and_good():
    """At least ten; each says what it reached, and stays below a megabyte."""
    assert len(recipes()) >= 10
    for name in recipes():
        files = list(folder(name).iterdir())
        assert sum(f.stat().st_size for f in files) <= LARGEST, name
        assert stored(name).good, name


@pytest.mark.parametrize("name", sorted(recipes())[:3])
def test_shipped_models_do_what_their_record_says(name, monkeypatch):
    """Measured again on other pairs, a model is as good as its record."""
    monkeypatch.setattr(siit, "HELD_OUT_PAIRS", 200)
    found = measured_model(recipes()[name], load_realistic(name), seed=77)
    assert found.good, str(found)


def test_unknown_names_are_said():
    """A program without a realistic model."""
    with pytest.raises(RaspError, match="no realistic model of 'nosuch'"):
        load_realistic("nosuch")
