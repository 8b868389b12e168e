"""What is known in closed form of trained networks, and the networks of tutorials."""

import numpy as np
import pytest
import torch
import tutorials
from torch import nn

from skcae import ContractiveAutoencoder
from skcae._core.losses import LOSSES
from skcae._core.noise import Noise
from skcae._core.objective import Objective
from skcae._core.penalties import PENALTIES
from skcae.inspection import score_field

VARIANCES = np.array([4.0, 2.0, 1.0, 0.5, 0.25, 0.1])


@pytest.fixture(scope="module")
def table():
    """Rows with the given variances along six orthogonal directions."""
    rng = np.random.default_rng(0)
    white = rng.normal(size=(4000, 6))
    white = (white - white.mean(0)) @ np.linalg.inv(
        np.linalg.cholesky(np.cov(white.T, bias=True))
    ).T
    rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    return white * np.sqrt(VARIANCES) @ rotation, rotation


def linear(n_components, **parameters):
    defaults = {
        "hidden_layer_sizes": (),
        "activation": "identity",
        "learning_rate_init": 2e-3,
        "batch_size": 400,
        "max_iter": 300,
        "tol": 0,
        "n_iter_no_change": 10_000,
        "noise_std": 0,
        "random_state": 0,
    }
    return ContractiveAutoencoder(n_components, **defaults | parameters)


def map_of(model):
    encoder, decoder = model.coefs_
    return encoder @ decoder


def relative(actual, expected):
    return np.linalg.norm(actual - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize("tied_weights", [True, False])
def test_noise_and_reconstruction_penalty_reach_the_same_optimum(table, tied_weights):
    X, rotation = table
    s, k = 0.7, 3
    gains = VARIANCES / (VARIANCES + s**2) * (np.arange(6) < k)
    optimum = rotation.T * gains @ rotation  # top-k of C (C + s^2 I)^-1
    by_penalty = linear(
        k, lam=s**2, penalty="reconstruction", tied_weights=tied_weights
    ).fit(X)
    assert by_penalty.penalty_method_ == "closed_form"
    by_noise = linear(k, lam=0, noise_std=s, tied_weights=tied_weights)
    by_noise.set_params(batch_size=len(X), max_iter=1500).fit(X)
    assert relative(map_of(by_penalty), optimum) < 0.01
    assert relative(map_of(by_noise), optimum) < 0.03
    assert relative(map_of(by_noise), map_of(by_penalty)) < 0.03


def test_tied_linear_network_without_penalty_spans_the_leading_directions(table):
    X, rotation = table
    basis = np.linalg.qr(linear(3, lam=0).fit(X).coefs_[0])[0]
    cosines = np.linalg.svd(rotation[:3] @ basis, compute_uv=False)
    assert cosines.min() > 0.999


@pytest.mark.parametrize("lam", [0.3, 0.8, 1.5])
def test_tied_linear_encoder_drops_variances_below_half_of_lam(table, lam):
    X, rotation = table
    model = linear(6, lam=lam).fit(X)
    gains = np.diag(rotation @ map_of(model) @ rotation.T)
    expected = np.maximum(0, 1 - lam / (2 * VARIANCES))
    np.testing.assert_allclose(gains, expected, atol=0.02)
    assert (gains[VARIANCES < lam / 2] < 0.01).all()


@pytest.mark.parametrize("kind", ["masking_fraction", "swap_fraction"])
def test_linear_network_reaches_the_closed_form_under_corruption(table, kind):
    """Least squares from corrupted to clean rows (Chen et al. 2012, for masking)."""
    X, _ = table
    kept = 1 - 0.4
    C = X.T @ X / len(X)
    # two cells of a row are both as they were with probability kept ** 2
    of_read = kept**2 * C
    np.fill_diagonal(of_read, C.diagonal() * (kept if "masking" in kind else 1))
    optimum = np.linalg.solve(of_read, kept * C)
    model = linear(6, lam=0, tied_weights=False, batch_size=len(X), max_iter=800)
    model.set_params(**{kind: 0.4}).fit(X)
    assert relative(map_of(model), optimum) < 0.03


# A mixture of three round Gaussians, whose score is known

MEANS, VARIANCE = np.array([[-1.5, -1.0], [1.5, -1.0], [0.0, 1.5]]), 0.49


def density_and_score(X, variance):
    away = X[:, None] - MEANS
    parts = np.exp(-(away**2).sum(axis=2) / (2 * variance))
    shares = parts / parts.sum(axis=1, keepdims=True)
    return parts.sum(axis=1), -(shares[:, :, None] * away).sum(axis=1) / variance


def test_reconstruction_penalty_estimates_the_score():
    """Alain & Bengio (2014): r(x) - x is s² times the gradient of log p(x)."""
    rng, s = np.random.default_rng(0), 0.3
    draws = MEANS[rng.integers(3, size=6000)]
    draws += rng.normal(scale=np.sqrt(VARIANCE), size=draws.shape)
    X, rows = draws[:4000], draws[4000:]
    # dense: all but the fifth of new rows where the density is lowest
    density, _ = density_and_score(rows, VARIANCE)
    rows = rows[density >= np.quantile(density, 0.2)]
    model = ContractiveAutoencoder(
        32,
        hidden_layer_sizes=(64,),
        activation="silu",
        penalty="reconstruction",
        tied_weights=False,
        lam=s**2,
        noise_std=0,
        batch_size=256,
        learning_rate_init=3e-3,
        max_iter=150,
        tol=0,
        n_iter_no_change=150,
        random_state=0,
    ).fit(X)
    model.set_params(warm_start=True, learning_rate_init=3e-4, max_iter=50).fit(X)
    field = score_field(model, rows)
    length = np.linalg.norm(field, axis=1)
    for variance, low, high in (
        (VARIANCE, 0.7, 0.9),
        # that of the density blurred by noise of variance s²: no term of higher
        # order is missing, and the lengths agree
        (VARIANCE + s**2, 0.9, 1.05),
    ):
        score = s**2 * density_and_score(rows, variance)[1]
        expected = np.linalg.norm(score, axis=1)
        assert np.mean((field * score).sum(axis=1) / (length * expected)) >= 0.95
        assert low < length.mean() / expected.mean() < high


# The networks of three tutorials, each as one constructor call


def kernel(n_in, n_out, activation):
    return [nn.Linear(n_in, n_out), activation()]


# encoder and decoder, as the tutorials stack them
STACKS = {
    "diverging": (
        kernel(784, 128, nn.ReLU) + kernel(128, 32, nn.Identity),
        kernel(32, 128, nn.ReLU) + kernel(128, 784, nn.Sigmoid),
    ),
    "single layer": (kernel(784, 64, nn.Sigmoid), kernel(64, 784, nn.Identity)),
    "deep": (
        kernel(784, 256, nn.Sigmoid)
        + kernel(256, 128, nn.Sigmoid)
        + kernel(128, 64, nn.Sigmoid),
        kernel(64, 128, nn.ReLU)
        + kernel(128, 256, nn.ReLU)
        + kernel(256, 784, nn.Sigmoid),
    ),
}


@pytest.mark.parametrize("name", tutorials.PARAMETERS)
def test_tutorial_network_is_one_call_and_its_loss_is_ours(name, rng):
    parameters, their_lam = tutorials.PARAMETERS[name], tutorials.LAMBDAS[name]
    encoder, decoder = STACKS[name]
    X = rng.uniform(size=(12, 784))
    model = ContractiveAutoencoder(**parameters, max_iter=1, random_state=0).fit(X)
    ours = model.to_module().double()
    theirs = nn.ModuleDict(
        {"encoder": nn.Sequential(*encoder), "decoder": nn.Sequential(*decoder)}
    ).double()
    assert str(ours.encoder) == str(theirs["encoder"])
    assert str(ours.decoder) == str(theirs["decoder"])
    theirs.load_state_dict(ours.state_dict())

    # their loss: squared error averaged over columns, penalty summed
    rows = torch.from_numpy(X)
    codes = theirs["encoder"](rows)
    restored = theirs["decoder"](codes)
    squares = sum(
        jacobian.square().sum()
        for jacobian in torch.func.vmap(torch.func.jacrev(theirs["encoder"]))(rows)
    )
    their_loss = nn.functional.mse_loss(restored, rows) + their_lam * squares / len(X)

    network = model._checkpoint.network_on_rows(torch.device("cpu")).to(
        "cpu", torch.float32
    )
    network = network.to("cpu", torch.float64)
    exact = "closed_form" if name == "single layer" else "exact"
    objective = Objective(
        network, LOSSES["squared_error"], PENALTIES[exact], network.depth
    )
    error, norm = objective.terms(rows, Noise(0, torch.device("cpu")))
    our_loss = (error + parameters["lam"] * norm) / rows.numel()
    assert our_loss.item() == pytest.approx(their_loss.item(), rel=1e-9)


def test_frozen_weights_do_not_contract(digits, monkeypatch):
    """The single-layer tutorial puts the weights into its penalty as constants."""
    X, held_out, *_ = digits
    norms = {}
    # the tutorial's λ = 1e-4, which at 64 columns is lam = 0.0064, and a larger one
    for lam in (64e-4, 1.0):

        def fit(lam=lam):
            return ContractiveAutoencoder(
                64,
                hidden_layer_sizes=(),
                activation="sigmoid",
                tied_weights=False,
                lam=lam,
                max_iter=60,
                random_state=0,
            ).fit(X)

        true = fit()
        assert true.penalty_method_ == "closed_form"
        frozen_squares = []

        def frozen(layers, noise, weight_grads, coefficient, squares=frozen_squares):
            weight, derivative = layers[0].weight, layers[0].derivative
            if not squares:
                squares.append(weight.square().sum(1))
            # no gradient reaches the weights but through the derivatives
            total = (derivative.square() @ squares[0]).sum()
            return total, [2 * coefficient * derivative * squares[0]]

        with monkeypatch.context() as patch:
            patch.setattr(PENALTIES["closed_form"], "add_gradient", frozen)
            wrong = fit()
        norms[lam] = (
            true.contraction(held_out).mean(),
            wrong.contraction(held_out).mean(),
        )
    true, wrong = norms[64e-4]
    assert true < wrong
    true, wrong = norms[1.0]
    assert true < 0.5 * wrong
