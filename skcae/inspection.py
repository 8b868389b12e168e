"""What a fitted autoencoder has learned, as numbers: tables and arrays, no pictures.

Every function takes a fitted :class:`~skcae.ContractiveAutoencoder`, or a fitted
Pipeline that ends in one, and rows as the estimator takes them. Distances are
measured where the autoencoder works, behind the scaler; what is a vector of columns
comes back in the units of the caller's columns. :func:`lambda_path` is the exception:
it fits, and takes an estimator that is not. A parameter that is not as described raises
a ValueError that names it.

References
----------
Alain, G., Bengio, Y. (2014). What regularized auto-encoders learn from the
data-generating distribution. JMLR 15.

Rifai, S., Vincent, P., Muller, X., Glorot, X., Bengio, Y. (2011). Contractive
auto-encoders: explicit invariance during feature extraction. ICML.

Rifai, S., Dauphin, Y., Vincent, P., Bengio, Y., Muller, X. (2011). The manifold tangent
classifier. NIPS.

Roy, O., Vetterli, M. (2007). The effective rank: a measure of effective dimensionality.
EUSIPCO.
"""

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, _safe_indexing, check_random_state
from torch import nn

from skcae._checks import check_count, check_numbers, check_positive
from skcae._pipeline import (
    Inputs,
    check_smooth,
    column_of,
    flat_pipeline,
    index_of,
    inverse_to_numbers,
    split_pipeline,
    spread,
)
from skcae.metrics import (
    contraction_score,
    denoising_score,
    largest_lam_within_one_standard_error,
    reconstruction_score,
)

__all__ = [
    "contraction_curve",
    "jacobian_spectrum",
    "lambda_path",
    "saturation",
    "score_field",
    "sensitivity",
    "tangent_vectors",
]

# Slope of each activation, and the largest that it has.
_SLOPES = {
    nn.Identity: (torch.ones_like, 1.0),
    nn.Sigmoid: (lambda z: torch.sigmoid(z) * torch.sigmoid(-z), 0.25),
    nn.Tanh: (lambda z: 1 - torch.tanh(z).square(), 1.0),
    nn.ReLU: (lambda z: (z > 0).to(z.dtype), 1.0),
    nn.Softplus: (torch.sigmoid, 1.0),
    nn.SiLU: (lambda z: torch.sigmoid(z) * (1 + z * torch.sigmoid(-z)), 1.09983932),
}
# A fit along the path gets this share of the epochs of one from scratch, unless the
# network that it starts from leaves more than half of the variance unexplained.
_WARM_SHARE = 1 / 3
_COLLAPSED = 0.5
# Of the central difference through a scaler, in its units: its square is what a
# curved inverse is missed by, and an offset of a million still leaves five digits.
_STEP = 1e-4


def stretch(inputs, codes, noise):
    """How far each code moves, by how far its row does."""
    moved = np.linalg.norm(inputs.encode(inputs.rows + noise) - codes, axis=1)
    return moved / np.linalg.norm(noise, axis=1)


def scale(inputs, codes):
    """Spread of the codes over that of the inputs; nan where one is 0."""
    spreads = spread(codes), spread(inputs.rows)
    return spreads[0] / spreads[1] if min(spreads) > 0 else np.nan


def sensitivity(estimator, X, *, noise_std=0.1, n_repeats=10, random_state=0):
    r"""How far the code of each row moves when noise moves the row.

    Parameters
    ----------
    estimator : ContractiveAutoencoder or Pipeline
        Fitted.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
    noise_std : float, default=0.1
        Standard deviation of the Gaussian noise e, in the units of the
        autoencoder's input: behind a StandardScaler, in standard deviations of
        the columns.
    n_repeats : int, default=10
        Draws of noise to average over.
    random_state : int, RandomState instance or None, default=0
        Seeds the noise.

    Returns
    -------
    table : DataFrame of shape (n_samples, 2)
        Indexed as ``X``.

        - "sensitivity": mean of :math:`\|f(x + e) - f(x)\| / \|e\|`, in units of
          the code per unit of input;
        - "relative": the same divided by the spread of the codes over that of the
          inputs, so that a code that merely shrank does not look robust: 1 for a
          map that only scales. The spread is the root mean squared distance from
          the mean over the rows given; nan where they do not differ.
    """
    check_positive("noise_std", noise_std)
    check_count("n_repeats", n_repeats)
    inputs = Inputs(estimator, X)
    codes = inputs.encode(inputs.rows)
    random_state = check_random_state(random_state)
    total = np.zeros(len(codes))
    for _ in range(n_repeats):
        noise = noise_std * random_state.standard_normal(inputs.rows.shape)
        total += stretch(inputs, codes, noise)
    mean = total / n_repeats
    columns = {"sensitivity": mean, "relative": mean / scale(inputs, codes)}
    return pd.DataFrame(columns, index=index_of(X, len(mean)))


def contraction_curve(estimator, X, *, radii=None, n_repeats=5, random_state=0):
    r"""Contraction ratio by distance from the rows.

    How the distance of two points changes on the way to the code, for pairs of a
    row and a point on a sphere around it (Rifai et al. 2011). Of a contractive
    autoencoder it is lowest near the rows, and rises with the radius until the
    code saturates.

    Parameters
    ----------
    estimator : ContractiveAutoencoder or Pipeline
        Fitted.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
    radii : array-like of shape (n_radii,), default=None
        Of the spheres, in the units of the autoencoder's input. None for nine,
        geometric from a hundredth of the spread of the rows (their root mean
        squared distance from the mean) to three times it.
    n_repeats : int, default=5
        Random directions per row; the same at every radius.
    random_state : int, RandomState instance or None, default=0
        Seeds the directions.

    Returns
    -------
    table : DataFrame of shape (n_radii, 3)
        Indexed by "radius", ascending.

        - "ratio": mean over rows and directions of
          :math:`\|f(x + e) - f(x)\| / \|e\|`, where :math:`\|e\|` is the radius;
        - "std": standard deviation over rows of the ratio;
        - "relative": the ratio, divided as in :func:`sensitivity`.

    Raises
    ------
    ValueError
        If ``radii`` is None and the rows do not differ.
    """
    check_count("n_repeats", n_repeats)
    inputs = Inputs(estimator, X)
    if radii is None:
        width = spread(inputs.rows)
        if width == 0:
            raise ValueError("radii must be given where the rows of X do not differ.")
        radii = width * np.geomspace(0.01, 3, 9)
    radii = check_numbers("radii", radii, zero=False)
    codes = inputs.encode(inputs.rows)
    random_state = check_random_state(random_state)
    ratios = np.zeros((len(radii), len(codes)))
    for _ in range(n_repeats):
        directions = random_state.standard_normal(inputs.rows.shape)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        for ratio, radius in zip(ratios, radii, strict=True):
            ratio += stretch(inputs, codes, radius * directions) / n_repeats
    mean = ratios.mean(axis=1)
    return pd.DataFrame(
        {
            "ratio": mean,
            "std": ratios.std(axis=1),
            "relative": mean / scale(inputs, codes),
        },
        index=pd.Index(radii, name="radius"),
    )


def jacobian_spectrum(estimator, X, *, threshold=0.1):
    """Singular values of the encoder's Jacobian at each row.

    A code that follows a manifold of few dimensions has as many large singular
    values, and contracts the other directions.

    Parameters
    ----------
    estimator : ContractiveAutoencoder or Pipeline
        Fitted.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
    threshold : float in (0, 1], default=0.1
        Share of the row's largest singular value from which on a direction counts
        as kept: a tenth as strongly as the strongest, a hundredth of its square.

    Returns
    -------
    spectrum : Bunch
        With r, the smaller of ``n_components_`` and the number of columns that
        the autoencoder sees, and float64 throughout:

        - singular_values : ndarray of shape (n_samples, r), descending, in units
          of the code per unit of input;
        - mean : ndarray of shape (r,), over rows;
        - effective_rank : ndarray of shape (n_samples,), the exponential of the
          entropy of the singular values as shares of their sum (Roy & Vetterli
          2007), between 1 and r; 0 where all are 0;
        - local_dimension : ndarray of int of shape (n_samples,), the number of
          singular values that reach the threshold.
    """
    check_positive("threshold", threshold, high=1)
    inputs = Inputs(estimator, X)
    values = np.concatenate(
        [
            np.linalg.svd(jacobians, compute_uv=False)
            for jacobians in inputs.jacobians(inputs.autoencoder.n_components_)
        ]
    )
    total = values.sum(axis=1, keepdims=True)
    shares = values / np.where(total > 0, total, 1)
    entropy = -np.sum(shares * np.log(np.where(shares > 0, shares, 1)), axis=1)
    return Bunch(
        singular_values=values,
        mean=values.mean(axis=0),
        effective_rank=np.exp(entropy) * (total[:, 0] > 0),
        local_dimension=np.sum(
            (values >= threshold * values[:, :1]) & (values > 0), axis=1
        ),
    )


def tangent_vectors(estimator, X, n_vectors=None, *, which="kept"):
    """Directions from each row that the code keeps most, or contracts most.

    They are right singular vectors of the encoder's Jacobian. The leading ones
    are tangent to the manifold that the code follows (Rifai, Dauphin et al. 2011).

    Parameters
    ----------
    estimator : ContractiveAutoencoder or Pipeline
        Fitted.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
    n_vectors : int, default=None
        Directions a row: of those kept at most the smaller of ``n_components_``
        and the number of columns that the autoencoder sees, of those contracted
        at most the latter. None for 3, or as many as there are.
    which : {"kept", "contracted"}, default="kept"
        "kept" for the largest singular values, "contracted" for the smallest,
        those first that the code does not see at all. Where several are equal,
        as these are, the directions are any basis of their space.

    Returns
    -------
    vectors : DataFrame of shape (n_samples * n_vectors, n_features)
        Indexed by the row's label in ``X`` and by "rank", 0 for the most kept or
        contracted. Columns as in ``X``, or "x0", "x1", ... A vector has length 1
        where the autoencoder sees it. Behind a scaler it comes back as the change
        of the caller's columns, in their units, by a central difference of
        ``inverse_transform`` at the row: exact but for rounding where that is
        affine. The entry largest in absolute value is positive.

    Raises
    ------
    ValueError
        If a step before the autoencoder cannot be undone.
    """
    if not (isinstance(which, str) and which in ("kept", "contracted")):
        raise ValueError(f"which must be 'kept' or 'contracted'; got {which!r}.")
    inputs = Inputs(estimator, X)
    kept = which == "kept"
    n_units, n_columns = inputs.autoencoder.n_components_, inputs.rows.shape[1]
    available = min(n_units, n_columns) if kept else n_columns
    if n_vectors is None:
        n_vectors = min(3, available)
    check_count("n_vectors", n_vectors, available)
    # the null space, but no larger basis of the codes than is needed
    full = not kept and n_units < n_columns
    vectors = []
    for jacobians in inputs.jacobians(n_columns if full else n_units):
        basis = np.linalg.svd(jacobians, full_matrices=full)[2]
        # a copy, or the whole basis would stay
        vectors.append((basis if kept else basis[:, ::-1])[:, :n_vectors].copy())
    vectors = _in_columns(inputs, np.concatenate(vectors))
    largest = np.abs(vectors).argmax(axis=2)[:, :, None]
    vectors *= np.where(np.take_along_axis(vectors, largest, 2) < 0, -1, 1)
    rows = index_of(X, len(vectors)).repeat(n_vectors)
    levels = [rows.get_level_values(level) for level in range(rows.nlevels)]
    index = pd.MultiIndex.from_arrays(
        [*levels, np.tile(np.arange(n_vectors), len(vectors))],
        names=[*rows.names, "rank"],
    )
    names = getattr(X, "columns", [f"x{i}" for i in range(vectors.shape[2])])
    return pd.DataFrame(vectors.reshape(len(index), -1), index=index, columns=names)


def _in_columns(inputs, vectors):
    """Vectors, by row and rank, as changes of the caller's columns."""
    if inputs.front is None:
        return vectors
    check_smooth(inputs)
    n_samples, n_vectors, n_inputs = vectors.shape
    moves = _STEP * np.concatenate([vectors, -vectors], axis=1)
    moved = (inputs.rows[:, None] + moves).reshape(-1, n_inputs)
    there, _ = inverse_to_numbers(inputs, moved)
    there = there.reshape(n_samples, 2, n_vectors, -1)
    return (there[:, 0] - there[:, 1]) / (2 * _STEP)


def saturation(estimator, X, *, threshold=0.19):
    """Share of each row's code units that hardly react any more.

    Parameters
    ----------
    estimator : ContractiveAutoencoder or Pipeline
        Fitted.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
    threshold : float in (0, 1], default=0.19
        A unit is saturated where the absolute slope of its activation is below
        this share of the activation's largest. 0.19 is a sigmoid below 0.05 or
        above 0.95, the criterion of Rifai et al. (2011).

    Returns
    -------
    shares : ndarray of shape (n_samples,)
        Between 0 and 1. 0 for ``code_activation="identity"``; for "relu", the
        share of the units that are off.
    """
    check_positive("threshold", threshold, high=1)
    inputs = Inputs(estimator, X)
    inputs.encode(inputs.rows[:1])  # refuses what transform refuses
    encoder = inputs.autoencoder.to_module().encoder.double()
    # the module rounds the biases, of which the first holds the columns' offsets
    with torch.inference_mode():
        for linear, bias in zip(
            encoder[::2], inputs.autoencoder.intercepts_, strict=False
        ):
            linear.bias.copy_(torch.from_numpy(bias))
        preactivations = encoder[:-1](torch.tensor(inputs.rows))
        slope, largest = _SLOPES[type(encoder[-1])]
        saturated = slope(preactivations).abs() < threshold * largest
    return saturated.double().mean(dim=1).numpy()


def score_field(estimator, X):
    r"""Where reconstruction moves each row: r(x) - x.

    With squared error and enough capacity, a penalty on the whole reconstruction
    (``penalty="reconstruction"``) or small Gaussian noise makes it an estimate of
    the score, :math:`r(x) - x \approx s^2 \nabla \log p(x)`, with ``lam``
    or ``noise_std ** 2`` for s² (Alain & Bengio 2014). A penalty on the encoder alone
    (``penalty="encoder"``) does not: there it is a direction, no more.

    Parameters
    ----------
    estimator : ContractiveAutoencoder or Pipeline
        Fitted. Of a Pipeline, r is ``inverse_transform(transform(x))`` of the
        whole.
    X : {array-like, DataFrame} of shape (n_samples, n_features)

    Returns
    -------
    field : ndarray or DataFrame of shape (n_samples, n_features)
        As ``X``, in the units of its columns. Behind a scaler that divides a
        column by c, the score with respect to that column is multiplied by c²
        as well. nan where a step is given what it has no inverse of, as a
        PowerTransformer may be.

    Raises
    ------
    ValueError
        If a step before the autoencoder cannot be undone.
    """
    inputs = Inputs(estimator, X)
    field, is_kept = inverse_to_numbers(inputs, inputs.reconstruct())
    for position in np.flatnonzero(is_kept):
        field[:, position] -= column_of(X, position)
    if isinstance(X, pd.DataFrame):
        return pd.DataFrame(field, index=X.index, columns=X.columns)
    return field


def lambda_path(
    estimator, X, lams, *, cv=5, scoring=None, noise_std=0.5, random_state=0
):
    r"""Cross-validate λ along a path of fits that start from one another.

    In each fold the steps before the autoencoder are fitted once. The largest λ is
    then fitted from scratch; each smaller one starts from the weights of the one
    before and gets a third of ``max_iter``. While more than half of the variance
    is unexplained, so strong a λ may have switched units off for good: the next
    fit is then from scratch as well. At the same cost, this order ends at lower
    objectives than that from small to large. At small λ it also ends lower than fits
    from scratch, which stop before they are as contractive.

    Parameters
    ----------
    estimator : ContractiveAutoencoder or Pipeline
        It is cloned, need not be fitted, and its ``lam`` is ignored.
    X : {array-like, DataFrame} of shape (n_samples, n_features)
    lams : array-like of shape (n_lams,)
        Values >= 0.
    cv : int, cross-validation generator or iterable, default=5
        As in ``GridSearchCV``; at least two folds. Where they depend on labels or
        groups, give ``list(splitter.split(X, y, groups))``.
    scoring : callable, default=None
        ``(estimator, X) -> float``, higher is better, for fitted estimators and
        held-out rows. It then decides; None for
        :func:`skcae.metrics.denoising_score`.
    noise_std : float, default=0.5
        Of the noise in "denoising_score" and "sensitivity", in the units of the
        autoencoder's input.
    random_state : int or None, default=0
        Seeds that noise; an int gives every candidate the same.

    Returns
    -------
    path : Bunch
        - table : DataFrame indexed by "lam", ascending. Each of the following is
          the mean over folds of held-out rows, and has beside it its standard
          error under the name with "_se" appended: "reconstruction_error" (as the
          negative of ``score``), "contraction" (mean of
          :math:`\|\partial f / \partial x\|_F^2`), "sensitivity" and
          "relative_sensitivity" (means of :func:`sensitivity`),
          "denoising_score", and "score" where ``scoring`` is given.
        - best_lam : float, the largest λ whose score is within one standard error
          of the best, see
          :func:`skcae.metrics.largest_lam_within_one_standard_error`.

    Raises
    ------
    ValueError
        If a fit fails, see :meth:`skcae.ContractiveAutoencoder.fit`; it names λ.
    """
    lams = check_numbers("lams", lams, zero=True)
    check_positive("noise_std", noise_std)
    if not (scoring is None or callable(scoring)):
        raise ValueError(
            "scoring must be a callable (estimator, X) -> float, such as one of "
            f"skcae.metrics, or None; got {scoring!r}."
        )
    noise = {"noise_std": noise_std, "random_state": random_state}
    records = []
    for fold, (train, test) in enumerate(check_cv(cv).split(X)):
        held_out = _safe_indexing(X, test)
        for lam, model in _path(estimator, _safe_indexing(X, train), lams):
            record = {"lam": lam, "fold": fold} | _measures(model, held_out, noise)
            if scoring is not None:
                record["score"] = float(scoring(model, held_out))
            records.append(record)
    return _summary(pd.DataFrame(records).set_index(["lam", "fold"]))


def _path(estimator, X, lams):
    """Yield each λ, from the largest on, with the estimator fitted for it."""
    flat = clone(flat_pipeline(estimator))
    front, autoencoder = split_pipeline(flat)
    if front is not None:
        X = front.fit_transform(X)
    epochs, warm = autoencoder.max_iter, False
    for lam in lams[::-1]:
        autoencoder.set_params(
            lam=float(lam),
            warm_start=warm,
            max_iter=int(np.ceil(epochs * _WARM_SHARE)) if warm else epochs,
        )
        try:
            autoencoder.fit(X)
        except ValueError as error:
            raise ValueError(
                f"The fit at lam={lam:g} failed; leave it out of lams if it is the "
                f"largest. {error}"
            ) from error
        model = autoencoder
        if front is not None:
            model = type(flat)([*front.steps, flat.steps[-1]])
        yield lam, model
        inputs = Inputs(autoencoder, X)
        error = np.sum((inputs.reconstruct() - inputs.rows) ** 2, axis=1).mean()
        warm = bool(error <= _COLLAPSED * spread(inputs.rows) ** 2)


def _measures(model, X, noise):
    moved = sensitivity(model, X, **noise).mean()
    return {
        "reconstruction_error": -reconstruction_score(model, X),
        "contraction": -contraction_score(model, X),
        "sensitivity": moved["sensitivity"],
        "relative_sensitivity": moved["relative"],
        "denoising_score": denoising_score(model, X, **noise),
    }


def _summary(by_fold):
    """Means and standard errors over folds, and the λ that they choose."""
    decisive = by_fold.iloc[:, -1].unstack("fold").sort_index()
    best = largest_lam_within_one_standard_error(
        {"param_lam": decisive.index, "mean_test_score": decisive.mean(axis=1)}
        | {f"split{fold}_test_score": decisive[fold].to_numpy() for fold in decisive}
    )
    folds = by_fold.groupby("lam")
    table = folds.mean().join(folds.sem().add_suffix("_se"))
    names = [name + end for name in by_fold for end in ("", "_se")]
    return Bunch(table=table[names], best_lam=float(decisive.index[best]))
