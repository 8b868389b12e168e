"""Adam on one flat tensor, in one call a step.

``torch.optim.Adam`` runs the same kernel, but its bookkeeping takes as long as a
third of a small network's gradient.
"""

import functools

import torch
from torch.optim.adam import adam

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8
# Private: it may go, or change.
_fused_adam = getattr(torch, "_fused_adam_", None)
_CONSTANTS = {
    "beta1": _BETA1,
    "beta2": _BETA2,
    "weight_decay": 0.0,
    "eps": _EPSILON,
    "amsgrad": False,
    "maximize": False,
}


class Adam:
    """The optimiser of Kingma and Ba (2015), with its usual constants.

    Parameters
    ----------
    parameters, gradient : Tensor of shape (n_parameters,)
        The former is changed by every step.
    state : dict of ndarray, optional
        What :attr:`state` was.
    """

    def __init__(self, parameters, gradient, state=None):
        self._parameters, self._gradient = parameters, gradient
        self._mean = torch.zeros_like(parameters)
        self._square = torch.zeros_like(parameters)
        self._steps = torch.zeros((), dtype=torch.float32, device=parameters.device)
        self._step = _private_kernel if _private_kernel_works() else _public_kernel
        if state is not None:
            self.restore({name: torch.from_numpy(state[name].copy()) for name in state})

    def step(self, learning_rate):
        """Move the parameters against the gradient."""
        self._steps += 1
        self._step(
            [self._parameters],
            [self._gradient],
            [self._mean],
            [self._square],
            [self._steps],
            learning_rate,
        )

    @property
    def state(self):
        """The moments and the number of steps, as arrays."""
        return {name: value.cpu().numpy() for name, value in self.snapshot().items()}

    def snapshot(self):
        """Return a copy of the state, as tensors where the parameters are."""
        return {
            "mean": self._mean.clone(),
            "square": self._square.clone(),
            "steps": self._steps.clone(),
        }

    def restore(self, snapshot):
        """Go back to a snapshot."""
        self._mean.copy_(snapshot["mean"])
        self._square.copy_(snapshot["square"])
        self._steps.copy_(snapshot["steps"])


def _private_kernel(parameters, gradients, means, squares, steps, learning_rate):
    _fused_adam(
        parameters,
        gradients,
        means,
        squares,
        [],
        steps,
        lr=learning_rate,
        **_CONSTANTS,
    )


def _public_kernel(parameters, gradients, means, squares, steps, learning_rate):
    # this function counts the step itself
    steps[0] -= 1
    adam(
        parameters,
        gradients,
        means,
        squares,
        [],
        steps,
        fused=True,
        lr=learning_rate,
        **_CONSTANTS,
    )


@functools.cache
def _private_kernel_works():
    """Whether this torch has the kernel under its private name, unchanged."""
    results = []
    for kernel in (_public_kernel, _private_kernel):
        tensors = [
            torch.full((3,), value, dtype=torch.float32, device="cpu")
            for value in (0.5, 0.3, 0.2, 0.1)
        ]
        steps = torch.full((), 2.0, dtype=torch.float32, device="cpu")
        try:
            kernel(*([tensor] for tensor in tensors), [steps], 0.1)
        except (TypeError, RuntimeError):
            return False
        results.append(torch.cat([*tensors, steps[None]]))
    return torch.equal(*results)
