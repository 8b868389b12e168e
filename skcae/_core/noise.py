"""The random part of a step: corrupted inputs and signs for the probes.

A Corruption says what a denoising autoencoder does to its inputs; the numbers that this
takes come from a stream, Noise.
"""

import functools
from dataclasses import dataclass

import torch

# Signs that are drawn at once, at most, unless one step wants more.
_AHEAD = 2**16


@dataclass(frozen=True)
class Corruption:
    """What training does to the rows before the network reads them.

    What is 0 draws nothing from the stream.

    Attributes
    ----------
    noise_std : float
        Standard deviation of Gaussian noise.
    masking_fraction : float
        Share of cells that become 0.
    swap_fraction : float
        Share of cells that get the value of the same column in another row.
    """

    noise_std: float = 0.0
    masking_fraction: float = 0.0
    swap_fraction: float = 0.0

    def of(self, rows, noise, means=None):
        """What the network reads in place of the rows, which are left as they are.

        Parameters
        ----------
        rows : Tensor of shape (n, n_features)
        noise : Noise
        means : Tensor of shape (n_features,), optional
            Given where cells are missing, which is nan. They are neither swapped, from
            nor to, nor masked: they become the mean, with noise.
        """
        if self.swap_fraction:
            swapped = noise.swapped(rows, self.swap_fraction)
            if means is not None:
                swapped = torch.where((rows + swapped).isnan(), rows, swapped)
            rows = swapped
        if self.masking_fraction:
            rows = noise.masked(rows, self.masking_fraction)
        if means is not None:
            rows = torch.where(rows.isnan(), means, rows)
        if self.noise_std:
            rows = noise.added_to(rows, self.noise_std)
        return rows


class Noise:
    """A stream of random numbers.

    Parameters
    ----------
    seed : int
    device : torch.device
    """

    def __init__(self, seed, device):
        self._generator = torch.Generator(device).manual_seed(seed)
        self._signs = torch.empty(0, dtype=torch.float32, device=device)
        self._n_used = 0
        self._before_signs = self._generator.get_state()

    @property
    def state(self):
        """Where the stream is: a dict of tensors, on the CPU."""
        signs = torch.tensor([len(self._signs), self._n_used], device="cpu")
        return {
            "noise": self._generator.get_state(),
            "before_signs": self._before_signs,
            "signs": signs,
        }

    def restore(self, state):
        """Go on from a state."""
        n_signs, self._n_used = state["signs"].tolist()
        if n_signs:
            self._generator.set_state(state["before_signs"])
            self._signs = self._draw(n_signs, self._signs)
        self._generator.set_state(state["noise"])

    def added_to(self, rows, std):
        """Copy of the rows with Gaussian noise."""
        noise = torch.empty_like(rows).normal_(0, std, generator=self._generator)
        return noise.add_(rows)

    def masked(self, rows, fraction):
        """Copy of the rows with about that share of cells 0; what is nan stays nan."""
        return rows * ~self._chosen(rows, fraction)

    def swapped(self, rows, fraction):
        """Copy of the rows with about that share of cells from other rows.

        Each column takes them from so many rows further on, a number that is drawn: to
        a row, these are other rows at random, one for each column. A single row stays.
        """
        n_rows, n_columns = rows.shape
        if n_rows == 1:
            return rows
        distances = torch.randint(
            1,
            n_rows,
            (n_columns,),
            generator=self._generator,
            dtype=torch.int64,
            device=rows.device,
        )
        positions = torch.arange(n_rows, device=rows.device)[:, None] + distances
        others = torch.cat([rows, rows]).gather(0, positions)
        return torch.where(self._chosen(rows, fraction), others, rows)

    def _chosen(self, rows, fraction):
        draws = torch.empty_like(rows).uniform_(generator=self._generator)
        return draws < fraction

    def signs_like(self, tensor):
        """Independent entries of -1 or 1, shaped as the tensor.

        To draw for one small step takes as long as two of its matrix products,
        so every draw is twice as large as the one before it.
        """
        start, end = self._n_used, self._n_used + tensor.numel()
        if end > len(self._signs):
            start, end = 0, tensor.numel()
            n_signs = max(end, min(2 * len(self._signs), _AHEAD))
            self._signs = self._draw(n_signs, tensor)
        self._n_used = end
        return self._signs[start:end].view(tensor.shape)

    def _draw(self, n_signs, like):
        self._before_signs = self._generator.get_state()
        bytes_ = torch.randint(
            256,
            (-(-n_signs // 8),),
            generator=self._generator,
            dtype=torch.int64,
            device=like.device,
        )
        table = _signs_of_bytes(like.dtype, like.device)
        return table.index_select(0, bytes_).view(-1)


@functools.cache
def _signs_of_bytes(dtype, device):
    """Eight signs for each byte: bits are cheaper to draw than numbers."""
    byte = torch.arange(256, device=device)[:, None]
    bits = byte >> torch.arange(8, device=device) & 1
    return bits.to(dtype) * 2 - 1
