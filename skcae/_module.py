"""A trained network as a torch module, and back."""

from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from skcae._core.activations import ACTIVATIONS
from skcae._core.checkpoint import Checkpoint
from skcae._core.network import Network


def to_module(checkpoint: Checkpoint) -> "AutoencoderModule":
    """Copy a trained network into a module, for rows as they are.

    Parameters
    ----------
    checkpoint : Checkpoint

    Returns
    -------
    AutoencoderModule
        In float32 on the CPU.
    """
    cpu = torch.device("cpu")
    return AutoencoderModule(checkpoint.network_on_rows(cpu).to(cpu, torch.float32))


def from_module(module, checkpoint):
    """Put a module's parameters in place of those of the network it was copied from.

    Parameters
    ----------
    module : AutoencoderModule
        Of :func:`to_module`, trained further.
    checkpoint : Checkpoint

    Returns
    -------
    Checkpoint
        The parameters are rounded to float32, in which training goes on.

    Raises
    ------
    ValueError
        If the module has other layers, or parameters that are not finite.
    """
    own = to_module(checkpoint)
    for wanted, found in zip_longest(
        repr(own).splitlines(), repr(module).splitlines(), fillvalue="nothing"
    ):
        if wanted != found:
            raise ValueError(
                "module must have the layers that to_module gave it, of this model: "
                f"{wanted.strip()!r} is {found.strip()!r}."
            )
    for parameter in module.parameters():
        if not parameter.is_floating_point():
            raise ValueError(
                f"module must have real parameters; one is of {parameter.dtype}."
            )
    network = checkpoint.network_on_rows(torch.device("cpu"))
    linears = [*module.encoder[::2], *module.decoder[::2]]
    for index, linear in enumerate(linears):
        if not isinstance(linear, _TransposedLinear):
            network.weights[index].copy_(linear.weight.detach())
        elif linear.tied_to is not linears[-1 - index]:
            raise ValueError(
                "module must have tied weights, as to_module gave it: its decoder "
                "reads weights that are no longer its encoder's."
            )
        network.biases[index].copy_(linear.bias.detach())
    changed = checkpoint.with_network_on_rows(network)
    if not np.isfinite(changed.weights).all():
        raise ValueError(
            "module must have finite parameters in float32: it diverged. Train it anew "
            "with a lower learning rate."
        )
    return changed


class _TransposedLinear(nn.Module):
    """A linear map by another layer's weights, transposed, and its own bias."""

    def __init__(self, tied_to):
        super().__init__()
        # in a tuple, so that the encoder alone registers the weights
        self._tied_to = (tied_to,)
        self.bias = nn.Parameter(
            torch.empty(tied_to.in_features, dtype=torch.float32, device="cpu")
        )

    @property
    def tied_to(self):
        return self._tied_to[0]

    def forward(self, rows):
        return functional.linear(rows, self.tied_to.weight.T, self.bias)


class AutoencoderModule(nn.Module):
    """Encoder and decoder as ``torch.nn.Sequential``.

    Made by :meth:`skcae.ContractiveAutoencoder.to_module`. Calling it reconstructs.

    Parameters
    ----------
    network : Network
        Its values are copied.

    See Also
    --------
    skcae.ContractiveAutoencoder.to_module : Copy a fitted network into this.
    skcae.ContractiveAutoencoder.set_weights : Take it back.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_wine
    >>> from skcae import ContractiveAutoencoder
    >>> X, _ = load_wine(return_X_y=True)
    >>> model = ContractiveAutoencoder(8, max_iter=2, random_state=0).fit(X)
    >>> module = model.to_module()
    >>> module.encoder(torch.tensor(X, dtype=torch.float32)).shape
    torch.Size([178, 8])
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        linears: list[Any] = []
        for index, (n_out, n_in) in enumerate(network.shapes):
            if network.tied and index >= network.depth:
                mirrored = linears[len(network.shapes) - 1 - index]
                linears.append(_TransposedLinear(mirrored))
            else:
                linears.append(
                    nn.utils.skip_init(
                        nn.Linear, n_in, n_out, dtype=torch.float32, device="cpu"
                    )
                )
                linears[-1].weight.data.copy_(network.weights[index])
            linears[-1].bias.data.copy_(network.biases[index])
        layers = [
            module
            for linear, name in zip(linears, network.activation_names, strict=True)
            for module in (linear, ACTIVATIONS[name].module())
        ]
        self.encoder = nn.Sequential(*layers[: 2 * network.depth])
        self.decoder = nn.Sequential(*layers[2 * network.depth :])

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Reconstruct rows.

        Parameters
        ----------
        rows : Tensor of shape (n, n_features)
            Rows, in the module's floating type.

        Returns
        -------
        reconstructions : Tensor of shape (n, n_features)
            Decoded codes.
        """
        return self.decoder(self.encoder(rows))
