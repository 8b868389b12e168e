"""Batches of rows, from a table to tensors, a block at a time.

Neither shuffling nor a change of type ever copies the whole table. A table is an
array, a memory map, or anything else that has of an array ``shape``, ``dtype``,
``len``, slices and ``take(positions, axis=0)``; the last two give dense arrays.
"""

import itertools
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import numpy as np
import torch

from skcae._core import threads
from skcae._core.ranks import ALONE

# Elements that one block, gathered or converted, may hold.
_BLOCK_ELEMENTS = 2**17
# What is shuffled at once, at most. A larger table is read in runs of consecutive rows,
# as a file wants it, so many of which make one group whose rows are shuffled.
_GROUP_ELEMENTS = 2**24
_GROUP_ROWS = 2**20
_RUNS = 512


def _group_rows(table):
    return max(1, min(_GROUP_ROWS, _GROUP_ELEMENTS // table.shape[1]))


def run_length(table):
    """Rows of a table that stay together where a part of it is drawn at random.

    One, unless the table is larger than what is shuffled at once.
    """
    group = _group_rows(table)
    return max(1, group // _RUNS) if len(table) > group else 1


def split(table, fraction, generator):
    """Draw a share of the rows of a table, at least one, and not all of several.

    Parameters
    ----------
    table : table of shape (n_samples, n_features)
    fraction : float
        Between 0 and 1.
    generator : torch.Generator

    Returns
    -------
    drawn, others : ndarray of int
        First rows of runs, ascending: what :class:`Rows` takes.
    """
    starts = torch.arange(0, len(table), run_length(table), device="cpu")
    n_drawn = min(max(1, round(fraction * len(starts))), max(0, len(starts) - 1))
    order = torch.randperm(len(starts), generator=generator, device="cpu")
    drawn, others = order[:n_drawn].sort().values, order[n_drawn:].sort().values
    return starts[drawn].numpy(), starts[others].numpy()


class Rows:
    """The rows of a table as float32 tensors, for training.

    Parameters
    ----------
    X : table of shape (n_samples, n_features)
    shift : ndarray of shape (n_features,)
        Subtracted from every row before float32 rounds it.
    device : torch.device
        Where tensors go. An accelerator gets the whole of an array once, and gathers
        from that; of other tables, which may be sparse, batch by batch.
    starts : ndarray of int, optional
        First rows of the runs that belong, each of :func:`run_length` rows. The table
        may end within the last one. All rows belong if not given.
    """

    def __init__(self, X, shift, device, starts=None):
        self._X, self._starts, self._shift = X, starts, shift.astype(X.dtype)
        self._run_length = run_length(X)
        self._device, self._on_device = device, None
        if device.type != "cpu" and isinstance(X, np.ndarray):
            self._on_device = torch.cat([*self._blocks_in_order(1)])

    def __len__(self):
        if self._starts is None:
            return len(self._X)
        if len(self._starts) == 0:
            return 0
        end = len(self._starts) * self._run_length
        return end - max(0, self._starts[-1] + self._run_length - len(self._X))

    def take(self, positions):
        """Rows at the positions (a tensor of int64), as a float32 tensor."""
        if self._on_device is not None:
            return self._on_device[positions.to(self._on_device.device)]
        positions = positions.numpy()
        if self._starts is not None:
            run, within = np.divmod(positions, self._run_length)
            positions = self._starts[run] + within
        rows = self._X.take(positions, axis=0)
        rows -= self._shift
        rows = torch.from_numpy(rows.astype(np.float32, copy=False))
        return rows.to(self._device)

    def sample(self, n_rows, generator, ranks=ALONE):
        """Some of the rows of all ranks at random: those that are here, as a tensor.

        Parameters
        ----------
        n_rows : int
            At most, of all ranks. Of very many rows, one may come twice.
        generator : torch.Generator
            Equal on all ranks, which it stays.
        ranks : Alone
        """
        start, total = ranks.place(len(self))
        if total <= _GROUP_ROWS:
            order = torch.randperm(total, generator=generator, device="cpu")[:n_rows]
        else:
            order = torch.randint(total, (n_rows,), generator=generator, device="cpu")
        order = order - start
        return self.take(order[(order >= 0) & (order < len(self))])

    def shuffled(self, batch_size, generator):
        """Yield every row once, in random order, in batches."""
        rest = torch.empty(0, dtype=torch.int64, device="cpu")
        for order in self._shuffled_groups(generator):
            order = torch.cat([rest, order])
            n_whole = len(order) // batch_size * batch_size
            order, rest = order[:n_whole], order[n_whole:]
            if self._on_device is not None:
                order = order.to(self._on_device.device)  # once, not batch by batch
            length = self._block_length(batch_size)
            for start in range(0, n_whole, length):
                yield from self.take(order[start : start + length]).split(batch_size)
        if len(rest):
            yield self.take(rest)

    def in_order(self, batch_size):
        """Yield every row once, in order, in batches."""
        for block in self._blocks_in_order(batch_size):
            yield from block.split(batch_size)

    def _shuffled_groups(self, generator):
        """Yield the positions of all rows, in random order."""
        n, length = len(self), self._run_length
        if length == 1:
            yield torch.randperm(n, generator=generator, device="cpu")
            return
        runs = torch.randperm(-(-n // length), generator=generator, device="cpu")
        within = torch.arange(length, device="cpu")
        for some in runs.split(_group_rows(self._X) // length):
            positions = (some[:, None] * length + within).flatten()
            positions = positions[positions < n]
            order = torch.randperm(len(positions), generator=generator, device="cpu")
            yield positions[order]

    def _blocks_in_order(self, multiple_of):
        length = self._block_length(multiple_of)
        for start in range(0, len(self), length):
            end = min(start + length, len(self))
            yield self.take(torch.arange(start, end, device="cpu"))

    def _block_length(self, multiple_of):
        """Rows that are gathered at once, because that is faster."""
        elements = multiple_of * self._X.shape[1]
        return max(1, _BLOCK_ELEMENTS // elements) * multiple_of


def blocks(X, elements_per_row, device):
    """Yield the slice and the float64 tensor of consecutive blocks of a table.

    A table without rows has one block.

    Parameters
    ----------
    X : table of shape (n_samples, n_columns)
    elements_per_row : int
        What the work on one row holds at once; it decides the block's length.
    device : torch.device
    """
    length = max(1, _BLOCK_ELEMENTS // elements_per_row)
    for start in range(0, max(1, len(X)), length):
        part = slice(start, start + length)
        # always a copy: torch refuses read-only memory and negative strides
        block = np.array(X[part], dtype=np.float64, order="C")
        yield part, torch.from_numpy(block).to(device)


def map_blocks(function, X, elements_per_row, device, dtype=np.float64):
    """Apply a function of tensors to every block and join the results.

    On a CPU every block is the work of one thread. So the result does not depend on how
    many threads there are, and none waits for another.

    Parameters
    ----------
    function : callable
        Takes a block of rows and returns a float64 tensor with as many.
    X, elements_per_row, device
        As in :func:`blocks`.
    dtype : dtype
        Of the result.

    Returns
    -------
    ndarray of shape (n_samples, ...)
    """
    # written in place: small results between large blocks would fragment the memory
    joined = None
    for part, result in _results(function, X, elements_per_row, device):
        if joined is None:
            joined = np.empty((len(X), *result.shape[1:]), dtype)
        with np.errstate(over="ignore"):  # beyond the range of float32
            joined[part] = result
    return joined


def sum_blocks(function, X, elements_per_row, device):
    """Apply a function of tensors to every block and add up the results.

    Parameters
    ----------
    function : callable
        Takes a block of rows and returns a float64 tensor, always of one shape.
    X, elements_per_row, device
        As in :func:`blocks`.

    Returns
    -------
    ndarray
        It does not depend on how many threads there are.
    """
    # written in place, as in map_blocks
    sums = None
    for part, result in _results(function, X, elements_per_row, device):
        length = part.stop - part.start
        if sums is None:
            sums = np.empty((max(1, -(-len(X) // length)), *result.shape))
        sums[part.start // length] = result
    return sums.sum(axis=0)


def _results(function, X, elements_per_row, device):
    """Yield the slice and the result, as an array, of every block, in any order."""

    def work(part, rows):
        return part, function(rows).cpu().numpy()

    return in_threads(work, blocks(X, elements_per_row, device), device)


def in_threads(work, arguments, device):
    """Yield the results of the work, in any order, with few pieces of it at a time.

    Parameters
    ----------
    work : callable
        Without gradients. On a CPU, every piece is the work of one thread.
    arguments : iterator of tuple
        Each for a piece; the calling thread makes them.
    device : torch.device
    """

    def piece(*each):
        with threads.one(), torch.inference_mode():
            return work(*each)

    n_threads = threads.available() if device.type == "cpu" else 1
    first, *second = itertools.islice(arguments, 2)
    if n_threads == 1 or not second:
        for each in itertools.chain([first], second, arguments):
            yield piece(*each)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        running = set()
        for each in itertools.chain([first], second, arguments):
            if len(running) > n_threads:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
            running.add(pool.submit(piece, *each))
        yield from (future.result() for future in running)
