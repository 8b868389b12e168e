"""Scores of one model or of several together."""

from collections.abc import Sequence, Sized

import numpy as np

from skcae._checks import check_in_memory
from skcae._typing import Model, Table


def mean_score(estimators: Sequence[Model], X: Table) -> np.ndarray:
    """Score rows by several models: minus the geometric mean of their errors.

    Networks that differ err in different places, and their mean separates anomalies
    better than each of them. The geometric mean does not care for how large the errors
    of each are.

    Parameters
    ----------
    estimators : list of ContractiveAutoencoder, Pipeline or NeighborDistance
        Fitted. Their scores are minus an error.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        Rows to score, as ``score_samples`` takes them.

    Returns
    -------
    scores : ndarray of shape (n_samples,)
        As ``score_samples`` gives them: higher is more normal; -inf where an error is
        beyond the range of numbers.

    Raises
    ------
    ValueError
        If the estimators are no list, or score above 0.

    See Also
    --------
    NeighborDistance : A score to add to that of an autoencoder.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skcae import ContractiveAutoencoder
    >>> from skcae.anomaly import mean_score
    >>> X = load_iris().data
    >>> models = [
    ...     ContractiveAutoencoder(3, max_iter=5, random_state=seed).fit(X)
    ...     for seed in range(3)
    ... ]
    >>> mean_score(models, X).shape
    (150,)
    """
    if not isinstance(estimators, list | tuple) or len(estimators) == 0:
        raise ValueError(f"estimators must be a list of models; got {estimators!r}.")
    check_in_memory(X)
    errors = -np.stack([_own_scores(model, X) for model in estimators])
    if np.any(errors < 0):
        raise ValueError(
            "estimators must have scores that are minus an error, of at most 0: "
            "others have no geometric mean."
        )
    # an error of 0 would silence the other models
    return -np.exp(np.mean(np.log(np.maximum(errors, np.finfo(float).tiny)), axis=0))


def scores_of(estimator, X):
    """Score rows by one model, or by a list of models together.

    Parameters
    ----------
    estimator : estimator with ``score_samples``, or list of such
        Fitted; of a list, the :func:`mean_score` counts.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        Rows to score; may be none.

    Returns
    -------
    scores : ndarray of shape (n_samples,)
        In float64. A score that is no number is -inf: it overflowed.
    """
    check_in_memory(X)
    if _has_no_rows(X):
        return np.empty(0)
    if isinstance(estimator, list | tuple):
        return mean_score(estimator, X)
    return _own_scores(estimator, X)


def _has_no_rows(X):
    if isinstance(getattr(X, "shape", None), tuple):
        return tuple(X.shape[:1]) == (0,)
    return isinstance(X, Sized) and len(X) == 0


def _own_scores(model, X):
    scores = np.asarray(model.score_samples(X), dtype=np.float64)
    return np.where(np.isnan(scores), -np.inf, scores)
