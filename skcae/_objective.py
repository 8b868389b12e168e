"""The objective: reconstruction loss + λ times the penalty, with its gradient.

For a batch of n rows and d features it is

    (sum of row losses + lam * sum of ||J||_F^2) / (n d),

so that learning rates do not depend on d. The gradient is one backward pass in
closed form; the penalty enters it twice, through the weights of the layers that
J runs through and, by the curvature of their activations, through their slopes.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from skcae import _jacobian
from skcae._network import Network, times


def _squared_error(rows, z, outputs):
    return (rows - outputs).square()


def _squared_error_grad(rows, layer, coefficient):
    difference = layer.outputs - rows
    error = torch.linalg.vector_norm(difference).square_()
    return error, times(difference.mul_(2 * coefficient), layer.slope)


def _log_loss(rows, z, outputs):
    # Cross-entropy less the entropy of the row: a perfect output costs 0.
    rows = rows.clamp(0, 1)  # a scaler may miss by a rounding error
    entropy = torch.special.entr(rows) + torch.special.entr(1 - rows)
    return functional.softplus(z) - rows * z - entropy


def _log_loss_grad(rows, layer, coefficient):
    error = _log_loss(rows, layer.preactivations, layer.outputs).sum()
    return error, (layer.outputs - rows).mul_(coefficient)


# name: (loss per cell, its sum and the gradient of coefficient times that sum with
# respect to the last pre-activations)
LOSSES = {
    "squared_error": (_squared_error, _squared_error_grad),
    "log_loss": (_log_loss, _log_loss_grad),
}


def cell_losses(loss, rows, network):
    """Loss of each cell, shape (n, n_features)."""
    return LOSSES[loss][0](rows, *network.reconstruct(rows))


def constant_losses(loss, rows, constant):
    """Loss of each cell where the output is the same for every row."""
    return LOSSES[loss][0](rows, torch.logit(constant, eps=1e-6), constant)


def mean_of_least(losses, trim_fraction):
    """Mean of an ndarray of losses but for the share of the largest."""
    if trim_fraction == 0:
        return float(losses.mean())
    n_kept = n_untrimmed(len(losses), trim_fraction)
    return float(np.partition(losses, n_kept - 1)[:n_kept].mean())


def n_untrimmed(n_rows, trim_fraction):
    """Rows that are left, at least one."""
    return max(1, round((1 - trim_fraction) * n_rows))


@dataclass
class Objective:
    """What training minimises.

    Attributes
    ----------
    network : Network
    loss : {"squared_error", "log_loss"}
    penalty_depth : int
        How many layers, from the input on, the penalised Jacobian runs through:
        the encoder's or all.
    method : {"closed_form", "exact", "hutchinson"}
        How the penalty is computed.
    noise_std : float
        Standard deviation of the Gaussian noise on the inputs. The
        reconstruction is compared with the clean row, and the Jacobian is
        taken at the noisy one.
    trim_fraction : float
        Share of the rows that :meth:`trimmed` leaves out.
    """

    network: Network
    loss: str
    penalty_depth: int
    method: str
    noise_std: float = 0.0
    trim_fraction: float = 0.0

    def trimmed(self, rows):
        """The rows but for the share with the largest losses."""
        if self.trim_fraction == 0:
            return rows
        losses = cell_losses(self.loss, rows, self.network).sum(1)
        n_kept = n_untrimmed(len(rows), self.trim_fraction)
        return rows[losses.topk(n_kept, largest=False).indices]

    def terms(self, rows, noise):
        """Sums over the rows of the loss and of the squared Jacobian norm."""
        layers = self.network.forward(self._corrupt(rows, noise))
        last = layers[-1]
        losses = LOSSES[self.loss][0](rows, last.preactivations, last.outputs)
        return losses.sum(), self._penalty(layers, noise)[0].sum()

    def gradient(self, rows, lam, noise, weight_grads, bias_grads, scale=1.0):
        """Write the gradient of ``scale`` times the objective into the buffers.

        Parameters
        ----------
        rows : Tensor of shape (n, n_features)
        lam : float
            Without a penalty (0) its norm is not computed.
        noise : Noise
        weight_grads, bias_grads : list of Tensor
            Shaped as the network's weights and biases, the former zero: they are
            added to, because a tied weight has two gradients.
        scale : float

        Returns
        -------
        error, norm : Tensor of shape ()
            Sums over the rows of the loss and of the squared Jacobian norm;
            the latter is None for ``lam=0``.
        """
        layers = self.network.forward(self._corrupt(rows, noise))
        coefficient = scale / rows.numel()
        error, delta = LOSSES[self.loss][1](rows, layers[-1], coefficient)

        norm, slope_grads = None, []
        if lam > 0:
            norm, slope_grads = self._penalty(
                layers, noise, weight_grads, lam * coefficient
            )
        slope_grads += [None] * (len(layers) - len(slope_grads))

        for index in reversed(range(len(layers))):
            layer, slope_grad = layers[index], slope_grads[index]
            if slope_grad is not None and layer.curvature is not None:
                delta.addcmul_(slope_grad, layer.curvature())
            weight_grads[index].addmm_(delta.T, layer.inputs)
            torch.sum(delta, 0, out=bias_grads[index])
            if index > 0:
                delta = delta @ layer.weight
                if layers[index - 1].slope is not None:
                    delta.mul_(layers[index - 1].slope)
        return error, norm

    def _corrupt(self, rows, noise):
        return noise.added_to(rows, self.noise_std) if self.noise_std else rows

    def _penalty(self, layers, noise, grads=None, coefficient=1.0):
        layers = layers[: self.penalty_depth]
        if self.method == "hutchinson":
            signs = noise.signs_like(layers[-1].outputs)
            return _jacobian.hutchinson(layers, signs, grads, coefficient)
        return getattr(_jacobian, self.method)(layers, grads, coefficient)
