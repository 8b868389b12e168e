"""An autoencoder in operators of ONNX, all in double precision as in numpy."""

import numpy as np
import torch

from skcae import _checks
from skcae._core import losses


def _softplus(graph, z):
    # runtimes lack ONNX's own for doubles
    rest = graph.Log(graph.Add(1.0, graph.Exp(graph.Neg(graph.Abs(z)))))
    return graph.Add(graph.Relu(z), rest)


def _silu(graph, z):
    # onnxruntime 1.22 turns z * Sigmoid(z) into a node that it lacks for doubles
    return graph.Div(z, graph.Add(1.0, graph.Exp(graph.Neg(z))))


ACTIVATIONS = {
    "identity": lambda graph, z: z,
    "sigmoid": lambda graph, z: graph.Sigmoid(z),
    "tanh": lambda graph, z: graph.Tanh(z),
    "relu": lambda graph, z: graph.Relu(z),
    "softplus": _softplus,
    "silu": _silu,
}


def _squared_error(graph, rows, z, outputs):
    difference = graph.Sub(rows, outputs)
    return graph.Mul(difference, difference)


def _log_loss(graph, rows, z, outputs):
    rows = graph.Clip(rows, 0.0, 1.0)
    loss = graph.Sub(_softplus(graph, z), graph.Mul(rows, z))
    for share in (rows, graph.Sub(1.0, rows)):
        logarithm = graph.Log(graph.Max(share, np.finfo(float).tiny))
        loss = graph.Add(loss, graph.Mul(share, logarithm))
    return loss


LOSSES = {"squared_error": _squared_error, "log_loss": _log_loss}


class NetworkGraph:
    """A trained network in a graph, which holds its weights once.

    Parameters
    ----------
    graph : Graph
    checkpoint : Checkpoint
    """

    def __init__(self, graph, checkpoint):
        network = checkpoint.network_on_rows(torch.device("cpu"))
        weights = network.weights[: network.depth if network.tied else None]
        names = [graph.doubles(weight.numpy()) for weight in weights]
        # a name, and whether the weights are to be transposed
        operands = [(name, 1) for name in names]
        if network.tied:
            operands += [(name, 0) for name in reversed(names)]
        layers = list(
            zip(operands, network.biases, network.activation_names, strict=True)
        )
        self._graph = graph
        self._encoder, self._decoder = layers[: network.depth], layers[network.depth :]

    def encode(self, rows):
        """Codes of rows."""
        return self._apply(rows, self._encoder)[1]

    def decode(self, codes):
        """Last pre-activations and outputs."""
        return self._apply(codes, self._decoder)

    def _apply(self, signal, layers):
        for (weight, is_transposed), bias, activation in layers:
            z = self._graph.Gemm(signal, weight, bias.numpy(), transB=is_transposed)
            signal = ACTIVATIONS[activation](self._graph, z)
        return z, signal


def add_autoencoder(graph, model, rows, *, is_last):
    """Add what a fitted autoencoder makes of rows.

    Parameters
    ----------
    graph : Graph
    model : ContractiveAutoencoder
        Fitted.
    rows : str
        Name of the rows, in doubles.
    is_last : bool
        Whether no step follows; else only the code is wanted.

    Returns
    -------
    results : list of str
        Names of the code, and then of the reconstructions, scores, labels and errors of
        each cell. What scikit-learn would refuse has an infinite error.
    """
    checkpoint = model._checkpoint
    network = NetworkGraph(graph, checkpoint)
    if model.allow_nan:
        is_missing = graph.IsNaN(rows)
        rows = graph.Where(is_missing, checkpoint.means, rows)
    codes = network.encode(rows)
    if not is_last:
        return [codes]
    z, reconstructions = network.decode(codes)
    errors = LOSSES[checkpoint.loss](graph, rows, z, reconstructions)
    loss = losses.LOSSES[checkpoint.loss]
    is_valid = graph.And(
        graph.GreaterOrEqual(rows, loss.lowest - _checks.ROUNDING),
        graph.LessOrEqual(rows, loss.highest + _checks.ROUNDING),
    )
    is_valid = graph.And(is_valid, graph.Not(graph.IsNaN(errors)))
    errors = graph.Where(is_valid, errors, np.inf)
    if model.allow_nan:
        # a row of nothing else is taken for that of the means
        is_missing = graph.And(
            is_missing, graph.Not(graph.insert_axis(graph.all(is_missing)))
        )
        total = graph.sum(graph.Where(is_missing, 0.0, errors))
        n_observed = graph.sum(graph.cast(graph.Not(is_missing), np.float64))
        mean_errors = graph.Div(total, n_observed)
        errors = graph.Where(is_missing, np.nan, errors)
    else:
        mean_errors = graph.mean(errors, 1)
    scores = graph.Neg(mean_errors)
    return [codes, reconstructions, scores, labels(graph, scores, model), errors]


def labels(graph, scores, model):
    """Add the labels of scores: 1 from the model's threshold on, else -1."""
    _checks.check_number("offset_", model.offset_)
    decision = graph.Sub(scores, float(model.offset_))
    return graph.Where(graph.GreaterOrEqual(decision, 0.0), 1, -1)
