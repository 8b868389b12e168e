"""Processes that train one network together, each on rows of its own.

All that they exchange is here. Sums and what is copied from the first rank are equal on
all ranks to the last bit, and so is every decision that is made from them.
"""

from contextlib import contextmanager

import torch
import torch.distributed as dist


class Alone:
    """One process, which has nobody to exchange with."""

    rank, size = 0, 1

    @contextmanager
    def agreeing(self):
        """Raise on all ranks if one raises inside."""
        yield

    def totals(self, *numbers):
        """Sums over the ranks, as floats."""
        return [float(number) for number in numbers]

    def largest(self, number):
        """Greatest int of all ranks."""
        return number

    def place(self, n_rows):
        """Where the rows of this rank begin among those of all, and how many these are.

        Parameters
        ----------
        n_rows : int
            Of this rank.
        """
        return 0, n_rows

    def mean_gradient(self, gradient, error, penalty, n_rows):
        """Make the gradient, a mean over rows, that over the rows of all ranks.

        Parameters
        ----------
        gradient : Tensor of shape (n_parameters,)
            It is overwritten.
        error, penalty : Tensor of shape ()
            Sums over rows. The penalty is None, on all ranks, where there is none.
        n_rows : int
            May be 0.

        Returns
        -------
        error, penalty, n_rows
            Sums over the ranks.
        """
        return error, penalty, n_rows

    def copy_first(self, *tensors):
        """Overwrite tensors by those of the first rank."""

    def joined(self, array):
        """Rows of the arrays of all ranks, one rank after the other."""
        return array


ALONE = Alone()


class Ranks(Alone):
    """The default process group of torch.distributed.

    Parameters
    ----------
    device : torch.device
        That the group's backend exchanges tensors of.
    """

    def __init__(self, device):
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self._device = device

    @contextmanager
    def agreeing(self):
        """Raise on all ranks if one raises inside."""
        try:
            yield
        except Exception:
            self.largest(self.rank + 1)
            raise
        refusing = self.largest(0)
        if refusing:
            raise RuntimeError(
                f"Rank {refusing - 1} cannot take part: its own error says why."
            )

    def totals(self, *numbers):
        """Sums over the ranks, as floats."""
        return self._reduced(numbers, dist.ReduceOp.SUM, torch.float64).tolist()

    def largest(self, number):
        """Greatest int of all ranks."""
        return int(self._reduced([number], dist.ReduceOp.MAX, torch.int64))

    def place(self, n_rows):
        """Where the rows of this rank begin among those of all, and their number."""
        lengths = self._lengths(n_rows)
        return sum(lengths[: self.rank]), sum(lengths)

    def mean_gradient(self, gradient, error, penalty, n_rows):
        """Make the gradient, a mean over rows, that over the rows of all ranks."""
        # one exchange for all of it
        own_rows = torch.full_like(error, n_rows)
        sums = [error, own_rows] if penalty is None else [error, own_rows, penalty]
        together = torch.cat([gradient * n_rows, torch.stack(sums)])
        dist.all_reduce(together)
        error, n_rows, *penalty = together[len(gradient) :]
        torch.div(together[: len(gradient)], n_rows, out=gradient)
        return error, penalty[0] if penalty else None, int(n_rows)

    def copy_first(self, *tensors):
        """Overwrite tensors by those of the first rank."""
        for tensor in tensors:
            copy = tensor.to(self._device)
            dist.broadcast(copy, 0)
            tensor.copy_(copy)

    def joined(self, array):
        """Rows of the arrays of all ranks, one rank after the other."""
        rows = torch.from_numpy(array).to(self._device)
        lengths = self._lengths(len(rows))
        # every rank sends as many
        padded = rows.new_zeros((max(lengths), *rows.shape[1:]))
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in lengths]
        dist.all_gather(parts, padded)
        parts = [part[:length] for part, length in zip(parts, lengths, strict=True)]
        return torch.cat(parts).cpu().numpy()

    def _lengths(self, own):
        lengths = [own * (self.rank == rank) for rank in range(self.size)]
        return self._reduced(lengths, dist.ReduceOp.SUM, torch.int64).tolist()

    def _reduced(self, numbers, operation, dtype):
        tensor = torch.tensor(numbers, dtype=dtype, device=self._device)
        dist.all_reduce(tensor, operation)
        return tensor


def ranks(distributed, device):
    """The ranks that a fit is shared by.

    Parameters
    ----------
    distributed : bool
    device : torch.device

    Returns
    -------
    Alone

    Raises
    ------
    ValueError
        If there is no process group.
    """
    if not distributed:
        return ALONE
    if not (dist.is_available() and dist.is_initialized()):
        raise ValueError(
            "distributed=True needs a process group: start the script by torchrun and "
            "call torch.distributed.init_process_group('gloo') before fit."
        )
    return Ranks(device)
