"""What the estimator is measured against, each as its users would run it."""

import numpy as np
import torch
from sklearn.neural_network import MLPRegressor
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from skcae import ContractiveAutoencoder


def fixed(epochs):
    """Parameters that train for so many epochs, whatever comes of them."""
    return {"max_iter": epochs, "tol": 0, "n_iter_no_change": epochs + 1}


def contractive(sizes, epochs, **parameters):
    """Our estimator, at full λ from the first step and without stopping early."""
    settings = {
        "hidden_layer_sizes": sizes[:-1],
        "activation": "silu",
        "batch_size": 256,
        "lam_warmup": 0,
        "random_state": 0,
    } | fixed(epochs)
    return ContractiveAutoencoder(sizes[-1], **settings | parameters)


def mlp_regressor(sizes, epochs):
    """Scikit-learn's regressor, asked to return what it is given."""
    return MLPRegressor(
        hidden_layer_sizes=(*sizes, *sizes[-2::-1]),
        batch_size=256,
        random_state=0,
        **fixed(epochs),
    )


def pyod_autoencoder(**parameters):
    """PyOD's autoencoder, which has no penalty; None where PyOD is missing."""
    try:
        from pyod.models.auto_encoder import AutoEncoder
    except ImportError:
        return None
    return AutoEncoder(**{"verbose": 0, "random_state": 0} | parameters)


def _module(sizes):
    """Sigmoid encoder, ReLU decoder and sigmoid output, as in the tutorials."""

    def stack(widths, inner, last):
        layers = []
        for n_in, n_out in zip(widths[:-1], widths[1:], strict=True):
            layers += [nn.Linear(n_in, n_out), inner()]
        return nn.Sequential(*layers[:-1], last())

    return (
        stack(sizes, nn.Sigmoid, nn.Sigmoid),
        stack(sizes[::-1], nn.ReLU, nn.Sigmoid),
    )


class TutorialLoop:
    """The training loop of the tutorials: one backward pass for each output.

    Parameters
    ----------
    sizes : tuple of int
        Widths of the encoder, from the input to the code.
    device : str
    """

    def __init__(self, sizes, device):
        torch.manual_seed(0)
        self.encoder, self.decoder = (part.to(device) for part in _module(sizes))
        parameters = [*self.encoder.parameters(), *self.decoder.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=0.001)
        self.device = device

    def fit(self, X, batch_size, n_steps):
        """Train for some steps; the penalty weighs 0.1."""
        rows_of_x = TensorDataset(torch.from_numpy(X))
        batches = DataLoader(rows_of_x, batch_size=batch_size, shuffle=True)
        for _, (rows,) in zip(range(n_steps), batches, strict=False):
            rows = rows.to(self.device)
            self.optimizer.zero_grad()
            restored = self.decoder(self.encoder(rows))
            error = nn.functional.mse_loss(restored, rows)
            penalty = self._penalty(rows)
            (error + 0.1 * penalty).backward()
            self.optimizer.step()
            error.item(), penalty.item()  # their history

    def _penalty(self, rows):
        rows = rows.requires_grad_(True)
        codes = self.encoder(rows)
        total = 0.0
        for index in range(codes.shape[1]):
            chosen = torch.zeros_like(codes)
            chosen[:, index] = 1.0
            (gradient,) = torch.autograd.grad(codes, rows, chosen, create_graph=True)
            total = total + gradient.square().sum()
        return total / len(rows)


class AutogradExact:
    """Our exact penalty, by the same recursion, differentiated by autograd.

    Tied weights, SiLU units, a linear output, and Adam in one fused call a step.
    """

    def __init__(self, sizes):
        torch.manual_seed(0)
        shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
        self.weights = [
            nn.Parameter(torch.randn(shape) * np.sqrt(4 / sum(shape)))
            for shape in shapes
        ]
        self.biases = [
            nn.Parameter(torch.zeros(n)) for n in (*sizes[1:], *sizes[-2::-1])
        ]
        self.optimizer = torch.optim.Adam([*self.weights, *self.biases], fused=True)

    def fit(self, X, batch_size, n_steps):
        """Train for some steps with lam = 0.1."""
        for step in range(n_steps):
            start = step * batch_size % len(X)
            rows = torch.from_numpy(X[start : start + batch_size])
            self.optimizer.zero_grad()
            (self._objective(rows) / rows.numel()).backward()
            self.optimizer.step()

    def _objective(self, rows):
        depth = len(self.weights)
        weights = [*self.weights, *(weight.T for weight in reversed(self.weights))]
        signal, slopes = rows, []
        for index, (weight, bias) in enumerate(zip(weights, self.biases, strict=True)):
            signal = torch.addmm(bias, signal, weight.T)
            if index < len(weights) - 1:
                gate = torch.sigmoid(signal)
                slopes.append(gate * (1 + signal * (1 - gate)))
                signal = signal * gate
        jacobian = slopes[depth - 1].T[:, :, None] * weights[depth - 1][:, None, :]
        for index in reversed(range(1, depth - 1)):
            jacobian = (jacobian * slopes[index]) @ weights[index]
        lowest, weight = jacobian * slopes[0], weights[0]
        if weight.shape[1] > weight.shape[0]:
            norm = (lowest * (lowest @ (weight @ weight.T))).sum()
        else:
            norm = (lowest @ weight).square().sum()
        return (signal - rows).square().sum() + 0.1 * norm
