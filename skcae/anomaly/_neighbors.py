"""How far reconstructions lie from those of normal rows."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.validation import check_is_fitted

from skcae._checks import check_count
from skcae._core import threads
from skcae._pipeline import Inputs, spread
from skcae._typing import Model, Table

# Of the spread of reconstructions: distances below tell nothing apart.
_RESOLUTION = 1e-3
# Squares of larger numbers, or their sums, are beyond the range.
_LARGEST_VALUE = 1e150


class NeighborDistance(BaseEstimator):
    """Score rows by how far their reconstructions lie from those of normal rows.

    An autoencoder's error is how far a row lies from the surface that the normal rows
    form. This is how far along it: the distance of its reconstruction to the nearest
    reconstructions of the rows given to :meth:`fit`. An anomaly may be far in either,
    so :func:`mean_score` of both finds more than each.

    Parameters
    ----------
    estimator : ContractiveAutoencoder or Pipeline
        If it is fitted, :meth:`fit` uses it as it is, else a clone fitted to the same
        rows. It stays as it is.
    n_neighbors : int, default=5
        Nearest reconstructions to average the distance over.

    Attributes
    ----------
    estimator_ : ContractiveAutoencoder or Pipeline
        The fitted one.
    reconstructions_ : ndarray of shape (n_samples, n_features_of_autoencoder)
        Of the rows given to :meth:`fit`, in the units of the autoencoder's input.
    resolution_ : float
        Shorter distances count as this one, a thousandth of the spread: rows that
        repeat, as in tables of categories, are no nearer than near.

    See Also
    --------
    mean_score : Scores of several models together.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skcae import ContractiveAutoencoder
    >>> from skcae.anomaly import NeighborDistance, mean_score
    >>> X, _ = load_wine(return_X_y=True)
    >>> model = make_pipeline(
    ...     StandardScaler(), ContractiveAutoencoder(max_iter=20, random_state=0)
    ... ).fit(X)
    >>> near = NeighborDistance(model).fit(X)
    >>> mean_score([model, near], X).shape
    (178,)
    """

    def __init__(self, estimator: Model, *, n_neighbors: int = 5) -> None:
        self.estimator = estimator
        self.n_neighbors = n_neighbors

    def fit(self, X: Table, y: Any = None) -> Self:
        """Reconstruct and keep normal rows.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            As ``estimator`` takes them, at least ``n_neighbors``: best those that it
            was trained on.
        y : Ignored
            Present for API consistency.

        Returns
        -------
        self : NeighborDistance
            Fitted.

        Raises
        ------
        ValueError
            If there are fewer rows than ``n_neighbors``, or if a reconstruction is
            beyond the range of numbers.
        """
        estimator = _fitted(self.estimator, X)
        rows = _reconstructions(estimator, X)
        check_count("n_neighbors", self.n_neighbors, len(rows))
        if not _is_within(rows).all():
            raise ValueError(
                "X has rows whose reconstructions are beyond the range of numbers, "
                "near to nothing: leave them out."
            )
        self.estimator_, self.reconstructions_ = estimator, rows
        self.resolution_ = _RESOLUTION * spread(rows)
        self._grow_tree()
        return self

    def score_samples(self, X: Table) -> np.ndarray:
        """Score rows by minus the squared distance of their reconstruction.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Rows to score.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Higher is more normal. The mean distance to ``n_neighbors`` reconstructions,
            squared and divided by the number of columns, as errors are; -inf where it
            is beyond the range of numbers. A row given to ``fit`` is its own neighbour,
            and so scores better than a new one.
        """
        check_is_fitted(self)
        rows = _reconstructions(self.estimator_, X)
        scores = np.full(len(rows), -np.inf)
        is_within = _is_within(rows)
        if is_within.any():
            with threads.enough_for(rows.size * len(self.reconstructions_)):
                distances = self._tree.kneighbors(rows[is_within])[0].mean(axis=1)
            scores[is_within] = -(np.maximum(distances, self.resolution_) ** 2)
        return scores / rows.shape[1]

    def _grow_tree(self):
        neighbors = NearestNeighbors(n_neighbors=self.n_neighbors)
        self._tree = neighbors.fit(self.reconstructions_)

    def __getstate__(self):
        state = dict(super().__getstate__())
        state.pop("_tree", None)  # of types that skops does not trust
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "reconstructions_" in state:
            self._grow_tree()


def _fitted(estimator, X):
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return clone(estimator).fit(X)
    return estimator


def _reconstructions(estimator, X):
    """Reconstructions of rows, inf where a code is beyond the range of numbers."""
    inputs = Inputs(estimator, X, bounded=False)
    codes = inputs.encode(inputs.rows)
    rows = np.full(inputs.rows.shape, np.inf)
    is_finite = np.isfinite(codes).all(axis=1)
    if is_finite.any():
        rows[is_finite] = inputs.autoencoder.inverse_transform(codes[is_finite])
    return rows


def _is_within(rows):
    return (np.abs(rows) <= _LARGEST_VALUE).all(axis=1)
