"""The network: parameters in one flat buffer, and what a forward pass keeps.

An activation knows its first two derivatives, and a forward pass keeps what the
backward recursions read. Autograd is never needed.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from skcae._core.activations import ACTIVATIONS


@dataclass(slots=True)
class Layer:
    """One layer of one forward pass, for n rows.

    Attributes
    ----------
    weight : Tensor of shape (n_out, n_in)
    transposed : Tensor of shape (n_in, n_out)
        The same memory.
    inputs : Tensor of shape (n, n_in)
    preactivations, outputs : Tensor of shape (n, n_out)
    derivative : Tensor of shape (n, n_out) or None
        Of the activation; None stands for 1 everywhere.
    second_derivative : callable or None
        Returns a Tensor of shape (n, n_out); None stands for 0 everywhere.
    """

    weight: Tensor
    transposed: Tensor
    inputs: Tensor
    preactivations: Tensor
    outputs: Tensor
    derivative: Tensor | None
    second_derivative: Callable[[], Tensor] | None

    def rows(self, start, stop):
        """The same layer for a slice of the rows."""
        return Layer(
            self.weight,
            self.transposed,
            self.inputs[start:stop],
            self.preactivations[start:stop],
            self.outputs[start:stop],
            None if self.derivative is None else self.derivative[start:stop],
            self.second_derivative and (lambda: self.second_derivative()[start:stop]),
        )


class Network:
    """An autoencoder whose parameters are views into one flat tensor.

    Parameters
    ----------
    sizes : sequence of int
        Widths of the encoder, from the input to the code; the decoder
        mirrors them.
    activations : sequence of str
        One name per layer, encoder and decoder, ``2 * (len(sizes) - 1)``.
    tied : bool
        Whether the decoder's weights are the encoder's, transposed. They are
        then the same memory, and gradients of both meet in it.
    parameters : Tensor of shape (n_parameters,), optional
        The flat buffer; zeros in float32 if not given.

    Attributes
    ----------
    weights : list of Tensor, each of shape (n_out, n_in)
    biases : list of Tensor, each of shape (n_out,)
    """

    def __init__(self, sizes, activations, tied, parameters=None):
        widths = [*sizes, *reversed(sizes[:-1])]
        self.sizes = tuple(sizes)
        self.depth = len(sizes) - 1
        self.shapes = list(zip(widths[1:], widths[:-1], strict=True))
        self.activation_names = tuple(activations)
        self.activations = [ACTIVATIONS[name] for name in activations]
        self.tied = tied
        if parameters is None:
            parameters = torch.zeros(
                self._n_weights() + sum(widths[1:]), dtype=torch.float32, device="cpu"
            )
        self.parameters = parameters
        self.weights, self.biases = self.views(parameters)
        self.transposed = [weight.T for weight in self.weights]

    def to(self, device, dtype):
        """The same network with its parameters elsewhere or in another type."""
        parameters = self.parameters.to(device, dtype, copy=True)
        return Network(self.sizes, self.activation_names, self.tied, parameters)

    def _own_shapes(self):
        return self.shapes[: self.depth] if self.tied else self.shapes

    def _n_weights(self):
        return sum(math.prod(shape) for shape in self._own_shapes())

    def views(self, flat):
        """Split a flat tensor (parameters or gradient) into weights and biases."""
        own = self._own_shapes()
        widths = [n_out for n_out, _ in self.shapes]
        pieces = flat.split([math.prod(shape) for shape in own] + widths)
        weights = [piece.view(shape) for piece, shape in zip(pieces, own, strict=False)]
        if self.tied:
            weights += [weight.T for weight in reversed(weights)]
        return weights, list(pieces[len(own) :])

    def flat_weights(self):
        """The part of the flat buffer that holds weights, not biases."""
        return self.parameters[: self._n_weights()]

    def initialise(self, generator, rows, baseline):
        """Draw weights; set biases from data so that training starts sanely.

        Every layer's pre-activations start with mean zero, whatever the
        columns' offsets are. The network starts no worse than the best constant
        (to a percent, which a saturated output may miss): the decoder starts as
        the encoder transposed, tied or not, so that outputs correlate with rows,
        and weights shrink until that is enough.

        Parameters
        ----------
        generator : torch.Generator
        rows : Tensor of shape (n, n_features)
            A sample of the training rows.
        baseline : Tensor of shape (n_features,)
            The best constant output.
        """
        encoder, decoder = self.weights[: self.depth], self.weights[self.depth :]
        for weight, activation in zip(encoder, self.activations, strict=False):
            std = activation.gain * math.sqrt(2 / sum(weight.shape))
            weight.normal_(0, std, generator=generator)
        if self.activations[0].bounded:
            spread = (rows - rows.mean(0)).square().mean().sqrt()
            encoder[0].div_(spread.clamp(min=1))
        if not self.tied:
            for weight, mirrored in zip(decoder, reversed(encoder), strict=True):
                weight.copy_(mirrored.T)

        bound = 1.01 * (rows - baseline).square().sum()
        output = self._centre(rows, baseline)
        for _ in range(10):
            if (rows - output).square().sum() <= bound:
                break
            self.flat_weights().mul_(0.7)
            output = self._centre(rows, baseline)

    def _centre(self, rows, baseline):
        """Set every bias from the rows; return the resulting output."""
        signal = rows
        last = len(self.weights) - 1
        for index, (weight, bias, activation) in enumerate(
            zip(self.weights, self.biases, self.activations, strict=True)
        ):
            z = signal @ weight.T
            target = torch.zeros_like(bias)
            if index == last:
                # only a sigmoid needs its inverse: other outputs are linear
                inside = baseline.clamp(1e-3, 1 - 1e-3)
                target = torch.logit(inside) if activation.bounded else baseline
            bias.copy_(target - z.mean(0))
            signal = activation.value(z + bias)
        return signal

    def forward(self, rows):
        """Run all layers and keep what the backward recursions need.

        Returns
        -------
        list of Layer
        """
        layers, signal = [], rows
        for weight, transposed, bias, activation in zip(
            self.weights, self.transposed, self.biases, self.activations, strict=True
        ):
            z = torch.addmm(bias, signal, transposed)
            outputs, *derivatives = activation.derivatives(z)
            layers.append(Layer(weight, transposed, signal, z, outputs, *derivatives))
            signal = outputs
        return layers

    def encode(self, rows):
        """Codes of the rows, shape (n, n_components)."""
        return self._apply(rows, 0, self.depth)[1]

    def decode(self, codes):
        """Reconstructions from codes, shape (n, n_features)."""
        return self._apply(codes, self.depth, len(self.weights))[1]

    def reconstruct(self, rows):
        """Last pre-activations and outputs, each of shape (n, n_features)."""
        return self._apply(rows, 0, len(self.weights))

    def _apply(self, signal, start, stop):
        for index in range(start, stop):
            z = torch.addmm(self.biases[index], signal, self.transposed[index])
            signal = self.activations[index].value(z)
        return z, signal
