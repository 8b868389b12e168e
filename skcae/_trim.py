"""Training rows that may be anomalies, left out before training."""

import numpy as np
from scipy import sparse
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import gen_batches

from skcae._core import threads

# The distance counts to so many of the rows that it is measured by: a group of normal
# rows that is smaller is lost, and a larger group of anomalies that are alike is kept.
_SMALLEST_GROUP = 0.03
# Rows that it is measured by, at most.
_MOST_ROWS = 2000
# Rows whose distances to all of these neighbours are held at once.
_AT_ONCE = 10_000


def untrimmed(X, trim_fraction):
    """Leave out the share of the rows that lie farthest from their neighbours.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        At least two rows. Distances between rows with missing cells, which are nan, are
        over the columns that both have, scaled up to all.
    trim_fraction : float in [0, 1)

    Returns
    -------
    ndarray or CSR matrix of shape (n_kept, n_features)
        ``X`` itself for ``trim_fraction=0``, else a copy in the same order, of at least
        two rows.

    Raises
    ------
    ValueError
        If a sparse matrix has missing cells.
    """
    if trim_fraction == 0:
        return X
    n_samples = X.shape[0]
    some = X[np.random.RandomState(0).permutation(n_samples)[:_MOST_ROWS]]
    k = min(max(2, round(_SMALLEST_GROUP * some.shape[0])), some.shape[0])
    search = NearestNeighbors(n_neighbors=k, metric=_metric(X)).fit(some)
    with threads.enough_for(n_samples * some.shape[0] * some.shape[1]):
        distances = np.concatenate(
            [
                search.kneighbors(X[part])[0][:, -1]
                for part in gen_batches(n_samples, _AT_ONCE)
            ]
        )
    n_kept = max(2, round((1 - trim_fraction) * n_samples))
    return X[np.sort(np.argsort(distances, kind="stable")[:n_kept])]


def _metric(X):
    is_sparse = sparse.issparse(X)
    if not np.isnan((X.data if is_sparse else X).min(initial=0)):
        return "minkowski"
    if is_sparse:
        raise ValueError(
            "trim_fraction must be 0 for sparse rows with missing cells, which have no "
            "distances; or give dense rows."
        )
    return "nan_euclidean"
