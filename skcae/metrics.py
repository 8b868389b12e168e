"""Scorers that need no labels, and a rule that picks λ from their results.

Every scorer has the signature ``(estimator, X, y=None)`` and higher is better, so
each can be given to ``GridSearchCV(scoring=...)`` as it is, alone or in a dictionary.
The estimator is a :class:`~skcae.ContractiveAutoencoder`, or a Pipeline,
FrozenEstimator or fitted search that ends in one. What is measured is measured in the
autoencoder's own units, behind the scaler. Parameters of a scorer are set with
:func:`functools.partial`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skcae._checks import check_count, check_not_negative
from skcae._pipeline import Inputs, reach
from skcae._typing import Model, Seed, Table

__all__ = [
    "contraction_score",
    "denoising_score",
    "largest_lam_within_one_standard_error",
    "reconstruction_score",
]


def denoising_score(
    estimator: Model,
    X: Table,
    y: Any = None,
    *,
    noise_std: float = 0.5,
    n_repeats: int = 3,
    random_state: Seed = 0,
) -> float:
    """Score how well rows are restored from rows with Gaussian noise on them.

    The score tells a code that copies its input, noise included, from one that knows
    where rows lie, and so it can choose λ where reconstruction cannot. What it
    favours depends on its noise: among linear autoencoders with the penalty on
    the whole reconstruction, the best has ``lam = noise_std ** 2`` [1]_. So
    ``noise_std`` states which differences between rows count as noise.

    Parameters
    ----------
    estimator : ContractiveAutoencoder or Pipeline
        Fitted.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        Rows, as the estimator takes them; best such as were not trained on.
    y : Ignored
        Present for API consistency.
    noise_std : float, default=0.5
        Standard deviation of the noise, in the units of the autoencoder's
        input: behind a StandardScaler, in standard deviations of the columns.
    n_repeats : int, default=3
        Draws of noise to average over.
    random_state : int, RandomState instance or None, default=0
        Seeds the noise; the default gives every candidate of a search the same.

    Returns
    -------
    score : float
        Minus the mean over rows and columns of the squared error, of observed cells.

    Raises
    ------
    ValueError
        If all cells are missing, or the rows are not as the estimator takes them.

    See Also
    --------
    largest_lam_within_one_standard_error : What picks λ by it.
    skcae.inspection.lambda_path : Both, along a path over λ.

    References
    ----------
    .. [1] Alain, G., Bengio, Y. (2014). What regularized auto-encoders learn from
       the data-generating distribution. JMLR 15.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skcae import ContractiveAutoencoder
    >>> from skcae.metrics import denoising_score
    >>> X = load_iris().data
    >>> model = ContractiveAutoencoder(3, max_iter=5, random_state=0).fit(X)
    >>> denoising_score(model, X) < 0
    True
    """
    check_count("n_repeats", n_repeats)
    check_not_negative("noise_std", noise_std)
    inputs = Inputs(estimator, X)
    if not np.any(inputs.observed):
        raise ValueError("X has missing cells only, so that there is none to compare.")
    rng = check_random_state(random_state)
    errors = []
    for _ in range(n_repeats):
        noise = noise_std * rng.standard_normal(inputs.rows.shape)
        restored = inputs.reconstruct(inputs.rows + noise)
        squares = (restored - inputs.rows) ** 2
        errors.append(np.mean(squares, where=inputs.observed))
    return -float(np.mean(errors))


def reconstruction_score(estimator: Model, X: Table, y: Any = None) -> float:
    """Score how well rows are reconstructed.

    The score is that of ``estimator.score``. It prefers the smallest λ: it is for
    looking at beside the others.

    Parameters
    ----------
    estimator : ContractiveAutoencoder or Pipeline
        Fitted.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        Rows, as the estimator takes them.
    y : Ignored
        Present for API consistency.

    Returns
    -------
    score : float
        Minus the reconstruction error, mean over rows and columns.

    See Also
    --------
    denoising_score : The score that can choose λ.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skcae import ContractiveAutoencoder
    >>> from skcae.metrics import reconstruction_score
    >>> X = load_iris().data
    >>> model = ContractiveAutoencoder(3, max_iter=5, random_state=0).fit(X)
    >>> reconstruction_score(model, X) == model.score(X)
    True
    """
    autoencoder, X = reach(estimator, X)
    return autoencoder.score(X)


def contraction_score(estimator: Model, X: Table, y: Any = None) -> float:
    r"""Score how little the code changes when rows change.

    The score prefers the largest λ: it is for looking at beside the others.

    Parameters
    ----------
    estimator : ContractiveAutoencoder or Pipeline
        Fitted.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        Rows, as the estimator takes them.
    y : Ignored
        Present for API consistency.

    Returns
    -------
    score : float
        Minus the mean over rows of :math:`\|\partial f / \partial x\|_F^2`; nan where
        a code is beyond the range of numbers.

    See Also
    --------
    skcae.ContractiveAutoencoder.contraction : The norm of each row.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skcae import ContractiveAutoencoder
    >>> from skcae.metrics import contraction_score
    >>> X = load_iris().data
    >>> model = ContractiveAutoencoder(3, max_iter=5, random_state=0).fit(X)
    >>> contraction_score(model, X) == -float(model.contraction(X).mean())
    True
    """
    autoencoder, X = reach(estimator, X)
    return -float(np.mean(autoencoder.contraction(X)))


def largest_lam_within_one_standard_error(
    cv_results: Mapping[str, Any], *, metric: str = "score"
) -> int:
    """Pick the most contractive candidate that is about as good as the best.

    Give it to ``GridSearchCV(refit=...)``. Among the candidates whose mean score
    lies within one standard error of the best mean it picks the largest λ
    (Breiman et al. 1984), and of several with that λ the best. The standard error
    is that of the best candidate over the folds.

    Parameters
    ----------
    cv_results : dict
        As ``GridSearchCV.cv_results_``, of a search over ``lam``, also inside a
        Pipeline, alone or with other parameters.
    metric : str, default="score"
        Key of the metric, where ``scoring`` is a dictionary.

    Returns
    -------
    index : int
        Index of the candidate.

    Raises
    ------
    ValueError
        If the search is not over exactly one ``lam``, or has no such metric.

    See Also
    --------
    denoising_score : A score for the search.
    sklearn.model_selection.GridSearchCV : What takes the rule as ``refit``.

    References
    ----------
    Breiman, L., Friedman, J., Olshen, R., Stone, C. (1984). Classification and
    Regression Trees. Wadsworth. Section 3.4.3.

    Examples
    --------
    >>> from skcae.metrics import largest_lam_within_one_standard_error
    >>> largest_lam_within_one_standard_error(
    ...     {
    ...         "param_lam": [0, 0.1, 1],
    ...         "mean_test_score": [-0.30, -0.31, -0.50],
    ...         "split0_test_score": [-0.28, -0.30, -0.48],
    ...         "split1_test_score": [-0.32, -0.32, -0.52],
    ...     }
    ... )
    1
    """
    if not isinstance(cv_results, Mapping):
        raise TypeError(
            "cv_results must be a dict, as GridSearchCV makes; got "
            f"{type(cv_results).__name__}."
        )
    lams = [
        name
        for name in map(str, cv_results)
        if name.startswith("param_") and name.split("__")[-1] in ("lam", "param_lam")
    ]
    if len(lams) != 1:
        raise ValueError(
            f"The search must be over one parameter lam; it is over {lams or 'none'}."
        )
    if f"mean_test_{metric}" not in cv_results:
        metrics = [
            name.removeprefix("mean_test_")
            for name in cv_results
            if name.startswith("mean_test_")
        ]
        raise ValueError(f"metric must be one of {metrics}; got {metric!r}.")
    if np.ma.is_masked(cv_results[lams[0]]):
        raise ValueError(f"Every candidate must set {lams[0].removeprefix('param_')}.")
    lam = np.asarray(cv_results[lams[0]], dtype=float)
    mean = np.asarray(cv_results[f"mean_test_{metric}"])
    folds = [
        scores
        for name, scores in cv_results.items()
        if name.startswith("split") and name.endswith(f"_test_{metric}")
    ]
    if len(folds) < 2:
        raise ValueError("A standard error needs at least two folds.")
    if np.isnan(mean).all():
        raise ValueError(
            f"No candidate has a score: all of mean_test_{metric} are nan."
        )
    best = int(np.nanargmax(mean))
    spread = np.std([scores[best] for scores in folds], ddof=1)
    threshold = mean[best] - spread / np.sqrt(len(folds))
    candidates = np.flatnonzero(mean >= threshold)
    return int(max(candidates, key=lambda index: (lam[index], mean[index])))
