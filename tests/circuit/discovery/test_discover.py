"""Discovery methods against what they must be by definition; scores against hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.compiled import compiled, fresh

from rasplab.base.errors import FileError, RaspValueError
from rasplab.circuit.discovery.attribution import eap_ig, eap_ig_activations, mask_ig
from rasplab.circuit.discovery.discover import METHODS, discover, experiment_for
from rasplab.circuit.discovery.edge_scores import EdgeScores
from rasplab.circuit.discovery.exact_path_acdc import acdc
from rasplab.circuit.discovery.pruning import gates, open_probability
from rasplab.circuit.evaluation.curves import curves
from rasplab.circuit.evaluation.score import Truth, average_precision, roc, score, truth_of
from rasplab.circuit.patching.pairs import draw_pairs, pairs_of


@pytest.fixture(scope="module")
def reverse():
    """The compiled reverse in TransformerLens."""
    return compiled("reverse").to_model(device="cpu")


def posed(norm=None, metric="mse", granularity="edge", n=10):
    """A problem on a random model."""
    model = fresh(norm)
    return experiment_for(
        model, METHODS["exact"], draw_pairs(model.domain, n), metric=metric, granularity=granularity
    )


def test_acdc_is_its_algorithm():
    """All thresholds side by side drop what the sequential algorithm drops at each."""
    found = posed(n=5)
    scores = acdc(found, thresholds=4)
    taus = np.geomspace(1e-6, 1, 4) * found.full_damage
    wanted = np.zeros(len(found.units))
    for tau in taus:
        mask, damage = found.none.clone(), found.clean_damage
        for unit in reversed(range(len(found.units))):
            trial = mask.clone()
            trial[0, unit] = 1
            worse = float(found.damage(trial))
            if worse - damage < tau:
                mask, damage = trial, worse
        keep = mask[0].numpy() == 0
        wanted[keep] = np.maximum(wanted[keep], tau)
    assert np.allclose(scores.numpy(), wanted)
    assert 0 < (scores > 0).sum() < len(scores)


@pytest.mark.parametrize("norm", [None, "LN"])
def test_mask_gradients_integrate_to_the_whole_damage(norm):
    """Along a straight path, the slopes of all masks add up to what patching everything does."""
    found = posed(norm)
    assert np.isclose(float(mask_ig(found, points=400).sum()), found.full_damage, rtol=1e-3)


def test_integrated_activations_add_up_by_layer():
    """Over the edges from one layer's heads, EAP-IG adds up to patching all of those edges."""
    found = posed()
    scores = eap_ig_activations(found, points=200)
    for time in (0, 1, 2, 3):
        group = torch.tensor([s.time == time for s in found.units.sources])
        damage = float(found.damage(group[None].double())) - found.clean_damage
        assert np.isclose(float(scores[group].sum()), damage, rtol=1e-3, atol=1e-6)


def test_integrated_inputs_add_up_over_the_embeddings():
    """With inputs going from clean to corrupted, the embeddings' edges carry the whole change."""
    found = posed("LN")
    scores = eap_ig(found, points=400)
    embedded = torch.tensor([s.time == 0 for s in found.units.sources])
    assert np.isclose(float(scores[embedded].sum()), found.full_damage, rtol=2e-3)


def test_head_importance_is_the_mean_size_per_input():
    """HISP on nodes: the slopes of each input's own damage, sizes averaged."""
    found = posed(metric="label", granularity="node")
    each = []
    for i in range(len(found.pairs)):
        damage = lambda m, i=i: found.differentiable(m)[0, i]  # noqa: E731
        each.append(torch.autograd.functional.jacobian(damage, found.none)[0])
    wanted = torch.stack(each).abs().mean(0)
    assert torch.allclose(METHODS["hisp"].scores(found), wanted, atol=1e-9)


def test_path_patching_holds_heads_and_follows_mlps():
    """Into the unembedding, a head's path patch has its later MLPs follow and later heads hold."""
    model = fresh(None)
    pairs = draw_pairs(model.domain, 6, lengths=[4])
    scores = discover(model, "path", pairs, metric="mse")
    found = experiment_for(model, METHODS["exact"], pairs, metric="mse")
    edge_model, w = found.edge_model, found.edge_model.weights
    at = edge_model.writers.index(next(s for s in edge_model.writers if str(s) == "L0H1"))
    stream = found.base.streams[2][0] + found.values[at, 0] - found.base.stacked()[at, 0]
    mlp0 = edge_model._mlp(0, stream[None, None])[0, 0]
    stream = found.base.streams[4][0] + found.values[at, 0] - found.base.stacked()[at, 0]
    stream = stream + mlp0 - found.base.writes[2][0, 0]
    stream = stream + edge_model._mlp(1, stream[None, None])[0, 0]
    damage = float(found.metric((stream @ w.W_U)[None]).mean())
    where = scores.names.index("L0H1->unembed.in")
    assert np.isclose(scores.scores[where], damage, rtol=1e-5)


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"activation", "hisp", "pruning"}))
def test_methods_find_the_compiled_circuit(reverse, method):
    """On reverse under resample, every edge that matters outranks every one that does not."""
    found = score(discover(reverse, method), truth_of(reverse, "resample"), resamples=50)
    assert found.auc == 1 and found.n_true == 2


def test_pruning_finds_the_circuit_and_repeats_itself():
    """Learned masks rank hist's circuit above the rest; the same seed gives the same scores."""
    model = compiled("hist").to_model(device="cpu")
    pairs = draw_pairs(model.domain, 16)
    one, two = (discover(model, "pruning", pairs, steps=60, seed=3) for _ in range(2))
    assert one.scores == two.scores
    assert score(one, truth_of(model, "resample"), resamples=50).auc > 0.9


def test_gates_are_hard_concrete():
    """The chance that a gate is not 0 is `open_probability`."""
    logits = torch.tensor([-2.0, 0.0, 2.0])
    noise = torch.rand(200_000, 3, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(
        (gates(logits, noise) > 0).float().mean(0), open_probability(logits), atol=5e-3
    )


def test_a_flat_metric_is_said_not_scored_as_chance(reverse):
    """KL has no gradient at the clean run: EAP with it says so."""
    found = discover(reverse, "eap", metric="kl")
    assert not found.strength.any()
    assert any("minimum at the clean run" in note for note in found.notes)
    assert any("rank nothing" in note for note in found.notes)
    assert "softmax: 50% of attention rows saturated" in found.health


def test_granularities_and_costs(reverse):
    """Nodes, components and positions are scored too; passes are counted."""
    sizes = {
        g: len(discover(reverse, "exact", granularity=g).names)
        for g in ("node", "component", "edge", "position")
    }
    assert (
        sizes["node"] < sizes["component"] < sizes["edge"]
        and sizes["position"] == 9 * sizes["edge"]
    )
    assert discover(reverse, "activation").granularity == "node"
    found = discover(reverse, "eap_ig")
    assert found.forwards >= 11 and found.backwards >= 11 and found.pairs == 48
    seen = []
    discover(reverse, "acdc", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (sizes["edge"], sizes["edge"])


def test_bad_requests_are_refused_with_a_reason(reverse):
    """Unknown names, settings, misfits and unbearable costs."""
    cases = [
        ({"method": "guess"}, "unknown method"),
        ({"method": "activation", "granularity": "edge"}, "scores nodes, not edges"),
        ({"method": "eap_ig", "points": 1}, "points is 1; an integral takes at least 2"),
        ({"method": "eap", "thresholds": 3}, "no setting thresholds"),
        ({"method": "acdc", "max_seconds": 1e-9}, "forward passes over 48 pairs"),
    ]
    for request, words in cases:
        with pytest.raises(RaspValueError, match=words):
            discover(reverse, **request)
    with pytest.raises(RaspValueError, match="no domain to draw pairs from"):
        discover(reverse.lens)


def test_a_number_readout_takes_mse_and_logit():
    """One output number: label and KL do not fit and say so; the defaults do."""
    model = one_number()
    for method in ("exact", "eap"):
        assert discover(model, method).strength.max() > 0
    with pytest.raises(RaspValueError, match="one number, not classes"):
        discover(model, "acdc", metric="kl")


def one_number():
    """A random model with a single logit."""
    from rasplab.model.native import fresh_model
    from rasplab.program.domain import make_domain
    from rasplab.transformer.readout import Readout

    readout = Readout((0.0, 1.0), number=True)
    return fresh_model(make_domain("abc", 4), readout, 1, 2, 8, 8, 0, "LN", "gelu", "cpu")


def test_scores_keep_everything_in_json(reverse):
    """Written and read back they are equal; what is no scores is a FileError."""
    found = discover(reverse, "eap")
    assert EdgeScores.from_json(found.to_json()) == found
    for text in ("", "[]", '{"names": []}'):
        with pytest.raises(FileError):
            EdgeScores.from_json(text)


def made(strength, **changes) -> EdgeScores:
    """Scores by hand."""
    names = tuple("abcdefgh"[: len(strength)])
    fields = {
        "method": "m",
        "metric": "kl",
        "ablation": "zero",
        "granularity": "edge",
        "seed": 0,
        "model": "x",
        "names": names,
        "scores": tuple(map(float, strength)),
        "pairs": 1,
        "forwards": 0,
        "backwards": 0,
        "seconds": 0.0,
    }
    return EdgeScores(**(fields | changes))


def test_ties_count_half_and_against():
    """Two of four pairs won, one tied, one lost: 0.625; with the tie against, 0.5."""
    found = score(made([3, 1, 1, 2]), Truth(frozenset("ab"), "zero", "edge"))
    assert found.auc == 0.625 and found.pessimistic == 0.5
    flat = score(made([-1, 1, 1, 1]), Truth(frozenset("a"), "structural", "edge"))
    assert flat.auc == 0.5 and flat.pessimistic == 0


def test_average_precision_by_hand():
    """Hits at ranks 1 and 3; a tie of a hit and a miss is entered together, or the miss first."""
    inside = np.array([True, False, True, False])
    assert np.isclose(average_precision(np.array([4.0, 3, 2, 1]), inside), (1 + 2 / 3) / 2)
    tied = np.array([2.0, 2, 1, 0])
    assert np.isclose(average_precision(tied, inside), (1 / 2 + 2 / 3) / 2)
    assert np.isclose(average_precision(np.array([1.0] * 4), inside), 0.5)
    last = average_precision(np.array([1.0] * 4), inside, pessimistic=True)
    assert np.isclose(last, (1 / 3 + 2 / 4) / 2)


def test_null_and_interval():
    """A perfect ranking of 4 + 4 beats all but 1 in 70 random orders; its interval is a point."""
    found = score(made([8, 7, 6, 5, 4, 3, 2, 1]), Truth(frozenset("abcd"), "zero", "edge"))
    assert found.auc == found.low == found.high == 1
    assert 0.004 < found.p < 0.03 and found.null_high > 0.8
    mixed = score(made([8, 2, 6, 5, 4, 3, 7, 1]), Truth(frozenset("abcd"), "zero", "edge"))
    assert mixed.low < mixed.auc < mixed.high


def test_the_roc_curve_has_the_auc_as_its_area():
    """Trapezoids under the curve are the average-rank area."""
    scores, truth = made([3, 1, 1, 2]), Truth(frozenset("ab"), "zero", "edge")
    false, true = roc(scores, truth)
    assert np.isclose(np.trapezoid(true, false), score(scores, truth).auc)


def test_unlike_things_are_not_compared():
    """Ablations, granularities and models must agree; empty truths have nothing to rank."""
    scores = made([1, 2, 3])
    other = Truth(frozenset("a"), "resample", "edge")
    with pytest.raises(RaspValueError, match="measure different things"):
        score(scores, other)
    assert score(scores, other, mixed=True).truth == "resample"
    for truth, words in (
        (Truth(frozenset("a"), "zero", "node"), "the truth of nodes"),
        (Truth(frozenset("z"), "zero", "edge"), "of another model"),
        (Truth(frozenset(), "zero", "edge"), "no unit is in the zero truth"),
        (Truth(frozenset("abc"), "zero", "edge"), "every unit is in"),
    ):
        with pytest.raises(RaspValueError, match=words):
            score(scores, truth)


def test_curves_go_from_nothing_to_everything(reverse):
    """No unit: as bad as patching everything; all units, or the true ones: as good as the model."""
    found = curves(reverse, discover(reverse, "exact"))
    assert found.faithfulness[0] == 0 and found.completeness[0] == 0
    assert np.isclose(found.faithfulness[-1], 1) and np.isclose(found.completeness[-1], 1)
    two = curves(reverse, discover(reverse, "exact"), sizes=(2, 26))
    assert np.isclose(two.faithfulness[0], 1) and two.minimality == (1.0, 2 / 26)
    assert found.area > 0.8
    with pytest.raises(RaspValueError, match="another model"):
        curves(fresh(None), discover(reverse, "exact"))


def test_trained_models_with_layernorm_are_scored():
    """Every method runs on a model with LayerNorm and GELU, and most of its edges get a score."""
    model = fresh("LN")
    pairs = draw_pairs(model.domain, 8)
    for method in METHODS:
        settings = {"steps": 5} if method == "pruning" else {}
        found = discover(model, method, pairs, "resample_positions", **settings)
        assert (found.strength > 0).mean() > 0.6, method


def test_booted_models_are_scored(tmp_path, monkeypatch):
    """A GPT-2 booted into a bridge has its own logits, and every edge scored."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        n_layer=2,
        n_head=2,
        n_embd=16,
        vocab_size=30,
        n_positions=12,
        n_inner=32,
        initializer_range=0.5,
    )
    config.architectures = ["GPT2LMHeadModel"]
    torch.manual_seed(0)
    small = GPT2LMHeadModel(config).eval()
    small.save_pretrained(tmp_path)
    lens = TransformerBridge.boot_transformers(str(tmp_path), hf_model=small, device="cpu")
    rng = np.random.default_rng(0)
    pairs = pairs_of(rng.integers(0, 30, (6, 8)), rng.integers(0, 30, (6, 8)))
    found = discover(lens, "exact", pairs, "mean")
    assert len(found.names) == 61 and (found.strength > 0).mean() > 0.4
