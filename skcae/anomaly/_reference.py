"""Distances of rows from normal rows, which are kept for that."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

# Nearest rows by Euclidean distance, among which the other distance is taken.
_N_CANDIDATES = 40
# In units of the columns, root mean square: shorter distances tell nothing apart.
_SHORTEST = 0.03
_SHORTEST_COMPRESSED = 1e-3
# Surroundings sparser than those of this share of the reference rows count as theirs.
_SPARSEST = 0.9
# Cells of the differences that are held at once.
_BLOCK_CELLS = 2**21


class ReferenceRows:
    """Normal rows, and how far other rows lie from the nearest of them.

    A row that is one of them is not its own neighbour. So the normal rows themselves
    get the distances that new rows like them would get.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features), float32
        At least two, all of a scale.
    n_neighbors : int
        How many of the nearest rows to average over, at most.
    """

    def __init__(self, rows, n_neighbors):
        self.rows = rows
        self._n_neighbors = min(n_neighbors, len(rows) - 1)
        self._compressed = np.arcsinh(rows)
        self._search = NearestNeighbors().fit(rows.astype(np.float64))
        nearest, levels = (
            np.concatenate(parts)
            for parts in zip(
                *(self._measured(block)[2:] for block in self.blocks(rows)), strict=True
            )
        )
        self._levels = levels
        self._sparsest = np.quantile(levels[nearest].mean(axis=1), _SPARSEST)

    def blocks(self, rows):
        """Yield blocks of rows that are small enough for :meth:`distances`."""
        length = max(1, _BLOCK_CELLS // (_N_CANDIDATES * rows.shape[1]))
        for start in range(0, len(rows), length):
            yield rows[start : start + length]

    def distances(self, rows):
        """Measure two distances of each row, and find the nearest reference rows.

        Parameters
        ----------
        rows : ndarray of shape (n, n_features), float32

        Returns
        -------
        logs : ndarray of shape (2, n)
            Logarithms. First the root mean square distance, averaged so that the
            nearest count most. Second the mean absolute distance of rows whose cells
            are compressed by arcsinh, in units of that distance around the nearest.
        nearest : ndarray of int of shape (n, n_neighbors)
            By the first distance.
        """
        distance, nearest, nearest_compressed, level = self._measured(rows)
        around = self._levels[nearest_compressed].mean(axis=1)
        level = level - np.minimum(around, self._sparsest)
        return np.stack([distance, level]), nearest

    def _measured(self, rows):
        """Both distances, the second not yet relative, and the nearest by each."""
        k = self._n_neighbors
        candidates, distances = self._candidates(rows)
        distances = np.maximum(distances[:, :k], _SHORTEST)
        distance = -0.5 * np.log(np.mean(distances**-2.0, axis=1))
        differences = self._compressed[candidates]
        differences -= np.arcsinh(rows)[:, None, :]
        compressed = np.abs(differences, out=differences).mean(axis=2, dtype=np.float64)
        order = np.argsort(compressed, axis=1, kind="stable")[:, :k]
        compressed = np.take_along_axis(compressed, order, 1)
        level = np.log(np.maximum(compressed, _SHORTEST_COMPRESSED)).mean(axis=1)
        nearest_compressed = np.take_along_axis(candidates, order, 1)
        return distance, candidates[:, :k], nearest_compressed, level

    def _candidates(self, rows):
        """Nearest reference rows, but for the row itself, and their distances."""
        n = min(max(_N_CANDIDATES, self._n_neighbors), len(self.rows) - 1)
        distances, indices = self._search.kneighbors(rows.astype(np.float64), n + 1)
        # one of several equal rows is the row itself, at whichever of the first places
        own = (self.rows[indices[:, :3]] == rows[:, None, :]).all(axis=2)
        left_out = np.where(own.any(axis=1), own.argmax(axis=1), n)
        others = np.arange(n)[None, :]
        others = others + (others >= left_out[:, None])
        indices = np.take_along_axis(indices, others, 1)
        distances = np.take_along_axis(distances, others, 1)
        return indices, distances / np.sqrt(rows.shape[1])
