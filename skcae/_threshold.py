"""Thresholds on scores, placed between two of them.

A threshold on a score itself would flip that row's label with the last bit of
rounding, so every threshold lies midway between two neighbouring order
statistics.
"""

import numpy as np


def quantile_offset(scores, contamination):
    """Threshold that a fraction of the scores lies below.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
    contamination : float
        Rounded to a whole number of rows, at least one.

    Returns
    -------
    float
    """
    return _above(np.sort(scores), max(1, round(contamination * len(scores))))


def auto_offset(scores, optimism=1.0):
    """Threshold by Tukey's upper fence on the logarithms of the errors.

    Flags rows whose error ``-score`` exceeds ``Q3 (Q3 / Q1)^1.5 optimism``:
    without optimism about 0.35 % of the rows where errors are log-normal, and
    fewer where their logarithm is skewed to the left, as for sums of squares.
    Flags at least one row, unless the lowest scores tie.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Not positive.
    optimism : float
        Factor by which the errors of other rows of the same kind are larger.

    Returns
    -------
    float

    References
    ----------
    Tukey, J. W. (1977). Exploratory Data Analysis. Addison-Wesley.
    """
    log_errors = -scores
    np.maximum(log_errors, np.finfo(float).tiny, out=log_errors)
    np.log(log_errors, out=log_errors)
    low, high = np.quantile(log_errors, [0.25, 0.75], overwrite_input=True)
    fence = high + 1.5 * (high - low) + np.log(optimism)
    n_flagged = int(np.sum(log_errors > fence))
    return _above(np.sort(scores), max(1, n_flagged))


def training_optimism(n_samples, n_directions):
    """How much larger errors are on rows that were not trained on.

    Generalised cross-validation (Golub, Heath, Wahba 1979) says
    ``1 / (1 - p / n)^2`` for a linear fit that spends p degrees of freedom a
    column, here one for each direction that the code can keep.

    Parameters
    ----------
    n_samples : int
    n_directions : int

    Returns
    -------
    float
        At most 4, where there are fewer than two rows for each direction.
    """
    return 1 / (1 - min(0.5, n_directions / n_samples)) ** 2


def _above(ascending, n_below):
    n_below = min(n_below, len(ascending) - 1)
    if n_below == 0:
        return float(ascending[0])
    return float((ascending[n_below - 1] + ascending[n_below]) / 2)
