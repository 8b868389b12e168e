import pytest
import torch
from oracle import apply, jacobians, objective, random_network

from skcae._core.activations import ACTIVATIONS
from skcae._core.losses import LOSSES
from skcae._core.noise import Corruption, Noise
from skcae._core.objective import Objective
from skcae._core.penalties import PENALTIES

LAM = 0.7
CPU = torch.device("cpu")


def build(sizes, name, tied, loss, penalty, method):
    output = "sigmoid" if loss == "log_loss" else "identity"
    network = random_network(sizes, name, tied, output=output)
    n_layers = network.depth * (1 if penalty == "encoder" else 2)
    activations = network.activations[:n_layers]
    if method == "exact" and PENALTIES["closed_form"].applies(activations):
        method = "closed_form"
    return Objective(network, LOSSES[loss], PENALTIES[method], n_layers)


@pytest.mark.parametrize("method", ["exact", "hutchinson"])
@pytest.mark.parametrize("penalty", ["encoder", "reconstruction"])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("sizes", [(5, 7), (5, 7, 4), (8, 4, 6, 3), (5, 7, 4, 6, 3)])
def test_gradient_matches_autograd(sizes, name, tied, loss, penalty, method):
    ours = build(sizes, name, tied, loss, penalty, method)
    network = ours.network
    rows = torch.rand(6, sizes[0], dtype=torch.float64)
    gradient = torch.zeros_like(network.parameters)
    error, norm = ours.gradient(
        rows, LAM, Noise(1, CPU), *network.views(gradient), scale=2.0
    )

    signs = None
    if method == "hutchinson":
        n_out = network.shapes[ours.penalty_depth - 1][0]
        signs = Noise(1, CPU).signs_like(rows.new_empty(6, n_out))
    flat = network.parameters.clone().requires_grad_()
    value = objective(
        network,
        flat,
        rows,
        loss=loss,
        lam=LAM,
        n_layers=ours.penalty_depth,
        signs=signs,
    )
    (expected,) = torch.autograd.grad(value, flat)
    assert (gradient / 2 - expected).norm() < 1e-8 * expected.norm()
    assert ((error + LAM * norm) / rows.numel()).item() == pytest.approx(
        value.item(), rel=1e-10
    )


def test_exact_penalty_reaches_every_weight_of_the_encoder():
    # neither frozen weights nor the last layer alone: all of them feel it
    ours = build((6, 5, 4, 3), "tanh", False, "squared_error", "encoder", "exact")
    rows = torch.rand(6, 6, dtype=torch.float64)
    with_penalty = torch.zeros_like(ours.network.parameters)
    without = torch.zeros_like(ours.network.parameters)
    ours.gradient(rows, 1.0, Noise(0, CPU), *ours.network.views(with_penalty))
    ours.gradient(rows, 0.0, Noise(0, CPU), *ours.network.views(without))
    weights, _ = ours.network.views(with_penalty - without)
    assert all(weight.abs().max() > 1e-4 for weight in weights[:3])
    assert not any(weight.any() for weight in weights[3:])


def test_penalty_is_not_the_gradient_of_summed_outputs():
    ours = build((6, 5), "tanh", True, "squared_error", "encoder", "exact")
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(6, 6, dtype=torch.float64, generator=generator)
    network = ours.network
    jacobian = jacobians(network, network.weights, network.biases, rows, 1)
    _, norm = ours.terms(rows, Noise(0, CPU))
    assert norm.item() == pytest.approx(jacobian.square().sum().item())
    summed = jacobian.sum(1).square().sum().item()
    assert abs(norm.item() - summed) > 0.1 * norm.item()


def test_lam_zero_is_the_plain_autoencoder():
    ours = build((5, 7, 4), "silu", True, "squared_error", "encoder", "exact")
    rows = torch.rand(6, 5, dtype=torch.float64)
    gradient = torch.zeros_like(ours.network.parameters)
    grads = ours.network.views(gradient)
    error, norm = ours.gradient(rows, 0.0, Noise(0, CPU), *grads)
    assert norm is None
    flat = ours.network.parameters.clone().requires_grad_()
    value = objective(
        ours.network, flat, rows, loss="squared_error", lam=0.0, n_layers=2
    )
    (expected,) = torch.autograd.grad(value, flat)
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-14)
    assert error.item() / rows.numel() == pytest.approx(value.item())


def test_noise_corrupts_the_input_and_not_the_target():
    ours = build((5, 5), "identity", True, "squared_error", "encoder", "exact")
    ours.corruption = Corruption(noise_std=0.5)
    network = ours.network
    network.weights[0].copy_(torch.eye(5))
    for bias in network.biases:
        bias.zero_()
    rows = torch.randn(20_000, 5, dtype=torch.float64)
    error, _ = ours.terms(rows, Noise(0, CPU))
    # the identity reconstructs the noisy row: what is left is the noise
    assert error.item() / rows.numel() == pytest.approx(0.25, rel=0.02)


@pytest.mark.parametrize("amounts", [(0.5, 0, 0), (0, 0.3, 0), (0, 0, 0.5), (0.5,) * 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_under_corruption_aims_at_the_clean_row(loss, amounts):
    ours = build((5, 7), "tanh", True, loss, "encoder", "exact")
    ours.corruption = Corruption(*amounts)
    network, rows = ours.network, torch.rand(6, 5, dtype=torch.float64)
    flat = network.parameters
    gradient = torch.zeros_like(flat)
    terms = ours.gradient(rows, LAM, Noise(1, CPU), *network.views(gradient))

    def value():
        error, norm = ours.terms(rows, Noise(1, CPU))
        return (error + LAM * norm) / rows.numel()

    expected = ours.terms(rows, Noise(1, CPU))
    torch.testing.assert_close(terms, expected)
    # a difference along a line: it knows nothing of how gradients are written
    direction = torch.linspace(-1, 1, len(flat), dtype=torch.float64)
    flat.add_(1e-5 * direction)
    above = value()
    flat.sub_(2e-5 * direction)
    slope = (above - value()) / 2e-5
    torch.testing.assert_close(gradient @ direction, slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("tied", [True, False])
def test_masking_adds_the_variance_of_the_hidden_cells(tied):
    ours = build((5, 3), "identity", tied, "squared_error", "encoder", "exact")
    share = 0.3
    ours.corruption = Corruption(masking_fraction=share)
    for bias in ours.network.biases:
        bias.zero_()
    row = torch.rand(1, 5, dtype=torch.float64)
    encoder, decoder = ours.network.weights
    W = decoder @ encoder
    expected = (row - (1 - share) * row @ W.T).square().sum()
    expected += share * (1 - share) * (row.square() * W.square().sum(0)).sum()
    error, _ = ours.terms(row.expand(200_000, -1), Noise(0, CPU))
    assert error.item() / 200_000 == pytest.approx(expected.item(), rel=0.01)


def test_jacobian_is_taken_at_the_corrupted_row():
    ours = build((5, 7), "tanh", True, "squared_error", "encoder", "exact")
    ours.corruption = Corruption(masking_fraction=0.4, swap_fraction=0.4)
    network, rows = ours.network, torch.rand(6, 5, dtype=torch.float64)
    read = ours.corruption.of(rows, Noise(1, CPU))
    error, norm = ours.terms(rows, Noise(1, CPU))
    jacobian = jacobians(network, network.weights, network.biases, read, 1)
    assert norm.item() == pytest.approx(jacobian.square().sum().item())
    restored, _ = apply(network, network.weights, network.biases, read, 2)
    assert error.item() == pytest.approx((restored - rows).square().sum().item())


def test_log_loss_of_a_perfect_constant_is_zero():
    rows = torch.rand(1, 4, dtype=torch.float64).expand(3, -1)
    torch.testing.assert_close(
        LOSSES["log_loss"].of_constant(rows, rows[0]),
        torch.zeros(3, 4, dtype=torch.float64),
        rtol=0,
        atol=1e-12,
    )
    assert (LOSSES["log_loss"].of_constant(rows, rows[0] * 0.9) > 0).all()


@pytest.mark.parametrize("share", [0.001, 0.25, 0.999])
def test_log_loss_of_a_constant_is_the_cross_entropy_less_the_entropy(share):
    rows = torch.tensor([[0.0], [1.0], [0.001], [0.7]], dtype=torch.float64)
    constant = torch.tensor([share], dtype=torch.float64)
    cross = -rows * constant.log() - (1 - rows) * (1 - constant).log()
    entropy = torch.special.entr(rows) + torch.special.entr(1 - rows)
    torch.testing.assert_close(
        LOSSES["log_loss"].of_constant(rows, constant),
        cross - entropy,
        rtol=1e-9,
        atol=1e-12,
    )


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_log_loss_of_a_constant_at_the_edge_is_finite(share):
    constant = torch.tensor([share], dtype=torch.float64)
    rows = torch.tensor([[share], [0.5]], dtype=torch.float64)
    losses = LOSSES["log_loss"].of_constant(rows, constant)
    assert losses.isfinite().all()
    assert losses[0] < 1e-5 < 1 < losses[1]
