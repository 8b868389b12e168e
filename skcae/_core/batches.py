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

# Elements that one block, gathered or converted, may hold.
_BLOCK_ELEMENTS = 2**17


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
    indices : ndarray of int, optional
        The rows that belong; all if not given.
    """

    def __init__(self, X, shift, device, indices=None):
        self._X, self._indices, self._shift = X, indices, shift.astype(X.dtype)
        self._device, self._on_device = device, None
        if device.type != "cpu" and isinstance(X, np.ndarray):
            everything = torch.arange(len(self), device="cpu")
            self._on_device = torch.cat([*self._gathered(everything, 1)])

    def __len__(self):
        return len(self._X if self._indices is None else self._indices)

    def take(self, positions):
        """Rows at the positions (a tensor of int64), as a float32 tensor."""
        if self._on_device is not None:
            return self._on_device[positions.to(self._on_device.device)]
        positions = positions.numpy()
        if self._indices is not None:
            positions = self._indices[positions]
        rows = self._X.take(positions, axis=0)
        rows -= self._shift
        rows = torch.from_numpy(rows.astype(np.float32, copy=False))
        return rows.to(self._device)

    def shuffled(self, batch_size, generator):
        """Yield every row once, in random order, in batches."""
        order = torch.randperm(len(self), generator=generator, device="cpu")
        return self._batches(order, batch_size)

    def in_order(self, batch_size):
        """Yield every row once, in order, in batches."""
        return self._batches(torch.arange(len(self), device="cpu"), batch_size)

    def _batches(self, order, batch_size):
        for block in self._gathered(order, batch_size):
            yield from block.split(batch_size)

    def _gathered(self, order, multiple_of):
        """Yield blocks of rows, gathered at once because that is faster."""
        elements = multiple_of * self._X.shape[1]
        length = max(1, _BLOCK_ELEMENTS // elements) * multiple_of
        if self._on_device is not None:
            order = order.to(self._on_device.device)  # once, not batch by batch
        for positions in order.split(length):
            yield self.take(positions)


def blocks(X, elements_per_row, device):
    """Yield the slice and the float64 tensor of consecutive blocks of a table.

    Parameters
    ----------
    X : table of shape (n_samples, n_columns)
    elements_per_row : int
        What the work on one row holds at once; it decides the block's length.
    device : torch.device
    """
    length = max(1, _BLOCK_ELEMENTS // elements_per_row)
    for start in range(0, len(X), length):
        part = slice(start, start + length)
        # always a copy: torch refuses read-only memory and negative strides
        block = np.array(X[part], dtype=np.float64, order="C")
        yield part, torch.from_numpy(block).to(device)


def map_blocks(function, X, elements_per_row, device):
    """Apply a function of tensors to every block and join the results.

    On a CPU every block is the work of one thread. So the result does not depend on how
    many threads there are, and none waits for another.

    Parameters
    ----------
    function : callable
        Takes a block of rows and returns a float64 tensor with as many.
    X, elements_per_row, device
        As in :func:`blocks`.

    Returns
    -------
    ndarray of shape (n_samples, ...)
    """
    # written in place: small results between large blocks would fragment the memory
    joined = None

    def work(part, rows):
        with threads.one(), torch.inference_mode():
            return part, function(rows).cpu().numpy()

    for part, result in _in_threads(work, blocks(X, elements_per_row, device), device):
        if joined is None:
            joined = np.empty((len(X), *result.shape[1:]))
        joined[part] = result
    return joined


def _in_threads(work, arguments, device):
    """Yield the results of the work, in any order, with few blocks at a time."""
    n_threads = threads.available() if device.type == "cpu" else 1
    first, *second = itertools.islice(arguments, 2)
    if n_threads == 1 or not second:
        for each in itertools.chain([first], second, arguments):
            yield work(*each)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        running = set()
        for each in itertools.chain([first], second, arguments):
            if len(running) > n_threads:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
            running.add(pool.submit(work, *each))
        yield from (future.result() for future in running)
