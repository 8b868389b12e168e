"""A trained network as a torch module."""

import torch
from torch import nn
from torch.nn import functional

from skcae._core.activations import ACTIVATIONS


def to_module(checkpoint):
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


class _TransposedLinear(nn.Module):
    """A linear map by another layer's weights, transposed, and its own bias."""

    def __init__(self, tied_to):
        super().__init__()
        # in a tuple, so that the encoder alone registers the weights
        self._tied_to = (tied_to,)
        self.bias = nn.Parameter(
            torch.empty(tied_to.in_features, dtype=torch.float32, device="cpu")
        )

    def forward(self, rows):
        return functional.linear(rows, self._tied_to[0].weight.T, self.bias)


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

    def __init__(self, network):
        super().__init__()
        linears = []
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

    def forward(self, rows):
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
