"""What a score means: its reasons, its p-value, a threshold for an error rate.

All of it asks for scores alone, of rows as the caller has them, and so holds behind
any preprocessing and for several models at once.
"""

import math

import numpy as np
import pandas as pd
from pandas.api.types import (
    is_bool_dtype,
    is_datetime64_any_dtype,
    is_numeric_dtype,
    is_timedelta64_dtype,
)
from sklearn.base import BaseEstimator
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.validation import check_is_fitted

from skcae._checks import check_count, check_positive
from skcae._pipeline import Inputs, index_of, reconstructed_columns, spread

__all__ = ["NeighborDistance", "explain", "mean_score", "p_values", "threshold"]

# Fewer rows do not show what is normal.
_MIN_NORMAL_ROWS = 20
# Of the spread of reconstructions: distances below tell nothing apart.
_RESOLUTION = 1e-3
# Cells of the rows that are scored at once.
_BLOCK_CELLS = 2**22


def explain(estimator, X, X_normal=None, *, n_values=10):
    """Which columns make each row anomalous, and what would be normal there.

    The contribution of a column is how much the row's error falls when this one
    column takes the best of the values that normal rows have in it, and all others
    stay. The plain error of each column does not tell that: an autoencoder spreads
    the fault of one column over those that go with it [1]_.

    Parameters
    ----------
    estimator : ContractiveAutoencoder or Pipeline, or list of models
        Fitted; of a list, the :func:`mean_score` counts.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        Rows to explain, as ``score_samples`` takes them.
    X_normal : {array-like, DataFrame} of shape (n_normal, n_features), default=None
        At least 20 rows, most of them normal, that training has not seen. None for
        ``X`` itself.
    n_values : int, default=10
        Values to try in each column: so many quantiles of the numbers and dates in
        ``X_normal``, or the most frequent of the categories, strings and booleans;
        and a missing one if as many are missing. All rows are scored with each value
        in each column, so explain the rows that matter.

    Returns
    -------
    explanation : DataFrame of shape (n_samples, 3 * n_features or 4 * n_features)
        Indexed as ``X``, the columns by kind and name: ``explanation["contribution"]``
        is a table of the shape of ``X``, and ``explanation.loc[row].unstack(0)`` all
        that is said of one row, to sort by its "contribution" with ``key=np.abs``.

        - "contribution": in units of the median error of a row of ``X_normal``;
          positive if the observed value is too large, or is no number or date,
          negative if it is too small, and 0 if no value is better.
        - "observed": ``X``.
        - "expected": the best value, or the observed one if none is better.
        - "reconstructed": what the autoencoder returns, in the columns of ``X``;
          nan where a ``ColumnTransformer`` drops the column. Missing altogether for
          several or other models, or if a step before the autoencoder has no
          ``inverse_transform`` that undoes it.

    Raises
    ------
    ValueError
        If the rows are not as described.

    References
    ----------
    .. [1] Alcala, C. F., Qin, S. J. (2009). Reconstruction-based contribution for
       process monitoring. Automatica 45 (7).
    """
    check_count("n_values", n_values)
    rows = _frame(X)
    normal = rows if X_normal is None else _frame(X_normal)
    _check_normal(rows, normal, X_normal is None)

    def error(rows):
        return -_scores(estimator, _as_given(rows, X))

    errors = error(rows)
    unit = np.median(errors if normal is rows else error(normal))
    if not unit > 0:
        raise ValueError(
            "Half of the rows of X_normal are reconstructed without any error, so that "
            "contributions have no unit: give rows that training has not seen."
        )
    contributions, expected = {}, {}
    for position, column in enumerate(rows.columns):
        observed = rows.iloc[:, position]
        values = _frequent_values(normal.iloc[:, position], n_values)
        if values.empty:
            contributions[column], expected[column] = np.zeros(len(rows)), observed
            continue
        least, best = _best_value(error, rows, position, values)
        better = least < errors
        if isinstance(observed.dtype, pd.CategoricalDtype):
            # rows loaded apart have categories apart
            observed, values = observed.astype(object), values.astype(object)
        expected[column] = observed.where(~better, values.take(best).array)
        fall = np.where(better, errors - least, 0) / unit
        if _is_number(observed):
            fall = np.where(observed < expected[column], -fall, fall)
        contributions[column] = fall
    tables = {
        "contribution": pd.DataFrame(contributions, index=rows.index),
        "observed": rows,
        "expected": pd.DataFrame(expected),
    }
    if not isinstance(estimator, list | tuple):
        tables["reconstructed"] = reconstructed_columns(estimator, X)
    return pd.concat(tables, axis=1)


class NeighborDistance(BaseEstimator):
    """Score rows by how far their reconstructions lie from those of normal rows.

    An autoencoder's error is how far a row lies from the surface that the normal rows
    form. This is how far along it: the distance of its reconstruction to the nearest
    reconstructions of the rows given to :meth:`fit`. An anomaly may be far in either,
    so :func:`mean_score` of both finds more than each.

    Parameters
    ----------
    estimator : ContractiveAutoencoder or Pipeline
        Fitted; it stays as it is.
    n_neighbors : int, default=5

    Attributes
    ----------
    neighbors_ : NearestNeighbors
        Of the reconstructions, in the units of the autoencoder's input. It keeps one
        for each row.
    resolution_ : float
        Shorter distances count as this one, a thousandth of the spread: rows that
        repeat, as in tables of categories, are no nearer than near.
    """

    def __init__(self, estimator, *, n_neighbors=5):
        self.estimator = estimator
        self.n_neighbors = n_neighbors

    def fit(self, X, y=None):
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
        """
        rows = Inputs(self.estimator, X).reconstruct()
        check_count("n_neighbors", self.n_neighbors, len(rows))
        self.neighbors_ = NearestNeighbors(n_neighbors=self.n_neighbors).fit(rows)
        self.resolution_ = _RESOLUTION * spread(rows)
        return self

    def score_samples(self, X):
        """Minus the squared distance of each row's reconstruction; see the class.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Higher is more normal. The mean distance to ``n_neighbors`` reconstructions,
            squared and divided by the number of columns, as errors are. A row given to
            ``fit`` is its own neighbour, and so scores better than a new one.
        """
        check_is_fitted(self)
        rows = Inputs(self.estimator, X).reconstruct()
        distances = self.neighbors_.kneighbors(rows)[0].mean(axis=1)
        return -(np.maximum(distances, self.resolution_) ** 2) / rows.shape[1]


def mean_score(estimators, X):
    """Score rows by several models: minus the geometric mean of their errors.

    Networks that differ err in different places, and their mean separates anomalies
    better than each of them. The geometric mean does not care for how large the errors
    of each are.

    Parameters
    ----------
    estimators : list of ContractiveAutoencoder, Pipeline or NeighborDistance
        Fitted.
    X : {array-like, DataFrame} of shape (n_samples, n_features)

    Returns
    -------
    scores : ndarray of shape (n_samples,)
        As ``score_samples`` gives them: higher is more normal.

    Raises
    ------
    ValueError
        If the estimators are no list, or score above 0.
    """
    if not isinstance(estimators, list | tuple) or len(estimators) == 0:
        raise ValueError(f"estimators must be a list of models; got {estimators!r}.")
    errors = np.stack([-model.score_samples(X) for model in estimators])
    if np.any(errors < 0):
        raise ValueError(
            "estimators must have scores that are minus an error, of at most 0: "
            "others have no geometric mean."
        )
    return -np.exp(np.mean(np.log(np.maximum(errors, np.finfo(float).tiny)), axis=0))


def p_values(estimator, X, X_calibration):
    r"""Chance of a normal row to score as low as each row does.

    Conformal p-values [1]_, :math:`(1 + \#\{i : s_i \le s\}) / (n + 1)` among the n
    scores of the calibration rows: a normal row's is at most α with probability at
    most α, whatever the scores' distribution, and ties only lower that. To limit the
    share of false alarms among the alarms, give them to
    :func:`scipy.stats.false_discovery_control` [2]_.

    Parameters
    ----------
    estimator : ContractiveAutoencoder or Pipeline, or list of models
        Fitted; of a list, the :func:`mean_score` counts.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        Rows to test.
    X_calibration : {array-like, DataFrame} of shape (n_calibration, n_features)
        Normal rows that neither training nor early stopping has seen.

    Returns
    -------
    p_values : Series of shape (n_samples,)
        Indexed as ``X``; at least ``1 / (n_calibration + 1)``.

    References
    ----------
    .. [1] Vovk, V., Gammerman, A., Shafer, G. (2005). Algorithmic learning in a
       random world. Springer.
    .. [2] Bates, S., Candès, E., Lei, L., Romano, Y., Sesia, M. (2023). Testing for
       outliers with conformal p-values. Annals of Statistics 51 (1).
    """
    calibration = np.sort(_scores(estimator, X_calibration))
    scores = _scores(estimator, X)
    n_as_low = np.searchsorted(calibration, scores, side="right")
    p = (1 + n_as_low) / (1 + len(calibration))
    return pd.Series(p, index=index_of(X, len(p)), name="p_value")


def threshold(estimator, X_calibration, rate=0.01):
    """Score below which a normal row comes at a given rate, at most.

    Assign it to ``offset_``, of the last step in a Pipeline: no refit is needed, and
    ``predict`` then calls those rows outliers whose :func:`p_values` are at most
    ``rate``.

    Parameters
    ----------
    estimator : ContractiveAutoencoder or Pipeline, or list of models
        Fitted; of a list, the :func:`mean_score` counts.
    X_calibration : {array-like, DataFrame} of shape (n_calibration, n_features)
        Normal rows that neither training nor early stopping has seen, at least
        ``1 / rate - 1``.
    rate : float in (0, 1], default=0.01
        Share of normal rows to call outliers.

    Returns
    -------
    offset : float
        The k-th lowest of the n calibration scores, where k is ``rate * (n + 1)``
        rounded down; inf for ``rate=1``.

    Raises
    ------
    ValueError
        If there are too few rows for the rate.
    """
    check_positive("rate", rate, high=1)
    scores = np.sort(_scores(estimator, X_calibration))
    # 0.29 * 100 is less than 29 by rounding
    rank = math.floor(rate * (len(scores) + 1) * (1 + 1e-12))
    if rank == 0:
        raise ValueError(
            f"X_calibration has {len(scores)} rows: a rate of {rate} takes at least "
            f"{math.ceil(1 / rate) - 1}. Give more, or ask for a larger rate."
        )
    return float(scores[rank - 1]) if rank <= len(scores) else np.inf


def _scores(estimator, X):
    if isinstance(estimator, list | tuple):
        return mean_score(estimator, X)
    return estimator.score_samples(X)


def _frame(X):
    if isinstance(X, pd.DataFrame):
        return X.infer_objects()
    if hasattr(X, "columns"):  # polars
        return pd.DataFrame(X.to_dict(as_series=False))
    X = np.asarray(X)
    if X.ndim != 2:
        raise ValueError(f"Rows must come as a 2D table; got an array of {X.ndim}D.")
    names = [f"x{i}" for i in range(X.shape[1])]
    # numbers beside strings are objects in an array
    return pd.DataFrame(X, columns=names).infer_objects()


def _as_given(rows, X):
    """A DataFrame as the kind of table that X is."""
    if isinstance(X, pd.DataFrame):
        return rows
    return type(X)(rows.to_dict("list")) if hasattr(X, "columns") else rows.to_numpy()


def _check_normal(rows, normal, is_rows):
    if len(normal) < _MIN_NORMAL_ROWS:
        which = "X, in place of X_normal," if is_rows else "X_normal"
        raise ValueError(
            f"{which} has {len(normal)} rows, which do not show what is normal: give "
            f"at least {_MIN_NORMAL_ROWS} rows as X_normal that are and that training "
            "has not seen."
        )
    if list(rows.columns) != list(normal.columns):
        raise ValueError(
            "X_normal must have the columns of X, in the same order, and their names "
            "if these have any."
        )


def _is_number(column):
    """Whether values are larger or smaller than others."""
    is_date = is_datetime64_any_dtype(column) or is_timedelta64_dtype(column)
    return is_date or (is_numeric_dtype(column) and not is_bool_dtype(column))


def _frequent_values(column, n_values):
    """A Series of values that the column has, whose index counts them."""
    if _is_number(column) and column.nunique() > n_values:
        shares = (np.arange(n_values) + 0.5) / n_values
        # values that occur: half of an integer code is no code
        values = column.quantile(shares, interpolation="nearest").drop_duplicates()
    else:
        values = column.value_counts().index[:n_values].to_series()
    missing = column[column.isna()]
    if len(missing) * n_values >= len(column):
        values = np.array([*values, missing.iloc[0]], dtype=object)
        values = pd.Series(values)
    return values.astype(column.dtype).reset_index(drop=True)


def _best_value(error, rows, position, values):
    """Least error of each row over the values of one column; which value that is."""
    least, best = [], []
    length = max(1, _BLOCK_CELLS // (len(values) * rows.shape[1]))
    for start in range(0, len(rows), length):
        block = rows.iloc[start : start + length]
        tried = block.iloc[np.repeat(np.arange(len(block)), len(values))].copy()
        each = np.tile(np.arange(len(values)), len(block))
        tried.isetitem(position, values.take(each).array)
        errors = error(tried).reshape(len(block), len(values))
        least.append(errors.min(axis=1))
        best.append(errors.argmin(axis=1))
    return np.concatenate(least), np.concatenate(best)
