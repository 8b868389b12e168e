"""Distances of rows from normal rows, which are kept for that."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from skcae._core import threads

# Rows among which the nearest by the distance of compressed cells are looked for.
_N_CANDIDATES = 40
# In units of the columns, root mean square: shorter distances tell nothing apart.
SHORTEST = 0.03
SHORTEST_COMPRESSED = 1e-3
# Surroundings sparser than those of this share of the reference rows count as theirs.
_SPARSEST = 0.9
# Share of the reference rows that may have a twin where rows "hardly ever repeat".
_RARELY = 0.01
# Cells of the differences that are held at once.
_BLOCK_CELLS = 2**21


class ReferenceRows:
    """Normal rows, and how far other rows lie from the nearest of them.

    A reference row is not its own neighbour. So the normal rows themselves get the
    distances that new rows like them would get. Where rows hardly ever repeat, a row
    that equals a reference row is taken for it; where they do, as in tables of
    categories, for a new one.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features), float32
        At least two, all of a scale.
    n_neighbors : int
        How many of the nearest rows to average over, at most.
    """

    def __init__(self, rows, n_neighbors):
        self.rows = rows
        self.compressed = np.arcsinh(rows)
        self.n_neighbors = min(n_neighbors, len(rows) - 1)
        self.n_candidates = min(max(_N_CANDIDATES, n_neighbors), len(rows) - 1)
        self._search, self._compressed_search = (
            NearestNeighbors().fit(table.astype(np.float64))
            for table in (self.rows, self.compressed)
        )
        n_different = len(np.unique(rows, axis=0))
        self.rows_repeat = len(rows) - n_different > _RARELY * len(rows)
        own = np.arange(len(rows))
        levels, nearest = zip(
            *(
                self._compressed_level(rows[part], own[part])
                for part in self.parts(own)
            ),
            strict=True,
        )
        self.levels = np.concatenate(levels)
        around = self.levels[np.concatenate(nearest)].mean(axis=1)
        self.sparsest = np.quantile(around, _SPARSEST)

    def parts(self, rows):
        """Yield slices of rows that are few enough for :meth:`distances`."""
        length = max(1, _BLOCK_CELLS // (_N_CANDIDATES * self.rows.shape[1]))
        for start in range(0, len(rows), length):
            yield slice(start, start + length)

    def distances(self, rows, own=None):
        """Measure two distances of each row, and find the nearest reference rows.

        Parameters
        ----------
        rows : ndarray of shape (n, n_features), float32
        own : ndarray of int of shape (n,), optional
            Position of each row among the reference rows, -1 for a row that is none.
            Rows that are equal are looked for if it is not given.

        Returns
        -------
        logs : ndarray of shape (2, n)
            Logarithms. First the root mean square distance, averaged so that the
            nearest count most. Second the mean absolute distance of rows whose cells
            are compressed by arcsinh, relative to that distance around the nearest.
        nearest : ndarray of int of shape (n, n_neighbors)
            By the first distance.
        """
        distances, nearest = self._nearest(
            self._search, rows, rows, self.n_neighbors, own
        )
        distances = np.maximum(distances / np.sqrt(rows.shape[1]), SHORTEST)
        level, around = self._compressed_level(rows, own)
        around = np.minimum(self.levels[around].mean(axis=1), self.sparsest)
        logs = [-0.5 * np.log(np.mean(distances**-2.0, axis=1)), level - around]
        return np.stack(logs), nearest

    def _compressed_level(self, rows, own):
        """Mean logarithm of the distances of compressed rows, and the nearest by it.

        Candidates are nearest by the Euclidean distance of compressed rows, which is
        quick to search by.
        """
        points = np.arcsinh(rows)
        _, candidates = self._nearest(
            self._compressed_search, points, rows, self.n_candidates, own
        )
        differences = self.compressed[candidates]
        differences -= points[:, None, :]
        # the mean as a product, which takes half the time
        n_columns = rows.shape[1]
        distances = np.abs(differences, out=differences) @ np.full(
            n_columns, 1 / n_columns, dtype=np.float32
        )
        order = np.argpartition(distances, self.n_neighbors - 1, axis=1)
        order = order[:, : self.n_neighbors]
        distances = np.take_along_axis(distances, order, 1)
        level = np.log(np.maximum(distances, SHORTEST_COMPRESSED)).mean(axis=1)
        return level, np.take_along_axis(candidates, order, 1)

    def _nearest(self, search, points, rows, n_neighbors, own):
        """Distances of the nearest reference rows but for the row itself, and which."""
        with threads.enough_for(points.size * len(self.rows)):
            distances, indices = search.kneighbors(
                points.astype(np.float64), n_neighbors + 1
            )
        if own is not None:
            is_own = indices == own[:, None]
        elif self.rows_repeat:
            is_own = np.zeros(indices.shape, dtype=bool)
        else:
            # rounding may put twins first
            is_own = (self.rows[indices[:, :3]] == rows[:, None, :]).all(axis=2)
        left_out = np.where(is_own.any(axis=1), is_own.argmax(axis=1), n_neighbors)
        others = np.arange(n_neighbors)[None, :]
        others = others + (others >= left_out[:, None])
        return (np.take_along_axis(part, others, 1) for part in (distances, indices))
