"""Errors of rows in which one cell is replaced, by what all replacements share.

A cell moves the first layer's pre-activations along one column of its weights. The
squared distance to the output takes only the last layer's Gram matrix. So the two
widest products are done once for a row, and not again for each of its cells.
"""

import numpy as np
import torch
from scipy import sparse
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)
from sklearn.utils import gen_batches

from skcae._core.batches import blocks, in_threads
from skcae._pipeline import flat_pipeline, split_pipeline

# Steps that turn each column into one column, cell by cell.
_BY_CELL = {MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler}
# Fewer columns gain nothing.
_FEWEST_COLUMNS = 64
# Columns of the Gram matrix that are multiplied at once.
_GRAM_COLUMNS = 96
_CPU = torch.device("cpu")


class OneCell:
    """An autoencoder of the squared error, behind scalers or nothing.

    Parameters
    ----------
    front : Pipeline or None
    network : Network
        In float64, for rows as ``front`` leaves them.
    rows : Table
        Whose cells are replaced.
    """

    def __init__(self, front, network, rows):
        self._front, self._network, self._rows = front, network, rows
        X = self._reached(rows.X)
        z = X @ network.weights[0].T.numpy() + network.biases[0].numpy()
        self._last = network.weights[-1]
        misses = X - network.biases[-1].numpy()
        known = misses @ self._last.numpy(), np.square(misses).sum(1)[:, None]
        self._known = np.hstack([z, *known])
        self._X, self._misses = X, misses
        self._parts_of_gram = list(_upper_parts(self._last.T @ self._last))

    @classmethod
    def of(cls, estimator, rows):
        """What computes an estimator's errors; None where it is of another kind."""
        if rows.n_columns < _FEWEST_COLUMNS or sparse.issparse(rows.X):
            return None
        try:
            front, model = split_pipeline(flat_pipeline(estimator))
        except TypeError:
            return None
        steps = [] if front is None else [step for _, step in front.steps]
        # a subclass may do anything
        by_cell = all(type(step) in _BY_CELL for step in steps)
        is_plain = (model.output_activation, model.score_dtype, model.allow_nan) == (
            "identity",
            "float64",
            False,
        )
        if not (by_cell and is_plain and model.loss == "squared_error"):
            return None
        return cls(front, model._checkpoint.network_on_rows(_CPU), rows)

    @staticmethod
    def map(function, columns):
        """Yield the results of a function of columns, in any order."""
        return in_threads(function, columns, _CPU)

    def of_pairs(self, position, cells, row, value):
        """Errors of some rows with some cells.

        Parameters
        ----------
        position : int
            Of the column that is replaced.
        cells : column
            The cells that are tried.
        row, value : ndarray of int of shape (n_pairs,)
            Which row gets which cell.

        Returns
        -------
        ndarray of shape (n_pairs,)
        """
        return self._errors(position, cells, int(value.max()) + 1)[row, value]

    def _errors(self, position, cells, n_cells):
        """Errors of all rows with each of the cells, shape (n_samples, n_cells)."""
        cells = self._rows.take(cells, np.arange(n_cells))
        table = self._rows.replaced(np.zeros(n_cells, dtype=int), position, cells)
        cells = torch.from_numpy(self._reached(table)[:, position].copy())
        first = self._network.weights[0][:, position, None, None]
        last = self._last[position]
        n_first, n_last = len(first), len(last)

        def errors(known):
            # units come first: narrow products take half of the time so
            z, of_misses, squares, own, miss = known.T.split(
                [n_first, n_last, 1, 1, 1], dim=0
            )
            moves = cells - own[0][:, None]
            signal = self._inner(torch.addcmul(z[..., None], first, moves).flatten(1))
            signal = signal.view(n_last, *moves.shape)
            squares = squares[0][:, None] + moves * (2 * miss[0][:, None] + moves)
            for part, gram in self._parts_of_gram:
                products = torch.tensordot(gram, signal[: part.stop], 1)
                products.sub_(of_misses[part, :, None], alpha=2)
                squares += products.mul_(signal[part]).sum(0)
            squares -= 2 * moves * torch.tensordot(last, signal, 1)
            # by rounding, terms that cancel may add up to less than zero
            squares.clamp_(min=0).div_(self._X.shape[1])
            return squares.nan_to_num_(nan=np.inf)

        own = self._X[:, position, None], self._misses[:, position, None]
        # blocks of twice the usual length: threads share Python's lock, and wait for it
        # between short operations
        widest = max(1, n_cells * max(n_first, n_last) // 2)
        known = np.hstack([self._known, *own])
        return np.concatenate(
            [errors(block).numpy() for _, block in blocks(known, widest, _CPU)]
        )

    def _inner(self, z):
        """Outputs below the last layer, from pre-activations of the first.

        Both have the shape (n_units, n_cells).
        """
        network = self._network
        signal = network.activations[0].value(z)
        for weight, bias, activation in zip(
            network.weights[1:-1],
            network.biases[1:-1],
            network.activations[1:-1],
            strict=True,
        ):
            signal = activation.value(torch.addmm(bias[:, None], weight, signal))
        return signal

    def _reached(self, table):
        reached = table if self._front is None else self._front.transform(table)
        return np.asarray(reached, dtype=np.float64)


def _upper_parts(gram):
    """Yield slices of the columns, and what one triangle has in them, transposed.

    A quadratic form takes but one of the two triangles, doubled: in three
    parts of the columns, it is two thirds of the multiplications.
    """
    for part in gen_batches(len(gram), _GRAM_COLUMNS):
        upper = gram[part, : part.stop].clone()
        upper[:, : part.start] *= 2
        yield part, upper
