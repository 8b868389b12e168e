import math

import numpy as np
import pytest
import torch
from oracle import jacobians, random_network

from skcae._core import penalties
from skcae._core.activations import ACTIVATIONS
from skcae._core.noise import Noise

CLOSED_FORM = penalties.PENALTIES["closed_form"]
EXACT = penalties.PENALTIES["exact"]
SIZES = [(5, 7), (5, 3), (9, 4, 6), (5, 7, 4), (9, 4, 3, 6), (5, 8, 6, 4, 7)]


def layers_and_truth(sizes, name, n_layers=None, tied=True):
    network = random_network(sizes, name, tied)
    rows = torch.randn(11, sizes[0], dtype=torch.float64)
    n_layers = n_layers or network.depth
    truth = jacobians(network, network.weights, network.biases, rows, n_layers)
    return network.forward(rows)[:n_layers], truth


def relative(actual, expected):
    return ((actual - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("sizes", SIZES)
def test_jacobian_and_exact_norm_match_brute_force(sizes, name):
    layers, truth = layers_and_truth(sizes, name)
    norms = truth.square().sum((1, 2))
    assert relative(penalties.jacobian(layers), truth) < 1e-12
    assert relative(penalties.squared_norms(layers), norms) < 1e-10
    if len(layers) > 1:
        assert relative(EXACT.value(layers, None), norms) < 1e-10


@pytest.mark.parametrize("sizes", SIZES[:2])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_whole_reconstruction_matches_brute_force(sizes, name):
    layers, truth = layers_and_truth(sizes, name, n_layers=2)
    norms = truth.square().sum((1, 2))
    assert relative(CLOSED_FORM.value(layers, None), norms) < 1e-10
    assert relative(EXACT.value(layers, None), norms) < 1e-10


def test_exact_norm_does_not_depend_on_chunks(monkeypatch):
    layers, _ = layers_and_truth((5, 8, 6, 4), "silu")
    whole_grads = [torch.zeros_like(layer.weight) for layer in layers]
    whole, whole_slopes = EXACT.add_gradient(layers, None, whole_grads, 1.0)
    monkeypatch.setattr(penalties, "_CHUNK_ELEMENTS", 4 * 8 * 3)
    grads = [torch.zeros_like(layer.weight) for layer in layers]
    norms, slopes = EXACT.add_gradient(layers, None, grads, 1.0)
    torch.testing.assert_close(norms, whole, rtol=1e-13, atol=0)
    for ours, theirs in zip(grads + slopes, whole_grads + whole_slopes, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("sizes", [(6, 5), (6, 8, 4), (4, 6, 6, 8)])
def test_hutchinson_is_unbiased_with_the_variance_of_theory(sizes):
    layers, truth = layers_and_truth(sizes, "tanh")
    row, n_probes = 3, 20_000
    repeated = [layer.rows(row, row + 1) for layer in layers]
    for layer in repeated:
        for name in ("inputs", "preactivations", "outputs", "derivative"):
            tensor = getattr(layer, name)
            setattr(layer, name, tensor.expand(n_probes, -1))
    noise = Noise(0, torch.device("cpu"))
    estimates = penalties.PENALTIES["hutchinson"].value(repeated, noise)

    # Var = 2 (||J J'||_F^2 - sum of squared diagonal entries)
    gram = truth[row] @ truth[row].T
    variance = 2 * (gram.square().sum() - gram.diagonal().square().sum()).item()
    error = (estimates.mean() - truth[row].square().sum()).item()
    assert abs(error) < 4 * math.sqrt(variance / n_probes)
    assert estimates.var().item() == pytest.approx(variance, rel=0.1)


@pytest.mark.parametrize("seed", range(10))
def test_norm_is_not_negative_where_the_layers_cancel(seed):
    network = random_network((3, 8, 2), "identity", tied=False, seed=seed)
    # an upper layer that reads nothing of what the lower one writes
    _, _, directions = torch.linalg.svd(network.weights[0].T)
    network.weights[1].copy_(directions[3:5])
    layers = network.forward(torch.randn(20, 3, dtype=torch.float64))[:2]
    assert (penalties.squared_norms(layers) >= 0).all()
    assert penalties.squared_norms(layers).max() < 1e-14


def test_norm_is_zero_for_a_constant_code_only():
    layers, _ = layers_and_truth((5, 4, 3), "sigmoid")
    assert (penalties.squared_norms(layers) > 1e-9).all()
    network = random_network((5, 4, 3), "sigmoid", tied=True)
    network.weights[0].zero_()
    layers = network.forward(torch.randn(3, 5, dtype=torch.float64))[:2]
    assert not penalties.squared_norms(layers).any()


@pytest.mark.parametrize("sizes", [(6, 4), (6, 8, 4)])
def test_norm_is_unchanged_by_an_orthogonal_map_before_the_encoder(sizes, rng):
    orthogonal = torch.from_numpy(np.linalg.qr(rng.normal(size=(6, 6)))[0])
    network = random_network(sizes, "silu", tied=True)
    rows = torch.randn(9, 6, dtype=torch.float64)
    before = penalties.squared_norms(network.forward(rows)[: network.depth])
    network.weights[0].copy_(network.weights[0] @ orthogonal.T)
    rotated = network.forward(rows @ orthogonal.T)[: network.depth]
    torch.testing.assert_close(penalties.squared_norms(rotated), before)


def test_linear_encoder_has_the_norm_of_its_weights_everywhere():
    network = random_network((6, 5, 4), "identity", tied=True)
    layers = network.forward(torch.randn(8, 6, dtype=torch.float64))[:2]
    product = network.weights[1] @ network.weights[0]
    torch.testing.assert_close(
        penalties.squared_norms(layers), product.square().sum().expand(8)
    )


@pytest.mark.parametrize(
    ("method", "names", "widths", "chosen"),
    [
        ("auto", ["silu"], [784, 1000], "closed_form"),
        ("exact", ["silu"], [784, 1000], "closed_form"),
        ("hutchinson", ["silu"], [784, 1000], "hutchinson"),
        ("auto", ["silu", "identity"], [30, 64, 30], "closed_form"),
        ("auto", ["silu", "identity"], [784, 1000, 784], "hutchinson"),
        ("auto", ["silu", "silu"], [30, 64, 2], "exact"),
        ("auto", ["silu", "silu"], [30, 64, 64], "hutchinson"),
        ("exact", ["silu", "silu"], [30, 64, 64], "exact"),
        ("auto", ["silu"] * 3, [784, 256, 128, 64], "hutchinson"),
    ],
)
def test_method_is_chosen_by_cost(method, names, widths, chosen):
    activations = [ACTIVATIONS[name] for name in names]
    assert penalties.choose(method, activations, widths) == chosen
