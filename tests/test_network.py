import numpy as np
import pytest
import torch
from oracle import FUNCTIONS, random_network

from skcae._core import activations
from skcae._core.activations import ACTIVATIONS
from skcae._core.network import Network


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivatives_are_those_of_autograd(name):
    activation = ACTIVATIONS[name]
    z = torch.linspace(-15, 15, 601, dtype=torch.float64) + 1e-3
    z.requires_grad_()
    value, derivative, second = activation.derivatives(z)
    expected = FUNCTIONS[name](z)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(activation.value(z), expected, rtol=1e-12, atol=1e-14)
    (expected,) = torch.autograd.grad(expected.sum(), z, create_graph=True)
    derivative = torch.ones_like(z) if derivative is None else derivative
    torch.testing.assert_close(derivative, expected, rtol=1e-11, atol=1e-13)
    assert activation.linear == bool((expected == 1).all())
    if expected.requires_grad:
        (expected,) = torch.autograd.grad(expected.sum(), z)
    else:
        expected = torch.zeros_like(z)
    second = torch.zeros_like(z) if second is None else second()
    torch.testing.assert_close(second, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivatives_may_be_differentiated_after_a_fit(name):
    # what inference mode made and a cache kept would be refused
    activations._cached_constant.cache_clear()
    z = torch.linspace(-1, 1, 5)
    with torch.inference_mode():
        expected = ACTIVATIONS[name].derivatives(z)[0]
    value, *_ = ACTIVATIONS[name].derivatives(z.requires_grad_())
    torch.testing.assert_close(value, expected)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_extreme_inputs_stay_finite(name):
    z = torch.tensor([-1e30, -1e4, -100.0, 0.0, 100.0, 1e4, 1e30])
    value, derivative, second = ACTIVATIONS[name].derivatives(z)
    assert value.isfinite().all()
    assert derivative is None or derivative.isfinite().all()
    assert second is None or second().isfinite().all()


def test_tied_decoder_is_the_encoder_transposed_in_the_same_memory():
    network = random_network([5, 4, 3], "tanh", tied=True)
    for encoder, decoder in zip(
        network.weights[:2], reversed(network.weights[2:]), strict=True
    ):
        assert encoder.data_ptr() == decoder.data_ptr()
        assert torch.equal(encoder.T, decoder)
    n_weights, n_biases = 5 * 4 + 4 * 3, 4 + 3 + 4 + 5
    assert network.parameters.numel() == n_weights + n_biases
    assert network.flat_weights().numel() == n_weights


def test_untied_network_has_weights_of_its_own_everywhere():
    network = random_network([5, 4, 3], "tanh", tied=False)
    assert len({weight.data_ptr() for weight in network.weights}) == 4
    assert [tuple(weight.shape) for weight in network.weights] == network.shapes


def test_encode_and_decode_are_the_two_halves_of_forward():
    network = random_network([5, 4, 3], "silu", tied=False)
    rows = torch.randn(7, 5, dtype=torch.float64)
    layers = network.forward(rows)
    codes = network.encode(rows)
    torch.testing.assert_close(codes, layers[1].outputs)
    torch.testing.assert_close(network.decode(codes), layers[-1].outputs)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("sizes", [(6, 3), (6, 40), (6, 20, 10, 4)])
def test_network_starts_centred_and_no_worse_than_the_means(sizes, name, tied):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(200, 6, generator=generator) * 3 + 100
    rows[:, 0] = 7.0
    network = Network(sizes, [name] * (2 * len(sizes) - 3) + ["identity"], tied)
    network.initialise(generator, rows, rows.mean(0))
    layers = network.forward(rows)
    for layer in layers[:-1]:
        scale = layer.preactivations.std() + 1e-6
        assert (layer.preactivations.mean(0).abs() < 1e-2 * scale + 1e-3).all()
    error = (rows - layers[-1].outputs).square().mean()
    assert error <= rows.var(0, correction=0).mean() * 1.01
    np.testing.assert_allclose(layers[-1].outputs.mean(0), rows.mean(0), rtol=1e-3)


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_bounded_units_start_unsaturated_whatever_the_scale_of_the_columns(name, scale):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(200, 6, generator=generator) * scale
    network = Network((6, 20), [name, "identity"], False)
    network.initialise(generator, rows, rows.mean(0))
    derivative = network.forward(rows)[0].derivative
    assert derivative.mean() > 0.4 * ACTIVATIONS[name].largest_derivative
    # nor do tiny columns get weights that blow them up
    gain = ACTIVATIONS[name].gain
    assert network.weights[0].std() < 1.2 * gain * np.sqrt(2 / 26)


def test_network_draws_from_its_generator_only():
    def parameters(seed):
        rows = torch.linspace(-1, 1, 60).view(10, 6)
        network = Network((6, 3), ["silu", "identity"], True)
        network.initialise(torch.Generator().manual_seed(seed), rows, rows.mean(0))
        return network.parameters

    torch.manual_seed(1)
    first = parameters(0)
    torch.manual_seed(2)
    assert torch.equal(first, parameters(0))
    assert not torch.equal(first, parameters(1))
