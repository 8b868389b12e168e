"""The objective: reconstruction loss + λ times the penalty, with its gradient.

For a batch of n rows and d features it is

    (sum of row losses + lam * sum of ||J||_F^2) / (n d),

so that learning rates do not depend on d. The gradient is one backward pass in
closed form; the penalty enters it twice, through the weights of the layers that
J runs through and, by the second derivatives of their activations, through the first.
"""

from dataclasses import dataclass

import torch

from skcae._core.losses import Loss
from skcae._core.network import Network
from skcae._core.noise import Corruption
from skcae._core.penalties import Penalty


@dataclass
class Objective:
    """What training minimises.

    Attributes
    ----------
    network : Network
    loss : Loss
    penalty : Penalty
    penalty_depth : int
        How many layers, from the input on, the penalised Jacobian runs through:
        the encoder's or all.
    corruption : Corruption
        Of the inputs. The reconstruction is compared with the clean row, and the
        Jacobian is taken at the corrupted one.
    means : Tensor of shape (n_features,) or None
        What the network reads in place of a missing cell, which is nan. None where no
        cell of the table is missing.
    observed_share : float
        Of the table's cells. Sums of losses are divided by it, as if all were observed.
    """

    network: Network
    loss: Loss
    penalty: Penalty
    penalty_depth: int
    corruption: Corruption = Corruption()
    means: torch.Tensor | None = None
    observed_share: float = 1.0

    def terms(self, rows, noise):
        """Sums over the rows of the loss and of the squared Jacobian norm."""
        layers = self._forward(rows, noise)
        last, targets = layers[-1], self._targets(rows, layers)
        losses = self.loss.value(targets, last.preactivations, last.outputs)
        norms = self.penalty.value(layers[: self.penalty_depth], noise)
        return losses.sum() / self.observed_share, norms.sum()

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
        layers, share = self._forward(rows, noise), self.observed_share
        coefficient = scale / rows.numel()
        targets = self._targets(rows, layers)
        error, delta = self.loss.gradient(targets, layers[-1], coefficient / share)

        norm, derivative_grads = None, []
        if lam > 0:
            norm, derivative_grads = self.penalty.add_gradient(
                layers[: self.penalty_depth], noise, weight_grads, lam * coefficient
            )
        derivative_grads += [None] * (len(layers) - len(derivative_grads))

        for index in reversed(range(len(layers))):
            layer, derivative_grad = layers[index], derivative_grads[index]
            if derivative_grad is not None and layer.second_derivative is not None:
                delta.addcmul_(derivative_grad, layer.second_derivative())
            weight_grads[index].addmm_(delta.T, layer.inputs)
            torch.sum(delta, 0, out=bias_grads[index])
            if index > 0:
                delta = delta @ layer.weight
                if layers[index - 1].derivative is not None:
                    delta.mul_(layers[index - 1].derivative)
        return (error if share == 1 else error / share), norm

    def _forward(self, rows, noise):
        return self.network.forward(self.corruption.of(rows, noise, self.means))

    def _targets(self, rows, layers):
        """What outputs are compared with: with themselves where a cell is missing."""
        if self.means is None:
            return rows
        return torch.where(rows.isnan(), layers[-1].outputs, rows)
