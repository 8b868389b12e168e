"""Tables of every kind: how networks read them, and what is true of their columns.

A table is an array or a CSR matrix of scipy, in either of which nan stands for a
missing value. None is ever copied, or made dense, as a whole.
"""

import numpy as np
import torch
from scipy import sparse

from skcae._core.batches import blocks

_CPU = torch.device("cpu")


class _Rows:
    """As much of an array as ``_core.batches`` reads, made when it is read."""

    def __init__(self, shape, dtype):
        self.shape, self.dtype = shape, dtype

    def __len__(self):
        return self.shape[0]

    def take(self, positions, axis=0):
        """Rows at the positions, as a dense array."""
        return self[positions]


class SparseRows(_Rows):
    """A CSR matrix whose rows are dense arrays, made when they are read.

    Parameters
    ----------
    matrix : csr_matrix or csr_array of shape (n_samples, n_features)
    """

    def __init__(self, matrix):
        super().__init__(matrix.shape, matrix.dtype)
        self._matrix = matrix

    def __getitem__(self, part):
        return self._matrix[part].toarray()


class SomeRows(_Rows):
    """Rows of a table, one at random of each of many stretches of equal length.

    Parameters
    ----------
    table : ndarray or SparseRows
    n_rows : int
        At most as many as the table has; may be 0.
    """

    def __init__(self, table, n_rows):
        super().__init__((n_rows, table.shape[1]), table.dtype)
        places = np.arange(n_rows) + np.random.RandomState(0).random_sample(n_rows)
        self._table = table
        self._positions = (places * (len(table) / max(1, n_rows))).astype(np.int64)

    def __getitem__(self, part):
        return self._table.take(self._positions[part], axis=0)


def readable(table):
    """The table as ``_core.batches`` reads it: dense rows at positions or in a slice.

    Parameters
    ----------
    table : ndarray or CSR matrix of shape (n_samples, n_features)

    Returns
    -------
    ndarray or SparseRows
        An array is returned as it is.
    """
    return SparseRows(table) if sparse.issparse(table) else table


def observed_means(table):
    """Means of the columns over their observed cells.

    Parameters
    ----------
    table : ndarray or CSR matrix of shape (n_samples, n_features)

    Returns
    -------
    means : ndarray of shape (n_features,), float64
        nan where no cell is observed. Those of a CSR matrix are those of the same
        array, to the last bit.
    observed_share : float
        Of all cells; 1 where none is missing.
    """
    if isinstance(table, np.ndarray):
        means = table.mean(axis=0, dtype=np.float64)
        if not np.isnan(means).any():
            return means, 1.0
    return means_of_totals(*observed_totals(table), table.shape[0])


def means_of_totals(totals, counts, n_samples):
    """What :func:`observed_means` returns, from what :func:`observed_totals` does."""
    with np.errstate(invalid="ignore"):
        return totals / counts, float(counts.sum() / (n_samples * len(counts)))


def observed_totals(table):
    """Sum and number of each column's observed cells.

    Parameters
    ----------
    table : ndarray or CSR matrix of shape (n_samples, n_features)

    Returns
    -------
    totals, counts : ndarray of shape (n_features,), float64
    """
    totals, counts = np.zeros((2, table.shape[1]))
    for block in _dense_blocks(table):
        is_missing = np.isnan(block)
        block[is_missing] = 0
        # so that rows are added one by one, as numpy adds a table's
        block[:1] += totals
        totals = block.sum(axis=0)
        counts += len(block) - is_missing.sum(axis=0)
    return totals, counts


def column_ranges(table):
    """Lowest and highest observed value of each column; nan where none is observed.

    Parameters
    ----------
    table : ndarray or CSR matrix of shape (n_samples, n_features)

    Returns
    -------
    lowest, highest : ndarray of shape (n_features,)
    """
    lowest = highest = np.full(table.shape[1], np.nan, dtype=table.dtype)
    for part in [table] if isinstance(table, np.ndarray) else _dense_blocks(table):
        lowest = np.fmin(lowest, np.fmin.reduce(part, initial=np.nan))
        highest = np.fmax(highest, np.fmax.reduce(part, initial=np.nan))
    return lowest, highest


def column_deviations(table):
    """Standard deviation of each column's observed values.

    Parameters
    ----------
    table : ndarray or CSR matrix of shape (n_samples, n_features)

    Returns
    -------
    ndarray of shape (n_features,), float64
        0 where no cell is observed.
    """
    means, _ = observed_means(table)
    totals, counts = np.zeros((2, len(means)))
    for block in _dense_blocks(table):
        squares = (block - means) ** 2
        totals += np.nansum(squares, axis=0)
        counts += np.sum(~np.isnan(squares), axis=0)
    return np.sqrt(totals / np.maximum(counts, 1))


def _dense_blocks(table):
    """Yield float64 arrays of consecutive rows, which may be changed."""
    for _, block in blocks(readable(table), table.shape[1], _CPU):
        yield block.numpy()
