"""Activations: one record each, of all that the package needs to know of one."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Activation:
    """An elementwise function that knows its first two derivatives.

    Attributes
    ----------
    value : callable
        ``z -> a``.
    derivatives : callable
        ``z -> (a, da/dz, second)``. ``second`` is a function without arguments that
        returns ``d2a/dz2`` when it is needed. None stands for a derivative of 1
        everywhere, and for a second derivative of 0 (almost) everywhere.
    module : type
        The :class:`torch.nn.Module` that computes ``value``.
    largest_derivative : float
        Supremum of ``da/dz``.
    gain : float
        Factor on the initial weights that keeps the signal's variance.
    bounded : bool
        Whether large inputs saturate it.
    linear : bool
        Whether it is the identity.
    """

    value: Callable[[Tensor], Tensor]
    derivatives: Callable[[Tensor], tuple]
    module: type[nn.Module]
    largest_derivative: float = 1.0
    gain: float = 1.0
    bounded: bool = False
    linear: bool = False


def times(tensor, derivative):
    """``tensor * derivative``, where a derivative of None stands for 1 everywhere."""
    return tensor if derivative is None else tensor * derivative


# These functions are written with as few passes over memory as possible: between two
# matrix products of a small network, they are what a step costs.


def _less_product(x, y, z, factor=1):
    """``x - factor * y * z`` in one pass."""
    return torch.addcmul(x, y, z, value=-factor)


def _constant(value, like):
    if torch.compiler.is_compiling():  # which sees no cache
        return torch.full((), value, dtype=like.dtype, device=like.device)
    return _cached_constant(value, like.dtype, like.device)


@functools.cache
def _cached_constant(value, dtype, device):
    # kept for all: autograd refuses what was made in inference mode
    with torch.inference_mode(False):
        return torch.full((), value, dtype=dtype, device=device)


def _sigmoid(z):
    a = torch.sigmoid(z)
    derivative = _less_product(a, a, a)
    return a, derivative, lambda: _less_product(derivative, derivative, a, 2)


def _tanh(z):
    a = torch.tanh(z)
    derivative = _less_product(_constant(1, z), a, a)
    return a, derivative, lambda: _less_product(_constant(0, z), a, derivative, 2)


def _relu(z):
    a = torch.relu(z)
    return a, a.sign(), None


def _softplus(z):
    derivative = torch.sigmoid(z)
    return (
        functional.softplus(z),
        derivative,
        lambda: _less_product(derivative, derivative, derivative),
    )


def _silu(z):
    gate = torch.sigmoid(z)
    a = z * gate
    derivative = torch.lerp(gate, _constant(1, z), a)  # gate + a (1 - gate)

    def second_derivative():
        both = torch.lerp(a, derivative, 2)  # 2 derivative - a
        return _less_product(both, gate, both)

    return a, derivative, second_derivative


ACTIVATIONS = {
    "identity": Activation(
        lambda z: z, lambda z: (z, None, None), nn.Identity, linear=True
    ),
    "sigmoid": Activation(
        torch.sigmoid, _sigmoid, nn.Sigmoid, 0.25, gain=4.0, bounded=True
    ),
    "tanh": Activation(torch.tanh, _tanh, nn.Tanh, gain=5 / 3, bounded=True),
    "relu": Activation(torch.relu, _relu, nn.ReLU, gain=math.sqrt(2)),
    "softplus": Activation(
        functional.softplus, _softplus, nn.Softplus, gain=math.sqrt(2)
    ),
    "silu": Activation(functional.silu, _silu, nn.SiLU, 1.09983932, gain=math.sqrt(2)),
}
