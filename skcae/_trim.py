"""Training rows that may be anomalies, left out before training."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

# The distance counts to so many of the rows that it is measured by: a group of normal
# rows that is smaller is lost, and a larger group of anomalies that are alike is kept.
_SMALLEST_GROUP = 0.03
# Rows that it is measured by, at most.
_MOST_ROWS = 2000


def untrimmed(X, trim_fraction):
    """Leave out the share of the rows that lie farthest from their neighbours.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        At least two rows.
    trim_fraction : float in [0, 1)

    Returns
    -------
    ndarray of shape (n_kept, n_features)
        ``X`` itself for ``trim_fraction=0``, else a copy in the same order, of at least
        two rows.
    """
    if trim_fraction == 0:
        return X
    some = X[np.random.RandomState(0).permutation(len(X))[:_MOST_ROWS]]
    k = min(max(2, round(_SMALLEST_GROUP * len(some))), len(some))
    search = NearestNeighbors(n_neighbors=k).fit(some)
    distances = search.kneighbors(X)[0][:, -1]
    n_kept = max(2, round((1 - trim_fraction) * len(X)))
    return X[np.sort(np.argsort(distances, kind="stable")[:n_kept])]
