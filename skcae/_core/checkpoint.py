"""What is kept of a trained network, in numpy arrays and plain Python.

It pickles anywhere, remembers no device, and says which format it has.
"""

import math
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial

import numpy as np
import torch

from skcae._core import threads
from skcae._core.batches import map_blocks
from skcae._core.losses import LOSSES
from skcae._core.network import Network

# Raise it when a field comes, goes or changes its meaning, and say in
# :func:`_upgraded` what an older state has in its place.
FORMAT = 2


@dataclass(frozen=True)
class Checkpoint:
    """A trained network, and what training needs to go on with it.

    Attributes
    ----------
    sizes : tuple of int
        Widths of the encoder, from the columns to the code.
    activations : tuple of str
        One name per layer, encoder and decoder.
    tied : bool
    loss : str
        Name of the loss that it was trained with.
    weights : ndarray of shape (n_parameters,), float32
        The network's flat buffer.
    shift : ndarray of shape (n_features,), float64
        Subtracted from the columns before the network and added behind it.
    means : ndarray of shape (n_features,), float64
        Of the training columns; what stands for missing cells.
    baseline_loss : float
        Loss per cell that training counts in, see :class:`~.training.Trainer`.
    epochs : int
        Epochs trained.
    rate_factor : float
        What recovery multiplies the learning rate by.
    optimizer : dict of ndarray
        Adam's moments and number of steps.
    generator : ndarray of uint8
        State of the random numbers.
    """

    sizes: tuple
    activations: tuple
    tied: bool
    loss: str
    weights: np.ndarray = field(repr=False)
    shift: np.ndarray = field(repr=False)
    means: np.ndarray = field(repr=False)
    baseline_loss: float
    epochs: int
    rate_factor: float
    optimizer: dict = field(repr=False)
    generator: np.ndarray = field(repr=False)

    def network(self):
        """The network as it was trained, for rows less ``shift``, in float32."""
        weights = torch.from_numpy(self.weights.copy())
        return Network(self.sizes, self.activations, self.tied, weights)

    def network_on_rows(self, device):
        """The network in float64, for rows as they are.

        Parameters
        ----------
        device : torch.device
        """
        with threads.one():
            network = self.network().to(device, torch.float64)
            shift = torch.from_numpy(self.shift.copy()).to(device)
            network.biases[0].sub_(network.weights[0] @ shift)
            network.biases[-1].add_(shift)
        return network

    def with_network_on_rows(self, network):
        """Undo :meth:`network_on_rows` for other parameters of the same network.

        Training goes on as from new weights: Adam has made no step.

        Parameters
        ----------
        network : Network
            In float64 on the CPU. It is changed.

        Returns
        -------
        Checkpoint
        """
        with threads.one():
            shift = torch.from_numpy(self.shift.copy())
            network.biases[0].add_(network.weights[0] @ shift)
            network.biases[-1].sub_(shift)
        weights = network.parameters.to(torch.float32).numpy()
        optimizer = {
            name: np.zeros_like(self.optimizer[name]) for name in self.optimizer
        }
        return replace(self, weights=weights, optimizer=optimizer)

    def map(self, function, X, device, copies=1, dtype=np.float64):
        """Apply ``function(network, rows)`` in float64, block by block.

        Parameters
        ----------
        function : callable
            Returns a tensor with one entry a row.
        X : table of shape (n_samples, n_columns)
        device : torch.device
        copies : int
            Arrays as wide as the network that the function holds at once for one row.
        dtype : dtype
            Of the result.

        Returns
        -------
        ndarray of shape (n_samples, ...)
        """
        network = self.network_on_rows(device)
        elements_per_row = copies * max(network.sizes)
        function = partial(function, network)
        return map_blocks(function, X, elements_per_row, device, dtype)

    def filled(self, rows):
        """Rows with the means in place of missing cells, which are nan."""
        if not rows.sum().isnan():  # sooner known than of each cell
            return rows
        means = torch.from_numpy(self.means.copy()).to(rows)
        return torch.where(rows.isnan(), means, rows)

    def encode(self, network, rows):
        """Codes of the rows: what :meth:`map` takes, shape (n, n_components)."""
        return network.encode(self.filled(rows))

    def cell_losses(self, network, rows):
        """Loss of each cell: what :meth:`map` takes, shape (n, n_features).

        What overflows is infinite. A missing cell has nan, but in a row of nothing
        else, which is taken for that of the means.
        """
        filled = self.filled(rows)
        losses = LOSSES[self.loss].value(filled, *network.reconstruct(filled))
        losses.nan_to_num_(nan=math.inf, posinf=math.inf)
        if filled is not rows:
            is_missing = rows.isnan()
            is_missing &= ~is_missing.all(1, keepdim=True)
            losses.masked_fill_(is_missing, math.nan)
        return losses

    def scores(self, X, device, dtype=torch.float64):
        """Minus the mean loss of each row's observed cells, shape (n_samples,).

        Parameters
        ----------
        X : table of shape (n_samples, n_features)
        device : torch.device
        dtype : torch.dtype
            What the network computes in.
        """
        if dtype == torch.float64:
            return -self.map(self._row_losses, X, device)
        # rows lose their offset before float32 rounds them; losses do not see it
        shift = torch.from_numpy(self.shift.copy()).to(device)
        centred = replace(self, shift=0 * self.shift, means=self.means - self.shift)
        network = self.network().to(device, dtype)

        def row_losses(rows):
            return centred._row_losses(network, rows.sub_(shift).to(dtype))

        # an element takes half of the memory of one in float64
        return -map_blocks(row_losses, X, math.ceil(max(self.sizes) / 2), device)

    def _row_losses(self, network, rows):
        losses = self.cell_losses(network, rows)
        means = losses.mean(1)
        return losses.nanmean(1) if means.isnan().any() else means

    def to_state(self):
        """A dict of arrays and plain Python that says its format."""
        state = asdict(self)
        state["sizes"], state["activations"] = list(self.sizes), list(self.activations)
        return {"format": FORMAT, **state}

    @classmethod
    def from_state(cls, state):
        """Read what :meth:`to_state` gave, in this or an older format.

        Raises
        ------
        ValueError
            If it has no format that this version reads.
        """
        state = _upgraded(dict(state))
        state["sizes"] = tuple(map(int, state["sizes"]))
        state["activations"] = tuple(state["activations"])
        return cls(**state)


def _upgraded(state):
    """The fields of this format, from a state of this or an older one."""
    found = state.pop("format", None)
    if found == 1 and "shift" in state:
        # it read no missing cells; where it is 0 for a sigmoid, so are these
        found, state["means"] = 2, state["shift"]
    names = {field.name for field in fields(Checkpoint)}
    if found != FORMAT or set(state) != names:
        raise ValueError(
            f"This model was saved in format {found!r}, but this version of skcae "
            f"reads format {FORMAT}. Load it with the version that saved it, or fit it "
            "again."
        )
    return state
