"""The objective: reconstruction loss + λ times the penalty, with its gradient.

For a batch of n rows and d features it is

    (sum of row losses + lam * sum of ||J||_F^2) / (n d),

so that learning rates do not depend on d. The gradient is one backward pass in
closed form; the penalty enters it twice, through the weights of the layers that
J runs through and, by the curvature of their activations, through their slopes.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional

from skcae import _jacobian
from skcae._network import Network, times


def _squared_error(rows, z, outputs):
    return (rows - outputs).square()


def _squared_error_grad(rows, layer):
    return times(2 * (layer.outputs - rows), layer.slope)


def _log_loss(rows, z, outputs):
    # Cross-entropy less the entropy of the row: a perfect output costs 0.
    entropy = torch.special.entr(rows) + torch.special.entr(1 - rows)
    return functional.softplus(z) - rows * z - entropy


def _log_loss_grad(rows, layer):
    return layer.outputs - rows


# name: (loss per cell, its gradient with respect to the last pre-activation)
LOSSES = {
    "squared_error": (_squared_error, _squared_error_grad),
    "log_loss": (_log_loss, _log_loss_grad),
}


def cell_losses(loss, rows, layer):
    """Loss of each cell, given the network's last layer; shape of ``rows``."""
    return LOSSES[loss][0](rows, layer.preactivations, layer.outputs)


def constant_losses(loss, rows, constant):
    """Loss of each cell where the output is the same for every row."""
    return LOSSES[loss][0](rows, torch.logit(constant, eps=1e-6), constant)


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
    """

    network: Network
    loss: str
    penalty_depth: int
    method: str
    noise_std: float = 0.0

    def terms(self, rows, generator):
        """Sums over the rows of the loss and of the squared Jacobian norm."""
        layers = self.network.forward(self._corrupt(rows, generator))
        error = cell_losses(self.loss, rows, layers[-1]).sum()
        return error, self._penalty(layers, generator)[0].sum()

    def gradient(self, rows, lam, generator, gradient, scale=1.0):
        """Add the gradient of ``scale`` times the objective to ``gradient``.

        Parameters
        ----------
        rows : Tensor of shape (n, n_features)
        lam : float
            Without a penalty (0) its norm is not computed.
        generator : torch.Generator
            For the noise and the probes.
        gradient : Tensor of shape (n_parameters,)
        scale : float

        Returns
        -------
        error, norm : Tensor of shape ()
            Sums over the rows of the loss and of the squared Jacobian norm;
            the latter is None for ``lam=0``.
        """
        weight_grads, bias_grads = self.network.views(gradient)
        layers = self.network.forward(self._corrupt(rows, generator))
        error = cell_losses(self.loss, rows, layers[-1]).sum()
        coefficient = scale / rows.numel()

        norm, slope_grads = None, [None] * self.penalty_depth
        if lam > 0:
            grads = weight_grads[: self.penalty_depth]
            norms, slope_grads = self._penalty(
                layers, generator, grads, lam * coefficient
            )
            norm = norms.sum()
        slope_grads += [None] * (len(layers) - self.penalty_depth)

        delta = LOSSES[self.loss][1](rows, layers[-1]) * coefficient
        for index in reversed(range(len(layers))):
            layer = layers[index]
            if index < len(layers) - 1:
                delta = times(delta @ layers[index + 1].weight, layer.slope)
            if slope_grads[index] is not None and layer.activation.curvature:
                delta = torch.addcmul(delta, slope_grads[index], layer.curvature())
            weight_grads[index].addmm_(delta.T, layer.inputs)
            bias_grads[index].add_(delta.sum(0))
        return error, norm

    def _corrupt(self, rows, generator):
        if self.noise_std == 0:
            return rows
        noise = torch.empty_like(rows).normal_(0, self.noise_std, generator=generator)
        return noise.add_(rows)

    def _penalty(self, layers, generator, grads=None, coefficient=1.0):
        layers = layers[: self.penalty_depth]
        if self.method == "hutchinson":
            signs = torch.empty_like(layers[-1].outputs)
            signs.bernoulli_(0.5, generator=generator).mul_(2).sub_(1)
            return _jacobian.hutchinson(layers, signs, grads, coefficient)
        return getattr(_jacobian, self.method)(layers, grads, coefficient)
