"""Thresholds on scores, placed between two of them.

A threshold on a score itself would flip that row's label with the last bit of
rounding, so every threshold lies midway between two neighbouring order
statistics.
"""

import numpy as np

# Share of new normal rows that flagging one training row may cost.
_MOST_FALSE_ALARMS = 0.05


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


def auto_offset(scores, n_directions=0, unseen=None):
    """Threshold by Tukey's upper fence on the logarithms of the errors.

    Flags rows whose error ``-score`` exceeds ``Q3 (Q3 / Q1)^1.5``, times what training
    makes errors smaller by: without that, about 0.35 % of the rows where errors are
    log-normal, and fewer where their logarithm is skewed to the left, as for sums of
    squares. Flags at least one row, unless the lowest scores tie.

    Errors of rows that were not trained on tell more. On these the fence is
    ``Q3 (Q3 / Q1)``, as nothing has made them smaller; and none of the rows trained on
    is flagged where that would flag more than 5 % of the others, as it does where a
    small table was learnt by heart.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Not positive, of the rows trained on.
    n_directions : int
        That the code can keep, see :func:`training_optimism`.
    unseen : ndarray of shape (n_unseen,), optional
        Scores of rows not trained on, by a network for the purpose.

    Returns
    -------
    float

    References
    ----------
    Tukey, J. W. (1977). Exploratory Data Analysis. Addison-Wesley.
    """
    ascending = np.sort(scores)
    if unseen is None:
        fence = training_optimism(len(scores), n_directions) * _fence(scores, 1.5)
        return _above(ascending, max(1, int(np.sum(-scores > fence))))
    fence = _fence(unseen, 1.0)
    n_flagged = int(np.sum(-scores > fence))
    if n_flagged > 0:
        return _above(ascending, n_flagged)
    at_least_one = _above(ascending, 1)
    many = np.mean(unseen < at_least_one) > _MOST_FALSE_ALARMS
    return -fence if many else at_least_one


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


def _fence(scores, n_ranges):
    log_errors = -scores
    np.maximum(log_errors, np.finfo(float).tiny, out=log_errors)
    np.log(log_errors, out=log_errors)
    low, high = np.quantile(log_errors, [0.25, 0.75], overwrite_input=True)
    return float(np.exp(high + n_ranges * (high - low)))


def _above(ascending, n_below):
    n_below = min(n_below, len(ascending) - 1)
    if n_below == 0:
        return float(ascending[0])
    return float((ascending[n_below - 1] + ascending[n_below]) / 2)
