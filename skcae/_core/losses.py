"""Reconstruction losses: one record each."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from skcae._core.activations import times


@dataclass(frozen=True)
class Loss:
    """What a reconstruction costs, cell by cell.

    Attributes
    ----------
    value : callable
        ``(rows, z, outputs) -> losses``, each of shape (n, n_features), where z are
        the last pre-activations. A perfect reconstruction costs 0.
    gradient : callable
        ``(rows, layer, coefficient) -> (sum, delta)``: the sum over all cells, and the
        gradient of ``coefficient`` times it with respect to the last layer's
        pre-activations.
    lowest, highest : float
        Range of the cells that it is defined for.
    advice : str
        What to do with columns outside of that range.
    output_activation : str or None
        The only one that it goes with; None if all do.
    negligible : callable
        ``mean_square -> loss``: the loss per cell that rounding alone can leave in
        a table whose cells have that mean square.
    """

    value: Callable
    gradient: Callable
    lowest: float = -math.inf
    highest: float = math.inf
    advice: str = ""
    output_activation: str | None = None
    negligible: Callable[[float], float] = lambda mean_square: 1e-5

    def of_constant(self, rows, constant):
        """Loss of each cell where the output is the same for every row."""
        return self.value(rows, torch.logit(constant, eps=1e-6), constant)


def _squared_error(rows, z, outputs):
    return (rows - outputs).square()


def _squared_error_gradient(rows, layer, coefficient):
    difference = layer.outputs - rows
    error = torch.linalg.vector_norm(difference).square_()
    return error, times(difference.mul_(2 * coefficient), layer.derivative)


def _log_loss(rows, z, outputs):
    rows = rows.clamp(0, 1)  # a scaler may miss by a rounding error
    entropy = torch.special.entr(rows) + torch.special.entr(1 - rows)
    return functional.softplus(z) - rows * z - entropy


def _log_loss_gradient(rows, layer, coefficient):
    error = _log_loss(rows, layer.preactivations, layer.outputs).sum()
    return error, (layer.outputs - rows).mul_(coefficient)


LOSSES = {
    "squared_error": Loss(
        _squared_error,
        _squared_error_gradient,
        negligible=lambda mean_square: 1e-24 * mean_square,
    ),
    "log_loss": Loss(
        _log_loss,
        _log_loss_gradient,
        lowest=0.0,
        highest=1.0,
        advice="use MinMaxScaler(clip=True)",
        output_activation="sigmoid",
    ),
}
