"""A network with random weights, and the objective written naively for autograd."""

import torch
from torch.func import jacrev, vmap
from torch.nn import functional

from skcae._core.network import Network

FUNCTIONS = {
    "identity": lambda z: z,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "softplus": functional.softplus,
    "silu": functional.silu,
}


def random_network(sizes, activation, tied, seed=0, output="identity"):
    names = [activation] * (2 * len(sizes) - 3) + [output]
    network = Network(sizes, names, tied)
    generator = torch.Generator().manual_seed(seed)
    network.parameters.normal_(0, 0.5, generator=generator)
    return network.to("cpu", torch.float64)


def apply(network, weights, biases, rows, n_layers):
    """Outputs of the first layers, and the last pre-activations."""
    signal = rows
    for index in range(n_layers):
        z = functional.linear(signal, weights[index], biases[index])
        signal = FUNCTIONS[network.activation_names[index]](z)
    return signal, z


def jacobians(network, weights, biases, rows, n_layers):
    """Brute-force Jacobians of the first layers, shape (n, n_out, n_in)."""

    def of_one(row):
        return apply(network, weights, biases, row[None], n_layers)[0][0]

    return vmap(jacrev(of_one))(rows)


def objective(network, flat, rows, *, loss, lam, n_layers, signs=None):
    """The whole objective as a differentiable function of the flat parameters."""
    weights, biases = network.views(flat)
    output, z = apply(network, weights, biases, rows, len(weights))
    if loss == "log_loss":
        error = functional.binary_cross_entropy_with_logits(z, rows, reduction="sum")
        entropy = -(torch.xlogy(rows, rows) + torch.xlogy(1 - rows, 1 - rows))
        error = error - entropy.sum()
    else:
        error = (output - rows).square().sum()
    jacobian = jacobians(network, weights, biases, rows, n_layers)
    if signs is not None:
        jacobian = torch.einsum("no,noi->ni", signs, jacobian)
    return (error + lam * jacobian.square().sum()) / rows.numel()
