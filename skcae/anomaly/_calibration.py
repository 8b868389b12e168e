"""P-values and thresholds from the scores of normal rows."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skcae._checks import check_positive
from skcae._pipeline import index_of, last_step
from skcae._typing import Models, Table
from skcae.anomaly._scores import scores_of


def p_values(
    estimator: Models,
    X: Table,
    X_calibration: Table = None,
    *,
    density_ratio: Callable[[Any], ArrayLike] | None = None,
) -> pd.Series:
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
        Rows to test, as ``score_samples`` takes them; may be none.
    X_calibration : table of shape (n_calibration, n_features), default=None
        Normal rows that neither training nor early stopping has seen. None for the
        scores that an :class:`AnomalyDetector` at the end of the Pipeline has kept.
    density_ratio : callable, default=None
        For rows that have shifted since calibration: takes a table, and gives for each
        row how many times as dense normal rows are now as they were, up to a factor
        that all rows share. Each calibration row counts by it [3]_. The odds of a
        ``LogisticRegression`` that tells ``X`` from ``X_calibration`` will do while the
        shift is small: in a simulation with the first of three factors moved by one
        standard deviation, the rate at a wanted 5 % was 11 % without and 4 to 5 % with
        them, for 14 points of the 92 % of anomalies found. None for no shift.

    Returns
    -------
    p_values : Series of shape (n_samples,)
        Indexed as ``X``; at least ``1 / (n_calibration + 1)`` without
        ``density_ratio``. A score that overflows is lower than all others.

    Raises
    ------
    ValueError
        If there is no calibration row, or if ``density_ratio`` comes without
        ``X_calibration`` or gives anything but a positive number for each row.

    See Also
    --------
    threshold : The score that belongs to a p-value.
    scipy.stats.false_discovery_control : From p-values to alarms.

    References
    ----------
    .. [1] Vovk, V., Gammerman, A., Shafer, G. (2005). Algorithmic learning in a
       random world. Springer.
    .. [2] Bates, S., Candès, E., Lei, L., Romano, Y., Sesia, M. (2023). Testing for
       outliers with conformal p-values. Annals of Statistics 51 (1).
    .. [3] Tibshirani, R. J., Foygel Barber, R., Candès, E., Ramdas, A. (2019).
       Conformal prediction under covariate shift. NeurIPS, eq. 7.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skcae.anomaly import AnomalyDetector, p_values
    >>> X, y = load_wine(return_X_y=True, as_frame=True)
    >>> normal = X[y == 0]
    >>> model = make_pipeline(StandardScaler(), AnomalyDetector(random_state=0))
    >>> model = model.fit(normal)
    >>> p = p_values(model, X[y == 2])
    >>> bool(p.max() < 0.1)  # lower than each of the eleven that were kept
    True
    """
    if density_ratio is not None and X_calibration is None:
        raise ValueError(
            "density_ratio takes the rows of X_calibration: a detector keeps their "
            "scores only. Give both, or neither."
        )
    calibration = _calibration_scores(estimator, X_calibration)
    scores = scores_of(estimator, X)
    weights: list[np.ndarray] = []
    if density_ratio is not None:
        tables = (X, len(scores)), (X_calibration, len(calibration))
        weights = [_weights(density_ratio, *table) for table in tables]
    p = p_values_of_scores(scores, calibration, *weights)
    return pd.Series(p, index=index_of(X, len(p)), name="p_value")


def threshold(
    estimator: Models, X_calibration: Table = None, rate: float = 0.01
) -> float:
    """Score below which a normal row comes at a given rate, at most.

    Assign it to ``offset_``, of the last step in a Pipeline: no refit is needed, and
    ``predict`` then calls those rows outliers whose :func:`p_values` are at most
    ``rate``.

    Parameters
    ----------
    estimator : ContractiveAutoencoder or Pipeline, or list of models
        Fitted; of a list, the :func:`mean_score` counts.
    X_calibration : table of shape (n_calibration, n_features), default=None
        Normal rows that neither training nor early stopping has seen, at least
        ``1 / rate - 1``. None for the scores that an :class:`AnomalyDetector` at the
        end of the Pipeline has kept.
    rate : float in (0, 1], default=0.01
        Share of normal rows to call outliers.

    Returns
    -------
    offset : float
        The k-th lowest of the n calibration scores, where k is ``rate * (n + 1)``
        rounded down; inf for ``rate=1``; -inf, which no score is below, if so many
        scores overflow.

    Raises
    ------
    ValueError
        If there are too few rows for the rate.

    See Also
    --------
    p_values : Chances of a normal row, one for each row.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skcae.anomaly import AnomalyDetector, threshold
    >>> X, y = load_wine(return_X_y=True, as_frame=True)
    >>> normal = X[y == 0]
    >>> model = make_pipeline(StandardScaler(), AnomalyDetector(random_state=0))
    >>> model = model.fit(normal)
    >>> model[-1].offset_ = threshold(model, rate=0.1)
    >>> print(model.predict(X[y == 2]).max())
    -1
    """
    check_positive("rate", rate, high=1)
    return threshold_of_scores(_calibration_scores(estimator, X_calibration), rate)


def _calibration_scores(estimator, X_calibration):
    if np.isscalar(X_calibration):
        raise TypeError(
            f"X_calibration must be a table; got {X_calibration!r}. Give a rate by its "
            "name: rate=0.01."
        )
    if X_calibration is not None:
        return scores_of(estimator, X_calibration)
    detector = last_step(estimator)
    scores = getattr(detector, "calibration_scores_", None)
    if scores is None:
        check_is_fitted(detector)
        raise ValueError(
            "X_calibration must be normal rows that training has not seen, unless "
            "estimator ends in an AnomalyDetector, which keeps scores of such rows."
        )
    return scores


def _weights(density_ratio, table, n_rows):
    weights = np.asarray(density_ratio(table) if n_rows else [], dtype=np.float64)
    if weights.shape != (n_rows,):
        raise ValueError(
            f"density_ratio must give one number for each of {n_rows} rows; got the "
            f"shape {weights.shape}."
        )
    if not (np.isfinite(weights) & (weights > 0)).all():
        raise ValueError("density_ratio must give positive and finite numbers.")
    return weights


def p_values_of_scores(
    scores: np.ndarray,
    calibration: np.ndarray,
    weights: float | np.ndarray = 1.0,
    calibration_weights: float | np.ndarray = 1.0,
) -> np.ndarray:
    """Conformal p-values of scores, see :func:`p_values`.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Higher is more normal.
    calibration : ndarray of shape (n_calibration,)
        Scores of normal rows, in any order.
    weights : float or ndarray of shape (n_samples,), default=1.0
        What each row counts.
    calibration_weights : float or ndarray of shape (n_calibration,), default=1.0
        What each calibration row counts.

    Returns
    -------
    p_values : ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If there is no calibration score.
    """
    if len(calibration) == 0:
        raise ValueError("X_calibration has no rows: p-values take at least one.")
    order = np.argsort(calibration)
    counts = np.broadcast_to(calibration_weights, len(order))[order]
    up_to = np.concatenate([[0], np.cumsum(counts)])
    as_low = up_to[np.searchsorted(calibration[order], scores, side="right")]
    return (weights + as_low) / (weights + up_to[-1])


def rank_of_rate(rate, n_calibration):
    """How many of the calibration scores a threshold at the rate may reach."""
    # 0.29 * 100 is less than 29 by rounding
    return math.floor(rate * (n_calibration + 1) * (1 + 1e-12))


def threshold_of_scores(calibration, rate):
    """Threshold for scores at a rate, see :func:`threshold`.

    Parameters
    ----------
    calibration : ndarray of shape (n_calibration,)
        Scores of normal rows, in any order.
    rate : float in (0, 1]

    Returns
    -------
    offset : float

    Raises
    ------
    ValueError
        If there are too few scores for the rate.
    """
    rank = rank_of_rate(rate, len(calibration))
    if rank == 0:
        raise ValueError(
            f"X_calibration has {len(calibration)} rows: a rate of {rate} takes at "
            f"least {math.ceil(1 / rate) - 1}. Give more, or ask for a larger rate."
        )
    ascending = np.sort(calibration)
    return float(ascending[rank - 1]) if rank <= len(ascending) else np.inf
